"""Killed while a probe trains: the forward passes are kept, and the scores are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.runs import assert_like_unbroken, assert_nothing_is_torn
from tests.e2e.synthetic_bench import Forge

SUITE = """\
name: trained
models:
  - {label: RGB, model_id: feature_extractor/rgb}
datasets:
  - {name: slab}
tasks:
  - {name: depth_probe, params: {train_split: val, held_out: scenes, steps: 3}}
  - {name: normal_probe, params: {train_split: val, held_out: scenes, steps: 3}}
defaults: {resolution: {patches: 6}}
"""


def test_killed_while_a_probe_trains(
    commands: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite, whole, out = tmp_path / "trained.yaml", tmp_path / "whole" / "run", tmp_path / "run"
    suite.write_text(SUITE)
    unbroken = commands.run("run", suite, "--out", whole, "--cache", "off", watch=tmp_path)
    assert unbroken.code == 0, unbroken.printed
    # Its own first file operations are the plan's, its last ones the figures'.
    for share in (0.1, 0.3):
        moment = int(share * unbroken.operations)
        ended = commands.run("run", suite, "--out", out, watch=tmp_path, die_at=moment)
        assert ended.code == -9, ended.printed
        assert_nothing_is_torn(out)
    ended = commands.run("run", suite, "--out", out)
    assert ended.code == 0, ended.printed
    assert "forward passes: 0, from cache:" in ended.printed
    assert_like_unbroken(out, whole)

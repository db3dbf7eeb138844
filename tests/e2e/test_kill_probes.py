"""Killed with a trained probe in hand: features are kept, and the scores are the same."""

from __future__ import annotations

from pathlib import Path

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
defaults: {resolution: {patches: 6}}
"""


def test_killed_when_a_probe_is_trained(commands: Forge, tmp_path: Path) -> None:
    suite, whole, out = tmp_path / "trained.yaml", tmp_path / "whole" / "run", tmp_path / "run"
    suite.write_text(SUITE)
    assert commands.run("run", suite, "--out", whole, "--cache", "off").code == 0
    # Of what lies in the cell, the weights of the trained probe are written first.
    ended = commands.run("run", suite, "--out", out, watch=out / "cells" / "RGB", die_at=4)
    assert ended.code == -9, ended.printed
    assert not list(out.rglob("result.json")) and not list(out.rglob("items.parquet"))
    assert_nothing_is_torn(out)
    ended = commands.run("run", suite, "--out", out)
    assert ended.code == 0, ended.printed
    assert "forward passes: 0, from cache:" in ended.printed
    assert_like_unbroken(out, whole)

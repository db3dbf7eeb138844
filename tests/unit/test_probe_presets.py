"""Heads of different size never share a table, and one that stops answers for its own preset."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.check import load_suite
from bench.errors import BenchError
from bench.plan import Selection, make_plan
from bench.publish import load_run, merged_leaderboard
from bench.runner.loop import Settings, run_plan
from bench.stats import summarise
from bench.tables import build_grids, default_tables

SUITE = """\
name: sizes
models:
  - {label: noise, model_id: feature_extractor/noise}
datasets:
  - {name: slab}
tasks:
TASKS
defaults: {resolution: {patches: 2}}
"""
TASK = (
    "  - {name: depth_probe, label: LABEL, params: "
    "{preset: PRESET, train_split: val, held_out: scenes, steps: 1, batch_size: 1}}"
)


def run(out: Path, **presets: str) -> Path:
    """A run of one depth probe per label."""
    tasks = [TASK.replace("LABEL", k).replace("PRESET", v) for k, v in presets.items()]
    suite = out.with_suffix(".yaml")
    suite.write_text(SUITE.replace("TASKS", "\n".join(tasks)))
    plan = make_plan(load_suite(suite), precision="float32")
    assert run_plan(plan, out, Settings(), Selection()).failures == {}
    return out


def test_sizes_are_told_apart_by_every_table(tmp_path: Path, synthetic: None) -> None:
    small = run(tmp_path / "small", depth_probe="dpt-64")
    full = run(tmp_path / "full", depth_probe="dpt-512")
    with pytest.raises(BenchError) as caught:
        merged_leaderboard([small, full], "markdown")
    assert "preset is dpt-64 (noise in small), dpt-512 (noise in full)" in caught.value.what
    assert "dpt-64" in merged_leaderboard([small], "markdown")

    both = load_run(run(tmp_path / "both", small="dpt-64", full="dpt-512"))
    summary = summarise(both.items)
    grids = build_grids(summary, both.metrics, both.cells, default_tables(both.metrics))
    assert {grid.task: grid.preset for grid in grids} == {"small": "dpt-64", "full": "dpt-512"}
    assert all(len(grid.rows) == 1 for grid in grids)


def test_weights_say_what_they_are(tmp_path: Path, synthetic: None) -> None:
    folder = run(tmp_path / "run", depth_probe="linear")
    (path,) = folder.rglob("training.json")
    record = json.loads(path.read_text())
    assert record["preset"] == "linear" and record["layers"] == ["output"]
    assert record["dims"] == [384] and record["outputs"] == 256
    assert (record["train_views"], record["held_out_views"]) == (2, 2)
    assert record["training"]["steps"] == 1 and record["best_step"] == 1

"""The loop: what is computed, what is kept, what fails alone."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
import torch

from bench.check import load_suite
from bench.describe import warnings
from bench.errors import BenchError
from bench.models.feature_extractors.rgb import RGB
from bench.plan import Plan, Selection, make_plan
from bench.results import CELLS, load_cells, load_results, read_result
from bench.runner.loop import Outcome, Settings, run_plan


def planned(path: Path, **options: int) -> Plan:
    return make_plan(load_suite(path), precision="float32", **options)


def run(path: Path, out: Path, settings: Settings | None = None, **selection: list[str]) -> Outcome:
    return run_plan(planned(path), out, settings or Settings(), Selection(**selection))  # type: ignore[arg-type]


def items_bytes(out: Path) -> dict[str, bytes]:
    return {str(p.relative_to(out)): p.read_bytes() for p in sorted(out.rglob("items.parquet"))}


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_second_run_recomputes_nothing(tiny_suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    first = run(tiny_suite, out)
    assert (first.done, first.failed, first.skipped) == (2, 0, 0)
    assert first.forward_passes == 2 * 4
    before = items_bytes(out)
    second = run(tiny_suite, out)
    assert (second.done, second.skipped, second.forward_passes) == (0, 2, 0)
    assert items_bytes(out) == before


def test_scores_are_those_of_the_features(tiny_suite: Path, tmp_path: Path) -> None:
    run(tiny_suite, tmp_path / "run")
    scores = load_results(tmp_path / "run")
    plan = planned(tiny_suite)
    rgb = RGB(patch_size=14)
    dataset = plan.datasets[0].dataset
    assert dataset is not None
    for ref in plan.datasets[0].refs:
        images = torch.stack([view.image for view in dataset.load(ref).views])
        expected = rgb.forward_features(images)["x_norm"].half().float().mean()
        row = scores[(scores["model"] == "RGB") & (scores["scene"] == ref.scene)]
        # 84 pixels are already 6 patches of 14, so nothing is resized.
        assert row["value"].item() == pytest.approx(float(expected), abs=1e-6)


def test_force_and_changed_parameters_compute_again(tiny_suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    run(tiny_suite, out)
    assert run(tiny_suite, out, Settings(force=True)).done == 2
    edit(tiny_suite, "{name: brightness}", "{name: brightness, params: {scale: 2.0}}")
    assert run(tiny_suite, out).done == 2
    assert set(load_results(out)["value"].notna()) == {True}
    assert len(load_cells(out)) == 2, "cells of the old parameters are history"


def test_one_failing_cell_does_not_stop_the_others(tiny_suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    edit(
        tiny_suite,
        "  - {name: brightness}",
        "  - {name: brightness}\n"
        "  - {name: brightness, label: trips, params: {fail_on: test-scene-1}}",
    )
    outcome = run(tiny_suite, out)
    assert (outcome.done, outcome.failed) == (2, 2)
    assert outcome.forward_passes == 2 * 4, "one pass feeds both tasks"
    failed = [result for result, _ in load_cells(out) if result.status == "failed"]
    assert {result.task for result in failed} == {"trips"}
    assert failed[0].error == "ValueError: tripped on purpose"
    assert failed[0].traceback is not None and "score" in failed[0].traceback
    again = run(tiny_suite, out)
    assert (again.skipped, again.failed) == (2, 2), "failed cells are tried again"


def test_missing_weights_fail_their_cells_only(tiny_suite: Path, tmp_path: Path) -> None:
    edit(
        tiny_suite,
        "datasets:",
        "  - {label: gone, model_id: feature_extractor/dinov2, "
        "model_config: {backbone: small, checkpoint_path: /nowhere/x.pth}}\ndatasets:",
    )
    outcome = run(tiny_suite, tmp_path / "run")
    assert (outcome.done, outcome.failed) == (2, 1)
    (reason,) = outcome.failures.values()
    assert "/nowhere/x.pth" in reason


def test_collecting_task_sees_all_layers_at_once(tiny_suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    edit(tiny_suite, "{name: brightness}", "{name: mean_of_means}")
    assert run(tiny_suite, out).failed == 0
    scores = load_results(out)
    assert list(scores["layer"]) == ["output", "output"]


def test_broken_view_sets(tiny_suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    edit(tiny_suite, "{name: slab}", "{name: slab, params: {num_sets: 15, broken: [val-scene-1]}}")
    assert run(tiny_suite, out).failed == 0, "1 of 30 is skipped with a reason"
    result, _ = load_cells(out)[0]
    assert result.skipped == {"val-scene-1/set-0": "val-scene-1: image a is truncated."}
    assert len(load_results(out)) == 2 * 29
    edit(tiny_suite, "num_sets: 15", "num_sets: 2")
    outcome = run(tiny_suite, out)
    assert outcome.failed == 2, "1 of 4 is too much"
    assert "1 of 4 view sets are unusable" in next(iter(outcome.failures.values()))


@pytest.mark.parametrize("batch_size", [1, 3])
def test_resume_continues_and_ends_with_equal_bytes(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    settings = Settings(batch_size=batch_size)
    run(tiny_suite, whole, settings)
    passes = 0
    original = RGB.encode

    def stops(self: RGB, images: object, layers: object) -> object:
        nonlocal passes
        passes += 1
        if passes == 2:
            raise KeyboardInterrupt
        return original(self, images, layers)  # type: ignore[arg-type]

    monkeypatch.setattr(RGB, "encode", stops)
    with pytest.raises(KeyboardInterrupt):
        run(tiny_suite, broken, settings)
    monkeypatch.setattr(RGB, "encode", original)
    journals = list((broken / CELLS / "journal").rglob("*.jsonl"))
    assert len(journals) == 1
    with journals[0].open("a") as file:
        file.write('{"batch": 1, "skip')
    outcome = run(tiny_suite, broken, settings)
    assert outcome.done == 2
    finished = min(batch_size, 2)  # A batch never mixes splits, and each has two view sets.
    assert outcome.forward_passes == 8 - finished, "the finished batch is not computed again"
    assert items_bytes(broken) == items_bytes(whole)
    assert not (broken / CELLS / "journal").exists() or not list(
        (broken / CELLS / "journal").rglob("*.jsonl")
    )


def test_batches_do_not_change_scores(tiny_suite: Path, tmp_path: Path) -> None:
    run(tiny_suite, tmp_path / "one", Settings(batch_size=1))
    run(tiny_suite, tmp_path / "three", Settings(batch_size=3))
    assert items_bytes(tmp_path / "one") == items_bytes(tmp_path / "three")


def test_cache_gives_the_same_bytes_and_no_passes(tiny_suite: Path, tmp_path: Path) -> None:
    cold, warm = tmp_path / "cold", tmp_path / "warm"
    assert run(tiny_suite, cold, Settings(cache="on")).cache_hits == 0
    outcome = run(tiny_suite, warm, Settings(cache="on"))
    assert (outcome.forward_passes, outcome.cache_hits) == (0, 8)
    assert items_bytes(cold) == items_bytes(warm)


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_damaged_cache_entries_are_computed_again(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    run(tiny_suite, tmp_path / "cold", Settings(cache="on"))
    entry = sorted((tmp_path / "cache").rglob("*.safetensors"))[0]
    content = bytearray(entry.read_bytes())
    if damage == "flipped":
        content[-5] ^= 0x10
    entry.write_bytes(
        {"truncated": bytes(content[: len(content) // 2]), "empty": b""}.get(damage, bytes(content))
    )
    outcome = run(tiny_suite, tmp_path / "warm", Settings(cache="on"))
    assert outcome.failed == 0
    assert outcome.forward_passes == 1
    assert any("damaged" in problem for problem in outcome.problems)
    assert items_bytes(tmp_path / "cold") == items_bytes(tmp_path / "warm")


def test_unwritable_cache_does_not_stop_the_run(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where the cache folder should be")
    monkeypatch.setenv("BENCH_CACHE", str(blocked))
    outcome = run(tiny_suite, tmp_path / "run", Settings(cache="on"))
    assert (outcome.done, outcome.failed) == (2, 0)
    assert any("no longer cached" in problem for problem in outcome.problems)


def test_shards_share_a_folder_and_give_the_same_bytes(tiny_suite: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    run(tiny_suite, whole)
    plan = planned(tiny_suite)
    counts = [run_plan(plan, parts, Settings(), Selection(shard=(i, 3))).done for i in (1, 2, 3)]
    assert sum(counts) == 2
    assert items_bytes(whole) == items_bytes(parts)
    pd.testing.assert_frame_equal(load_results(whole), load_results(parts))


def test_selection(tiny_suite: Path, tmp_path: Path) -> None:
    assert run(tiny_suite, tmp_path / "run", models=["rgb"]).done == 1
    with pytest.raises(BenchError, match="No model of this suite matches 'dino'"):
        run(tiny_suite, tmp_path / "run", models=["dino"])


def test_limit_is_part_of_the_key(tiny_suite: Path, tmp_path: Path) -> None:
    whole, limited = planned(tiny_suite), planned(tiny_suite, limit=1)
    assert {c.key for c in whole.cells}.isdisjoint({c.key for c in limited.cells})
    assert [ref.scene for ref in limited.datasets[0].refs] == ["test-scene-0", "val-scene-0"]


def test_options_of_a_dataset_are_part_of_the_key(tiny_suite: Path) -> None:
    """Two settings can list the same view sets and read other pixels."""
    before = {cell.key for cell in planned(tiny_suite).cells}
    edit(tiny_suite, "{name: slab}", "{name: slab, params: {height: 70}}")
    assert before.isdisjoint({cell.key for cell in planned(tiny_suite).cells})


def test_rules_without_a_common_grid_are_pointed_out(tiny_suite: Path) -> None:
    edit(tiny_suite, "{patches: 6}", "padded")
    assert not list(warnings(planned(tiny_suite)))
    other = "  - {label: fine, model_id: feature_extractor/rgb, model_config: {patch_size: 8}}\n"
    edit(tiny_suite, "datasets:", other + "datasets:")
    (note,) = warnings(planned(tiny_suite))
    assert "slab: under resolution padded strides of 8, 14 pixels" in note


def test_keys_are_stable_and_tell_apart(tiny_suite: Path) -> None:
    keys = [cell.key for cell in planned(tiny_suite).cells]
    assert keys == [cell.key for cell in planned(tiny_suite).cells]
    assert len(set(keys)) == len(keys)
    assert None not in keys


def test_record_describes_itself(tiny_suite: Path, tmp_path: Path) -> None:
    run(tiny_suite, tmp_path / "run")
    result, folder = load_cells(tmp_path / "run")[0]
    assert result.model == "RGB" and result.role == "floor"
    assert result.resolution == "patches=6" and result.weights == "none"
    assert result.metrics[0].key == "mean" and result.metrics[0].headline
    assert json.loads((folder / "result.json").read_text())["status"] == "done"
    assert read_result(folder / "nowhere") is None

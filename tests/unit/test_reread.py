"""Trained probes in the loop: features kept, or computed in the training, and equal scores."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.check import load_suite
from bench.cli import main
from bench.models.feature_extractors.rgb import RGB
from bench.plan import Plan, Selection, make_plan
from bench.probes import training
from bench.probes.samples import Samples
from bench.results import load_cells, load_results
from bench.runner.cache import FeatureStore
from bench.runner.keeping import keeping
from bench.runner.loop import Outcome, Settings, run_plan
from bench.tasks import _probe
from bench.types import TaskContext, ViewSet, ViewSetRef
from tests.synthetic import Brightness, Slab

SUITE = """\
name: trained
models:
  - {label: RGB, model_id: feature_extractor/rgb, model_config: {patch_size: 14}}
  - {label: noise, model_id: feature_extractor/noise}
datasets:
  - {name: slab, params: {num_sets: 3}}
tasks:
  - {name: depth_probe, params: {train_split: val, held_out: scenes, steps: 4}}
  - {name: normal_probe, params: {train_split: val, held_out: scenes, steps: 4}}
defaults: {resolution: {patches: 6}}
"""
VIEW_SETS = 6
#: The samples of a task: 2 scenes to train on, 1 to stop by, and 3 to score.
READ = 2 * VIEW_SETS
TOO_SMALL = 1000


@pytest.fixture
def suite(tmp_path: Path, synthetic: None) -> Path:
    path = tmp_path / "trained.yaml"
    path.write_text(SUITE)
    return path


def planned(suite: Path) -> Plan:
    return make_plan(load_suite(suite), precision="float32")


def run(suite: Path, out: Path, models: Sequence[str] = (), **options: Any) -> Outcome:
    return run_plan(planned(suite), out, Settings(**options), Selection(models))


def made(out: Path) -> dict[str, bytes]:
    """Scores, probe weights and training histories."""
    kinds = ("*.parquet", "*.safetensors", "training.json")
    return {str(p.relative_to(out)): p.read_bytes() for k in kinds for p in sorted(out.rglob(k))}


def test_scores_do_not_depend_on_what_is_kept(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = {}
    for name, options, passes, hits in (
        ("auto", {}, VIEW_SETS, READ),
        ("kept before", {}, 0, VIEW_SETS + READ),
        ("off", {"cache": "off"}, VIEW_SETS + READ, 0),
        ("read", {"cache": "read"}, VIEW_SETS + READ, 0),
        ("too small", {"cache_bytes": TOO_SMALL}, VIEW_SETS + READ, 0),
        ("pairs", {"batch_size": 2, "cache": "off"}, VIEW_SETS + READ, 0),
    ):
        place = "auto" if name == "kept before" else name
        monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache" / place))
        outcome = run(suite, tmp_path / name, **options)
        assert (outcome.done, outcome.failures, outcome.problems) == (4, {}, [])
        assert (outcome.forward_passes, outcome.cache_hits) == (2 * passes, 2 * hits), name
        assert bool(list(FeatureStore().entries())) == (passes < VIEW_SETS + READ)
        found[name] = made(tmp_path / name)
    assert len(found["auto"]) == 4 * 3
    for name, files in found.items():
        assert files == found["auto"], name


def test_little_memory_reads_more_often_and_scores_the_same(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(suite, tmp_path / "much")
    endless = training.endless_batches
    monkeypatch.setattr(training, "endless_batches", partial(endless, window_bytes=TOO_SMALL))
    monkeypatch.setattr(_probe, "Samples", partial(Samples, held_bytes=TOO_SMALL))
    outcome = run(suite, tmp_path / "little", cache="off")
    assert outcome.forward_passes > 2 * (VIEW_SETS + READ)
    assert made(tmp_path / "much").keys() == made(tmp_path / "little").keys()
    scores = load_results(tmp_path / "little")
    assert scores["value"].notna().all()
    run(suite, tmp_path / "kept", cache="on")
    assert made(tmp_path / "kept") == made(tmp_path / "little")


def test_only_one_probe_holds_samples_at_a_time(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_so_far: list[weakref.ref[Samples]] = []
    held: list[int] = []
    original = training.standardise

    def samples(*given: Any) -> Samples:
        found = Samples(*given)
        made_so_far.append(weakref.ref(found))
        return found

    def standardise(*given: Any) -> None:
        original(*given)
        gc.collect()
        alive = [found for ref in made_so_far if (found := ref()) is not None]
        held.append(sum(bool(found._held) for found in alive))

    monkeypatch.setattr(_probe, "Samples", samples)
    monkeypatch.setattr(training, "standardise", standardise)
    assert run(suite, tmp_path, models=["RGB"]).done == 2
    assert held == [1, 1]


def test_a_model_that_sees_geometry_is_computed_again(suite: Path, tmp_path: Path) -> None:
    text = suite.read_text().replace("feature_extractor/noise", "feature_extractor/oracle")
    suite.write_text(text.replace("label: noise", "label: oracle"))
    outcome = run(suite, tmp_path / "run", models=["oracle"])
    assert outcome.failures == {} and outcome.forward_passes == VIEW_SETS + READ


def test_the_full_dpt_takes_its_steps(suite: Path, tmp_path: Path) -> None:
    text = suite.read_text().replace("steps: 4", "preset: dpt-512, steps: 2, batch_size: 1")
    suite.write_text(text.replace("patches: 6", "patches: 2"))
    assert run(suite, tmp_path, models=["noise"]).failures == {}
    assert load_results(tmp_path)["value"].notna().all()
    sizes = [path.stat().st_size for path in tmp_path.rglob("cells/**/probe.safetensors")]
    assert len(sizes) == 2 and min(sizes) > 4 * 11 * 10**6, "eleven million weights and more"


def test_ctrl_c_while_a_probe_trains_keeps_the_features(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(suite, tmp_path / "whole", cache="off")
    steps = 0

    def batch_loss(*given: Any) -> Tensor:
        nonlocal steps
        steps += 1
        if steps == 3:
            raise KeyboardInterrupt
        return original(*given)

    original = training.batch_loss
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training, "batch_loss", batch_loss)
        run(suite, tmp_path / "run")
    outcome = run(suite, tmp_path / "run")
    assert outcome.done == 4
    assert outcome.forward_passes == VIEW_SETS, "those of the second model"
    assert made(tmp_path / "run") == made(tmp_path / "whole")


@pytest.mark.parametrize("where", ["train", "score_views"])
def test_what_fails_in_the_end_fails_its_cell_alone(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    def fails(*given: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    place = _probe if where == "train" else __import__("bench.tasks.depth_probe", fromlist=["x"])
    monkeypatch.setattr(place, where, fails)
    outcome = run(suite, tmp_path, models=["RGB"])
    assert "RGB | slab | depth_probe | group" in outcome.failures
    assert (outcome.done, outcome.failed) == ((0, 2) if where == "train" else (1, 1))
    failed = [result for result, _ in load_cells(tmp_path) if result.status == "failed"]
    assert all(result.traceback is not None for result in failed)
    assert run(suite, tmp_path, models=["RGB"]).forward_passes == 0


def test_a_view_set_that_vanishes_while_a_probe_trains(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = Slab.load

    def load(self: Slab, ref: ViewSetRef) -> ViewSet:
        if ref.scene == "val-scene-1" and ref.scene in read:
            raise OSError("Input/output error")
        read.append(ref.scene)
        return original(self, ref)

    monkeypatch.setattr(Slab, "load", load)
    outcome = run(suite, tmp_path, models=["RGB"])
    assert outcome.done == 0
    assert set(outcome.failures.values()) == {"val-scene-1/set-0: OSError: Input/output error"}


def test_a_batch_that_was_too_large_is_not_tried_again(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    original = RGB.encode

    def encode(self: RGB, images: Tensor, layers: Sequence[str]) -> Any:
        sizes.append(len(images))
        if len(images) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return original(self, images, layers)

    monkeypatch.setattr(RGB, "encode", encode)
    outcome = run(suite, tmp_path, models=["RGB"], batch_size=3, cache="off")
    assert outcome.failures == {}
    assert sizes[:6] == 2 * [6, 2, 4] and set(sizes[6:]) == {2}


def test_only_tasks_that_say_so_read_again(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    suite.write_text(SUITE.partition("tasks:")[0] + "tasks: [{name: brightness}]\n")

    def prepare(self: Brightness, context: TaskContext) -> None:
        list(context.reread([]))

    monkeypatch.setattr(Brightness, "prepare", prepare)
    outcome = run(suite, tmp_path, models=["RGB"])
    (reason,) = outcome.failures.values()
    assert "scope 'dataset'" in reason


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "about 0.000339 GB, kept in the cache: "
             "training of depth_probe, normal_probe reads them again"),
        (["--cache", "on"], "about 0.000339 GB, kept in the cache: --cache on"),
        (["--cache", "off"], "about 0.000339 GB, not kept: --cache off; "
                             "the forward pass runs in the training loop"),
        (["--cache", "read"], "about 0.000339 GB, not kept: --cache read; "
                              "the forward pass runs in the training loop where the cache lacks"),
        (["--cache-gb", "0.0001"], "about 0.000339 GB, not kept: "
                                   "training of depth_probe, normal_probe reads them again, "
                                   "but the cache holds 0.0001 GB; "
                                   "the forward pass runs in the training loop"),
        (["--task", "normal"], "kept in the cache: training of normal_probe reads them again"),
    ],
)  # fmt: skip
def test_dry_run_says_where_the_forward_pass_runs(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], text: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", str(suite), "--out", str(tmp_path / "run"), "--dry-run", *words])
    assert ended.value.code == 0
    assert text in capsys.readouterr().out
    assert not (tmp_path / "run").exists() and not list(FeatureStore().entries())


def test_done_probes_are_no_reason_to_keep(
    suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    run(suite, out)
    suite.write_text(suite.read_text().replace("tasks:\n", "tasks:\n  - {name: brightness}\n"))
    with pytest.raises(SystemExit):
        main(["run", str(suite), "--out", str(out), "--dry-run"])
    assert "3 cells (2 done)" in (text := capsys.readouterr().out)
    assert "not kept: one pass feeds every task, and nothing reads them again" in text


def test_shards_share_no_feature_and_keep_none_for_each_other(suite: Path) -> None:
    suite.write_text(SUITE.partition("tasks:")[0] + "tasks: [{name: brightness}]\n")
    plan = planned(suite)
    shards = [Selection(shard=(i, 2)).choose(plan) for i in (1, 2)]
    groups = [{(cell.model.label, cell.dataset.label) for cell in cells} for cells in shards]
    assert groups[0].isdisjoint(groups[1])
    assert not any(keeping(cells, Settings()).keep for cells in shards)

"""One forward pass for everything: layers, sizes, precision, and models known late."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from bench.check import load_suite
from bench.datasets import datasets
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors.base import Architecture, Tokens
from bench.models.feature_extractors.rgb import RGB
from bench.plan import Plan, Selection, make_plan
from bench.results import CELLS, load_cells, load_results
from bench.runner.loop import Outcome, Settings, run_plan
from bench.tasks import tasks
from bench.types import ItemScore, TaskItem, ViewSet, ViewSetRef
from tests.synthetic import Brightness, Slab
from tests.unit.test_oom import TwoLayers


def planned(suite: Path, precision: str = "float32") -> Plan:
    return make_plan(load_suite(suite), precision=precision)


def run(suite: Path, out: Path, settings: Settings | None = None, **chosen: Any) -> Outcome:
    return run_plan(planned(suite), out, settings or Settings(), Selection(**chosen))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


class Spy(Brightness):
    """Scores 1 if nothing of the forward pass is still in force."""

    name: ClassVar[str] = "spy"

    def score(self, state: None, item: TaskItem) -> list[ItemScore]:
        product = torch.ones(2, 2, requires_grad=True) @ torch.ones(2, 2)
        free = product.dtype == torch.float32 and product.requires_grad
        view_set = item.view_set
        values = {"mean": float(free)}
        return [ItemScore(view_set.scene, view_set.set_id, view_set.split, values)]


@pytest.mark.parametrize("batch_size", [1, 2])
def test_autocast_ends_before_tasks_score(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setitem(tasks._registered, "spy", Spy)
    edit(tiny_suite, "brightness", "spy")
    plan = planned(tiny_suite, precision="bfloat16")
    assert run_plan(plan, tmp_path, Settings(batch_size=batch_size), Selection()).failed == 0
    assert set(load_results(tmp_path)["value"]) == {1.0}


class Mixed(Slab):
    """Every other scene is wider, and the second view of each scene is upright."""

    name: ClassVar[str] = "mixed"

    def load(self, ref: ViewSetRef) -> ViewSet:
        from dataclasses import replace

        found = super().load(ref)
        first, second = found.views
        if int(ref.scene[-1]) % 2:
            first = replace(first, image=first.image[:, :28])
        turned = replace(second, image=second.image.transpose(1, 2).contiguous(), depth=None)
        return replace(found, views=(replace(first, depth=None), turned))


def test_batches_of_several_sizes(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One pass per size, whatever view set the views belong to; the scores stay."""
    monkeypatch.setitem(datasets._registered, "mixed", Mixed)
    edit(tiny_suite, "{name: slab}", "{name: mixed, params: {num_sets: 4}}")
    sizes: list[tuple[int, ...]] = []
    original = RGB.encode

    def encode(self: RGB, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        sizes.append(tuple(images.shape))
        return original(self, images, layers)

    monkeypatch.setattr(RGB, "encode", encode)
    run(tiny_suite, tmp_path / "one", Settings(batch_size=1), models=["RGB"])
    sizes.clear()
    run(tiny_suite, tmp_path / "four", Settings(batch_size=4), models=["RGB"])
    per_split = [(2, 3, 56, 84), (4, 3, 84, 56), (2, 3, 28, 84)]
    assert sizes == per_split * 2
    assert load_results(tmp_path / "one").equals(load_results(tmp_path / "four"))


class Late(TwoLayers):
    """Tells its weights and layers only once it is built."""

    weights: ClassVar[str | None] = None

    @classmethod
    def describe(cls, options: Any) -> None:  # type: ignore[override]
        return None

    @classmethod
    def describe_or_raise(cls, options: Any) -> Architecture:
        return TwoLayers.describe(options)

    @classmethod
    def fingerprint(cls, options: Any) -> str | None:  # type: ignore[override]
        return cls.weights


@pytest.fixture
def late_suite(tiny_suite: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(feature_extractors._registered, "late", Late)
    edit(tiny_suite, "feature_extractor/noise", "feature_extractor/late, layers: [-1, 0]")
    return tiny_suite


def labels(out: Path) -> list[tuple[str, str, str]]:
    return [(result.model, result.layer, result.status) for result, _ in load_cells(out)]


ALL = [("RGB", "output", "done"), ("noise", "first", "done"), ("noise", "second", "done")]


@pytest.mark.parametrize("weights", [None, "known before the layers are"])
def test_models_that_are_known_late(
    late_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, weights: str | None
) -> None:
    monkeypatch.setattr(Late, "weights", weights)
    assert run(late_suite, tmp_path).done == 3
    assert labels(tmp_path) == ALL
    again = run(late_suite, tmp_path)
    assert (again.done, again.skipped, again.forward_passes) == (0, 3, 0)
    assert labels(tmp_path) == ALL


def test_a_shard_does_not_forget_what_another_one_identified(
    late_suite: Path, tmp_path: Path
) -> None:
    assert run(late_suite, tmp_path, shard=(2, 2)).done == 2
    assert run(late_suite, tmp_path, shard=(1, 2)).done == 1
    assert labels(tmp_path) == ALL
    edit(late_suite, "{name: brightness}", "{name: brightness, params: {scale: 2.0}}")
    assert run(late_suite, tmp_path, shard=(1, 2)).done == 1
    assert labels(tmp_path) == [("RGB", "output", "done")], "other parameters, other cells"


def test_late_layers_that_do_not_exist(late_suite: Path, tmp_path: Path) -> None:
    edit(late_suite, "[-1, 0]", "[7]")
    outcome = run(late_suite, tmp_path)
    assert (outcome.done, outcome.failed) == (1, 1)
    assert "Layer 7 does not exist" in next(iter(outcome.failures.values()))
    edit(late_suite, "[7]", "[-1, 0]")
    assert run(late_suite, tmp_path).done == 2
    assert labels(tmp_path) == ALL, "the failure is history"


def test_a_model_is_not_built_for_data_that_are_not_here(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RGB, "__init__", lambda *_, **__: pytest.fail("was built"))
    edit(tiny_suite, "{name: slab}", "{name: eth3d, root: /nowhere}")
    edit(tiny_suite, "{name: brightness}", "{name: multiview_correspondence}")
    outcome = run(tiny_suite, tmp_path, models=["RGB"])
    assert outcome.failed == 1 and "/nowhere" in next(iter(outcome.failures.values()))
    assert (tmp_path / CELLS / "plan.json").is_file()


def test_a_dataset_that_gives_another_view_set(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Slab.load
    monkeypatch.setattr(
        Slab, "load", lambda self, ref: original(self, ViewSetRef("x-1", "0", "test", ref.views))
    )
    outcome = run(tiny_suite, tmp_path)
    assert outcome.failed == 2
    assert "another view set than the list says" in next(iter(outcome.failures.values()))

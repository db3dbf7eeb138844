"""Out of memory: batches are halved down to one view set, and what fails then fails alone."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
import torch
from torch import Tensor

from bench.check import load_suite
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors.base import Architecture, Tokens
from bench.models.feature_extractors.rgb import RGB
from bench.plan import Selection, make_plan
from bench.results import load_cells, load_results
from bench.runner.loop import Outcome, Settings, run_plan
from bench.tasks import tasks
from bench.types import ItemScore, TaskContext, TaskItem
from tests.synthetic import Brightness

#: Eight view sets of two views per split.
SUITE = """\
name: large
models:
  - {label: RGB, model_id: feature_extractor/rgb, model_config: {patch_size: 14}}
datasets:
  - {name: slab, params: {num_sets: 8}}
tasks:
  - {name: brightness}
defaults: {resolution: {patches: 6}}
"""


def run(tmp_path: Path, out: str, suite: str = SUITE, batch_size: int = 8) -> Outcome:
    path = tmp_path / "large.yaml"
    path.write_text(suite)
    plan = make_plan(load_suite(path), precision="float32")
    return run_plan(plan, tmp_path / out, Settings(batch_size=batch_size), Selection())


def items(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("items.parquet")}


class Device:
    """A device with room for so many images at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int, error: Exception) -> None:
        self.sizes: list[int] = []
        original = RGB.encode

        def encode(
            extractor: RGB, images: Tensor, layers: Sequence[str]
        ) -> Iterator[tuple[str, Tokens]]:
            self.sizes.append(len(images))
            if len(images) > room:
                raise error
            return original(extractor, images, layers)

        monkeypatch.setattr(RGB, "encode", encode)


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
    MemoryError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda e: str(e)[:20] or type(e).__name__)
def test_batches_are_halved_until_they_fit(
    tmp_path: Path, synthetic: None, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    run(tmp_path, "roomy")
    device = Device(monkeypatch, 4, error)
    outcome = run(tmp_path, "tight")
    assert device.sizes == [16, 8, 4, 4, 8, 4, 4] * 2
    assert (outcome.done, outcome.failed, outcome.forward_passes) == (1, 0, 16)
    assert any("--batch-size 2" in problem for problem in outcome.problems)
    assert items(tmp_path / "tight") == items(tmp_path / "roomy")


def test_one_view_set_that_does_not_fit_fails_with_its_size(
    tmp_path: Path, synthetic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    device = Device(monkeypatch, 1, ERRORS[0])
    outcome = run(tmp_path, "run", batch_size=2)
    assert device.sizes == [4, 2], "after the cell has failed nothing more is computed"
    (reason,) = outcome.failures.values()
    assert "out of memory with one set of 2 views of 56 x 84 pixels" in reason
    ((result, _),) = load_cells(tmp_path / "run")
    assert result.status == "failed"
    assert result.traceback is not None and "Tried to allocate 2.00 GiB" in result.traceback


def test_memory_of_the_failed_attempt_is_free_before_the_next(
    tmp_path: Path, synthetic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[weakref.ref[Tensor]] = []

    def encode(
        extractor: RGB, images: Tensor, layers: Sequence[str]
    ) -> Iterator[tuple[str, Tokens]]:
        assert all(reference() is None for reference in held), "an earlier batch is still alive"
        activations = images * 2
        held.append(weakref.ref(activations))
        if len(images) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        yield "output", Tokens(activations.flatten(2).transpose(1, 2))

    monkeypatch.setattr(RGB, "encode", encode)
    monkeypatch.setattr(RGB, "grid", lambda self, h, w, layer="": _pixels(h, w))
    outcome = run(tmp_path, "run", batch_size=4)
    assert outcome.failures == {}
    assert len(held) == 2 * 2 * (1 + 2 + 4)


def _pixels(height: int, width: int) -> Any:
    from bench.types import PatchGrid

    return PatchGrid(height, width, 1, height, width)


class Greedy(Brightness):
    """Never fits, whatever the batch."""

    name: ClassVar[str] = "greedy"

    def score(self, state: None, item: TaskItem) -> list[ItemScore]:
        raise torch.OutOfMemoryError("CUDA out of memory.")


def test_a_greedy_task_fails_alone(
    tmp_path: Path, synthetic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks._registered, "greedy", Greedy)
    run(tmp_path, "without")
    suite = SUITE.replace("  - {name: brightness}", "  - {name: greedy}\n  - {name: brightness}")
    outcome = run(tmp_path, "with", suite)
    assert (outcome.done, outcome.failed) == (1, 1)
    assert "one set of 2 views" in outcome.failures["RGB | slab | greedy | output"]
    scores = load_results(tmp_path / "with")
    assert set(scores["task"]) == {"brightness"}
    assert scores["value"].equals(load_results(tmp_path / "without")["value"])


class TwoLayers(RGB):
    """RGB twice; the second layer does not fit with more than four images."""

    @classmethod
    def describe(cls, options: Any) -> Architecture:
        return Architecture(("first", "second"), 14, 3 * 14**2, 14, 14)

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        for layer in layers:
            if layer == "second" and len(images) > 4:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            yield layer, Tokens(self.model(images).flatten(2).transpose(1, 2))


class Census(Brightness):
    """Collects which view sets it was shown, one layer at a time."""

    name: ClassVar[str] = "census"
    scope: ClassVar[Literal["view_set", "scene", "dataset"]] = "dataset"
    greedy: ClassVar[bool] = False

    def prepare(self, context: TaskContext) -> Any:
        return []

    def update(self, state: Any, item: TaskItem) -> None:
        state.append(item.view_set)
        if self.greedy and len(state) == 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")

    def finish(self, state: Any) -> list[ItemScore]:
        return [ItemScore(v.scene, v.set_id, v.split, {"mean": 1.0}) for v in state]


COLLECTING = SUITE.replace("feature_extractor/rgb", "feature_extractor/two").replace(
    "model_config: {patch_size: 14}}", "layers: all}"
)


def test_collecting_tasks_see_every_view_set_once(
    tmp_path: Path, synthetic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(feature_extractors._registered, "two", TwoLayers)
    monkeypatch.setitem(tasks._registered, "census", Census)
    outcome = run(tmp_path, "run", COLLECTING.replace("brightness", "census"))
    assert (outcome.done, outcome.failures) == (2, {})
    scores = load_results(tmp_path / "run")
    assert set(scores["layer"]) == {"first", "second"}
    for _, seen in scores.groupby("layer"):
        names = [*zip(seen["split"], seen["scene"], strict=True)]
        assert sorted(names) == sorted({*names}) and len(names) == 16


def test_a_collecting_task_is_never_shown_a_view_set_twice(
    tmp_path: Path, synthetic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Census, "greedy", True)
    monkeypatch.setitem(tasks._registered, "census", Census)
    suite = SUITE.replace("  - {name: brightness}", "  - {name: census}\n  - {name: brightness}")
    outcome = run(tmp_path, "run", suite)
    assert list(outcome.failures) == ["RGB | slab | census | output"]
    assert outcome.done == 1

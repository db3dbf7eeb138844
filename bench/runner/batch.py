"""Features and scores of one batch of view sets; one that does not fit into memory is halved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from bench.errors import BenchError
from bench.models.feature_extractors.base import resolve_layers
from bench.plan import ModelPlan
from bench.runner.cell_run import CellRun, identity
from bench.runner.features import FeatureSource
from bench.types import FeatureMap, Memo, TaskItem, ViewSet

#: Of errors about memory that are not OutOfMemoryError: CUDA's own, cuBLAS's, the processor's.
MEMORY_WORDS = ("out of memory", "can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")


@dataclass
class BatchScorer:
    """Hands batches of one model and dataset to the cells.

    Attributes:
        fail: records a cell as failed.
        too_large: sizes of the batches that had to be halved are added here.
    """

    model: ModelPlan
    source: FeatureSource
    fail: Callable[[CellRun, Exception], None]
    too_large: set[int]

    def score(self, view_sets: Sequence[ViewSet], runs: Sequence[CellRun]) -> dict[str, str]:
        """Score what the runs have yet to see; cells that fail drop out.

        Returns:
            The view sets that this model cannot take, each with the reason.
        """
        alone = len(view_sets) == 1
        try:
            self._attempt(view_sets, runs)
            return {}
        except BenchError as error:
            if alone:
                return {identity(view_sets[0]): str(error)}
        except Exception as error:
            if alone or not _is_about_memory(error):
                self._fail_all(view_sets, runs, error)
                return {}
            self.too_large.add(len(view_sets))
        # Only after the handler is the memory free that the failed attempt held.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        half = len(view_sets) // 2
        return self.score(view_sets[:half], runs) | self.score(view_sets[half:], runs)

    def _attempt(self, view_sets: Sequence[ViewSet], runs: Sequence[CellRun]) -> None:
        """Raises BenchError if the model cannot take one of the view sets."""
        waiting = [run for run in runs if any(map(run.wants, view_sets))]
        if not waiting:
            return
        alone = len(view_sets) == 1
        memos = [Memo() for _ in view_sets]
        if "predictions" in self.model.kind.offers:
            said = self.source.predictions(view_sets)
            for view_set, memo, predictions in zip(view_sets, memos, said, strict=True):
                for run in waiting:
                    self._hand_over(run, TaskItem(view_set, {}, predictions, memo), alone)
            return
        wanted = {layer for run in waiting for layer in run.cell.layers}
        names = resolve_layers(sorted(wanted), self.model.layer_names)
        groups = [run for run in waiting if run.task.layers == "group"]
        collected: list[dict[str, FeatureMap]] = [{} for _ in view_sets]
        for layer, maps in self.source.layers(view_sets, names):
            singles = [r for r in waiting if r not in groups and r.cell.layers == (layer,)]
            for position, view_set in enumerate(view_sets):
                for run in singles:
                    item = TaskItem(view_set, {layer: maps[position]}, memo=memos[position])
                    self._hand_over(run, item, alone)
                if groups:
                    collected[position][layer] = maps[position]
        for position, view_set in enumerate(view_sets):
            for run in groups:
                features = {layer: collected[position][layer] for layer in run.cell.layers}
                self._hand_over(run, TaskItem(view_set, features, memo=memos[position]), alone)

    def _hand_over(self, run: CellRun, item: TaskItem, alone: bool) -> None:
        if not run.wants(item.view_set):
            return
        try:
            run.score(item)
        except Exception as error:
            # A collecting task may have kept a part of the view set: it cannot be given twice.
            if _is_about_memory(error) and run.stateless and not alone:
                raise
            self._fail_all([item.view_set], [run], error)

    def _fail_all(
        self, view_sets: Sequence[ViewSet], runs: Sequence[CellRun], error: Exception
    ) -> None:
        if _is_about_memory(error):
            views = view_sets[0].views
            size = " x ".join(map(str, views[0].size))
            what = f"out of memory with one set of {len(views)} views of {size} pixels"
            cause, error = error, BenchError(what, "Choose a smaller resolution.")
            error.__cause__ = cause
        for run in runs:
            if any(map(run.wants, view_sets)):
                self.fail(run, error)


def _is_about_memory(error: Exception) -> bool:
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in MEMORY_WORDS)

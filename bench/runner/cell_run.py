"""A cell under way, and its record."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from bench.plan import Cell
from bench.results import Result
from bench.runner.journal import Progress
from bench.types import ItemScore, Task, TaskItem, ViewSet, ViewSetRef


def identity(view_set: ViewSetRef | ViewSet) -> str:
    """Name of a view set inside its dataset."""
    return f"{view_set.split}/{view_set.scene}/{view_set.set_id}"


@dataclass(eq=False)
class CellRun:
    """A cell under way.

    scores: per view set that the task has seen; empty lists where it answers at the end. failed:
    the cell is recorded as failed, and nothing more is asked of it.
    """

    cell: Cell
    task: Task
    state: Any
    scores: Progress = field(default_factory=dict)
    seconds: float = 0.0
    failed: bool = False

    @property
    def stateless(self) -> bool:
        """Whether finished view sets can be taken from the journal."""
        return self.task.scope == "view_set"

    def wants(self, view_set: ViewSetRef | ViewSet) -> bool:
        """Whether the task has yet to see a view set."""
        if self.failed or view_set.split not in self.task.splits:
            return False
        return identity(view_set) not in self.scores

    def score(self, item: TaskItem) -> None:
        """Hand a view set to the task; what the task raises passes through."""
        started = time.perf_counter()
        rows: list[ItemScore] = []
        try:
            if self.stateless:
                rows = _plain(self.task.score(self.state, item))
            else:
                self.task.update(self.state, item)
        finally:
            self.seconds += time.perf_counter() - started
        self.scores[identity(item.view_set)] = rows

    def finish(self, order: Sequence[ViewSetRef]) -> list[ItemScore]:
        """Every score of the cell, in the order of the dataset; the task's state is let go."""
        started = time.perf_counter()
        scores = [score for ref in order for score in self.scores.get(identity(ref), [])]
        if not self.stateless:
            # The cells of a group finish one after another: none waits with the samples of another.
            state, self.state = self.state, None
            scores += _plain(self.task.finish(state))
        self.seconds += time.perf_counter() - started
        return scores


def _plain(scores: Sequence[ItemScore]) -> list[ItemScore]:
    """Values as Python floats, whatever kind of number the task made them of."""
    return [
        replace(score, values={key: float(value) for key, value in score.values.items()})
        for score in scores
    ]


def record(cell: Cell, suite: str, status: Literal["done", "failed"], **more: Any) -> Result:
    """The record of a cell."""
    config = cell.model.options.model_dump(mode="json")
    task = cell.task.identity()
    dataset = cell.dataset.dataset
    record: Mapping[str, Any] = {
        "status": status,
        "key": cell.key,
        "suite": suite,
        "model": cell.model.label,
        "model_id": cell.model.model_id,
        "config": config,
        "weights": cell.model.fingerprint,
        "role": cell.model.role,
        "layers": list(cell.layers),
        "layer_names": list(cell.model.layer_names),
        "dataset": cell.dataset.label,
        "dataset_name": cell.dataset.name,
        "dataset_options": dict(cell.dataset.options),
        "dataset_params": cell.dataset.identity()["options"] if dataset else {},
        "dataset_version": dataset.version if dataset else 0,
        "list_hash": cell.dataset.list_hash,
        "resolution": cell.dataset.resolution.rule,
        "limit": cell.dataset.limit,
        "task": cell.task.label,
        "task_name": cell.task.name,
        "task_version": cell.task.kind.version,
        "params": task["options"],
        "metrics": [asdict(metric) for metric in cell.task.example.metrics],
        "storage": cell.storage,
        "precision": cell.precision,
        "seed": cell.seed,
        **more,
    }
    return Result.model_validate(record)

"""A cell under way, and its record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from bench.plan import Cell
from bench.results import Result
from bench.types import ItemScore, Task, ViewSetRef


@dataclass
class CellRun:
    """A cell under way. scores: per batch, so that a resumed cell ends in the same order."""

    cell: Cell
    task: Task
    state: Any
    scores: dict[int, list[ItemScore]]
    seconds: float = 0.0

    @property
    def stateless(self) -> bool:
        """Whether finished batches can be taken from the journal."""
        return self.task.scope == "view_set"

    def wants(self, batch: int, refs: Sequence[ViewSetRef]) -> bool:
        missing = batch not in self.scores
        return missing and any(ref.split in self.task.splits for ref in refs)


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

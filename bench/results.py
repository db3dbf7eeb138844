"""What a run leaves behind: one folder per cell, written so that a crash never tears a file."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict

from bench.errors import BenchError
from bench.types import ItemScore

if TYPE_CHECKING:
    import pandas as pd

CELLS = "cells"
PLAN = "plan.json"
GROUP_LAYER = "group"


class MetricRecord(BaseModel):
    """A metric as stored with its scores; see ``bench.types.Metric``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    description: str
    unit: str
    higher_is_better: bool | None
    chance: float | None
    headline: bool


class Result(BaseModel):
    """The record of one cell (``result.json``), self-describing.

    status: ``failed`` cells are tried again on the next run. skipped: view sets that could not be
    read, with the reason. seconds: time in the task, not in the forward pass.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    format: Literal[1] = 1
    status: Literal["done", "failed"]
    key: str | None
    suite: str
    model: str
    model_id: str
    config: dict[str, Any]
    weights: str | None
    role: Literal["backbone", "floor", "ceiling"]
    layers: list[str]
    layer_names: list[str]
    dataset: str
    dataset_name: str
    dataset_version: int
    list_hash: str
    resolution: str
    limit: int | None
    task: str
    task_name: str
    task_version: int
    params: dict[str, Any]
    metrics: list[MetricRecord]
    storage: str
    precision: str
    seed: int
    dataset_options: dict[str, Any] = {}
    parameters: int | None = None
    forward_ms: float | None = None
    error: str | None = None
    traceback: str | None = None
    skipped: dict[str, str] = {}
    seconds: float = 0.0

    @property
    def layer(self) -> str:
        """Layer shown in tables; ``group`` for tasks that see several at once."""
        return self.layers[0] if len(self.layers) == 1 else GROUP_LAYER


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, complete and on disk, at the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically, with sorted keys."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def write_cell(folder: Path, result: Result, scores: Iterable[ItemScore]) -> None:
    """Store a finished or failed cell: items first, ``result.json`` last."""
    if result.status == "done":
        import pandas as pd

        rows = [
            (score.layer or result.layers[0], score.scene, score.set_id, score.split, metric, value)
            for score in scores
            for metric, value in score.values.items()
        ]
        columns = ["layer", "scene", "set_id", "split", "metric", "value"]
        items = pd.DataFrame(rows, columns=columns).astype({"value": "float64"})
        with atomic(folder / "items.parquet") as temporary:
            items.to_parquet(temporary, index=False)
    write_text(folder / "result.json", result.model_dump_json(indent=1) + "\n")


def read_result(folder: Path) -> Result | None:
    """The record of a cell, None if there is no complete one."""
    try:
        return Result.model_validate_json((folder / "result.json").read_bytes())
    except (OSError, ValueError):
        return None


def is_done(folder: Path, key: str | None) -> bool:
    """Whether this very cell was finished before."""
    if key is None:
        return False
    result = read_result(folder)
    return (
        result is not None
        and result.status == "done"
        and result.key == key
        and (folder / "items.parquet").is_file()
    )


def remember_plan(run: Path, suite: Mapping[str, Any], folders: Mapping[str, str]) -> None:
    """Note the suite, and which cell folder stands for which cell now; others are history.

    Args:
        suite: name, description and tables of the suite, for reports made from the folder alone.
        folders: cell name -> folder below ``cells/``, in the order of the suite.
    """
    write_json(run / CELLS / PLAN, {"suite": dict(suite), "cells": list(folders.items())})


def planned_suite(run: Path) -> dict[str, Any]:
    """Name, description and tables of the suite that was last run into this folder."""
    return dict(_plan(run).get("suite", {}))


def planned_folders(run: Path) -> dict[str, str]:
    """Cell name -> folder, in the suite's order, as the last run noted it."""
    try:
        return {str(name): str(folder) for name, folder in _plan(run).get("cells", [])}
    except (ValueError, TypeError):
        return {}


def _plan(run: Path) -> dict[str, Any]:
    try:
        found = json.loads((run / CELLS / PLAN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def load_cells(run: str | Path) -> list[tuple[Result, Path]]:
    """Records and folders of a run's current cells, in the order of the suite.

    Raises:
        BenchError: `run` holds no cells.
    """
    folder = Path(run)
    found = []
    for name in planned_folders(folder).values():
        cell = folder / CELLS / name
        result = read_result(cell)
        if result is not None:
            found.append((result, cell))
    if not found:
        raise BenchError(f"No results in {folder}.", "Run `bench run <suite>` first.")
    return found


def cells_frame(results: Iterable[Result]) -> pd.DataFrame:
    """One row per cell: how it was measured, and why it failed if it did."""
    import pandas as pd

    rows = [
        {
            **result.model_dump(
                include={
                    "model", "model_id", "role", "dataset", "task", "status", "error", "key",
                    "task_version", "dataset_version", "list_hash", "resolution", "limit",
                    "storage", "precision", "seed", "weights", "seconds", "parameters",
                    "forward_ms",
                }
            ),
            "layer": result.layer,
            "params": json.dumps(result.params, sort_keys=True),
            "num_skipped": len(result.skipped),
        }
        for result in results
    ]  # fmt: skip
    return pd.DataFrame(rows)


def metrics_frame(results: Iterable[Result]) -> pd.DataFrame:
    """One row per task and metric: columns of ``MetricRecord`` with ``metric`` for its key."""
    import pandas as pd

    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for result in results:
        for metric in result.metrics:
            record = metric.model_dump(exclude={"key"})
            rows[result.task, metric.key] = {"task": result.task, "metric": metric.key, **record}
    columns = ["task", "metric", *(f for f in MetricRecord.model_fields if f != "key")]
    return pd.DataFrame(list(rows.values()), columns=columns)


def load_results(run: str | Path) -> pd.DataFrame:
    """Every score of a run as a tidy data frame.

    One row per cell, layer, view set and metric, with columns model, model_id, role, layer,
    layer_index, relative_depth, dataset, split, task, preset, metric, scene, set_id, value. NaN is
    an unscored view set.

    Raises:
        BenchError: `run` holds no cells.
    """
    import pandas as pd

    frames = []
    for result, folder in load_cells(run):
        if result.status != "done":
            continue
        items = pd.read_parquet(folder / "items.parquet")
        depth = {name: i for i, name in enumerate(result.layer_names)}
        last = max(len(result.layer_names) - 1, 1)
        index = items["layer"].map(depth)
        items["layer_index"] = index.fillna(len(result.layer_names)).astype(int)
        items["relative_depth"] = index / last
        items["model"] = result.model
        items["model_id"] = result.model_id
        items["role"] = result.role
        items["dataset"] = result.dataset
        items["task"] = result.task
        items["preset"] = str(result.params.get("preset", ""))
        frames.append(items)
    return (
        pd.concat(frames, ignore_index=True)[COLUMNS]
        if frames
        else pd.DataFrame(columns=COLUMNS).astype({"value": "float64"})
    )


COLUMNS = [
    "model", "model_id", "role", "layer", "layer_index", "relative_depth", "dataset", "split",
    "task", "preset", "metric", "scene", "set_id", "value",
]  # fmt: skip

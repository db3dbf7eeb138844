"""What a run leaves behind: one folder per cell, written so that a crash never tears a file."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, TypeAdapter

from bench.atomic import atomic, write_json, write_text
from bench.errors import BenchError
from bench.types import ItemScore

if TYPE_CHECKING:
    import pandas as pd

T = TypeVar("T")

CELLS = "cells"
JOURNAL = "journal"
PLAN = "plan.json"
RESOLVED = "resolved.json"
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
    mean_over: Literal["scenes", "view_sets"] = "scenes"


class Result(BaseModel):
    """The record of one cell (``result.json``), self-describing.

    status: ``failed`` cells are tried again on the next run. dataset_options: as in the suite.
    dataset_params: all that can change a score, without places. skipped: view sets that could not
    be read, with the reason. seconds: time in the task, not in the forward pass.
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
    dataset_params: dict[str, Any] = {}
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


def write_cell(folder: Path, result: Result, scores: Iterable[ItemScore]) -> None:
    """Store a finished or failed cell: items first, ``result.json`` last."""
    if result.status == "done":
        import pandas as pd

        rows = [
            (score.layer or result.layer, score.scene, score.set_id, score.split, metric, value)
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


def is_stored(run: Path, folder: str) -> bool:
    """Whether the folder below ``cells/`` holds scores; its name tells under which key."""
    return (run / CELLS / folder / "items.parquet").is_file()


def remember_plan(run: Path, suite: Mapping[str, Any], folders: Mapping[str, str]) -> None:
    """Note the suite, and which cell folder stands for which cell now; others are history.

    Args:
        suite: name, description and tables of the suite, for reports made from the folder alone.
        folders: cell name -> folder below ``cells/``, in the order of the suite.
    """
    write_json(run / CELLS / PLAN, {"suite": dict(suite), "cells": list(folders.items())})


def remember_resolved(run: Path, folder: str, cells: Sequence[str]) -> None:
    """Note which cells a planned one turned out to be, once its model was loaded.

    The plan itself is left alone: another process may be writing it.
    """
    write_json(run / CELLS / folder / RESOLVED, list(cells))


def planned_suite(run: Path) -> dict[str, Any]:
    """Name, description and tables of the suite that was last run into this folder."""
    return _plan(run).suite


def planned_folders(run: Path) -> list[str]:
    """Folders of the current cells below ``cells/``, in the suite's order."""
    found: dict[str, None] = {}
    for _, folder in _plan(run).cells:
        resolved = _read(run / CELLS / folder / RESOLVED, _FOLDERS)
        found.update(dict.fromkeys(resolved or [folder]))
    return list(found)


def _plan(run: Path) -> _Plan:
    return _read(run / CELLS / PLAN, _PLAN) or _Plan()


def _read(path: Path, kind: TypeAdapter[T]) -> T | None:
    try:
        return kind.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


def _stays_below(folder: str) -> str:
    if ".." in folder.split("/") or folder.startswith("/"):
        raise ValueError("leads out of the run folder")
    return folder


_Folder = Annotated[str, AfterValidator(_stays_below)]


class _Plan(BaseModel):
    """``plan.json``: the suite, and (cell name, folder) in its order."""

    suite: dict[str, Any] = {}
    cells: list[tuple[str, _Folder]] = []


_PLAN = TypeAdapter(_Plan)
_FOLDERS = TypeAdapter(list[_Folder])


def load_cells(run: str | Path) -> list[tuple[Result, Path]]:
    """Records and folders of a run's current cells, in the order of the suite.

    Raises:
        BenchError: `run` holds no cells.
    """
    folder = Path(run)
    found = []
    for name in planned_folders(folder):
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
            "dataset_params": json.dumps(result.dataset_params, sort_keys=True),
            "config": json.dumps(result.config, sort_keys=True),
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
    layer_index, relative_depth, dataset, split, task, preset, metric, mean_over, scene, set_id,
    value. NaN is an unscored view set.

    Raises:
        BenchError: `run` holds no cells, or damaged ones.
    """
    import pandas as pd

    frames = []
    for result, folder in load_cells(run):
        if result.status != "done":
            continue
        items = _items(folder / "items.parquet")
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
        items["mean_over"] = items["metric"].map({m.key: m.mean_over for m in result.metrics})
        frames.append(items)
    return (
        pd.concat(frames, ignore_index=True)[COLUMNS]
        if frames
        else pd.DataFrame(columns=COLUMNS).astype({"value": "float64"})
    )


def _items(path: Path) -> pd.DataFrame:
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise BenchError(
            f"{path} cannot be read ({reason}).", "Remove its folder and run the suite again."
        ) from error


COLUMNS = [
    "model", "model_id", "role", "layer", "layer_index", "relative_depth", "dataset", "split",
    "task", "preset", "metric", "mean_over", "scene", "set_id", "value",
]  # fmt: skip

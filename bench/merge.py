"""Several runs as one, where they were measured the same way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bench.conditions import require_same_conditions
from bench.stats import KEYS

#: What makes two models of one label the same, where the cells frame has it.
_IDENTITY = ("model_id", "weights", "config")
_CELL = ["model", "layer", "dataset", "task"]


@dataclass(frozen=True)
class Run:
    """The data frames of a run.

    items: see `bench.stats.scene_means`; metrics and cells: see `bench.tables.build_grids`, cells
    also with key and the columns of `bench.conditions`.
    """

    name: str
    items: pd.DataFrame
    metrics: pd.DataFrame
    cells: pd.DataFrame


def merge(runs: Sequence[Run]) -> Run:
    """One run that holds the cells of all.

    A label that stands for one model everywhere stays one row, and a cell that several runs
    finished under one key counts once. A label that stands for different models, or for cells
    with different keys, gets the run's name behind it.

    Raises:
        BenchError: tasks or datasets were not measured the same way, with what differs.
    """
    cells = pd.concat([run.cells.assign(run=run.name) for run in runs], ignore_index=True)
    require_same_conditions(cells)
    unclear = _unclear_labels(cells)
    items = pd.concat(
        [_relabelled(run.items, run.name, unclear) for run in runs], ignore_index=True
    ).drop_duplicates([*KEYS, "scene", "set_id"], ignore_index=True)
    named = pd.concat(
        [_relabelled(run.cells, run.name, unclear) for run in runs], ignore_index=True
    ).drop_duplicates([*_CELL, "status"], ignore_index=True)
    metrics = pd.concat([run.metrics for run in runs], ignore_index=True)
    metrics = metrics.drop_duplicates(["task", "metric"], ignore_index=True)
    return Run(" + ".join(run.name for run in runs), items, metrics, named)


def _unclear_labels(cells: pd.DataFrame) -> set[str]:
    """Labels that do not stand for the same thing in every run."""
    done = cells[cells["status"] == "done"]
    identity = [column for column in _IDENTITY if column in done]
    models = done[["model", *identity]].astype(str).drop_duplicates()
    others = models.loc[models["model"].duplicated(), "model"]
    keys = done.groupby(_CELL)["key"].nunique()
    clashes = keys[keys > 1].index.get_level_values("model")
    return {*others, *clashes}


def _relabelled(frame: pd.DataFrame, run: str, labels: set[str]) -> pd.DataFrame:
    model = frame["model"]
    return frame.assign(model=model.where(~model.isin(labels), model + f" ({run})"))

"""Figures from a summary (see `bench.stats.summarise`), each with the CSV behind it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from bench.plots.angles import angle_metrics, by_angle
from bench.plots.cost import cost
from bench.plots.figure import Plot, save
from bench.plots.forest import forest
from bench.plots.layers import by_layer, by_layer_type
from bench.plots.overview import overview
from bench.plots.position_drop import position_drop
from bench.plots.ranking import ranking
from bench.plots.similarity import layer_similarity
from bench.stats import headline_metric

__all__ = [
    "Plot",
    "by_angle",
    "by_layer",
    "by_layer_type",
    "cost",
    "forest",
    "layer_similarity",
    "overview",
    "position_drop",
    "ranking",
    "save",
    "write_figures",
]

_PLAIN, _CONTROLLED = "auroc", "auroc_position_controlled"


def write_figures(summary: pd.DataFrame, metrics: pd.DataFrame, folder: Path) -> list[Path]:
    """Every figure that the summary holds data for, as PNG, SVG and CSV.

    Returns:
        The paths written, in order.
    """
    return [path for name, plot in _figures(summary, metrics) for path in save(plot, folder / name)]


def _figures(summary: pd.DataFrame, metrics: pd.DataFrame) -> Iterator[tuple[str, Plot]]:
    for (task, preset), own in summary.groupby(["task", "preset"]):
        metric = headline_metric(metrics, task)
        if metric is None:
            continue
        stem = _file_name(f"{task}_{preset}" if preset else task)
        test = own[(own["split"] == "test") & own["value"].notna()]
        measured = set(test["metric"])
        if metric not in measured:
            continue
        yield f"{stem}_ranking", ranking(own, metrics, task, metric)
        headline = test[(test["metric"] == metric) & test["relative_depth"].notna()]
        depths = headline[headline["role"] == "backbone"].groupby("model")["layer"].nunique()
        if (depths > 1).any():
            yield f"{stem}_by_layer", by_layer(own, metrics, task, metric)
        typed = headline[headline["layer"].str.fullmatch(r"(frame|global)_\d+")]
        for model in sorted(typed["model"].unique()):
            name = f"{stem}_by_layer_type_{_file_name(model)}"
            yield name, by_layer_type(own, metrics, task, metric, model)
        if {_PLAIN, _CONTROLLED} <= measured:
            yield f"{stem}_position_drop", position_drop(own, metrics, task)
        for base, names in angle_metrics(metrics, task).items():
            if measured & set(names):
                yield f"{stem}_by_angle_{_file_name(base)}", by_angle(own, metrics, task, base)
    if not summary.empty:
        yield "overview", overview(summary, metrics)


def _file_name(text: str) -> str:
    """The label where it is a plain name, else what is left of it and a hash."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:60]
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"

"""Every figure that a summary holds data for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from bench.plots.angles import angle_metrics, by_angle
from bench.plots.cost import Costs, cost
from bench.plots.figure import Plot, file_name, save
from bench.plots.layer_heatmap import MIN_LAYERS, layer_heatmap, models_by_layer
from bench.plots.layers import by_layer, by_layer_type
from bench.plots.overview import overview
from bench.plots.position_drop import position_drop
from bench.plots.ranking import ranking
from bench.plots.selection import MAX_HIGHLIGHTED
from bench.stats import direction, headline_metric

_PLAIN, _CONTROLLED = "auroc", "auroc_position_controlled"


@dataclass(frozen=True)
class Drawing:
    """A figure of a run. task: None for all tasks together; subject: the task and its preset."""

    name: str
    task: str | None
    subject: str
    caption: str
    plot: Plot


def write_figures(
    summary: pd.DataFrame, metrics: pd.DataFrame, folder: Path, costs: Costs | None = None
) -> list[Path]:
    """Every figure as PNG, SVG and CSV.

    Returns:
        The paths written, in order.
    """
    drawn = draw_all(summary, metrics, costs)
    return [path for drawing in drawn for path in save(drawing.plot, folder / drawing.name)]


def draw_all(
    summary: pd.DataFrame, metrics: pd.DataFrame, costs: Costs | None = None
) -> Iterator[Drawing]:
    """Every figure that there is data for: all tasks together, then task by task."""
    # Its colours run from the worst backbone to the best: with one there is nothing to compare.
    if summary.loc[summary["role"] == "backbone", "model"].nunique() > 1:
        whole = overview(summary, metrics)
        if not whole.data.empty:
            yield Drawing("overview", None, "all tasks", "headline scores", whole)
    for (task, preset), own in summary.groupby(["task", "preset"]):
        stem = file_name(f"{task}_{preset}" if preset else task)
        title = f"{task} ({preset})" if preset else str(task)
        for name, caption, plot in _draw_task(own, metrics, str(task), costs):
            yield Drawing(f"{stem}_{name}", str(task), title, caption, plot)


def _draw_task(
    summary: pd.DataFrame, metrics: pd.DataFrame, task: str, costs: Costs | None
) -> Iterator[tuple[str, str, Plot]]:
    metric = headline_metric(metrics, task)
    test = summary[(summary["split"] == "test") & summary["value"].notna()]
    measured = set(test["metric"])
    if metric is None or metric not in measured:
        return
    if direction(metrics, task, metric):
        yield "ranking", f"{metric} with 95 % intervals", ranking(summary, metrics, task, metric)
    headline = test[(test["metric"] == metric) & test["relative_depth"].notna()]
    depths = headline[headline["role"] == "backbone"].groupby("model")["layer"].nunique()
    if (depths > 1).any():
        yield "by_layer", f"{metric} by layer", by_layer(summary, metrics, task, metric)
    counts = headline.groupby("model")["layer"].nunique()
    deep = sorted(counts.index[counts >= MIN_LAYERS])
    if len(deep) > MAX_HIGHLIGHTED:
        plot = models_by_layer(summary, metrics, task, metric)
        yield "models_by_layer", f"{metric} of every layer of every model", plot
        deep = []
    for model in deep:
        plot = layer_heatmap(summary, metrics, task, metric, str(model))
        yield f"layers_{file_name(str(model))}", f"{metric} of every layer of {model}", plot
    typed = headline[headline["layer"].str.fullmatch(r"(frame|global)_\d+")]
    for model in sorted(typed["model"].unique()):
        plot = by_layer_type(summary, metrics, task, metric, model)
        yield f"by_layer_type_{file_name(model)}", f"{metric} by layer type of {model}", plot
    if {_PLAIN, _CONTROLLED} <= measured:
        caption = f"drop from {_PLAIN} to {_CONTROLLED}"
        yield "position_drop", caption, position_drop(summary, metrics, task)
    for base in angle_metrics(metrics, task):
        # What has no direction, as a ceiling, is a fact of the views and no model's line.
        if not direction(metrics, task, base):
            continue
        plot = by_angle(summary, metrics, task, base)
        if not plot.data.empty:
            yield f"by_angle_{file_name(base)}", f"{base} by viewing angle", plot
    if costs is not None and direction(metrics, task, metric):
        plot = cost(summary, metrics, task, metric, costs)
        if not plot.data.empty:
            yield "cost", f"{metric} against cost", plot

"""Score by depth: one line per backbone, and one line per layer type of one model."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from bench.plots.figure import (
    CHANCE,
    DARK,
    GREY,
    MARKERS,
    WIDTH_INCHES,
    Plot,
    chance,
    colours,
    legend,
    message,
    metric_label,
    not_flat,
    panels,
    short,
    styled,
)
from bench.plots.selection import floor_looks, highlighted, test_scores
from bench.stats import choose_layers, direction

_RING = {
    "marker": "o",
    "linestyle": "none",
    "markerfacecolor": "none",
    "markersize": 8,
    "markeredgewidth": 0.9,
}


@styled
def by_layer(summary: pd.DataFrame, metrics: pd.DataFrame, task: str, metric: str) -> Plot:
    """Lines over layer index (left) and relative depth (right), one row per dataset.

    Band: 95 % interval over test scenes; ring: layer chosen on val scenes; dashed: floors; a level
    line: a backbone without layers. Of more than eight backbones the best eight stand out without
    bands and the others are grey.
    """
    scores = test_scores(summary, task, [metric])
    lines = scores[scores["relative_depth"].notna()]
    if not (lines["role"] == "backbone").any():
        return Plot(message("No scores at more than one depth."), scores)
    looks = highlighted(scores, direction(metrics, task, metric))
    chosen = choose_layers(summary[summary["task"] == task], metrics).set_index("model")["layer"]
    datasets = sorted(lines["dataset"].unique())
    figure = Figure(figsize=(WIDTH_INCHES, 2.3 * len(datasets) + 0.3))
    axes = figure.subplots(len(datasets), 2, squeeze=False, sharey="row", sharex="col")
    for row, dataset in zip(axes, datasets, strict=True):
        own = scores[scores["dataset"] == dataset]
        for axis, x in zip(row, ("layer_index", "relative_depth"), strict=True):
            _backbones(axis, own, x, looks, chosen)
            _floors(axis, own, x)
            level = chance(metrics, task, metric)
            if level is not None:
                axis.axhline(level, **CHANCE, label="chance")
        row[0].set_ylabel(metric_label(metrics, task, metric))
        row[0].set_title(short(dataset))
        not_flat(row[0])
    axes[-1][0].set_xlabel("layer index")
    axes[-1][0].xaxis.set_major_locator(MaxNLocator(integer=True))
    axes[-1][1].set_xlabel("relative depth (last layer = 1)")
    axes[0][0].plot([], [], **_RING, markeredgecolor=DARK, label="chosen on val")
    legend(figure, axes.flat, first=looks)
    return Plot(figure, scores)


@styled
def by_layer_type(
    summary: pd.DataFrame, metrics: pd.DataFrame, task: str, metric: str, model: str
) -> Plot:
    """Lines over the number at the end of the layer name, one per type of layer (frame_3 and
    global_3); layers without a number (patch_embed) are dashed. One panel per dataset."""
    scores = test_scores(summary[summary["model"] == model], task, [metric])
    parts = scores["layer"].astype(str).str.extract(r"^(?P<layer_type>.*?)_?(?P<number>\d+)?$")
    scores = scores.assign(layer_type=parts["layer_type"], number=pd.to_numeric(parts["number"]))
    if scores.empty:
        return Plot(message("No test scores."), scores)
    datasets = sorted(scores["dataset"].unique())
    figure, axes = panels(datasets, 2.5, per_row=2, sharey=True)
    kinds = dict(zip(sorted(scores["layer_type"].unique()), _looks(), strict=False))
    for axis, dataset in zip(axes, datasets, strict=True):
        own = scores[scores["dataset"] == dataset]
        for kind, (colour, marker) in kinds.items():
            line = own[(own["layer_type"] == kind) & own["number"].notna()].sort_values("number")
            if line.empty:
                for level in own.loc[own["layer_type"] == kind, "value"]:
                    axis.axhline(level, color=colour, linestyle="--", label=short(kind))
                continue
            _line(axis, line, "number", colour, marker, short(kind))
            _band(axis, line, "number", colour)
        axis.set_xlabel("number of the layer in its type")
    axes[0].set_ylabel(metric_label(metrics, task, metric))
    legend(figure, axes, title=short(model))
    return Plot(figure, scores)


def _looks() -> zip[tuple[str, str]]:
    return zip(colours(), MARKERS, strict=True)


def _line(axis: Any, line: pd.DataFrame, x: str, colour: str, marker: str, label: str) -> None:
    every = max(1, len(line) // 12)
    axis.plot(line[x], line["value"], color=colour, marker=marker, markevery=every, label=label)


def _band(axis: Any, line: pd.DataFrame, x: str, colour: str) -> None:
    axis.fill_between(line[x], line["ci_low"], line["ci_high"], color=colour, alpha=0.13, lw=0)


def _backbones(
    axis: Any,
    scores: pd.DataFrame,
    x: str,
    looks: dict[str, tuple[str, str]],
    chosen: pd.Series[str],
) -> None:
    own = scores[scores["role"] == "backbone"].sort_values(x)
    has_depth = own["relative_depth"].notna()
    others = own[~own["model"].isin(looks) & has_depth]
    label = f"{others['model'].nunique()} other backbones"
    for number, (_, line) in enumerate(others.groupby("model")):
        axis.plot(
            line[x], line["value"], color=GREY, lw=0.5, alpha=0.5, label=None if number else label
        )
    for model, (colour, marker) in looks.items():
        for level in own.loc[(own["model"] == model) & ~has_depth, "value"]:
            axis.axhline(level, color=colour, linewidth=0.9, label=short(model))
        line = own[(own["model"] == model) & has_depth]
        if line.empty:
            continue
        _line(axis, line, x, colour, marker, short(model))
        if others.empty:
            _band(axis, line, x, colour)
        ring = line[line["layer"] == chosen.get(model)]
        axis.plot(ring[x], ring["value"], **_RING, markeredgecolor=colour)


def _floors(axis: Any, scores: pd.DataFrame, x: str) -> None:
    for model, look in floor_looks(scores).items():
        line = scores[scores["model"] == model]
        if len(line) == 1:
            axis.axhline(line["value"].iloc[0], **look)
        else:
            line = line[line[x].notna()].sort_values(x)
            axis.plot(line[x], line["value"], **look)

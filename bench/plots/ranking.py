"""Ranking of models with intervals, one panel per dataset."""

from __future__ import annotations

import pandas as pd

from bench.plots.figure import (
    CHANCE,
    DARK,
    GREY,
    Plot,
    chance,
    colours,
    message,
    metric_label,
    panels,
    short,
    styled,
    with_intervals,
)
from bench.plots.selection import shown_scores
from bench.stats import direction, ranked

_ROW_INCHES = 0.155
_LOOKS = {"backbone": ("o", True), "floor": ("s", False), "ceiling": ("D", False)}


@styled
def ranking(summary: pd.DataFrame, metrics: pd.DataFrame, task: str, metric: str) -> Plot:
    """Points with 95 % intervals over test scenes; each model at its layer chosen on val scenes,
    else its last. Floors and ceilings stand below a rule, hollow."""
    scores = shown_scores(summary, metrics, task, [metric])
    if scores.empty:
        return Plot(message("No test scores."), scores)
    is_backbone = scores["role"] == "backbone"
    sign = direction(metrics, task, metric)
    backbones, controls = ranked(scores[is_backbone], sign), ranked(scores[~is_backbone], sign)
    gap = 0.6 if backbones and controls else 0.0
    places = {model: float(place) for place, model in enumerate(backbones)}
    places |= {model: place + gap for place, model in enumerate(controls, len(backbones))}
    datasets = sorted(scores["dataset"].unique())
    figure, axes = panels(datasets, 0.75 + _ROW_INCHES * (len(places) + gap), sharey=True)
    for axis, dataset in zip(axes, datasets, strict=True):
        own = scores[scores["dataset"] == dataset]
        for role, (marker, filled) in _LOOKS.items():
            rows = own[own["role"] == role]
            colour = colours()[0] if filled else DARK
            with_intervals(
                axis,
                rows,
                "value",
                rows["model"].map(places),
                fmt=marker,
                color=colour,
                markerfacecolor=colour if filled else "white",
            )
        level = chance(metrics, task, metric)
        if level is not None:
            axis.axvline(level, **CHANCE)
        if gap:
            axis.axhline(len(backbones) - 0.5 + gap / 2, color=GREY, linewidth=0.6)
        axis.set_xlabel(metric_label(metrics, task, metric))
        axis.grid(axis="y", visible=False)
    layers = scores.drop_duplicates("model").set_index("model")["layer"]
    names = [_name(model, str(layers[model])) for model in places]
    axes[0].set_yticks(list(places.values()), names)
    axes[0].set_ylim(max(places.values()) + 0.7, -0.7)
    return Plot(figure, scores)


def _name(model: str, layer: str) -> str:
    return short(model) if layer == "output" else f"{short(model)} · {short(layer, 14)}"

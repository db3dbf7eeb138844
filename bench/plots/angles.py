"""Score by the angle between two views."""

from __future__ import annotations

import pandas as pd

from bench.plots.figure import (
    CHANCE,
    GREY,
    Plot,
    chance,
    legend,
    message,
    metric_label,
    not_flat,
    panels,
    short,
    styled,
    with_intervals,
)
from bench.plots.selection import floor_looks, highlighted, shown_scores
from bench.stats import direction

_BIN = r"^(?P<metric>.+)/(?P<low>\d+)-(?P<high>\d+)deg$"


def angle_metrics(metrics: pd.DataFrame, task: str) -> dict[str, list[str]]:
    """Metrics of a task that are split by angle, such as ``auroc/30-60deg``: base name -> their
    names, by angle."""
    own = metrics[metrics["task"] == task].drop_duplicates("metric")
    bins = own["metric"].astype(str).str.extract(_BIN).dropna()
    bins = bins.assign(name=own["metric"], low=pd.to_numeric(bins["low"])).sort_values("low")
    return {str(base): list(group["name"]) for base, group in bins.groupby("metric")}


@styled
def by_angle(summary: pd.DataFrame, metrics: pd.DataFrame, task: str, metric: str) -> Plot:
    """Score in each bin of viewing angle, one panel per dataset that has several, each model at
    one layer.

    Bars: 95 % interval over test scenes; dashed: floors. Of more than eight backbones the best
    eight stand out and the others are grey.

    Args:
        metric: base name; its bins are named ``metric/30-60deg``.
    """
    names = angle_metrics(metrics, task).get(metric, [])
    scores = shown_scores(summary, metrics, task, names)
    scores = scores[scores.groupby("dataset")["metric"].transform("nunique") > 1]
    if scores.empty:
        return Plot(message("No dataset has scores at several viewing angles."), scores)
    names = [name for name in names if name in set(scores["metric"])]
    scores = scores.assign(place=scores["metric"].map({name: i for i, name in enumerate(names)}))
    by_model = scores.groupby(["model", "role", "dataset"])["value"].mean().reset_index()
    looks = highlighted(by_model, direction(metrics, task, names[0]))
    floors = floor_looks(scores)
    datasets = sorted(scores["dataset"].unique())
    figure, axes = panels(datasets, 2.5, per_row=2, sharey=True)
    for axis, dataset in zip(axes, datasets, strict=True):
        own = scores[scores["dataset"] == dataset].sort_values("place")
        others = own[(own["role"] == "backbone") & ~own["model"].isin(looks)]
        for number, (_, line) in enumerate(others.groupby("model")):
            label = None if number else f"{others['model'].nunique()} other backbones"
            axis.plot(line["place"], line["value"], color=GREY, lw=0.5, alpha=0.5, label=label)
        for number, (model, (colour, marker)) in enumerate(looks.items()):
            line = own[own["model"] == model]
            beside = line["place"] + 0.05 * (number - (len(looks) - 1) / 2)
            name = short(model)
            with_intervals(axis, line, beside, "value", color=colour, marker=marker, label=name)
        for model, look in floors.items():
            line = own[own["model"] == model]
            axis.plot(line["place"], line["value"], **look)
        level = chance(metrics, task, metric)
        if level is not None:
            axis.axhline(level, **CHANCE, label="chance")
        ticks = [name.rpartition("/")[2].removesuffix("deg") for name in names]
        axis.set_xticks(range(len(names)), ticks)
        axis.set_xlabel("angle between the views [°]")
    not_flat(axes[0])
    axes[0].set_ylabel(metric_label(metrics, task, metric))
    legend(figure, axes, first=looks)
    return Plot(figure, scores)

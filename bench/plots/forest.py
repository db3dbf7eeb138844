"""Paired differences between models."""

from __future__ import annotations

import pandas as pd

from bench.plots.figure import (
    DARK,
    GREY,
    Plot,
    colours,
    message,
    panels,
    short,
    styled,
    with_intervals,
)

_ROW_INCHES = 0.17
_MAX_ROWS = 60


@styled
def forest(pairs: pd.DataFrame, label: str) -> Plot:
    """Differences with 95 % intervals, one line per pair and one panel per dataset.

    Right of zero the first model is better. Filled: decided after Holm's correction; hollow: not.
    Of more than 60 pairs those with the best first model are shown.

    Args:
        pairs: columns dataset, model_a, model_b, difference (positive: model_a is better), ci_low,
            ci_high, decided (bool), see `bench.compare`.
        label: axis label, for example ``difference in AUROC``.
    """
    if pairs.empty:
        return Plot(message("No pairs were compared."), pairs)
    names = pairs[["model_a", "model_b"]].drop_duplicates()
    if len(names) > _MAX_ROWS:
        best = pairs.groupby("model_a")["difference"].min().idxmax()
        pairs = pairs[pairs["model_a"] == best]
    order = pairs.groupby(["model_a", "model_b"])["difference"].mean().sort_values(ascending=False)
    places = {pair: place for place, pair in enumerate(order.index)}
    datasets = sorted(pairs["dataset"].unique())
    figure, axes = panels(datasets, 0.85 + _ROW_INCHES * len(places), sharey=True, sharex=True)
    for axis, dataset in zip(axes, datasets, strict=True):
        for decided, own in pairs[pairs["dataset"] == dataset].groupby("decided"):
            colour = colours()[0] if decided else DARK
            with_intervals(
                axis,
                own,
                "difference",
                [places[pair] for pair in zip(own["model_a"], own["model_b"], strict=True)],
                fmt="o",
                color=colour,
                markerfacecolor=colour if decided else "white",
            )
        axis.axvline(0, color=GREY, linewidth=0.8)
        axis.grid(axis="y", visible=False)
    # Under all panels, since it is wider than one.
    figure.supxlabel(label, fontsize="medium")
    axes[0].set_yticks(range(len(places)), [f"{short(a, 20)} – {short(b, 20)}" for a, b in places])
    axes[0].set_ylim(len(places) - 0.3, -0.7)
    return Plot(figure, pairs)

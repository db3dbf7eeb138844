"""Score against cost."""

from __future__ import annotations

import pandas as pd
from matplotlib.ticker import LogLocator, NullLocator

from bench.plots.figure import (
    GREY,
    Plot,
    legend,
    message,
    metric_label,
    panels,
    short,
    styled,
    with_intervals,
)
from bench.plots.selection import MAX_HIGHLIGHTED, highlighted, shown_scores
from bench.stats import direction


@styled
def cost(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    task: str,
    metric: str,
    costs: pd.DataFrame,
    column: str,
    label: str,
) -> Plot:
    """Backbones by cost (logarithmic) and score, one panel per dataset, each at one layer.

    Grey line: the front that nothing as cheap beats; bars: 95 % interval over test scenes. Of more
    than eight backbones only those on the front are named (the best eight of them).

    Args:
        costs: column model and the cost column (positive).
        column: name of the cost column.
        label: axis label with its unit, for example ``time per view [ms]``.
    """
    scores = shown_scores(summary, metrics, task, [metric])
    price = scores["model"].map(costs.set_index("model")[column])
    scores = scores.assign(**{column: price})[(scores["role"] == "backbone") & (price > 0)]
    if scores.empty:
        return Plot(message("No costs were measured."), scores)
    sign = direction(metrics, task, metric)
    on_front = _front(scores, column, sign)
    many = scores["model"].nunique() > MAX_HIGHLIGHTED
    looks = highlighted(scores[on_front] if many else scores, sign)
    datasets = sorted(scores["dataset"].unique())
    figure, axes = panels(datasets, 2.6, per_row=2, sharey=True)
    for axis, dataset in zip(axes, datasets, strict=True):
        own = scores[scores["dataset"] == dataset].sort_values([column, "model"])
        front = own[on_front.loc[own.index]]
        axis.set_xscale("log")
        axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:g}")
        axis.xaxis.set_minor_locator(NullLocator())
        axis.plot(front[column], front["value"], color=GREY, linewidth=0.9, drawstyle="steps-post")
        others = own[~own["model"].isin(looks)]
        if not others.empty:
            name = f"{others['model'].nunique()} other backbones"
            axis.plot(others[column], others["value"], "o", color=GREY, markersize=2.5, label=name)
        for model, (colour, marker) in looks.items():
            point = own[own["model"] == model]
            look = {"fmt": marker, "color": colour, "label": short(model)}
            with_intervals(axis, point, point[column], "value", **look)
        axis.set_xlabel(label)
        axis.margins(x=0.08)
    axes[0].set_ylabel(metric_label(metrics, task, metric))
    legend(figure, axes, first=looks)
    return Plot(figure, scores)


def _front(scores: pd.DataFrame, column: str, sign: int) -> pd.Series[bool]:
    """Whether a row beats every row of its dataset that costs no more."""
    ordered = scores.assign(signed=(sign or 1) * scores["value"]).sort_values(
        [column, "signed"], ascending=[True, False]
    )
    best_before = ordered.groupby("dataset")["signed"].transform(
        lambda signed: signed.cummax().shift(fill_value=float("-inf"))
    )
    return (ordered["signed"] > best_before).reindex(scores.index)

"""Score against what a model costs: parameters, time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from bench.plots.figure import (
    DARK,
    GREY,
    MARKERS,
    WIDTH_INCHES,
    Plot,
    legend,
    message,
    metric_label,
    short,
    styled,
    with_intervals,
)
from bench.plots.selection import MAX_HIGHLIGHTED, highlighted, shown_scores
from bench.stats import direction

#: Distance from what costs nothing to the cheapest, as a share of the axis, and least factor.
_GAP, _LEAST_FACTOR = 0.18, 2.0
_MAX_TICKS, _TICK_CHARACTERS = 5, 14
_OTHERS = {"color": GREY, "marker": "o", "markersize": 2.5, "linestyle": "none"}


@dataclass(frozen=True)
class Costs:
    """What models cost.

    Attributes:
        models: column model and the columns that `labels` names (at least 0; NaN: not known).
        labels: cost column -> axis label with its unit, for example ``time per view [ms]``.
    """

    models: pd.DataFrame
    labels: Mapping[str, str]


def costs_of(cells: pd.DataFrame, timed: bool) -> Costs:
    """Parameters, and if `timed` the mean time of the forward pass, of each model.

    Args:
        cells: columns model, parameters and forward_ms, which may be missing or NaN.
    """
    labels = {"parameters": "parameters [million]"}
    if timed:
        labels["forward_ms"] = "forward pass per view [ms]"
    known = cells.reindex(columns=["model", *labels]).astype(dict.fromkeys(labels, "float64"))
    known["parameters"] /= 1e6
    return Costs(known.groupby("model", sort=False)[list(labels)].mean().reset_index(), labels)


@styled
def cost(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    task: str,
    metric: str,
    costs: Costs,
) -> Plot:
    """Models by cost (logarithmic) and score, each at one layer: one row per dataset, one column
    per kind of cost.

    Grey line: the front of backbones that nothing as cheap beats; bars: 95 % interval over test
    scenes; hollow: floors and ceilings. What costs nothing stands left of the axis's break. Of more
    than eight backbones only those on a front are named (the best eight of them).
    """
    labels = costs.labels
    scores = shown_scores(summary, metrics, task, [metric])
    prices = costs.models.set_index("model")
    scores = scores.assign(**{kind: scores["model"].map(prices[kind]) for kind in labels})
    kinds = [kind for kind in labels if (scores[kind] > 0).any()]
    scores = scores[scores[kinds].notna().any(axis=1)] if kinds else scores.head(0)
    backbones = scores[scores["role"] == "backbone"]
    if backbones.empty:
        return Plot(message("No cost of a backbone is known."), backbones)
    sign = direction(metrics, task, metric)
    fronts = {kind: _front(backbones, kind, sign) for kind in kinds}
    many = backbones["model"].nunique() > MAX_HIGHLIGHTED
    named = backbones[pd.DataFrame(fronts).any(axis=1)] if many else backbones
    looks = highlighted(named, sign)
    controls = _control_looks(scores)
    datasets = sorted(scores["dataset"].unique())
    figure = Figure(figsize=(WIDTH_INCHES, 2.3 * len(datasets) + 0.3))
    axes = figure.subplots(len(datasets), len(kinds), squeeze=False, sharey="row", sharex="col")
    for line, dataset in zip(axes, datasets, strict=True):
        for axis, kind in zip(line, kinds, strict=True):
            known = scores[(scores["dataset"] == dataset) & scores[kind].notna()]
            own = known.assign(place=known[kind].replace(0, _place_of_nothing(scores[kind])))
            own = own.sort_values(["place", "model"])
            _points(axis, own, looks, controls)
            front = own[fronts[kind].reindex(own.index, fill_value=False)]
            axis.plot(
                front["place"], front["value"], color=GREY, lw=0.9, drawstyle="steps-post", zorder=1
            )
        line[0].set_ylabel(metric_label(metrics, task, metric))
        line[0].set_title(short(dataset))
    for column, kind in zip(axes.T, kinds, strict=True):
        _price_axis(column, scores[kind], labels[kind])
    legend(figure, axes.flat, first=looks)
    return Plot(figure, scores)


def _front(scores: pd.DataFrame, kind: str, sign: int) -> pd.Series[bool]:
    """Whether a row beats every row of its dataset that costs no more."""
    ordered = scores.assign(signed=(sign or 1) * scores["value"]).sort_values(
        [kind, "signed"], ascending=[True, False]
    )
    ordered = ordered[ordered[kind].notna()]
    best_before = ordered.groupby("dataset")["signed"].transform(
        lambda signed: signed.cummax().shift(fill_value=float("-inf"))
    )
    return (ordered["signed"] > best_before).reindex(scores.index, fill_value=False)


def _control_looks(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Hollow, with markers of their own."""
    controls = scores[scores["role"] != "backbone"].drop_duplicates("model")
    roles = controls.sort_values(["role", "model"]).set_index("model")["role"]
    return {
        str(model): {
            "fmt": MARKERS[number % len(MARKERS)],
            "color": DARK,
            "markerfacecolor": "white",
            "label": f"{short(model)} ({role})",
        }
        for number, (model, role) in enumerate(roles.items())
    }


def _points(
    axis: Any,
    own: pd.DataFrame,
    looks: dict[str, tuple[str, str]],
    controls: dict[str, dict[str, Any]],
) -> None:
    others = own[(own["role"] == "backbone") & ~own["model"].isin(looks)]
    if not others.empty:
        name = f"{others['model'].nunique()} other backbones"
        axis.plot(others["place"], others["value"], label=name, **_OTHERS)
    named = {
        model: {"fmt": m, "color": c, "label": short(model)} for model, (c, m) in looks.items()
    }
    for model, look in chain(controls.items(), named.items()):
        point = own[own["model"] == model]
        with_intervals(axis, point, point["place"], "value", **look)


def _place_of_nothing(prices: pd.Series[float]) -> float:
    """Where a price of zero stands on the logarithmic axis."""
    paid = prices[prices > 0]
    return float(paid.min() / max(_LEAST_FACTOR, (paid.max() / paid.min()) ** _GAP))


def _price_axis(column: Any, prices: pd.Series[float], label: str) -> None:
    """Ticks at round prices, and at 0 where something costs nothing."""
    paid = prices[prices > 0]
    low, high = float(paid.min()), float(paid.max())
    ticks = _round_numbers(low, high)
    places, names = ticks, [f"{tick:g}" for tick in ticks]
    if (prices == 0).any():
        nothing = _place_of_nothing(prices)
        places, names = [nothing, *ticks], ["0", *names]
        for axis in column:
            axis.axvline((nothing * low) ** 0.5, color=GREY, linewidth=0.6, linestyle=(0, (1, 2)))
    margin = max(1.25, (high / min(places[0], low)) ** 0.07)
    for axis in column:
        axis.set_xscale("log")
        axis.set_xlim(min(places[0], low) / margin, max(places[-1], high) * margin)
        axis.set_xticks(places, names)
        axis.xaxis.set_minor_locator(NullLocator())
    column[-1].set_xlabel(label)


def _round_numbers(low: float, high: float) -> list[float]:
    """Round numbers from `low` to `high` that fit beside one another; `low` itself if none."""
    decades = range(-12, 16)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        found = [s * 10.0**d for d in decades for s in steps if low <= s * 10.0**d <= high]
        if _fit(found):
            return found or [float(f"{low:.2g}")]
    every = next(every for every in range(2, len(found) + 1) if _fit(found[::every]))
    return found[::every]


def _fit(ticks: Sequence[float]) -> bool:
    return len(ticks) <= _MAX_TICKS and sum(len(f"{t:g}") for t in ticks) <= _TICK_CHARACTERS

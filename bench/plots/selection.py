"""Which rows of a summary a figure shows, in which order, and which models stand out."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from bench.plots.figure import MARKERS, colours
from bench.stats import at_chosen_layers, direction, ranked, shown_layers

MAX_HIGHLIGHTED = 8


def test_scores(summary: pd.DataFrame, task: str, names: Sequence[str]) -> pd.DataFrame:
    """Test rows of some metrics of a task that have a value."""
    own = summary[(summary["task"] == task) & (summary["split"] == "test")]
    return own[own["metric"].isin(names) & own["value"].notna()]


def shown_scores(
    summary: pd.DataFrame, metrics: pd.DataFrame, task: str, names: Sequence[str]
) -> pd.DataFrame:
    """The same at one layer per model: chosen on val scenes, else the last."""
    own = summary[summary["task"] == task]
    return at_chosen_layers(test_scores(own, task, names), shown_layers(own, metrics))


def highlighted(
    scores: pd.DataFrame, metrics: pd.DataFrame, task: str, metric: str
) -> dict[str, tuple[str, str]]:
    """Colour and marker of the backbones that stand out: all, or the best eight of many."""
    backbones = scores[(scores["role"] == "backbone") & (scores["metric"] == metric)]
    best = ranked(backbones, direction(metrics, task, metric))[:MAX_HIGHLIGHTED]
    looks = zip(colours(), MARKERS, strict=False)
    return dict(zip(sorted(best), looks, strict=False))

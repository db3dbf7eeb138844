"""Which rows of a summary a figure shows, in which order, and which models stand out."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle
from typing import Any

import pandas as pd

from bench.plots.figure import DARK, GREY, MARKERS, colours, short
from bench.stats import at_chosen_layers, ranked, shown_layers

MAX_HIGHLIGHTED = 8
_DASHES = (
    (0, (5, 2)),
    (0, (1, 1.3)),
    (0, (8, 2, 1.5, 2)),
    (0, (3, 1.3, 1, 1.3, 1, 1.3)),
    (0, (11, 3)),
)


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


def highlighted(scores: pd.DataFrame, sign: int) -> dict[str, tuple[str, str]]:
    """Colour and marker of the backbones that stand out: all, or the best eight of many.

    Args:
        scores: rows of one metric; sign: see `bench.stats.direction`.
    """
    best = ranked(scores[scores["role"] == "backbone"], sign)[:MAX_HIGHLIGHTED]
    looks = zip(colours(), MARKERS, strict=False)
    return dict(zip(sorted(best), looks, strict=False))


def floor_looks(scores: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Line style of each floor: dashes of their own, dark and light in turn."""
    floors = sorted(scores.loc[scores["role"] == "floor", "model"].unique())
    return {
        model: {
            "linestyle": dash,
            "color": grey,
            "linewidth": 0.9,
            "label": f"{short(model)} (floor)",
        }
        for model, dash, grey in zip(floors, cycle(_DASHES), cycle((DARK, GREY)), strict=False)
    }

"""The leaderboard as data: one row per number."""

from __future__ import annotations

import pandas as pd

LEADERBOARD_COLUMNS = (
    "model",
    "layer",
    "dataset",
    "split",
    "task",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "num_scenes",
    "num_sets",
    "num_unscored",
)


def leaderboard(summary: pd.DataFrame) -> pd.DataFrame:
    """Columns ``LEADERBOARD_COLUMNS``; the order depends on the summary's content alone."""
    order = ["task", "preset", "dataset", "split", "metric", "model", "layer_index", "layer"]
    ordered = summary.sort_values(order, kind="stable").reset_index(drop=True)
    return ordered[list(LEADERBOARD_COLUMNS)]


def csv_text(frame: pd.DataFrame) -> str:
    """CSV with a fixed number format (six significant digits, NaN empty) and line ending."""
    return str(frame.to_csv(index=False, float_format="%.6g", lineterminator="\n"))

"""Shares of errors below thresholds. NaN errors are unscored; infinite ones are misses."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def recall_at(errors: Floats, threshold: float) -> float:
    """Share of errors <= threshold; NaN without a scored error."""
    scored = errors[~np.isnan(errors)]
    return float((scored <= threshold).mean()) if len(scored) else math.nan


def recall_area(errors: Floats, limit: float) -> float:
    """Area under the recall curve up to `limit`, divided by it: mean(max(0, 1 - e / limit)).

    Exact for the empirical distribution, unlike the sum of a histogram, which credits each error to
    the lower edge of its bin. NaN without a scored error.
    """
    scored = errors[~np.isnan(errors)]
    return float(np.maximum(0.0, 1 - scored / limit).mean()) if len(scored) else math.nan


def bin_label(low: float, high: float) -> str:
    """Name of an angle bin, for example ``0-30deg``."""
    return f"{low:g}-{high:g}deg"


def bin_of(angle_deg: float, edges: tuple[float, ...]) -> str | None:
    """Bin [low, high) that holds an angle in degrees; the last bin includes its upper edge."""
    for low, high in pairwise(edges):
        if low <= angle_deg < high or angle_deg == high == edges[-1]:
            return bin_label(low, high)
    return None

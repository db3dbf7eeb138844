"""Matches between two views of a scene, coloured by their error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from bench.plots.figure import DARK, WIDTH_INCHES, Plot, short, styled

Floats = NDArray[np.float64]

#: Upper edges of the error classes in reference pixels, and their colours, from good to bad: blue
#: to red in even steps of lightness, told apart by colour-blind readers.
CLASSES_PX = (5.0, 10.0, 20.0, np.inf)
COLOURS = ("#0072B2", "#56B4E9", "#F0C24B", "#D55E00")
_GAP = 0.02
_MAX_LINES = 48


@dataclass(frozen=True)
class Matches:
    """Matches of one pair of views.

    image_a, image_b: uint8 [H, W, 3]; points_a, points_b: (x, y) image coordinates [M, 2]; error_px
    [M], with the long side of image b at reference_px.
    """

    label: str
    image_a: NDArray[np.uint8]
    image_b: NDArray[np.uint8]
    points_a: Floats
    points_b: Floats
    error_px: Floats
    reference_px: float


def read_matches(path: Path, label: str) -> Matches:
    """Matches as ``geometric_matching`` saves them."""
    with np.load(path) as saved:
        return Matches(
            label,
            saved["image_a"],
            saved["image_b"],
            saved["points_a"],
            saved["points_b"],
            saved["error_px"],
            float(saved["reference_px"]),
        )


@styled
def matches(rows: Sequence[Matches], max_lines: int = _MAX_LINES) -> Plot:
    """One row per model or layer: view a on the left, view b on the right.

    Every query is a dot in view a; at most `max_lines` of them, evenly spread, have a line to their
    match in view b. Large errors are drawn last, so that none hides behind a good match.
    """
    aspect = [_joint_size(row)[1] / _joint_size(row)[0] for row in rows]
    height = sum(WIDTH_INCHES * a + 0.2 for a in aspect) + 0.45
    figure = Figure(figsize=(WIDTH_INCHES, height))
    axes = figure.subplots(len(rows), 1, squeeze=False, height_ratios=aspect)[:, 0]
    for axis, row in zip(axes, rows, strict=True):
        _draw_row(axis, row, max_lines)
    edges = [0.0, *CLASSES_PX]
    names = [f"{low:g} to {high:g} px" for low, high in pairwise(edges)]
    names[0], names[-1] = f"at most {CLASSES_PX[0]:g} px", f"more than {CLASSES_PX[-2]:g} px"
    handles = [
        Line2D([], [], color=c, marker="o", markersize=3, linewidth=1.2, label=n)
        for c, n in zip(COLOURS, names, strict=True)
    ]
    sides = " or ".join(sorted({f"{row.reference_px:g}" for row in rows}))
    title = f"distance from match to truth, pixels with the image's long side at {sides}"
    figure.legend(handles=handles, title=title, loc="outside lower center", ncols=len(handles))
    return Plot(figure, _shares(rows))


def _joint_size(row: Matches) -> tuple[float, float]:
    """Width and height of both views side by side, in pixels of view a."""
    height, width = row.image_a.shape[:2]
    scale = height / row.image_b.shape[0]
    return width * (1 + _GAP) + row.image_b.shape[1] * scale, float(height)


def _draw_row(axis: Any, row: Matches, max_lines: int) -> None:
    height, width = row.image_a.shape[:2]
    scale = height / row.image_b.shape[0]
    offset = width * (1 + _GAP)
    axis.imshow(_faded(row.image_a), extent=(0, width, height, 0))
    right = offset + row.image_b.shape[1] * scale
    axis.imshow(_faded(row.image_b), extent=(offset, right, height, 0))
    axis.set_xlim(0, right)
    axis.set_ylim(height, 0)
    axis.set_axis_off()
    end = row.points_b * scale + [offset, 0.0]
    kind = np.searchsorted(CLASSES_PX, row.error_px)
    spread = np.unique(np.linspace(0, len(kind) - 1, max_lines).round().astype(int))
    lined = np.isin(np.arange(len(kind)), spread if len(kind) else [])
    for place, colour in enumerate(COLOURS):
        own = kind == place
        lines = np.stack([row.points_a, end], axis=1)[own & lined]
        axis.add_collection(LineCollection(lines, colors=colour, linewidths=0.7, zorder=4))
        axis.scatter(*row.points_a[own].T, s=3.5, color=colour, linewidths=0, zorder=3)
        for points in (row.points_a[own & lined], end[own & lined]):
            axis.scatter(*points.T, s=11, color=colour, edgecolor="white", linewidths=0.4, zorder=5)
    within = [float((row.error_px <= limit).mean()) if len(kind) else np.nan for limit in (10, 20)]
    axis.set_title(short(row.label))
    axis.text(
        right,
        -0.02 * height,
        f"{within[0]:.0%} within 10 px, {within[1]:.0%} within 20 px of {len(kind)}",
        ha="right",
        va="bottom",
        fontsize=7,
        color=DARK,
    )


def _faded(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Grey and light, so that colour belongs to the matches."""
    grey = image.astype(np.float64) @ [0.299, 0.587, 0.114] / 255
    return np.repeat((0.4 + 0.6 * grey)[..., None], 3, axis=2)


def _shares(rows: Sequence[Matches]) -> pd.DataFrame:
    """Share of matches up to each class's edge."""
    return pd.DataFrame(
        [
            {
                "label": row.label,
                "num_matches": len(row.error_px),
                "reference_px": row.reference_px,
                **{
                    f"within_{edge:g}px": float((row.error_px <= edge).mean())
                    if len(row.error_px)
                    else np.nan
                    for edge in CLASSES_PX[:-1]
                },
            }
            for row in rows
        ]
    )

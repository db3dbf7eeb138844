"""Matches between two views of a scene, coloured by their error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.plots.figure import DARK, Plot, short, styled
from bench.plots.picture_grid import FONT_SIZE, SLOT, RowName, picture_grid

Floats = NDArray[np.float64]

#: Edges of the error classes in reference pixels, and their colours, from good to bad: blue to red,
#: told apart by colour-blind readers. One of 32 patches in 640 px is 20 of these pixels.
EDGES_PX = (0.0, 10.0, 20.0, 40.0, 80.0)
COLOURS = ("#0072B2", "#56B4E9", "#F0C24B", "#E8702A", "#8E1B1B")
#: Models and layers in one figure; more take several.
MAX_PANELS = 8
#: Grey pictures with lines in few colours need no more.
MAX_PNG_COLOURS = 256
_LIMITS_PX = (10.0, 20.0)
_GAP = 0.02
_MAX_LINES = 32
_BAR_HEIGHT = 14


@dataclass(frozen=True)
class Matches:
    """Matches of one pair of views.

    image_a, image_b: uint8 [H, W, 3]; points_a, points_b: (x, y) image coordinates [M, 2]; error_px
    [M], with the long side of image b at reference_px.
    """

    name: RowName
    image_a: NDArray[np.uint8]
    image_b: NDArray[np.uint8]
    points_a: Floats
    points_b: Floats
    error_px: Floats
    reference_px: float


def read_matches(path: Path, name: RowName) -> Matches:
    """Matches as ``geometric_matching`` saves them."""
    with np.load(path) as saved:
        return Matches(
            name,
            saved["image_a"],
            saved["image_b"],
            saved["points_a"],
            saved["points_b"],
            saved["error_px"],
            float(saved["reference_px"]),
        )


@styled
def matches(rows: Sequence[Matches], max_lines: int = _MAX_LINES) -> Plot:
    """One panel per model or layer, in two columns: view a on the left, view b on the right.

    Every query is a dot in view a; at most `max_lines` of them, evenly spread, have a line to their
    match in view b. Large errors are drawn last, so that none hides behind a good match.
    """
    columns = min(2, len(rows))
    aspects = [_joint_size(row)[1] / _joint_size(row)[0] for row in rows]
    tallest = [max(aspects[i : i + columns]) for i in range(0, len(rows), columns)]
    grid = picture_grid(tallest, columns, head=SLOT + 6, bottom=4 * SLOT, gap=12)
    for i, (row, aspect) in enumerate(zip(rows, aspects, strict=True)):
        _draw_panel(grid.axis(*divmod(i, columns), aspect), row, max_lines)
    _colour_bar(grid.figure, sorted({row.reference_px for row in rows}))
    return Plot(grid.figure, _shares(rows))


def _joint_size(row: Matches) -> tuple[float, float]:
    """Width and height of both views side by side, in pixels of view a."""
    height, width = row.image_a.shape[:2]
    scale = height / row.image_b.shape[0]
    return width * (1 + _GAP) + row.image_b.shape[1] * scale, float(height)


def _draw_panel(axis: Any, row: Matches, max_lines: int) -> None:
    height, width = row.image_a.shape[:2]
    scale = height / row.image_b.shape[0]
    offset = width * (1 + _GAP)
    right = offset + row.image_b.shape[1] * scale
    for image, left, end in ((row.image_a, 0.0, width), (row.image_b, offset, right)):
        extent = (left, end, height, 0)
        axis.imshow(_faded(image), extent=extent, aspect="auto", interpolation="hanning")
    axis.set_xlim(0, right)
    axis.set_ylim(height, 0)
    end = row.points_b * scale + [offset, 0.0]
    kind = np.searchsorted(EDGES_PX[1:], row.error_px)
    spread = np.unique(np.linspace(0, len(kind) - 1, max_lines).round().astype(int))
    lined = np.isin(np.arange(len(kind)), spread if len(kind) else [])
    for place, colour in enumerate(COLOURS):
        own = kind == place
        lines = np.stack([row.points_a, end], axis=1)[own & lined]
        axis.add_collection(LineCollection(lines, colors=colour, linewidths=0.6, zorder=4))
        axis.scatter(*row.points_a[own].T, s=1.6, color=colour, linewidths=0, zorder=3)
        for points in (row.points_a[own & lined], end[own & lined]):
            axis.scatter(*points.T, s=6, color=colour, edgecolor="white", linewidths=0.3, zorder=5)
    name = row.name.model if not row.name.layer else f"{row.name.model}, {row.name.layer}"
    look = {"transform": axis.transAxes, "va": "bottom", "fontsize": FONT_SIZE, "color": DARK}
    axis.text(0, 1.015, short(name, 32), ha="left", fontweight="bold", **look)
    within = [_share_within(row, limit) for limit in _LIMITS_PX]
    parts = [f"{share:.0%} ≤ {limit:g} px" for share, limit in zip(within, _LIMITS_PX, strict=True)]
    text = ", ".join(parts) + f" of {len(kind)}" if len(kind) else "no matches"
    axis.text(1, 1.015, text, ha="right", **look)


def _colour_bar(figure: Figure, references: Sequence[float]) -> None:
    """What the colours mean, below the panels."""
    height = figure.get_figheight() * figure.dpi
    box = (0.2, 2.2 * SLOT / height, 0.6, _BAR_HEIGHT / height)
    colours = ListedColormap(list(COLOURS[:-1])).with_extremes(over=COLOURS[-1])
    scale = ScalarMappable(BoundaryNorm(EDGES_PX, len(COLOURS) - 1), colours)
    axis = figure.add_axes(box)
    bar = figure.colorbar(scale, axis, orientation="horizontal", extend="max", spacing="uniform")
    bar.outline.set_linewidth(0)
    axis.tick_params(labelsize=FONT_SIZE, length=0, pad=2)
    sides = " or ".join(f"{side:g}" for side in references)
    label = f"distance from match to truth [px, with the image's long side at {sides} px]"
    axis.set_xlabel(label, fontsize=FONT_SIZE, labelpad=2)


def _faded(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Grey and light, so that colour belongs to the matches."""
    grey = image.astype(np.float64) @ [0.299, 0.587, 0.114] / 255
    return np.repeat((0.4 + 0.6 * grey)[..., None], 3, axis=2)


def _share_within(row: Matches, limit: float) -> float:
    return float((row.error_px <= limit).mean()) if len(row.error_px) else np.nan


def _shares(rows: Sequence[Matches]) -> pd.DataFrame:
    """Share of matches up to each class's edge."""
    return pd.DataFrame(
        [
            {
                "model": row.name.model,
                "layer": row.name.layer,
                "num_matches": len(row.error_px),
                "reference_px": row.reference_px,
                **{f"within_{edge:g}px": _share_within(row, edge) for edge in EDGES_PX[1:]},
            }
            for row in rows
        ]
    )

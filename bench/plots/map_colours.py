"""Feature maps of a scene as colours that mean the same in all its views, and across backbones.

Maps come from the tasks ``pca`` (three components, shown as red, green and blue) and ``kmeans``
(clusters). One scale serves all views of a row; rows can follow a reference row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import to_rgba_array
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment

from bench.plots.picture_grid import RowName

Floats = NDArray[np.float64]

#: Percentiles of a component that become black and full colour.
RANGE = (3.0, 97.0)
#: Of clusters, told apart by colour-blind readers: Paul Tol's schemes muted, light and dark.
_PALETTE = (
    "#88CCEE", "#CC6677", "#DDCC77", "#44AA99", "#332288", "#AA4499", "#999933", "#FFAABB",
    "#117733", "#882255", "#77AADD", "#EE8866", "#EEDD88", "#99DDFF", "#44BB99", "#BBCC33",
    "#AAAA00", "#225555", "#663333", "#666633",
)  # fmt: skip


@dataclass(frozen=True)
class SceneMaps:
    """Maps of one scene and one backbone or layer.

    images: uint8 [H, W, 3] per view; maps: per view scores [rows, cols, 3], or labels [rows, cols]
    where ``clusters`` is their number; extents: left, right, bottom, top of each map in pixels;
    reason: why there are no maps.
    """

    name: RowName
    images: tuple[NDArray[np.uint8], ...]
    maps: tuple[NDArray[Any], ...]
    extents: tuple[Floats, ...]
    clusters: int | None = None
    reason: str = ""


def read_scene_maps(path: Path, name: RowName) -> SceneMaps:
    """Maps as the tasks save them."""
    with np.load(path) as saved:
        views = range(sum(key.startswith("image_") for key in saved))
        mapped = views if "reason" not in saved else range(0)
        return SceneMaps(
            name,
            tuple(saved[f"image_{i}"] for i in views),
            tuple(saved[f"map_{i}"] for i in mapped),
            tuple(saved[f"extent_{i}"] for i in mapped),
            int(saved["clusters"]) if "clusters" in saved else None,
            str(saved["reason"]) if "reason" in saved else "",
        )


def coloured(rows: Sequence[SceneMaps], reference: RowName | None) -> list[list[Floats]]:
    """RGBA pictures in [0, 1] of every row and view; transparent where there is no value.

    Args:
        rows: all of one scene and one kind; a row without maps has no pictures.
        reference: name of the row whose colours the others follow as closely as a rotation of their
            components, or a renaming of their clusters, allows; None keeps each row's own, as does
            a reference without maps.
    """
    guide = next((row for row in rows if row.name == reference and row.maps), None)
    return [_pictures(row, guide) if row.maps else [] for row in rows]


def _pictures(row: SceneMaps, guide: SceneMaps | None) -> list[Floats]:
    other = None if guide is row else guide
    return _rgb(row, other) if row.clusters is None else _cluster_colours(row, other)


def _rgb(row: SceneMaps, guide: SceneMaps | None) -> list[Floats]:
    values = np.concatenate([m.reshape(-1, m.shape[-1]) for m in row.maps]).astype(np.float64)
    known = _known(values)
    scaled = _standard(values, known)
    if guide is not None:
        target = np.concatenate([_resampled(guide, i, row).reshape(-1, 3) for i in _views(row)])
        common = _known(target)
        if (known & common).any():
            both, target = known & common, _standard(target, common)
            scaled = scaled @ orthogonal_procrustes(scaled[both], target[both])[0]
    low, high = np.percentile(scaled[known], RANGE, axis=0)
    unit = np.clip((scaled - low) / np.where(high > low, high - low, 1.0), 0, 1)
    rgba = np.concatenate([np.nan_to_num(unit), known[:, None].astype(np.float64)], axis=1)
    return _per_view(rgba, row)


def _cluster_colours(row: SceneMaps, guide: SceneMaps | None) -> list[Floats]:
    assert row.clusters is not None
    labels = np.concatenate([m.reshape(-1) for m in row.maps]).astype(int)
    known = labels < row.clusters
    names = np.arange(row.clusters)
    if guide is not None and guide.clusters:
        target = np.concatenate([_resampled(guide, i, row).reshape(-1) for i in _views(row)])
        size = max(row.clusters, guide.clusters)
        together = np.zeros((size, size))
        both = known & (target < guide.clusters)
        np.add.at(together, (labels[both], target[both].astype(int)), 1)
        names = linear_sum_assignment(-together)[1]
    palette = to_rgba_array(_PALETTE)
    colours = palette[names[np.where(known, labels, 0)] % len(palette)]
    colours[~known, 3] = 0
    return _per_view(colours, row)


def _known(values: Floats) -> NDArray[np.bool_]:
    """Rows [N, k] without a NaN."""
    return np.asarray(np.isfinite(values).all(axis=1))


def _standard(values: Floats, known: NDArray[np.bool_]) -> Floats:
    """Zero mean and unit variance per component, so that no component outshines the others."""
    spread = values[known].std(0)
    scaled: Floats = (values - values[known].mean(0)) / np.where(spread > 0, spread, 1.0)
    return scaled


def _resampled(guide: SceneMaps, view: int, row: SceneMaps) -> NDArray[Any]:
    """The guide's values at the patch centres of another grid of the same view."""
    shape, values = row.maps[view].shape[:2], guide.maps[view]
    places = []
    for axis, size in enumerate(shape):
        own = _ends(row.extents[view], axis) / row.images[view].shape[axis]
        other = _ends(guide.extents[view], axis) / guide.images[view].shape[axis]
        centres = own[0] + (np.arange(size) + 0.5) / size * (own[1] - own[0])
        index = (centres - other[0]) / (other[1] - other[0]) * values.shape[axis]
        places.append(np.clip(np.floor(index).astype(int), 0, values.shape[axis] - 1))
    return values[np.ix_(*places)]


def _ends(extent: Floats, axis: int) -> Floats:
    """First and last pixel edge of a map along rows (0) or columns (1)."""
    left, right, bottom, top = extent
    return np.array([top, bottom] if axis == 0 else [left, right])


def _views(row: SceneMaps) -> range:
    return range(len(row.maps))


def _per_view(values: Floats, row: SceneMaps) -> list[Floats]:
    pictures, start = [], 0
    for own in row.maps:
        rows, cols = own.shape[:2]
        pictures.append(values[start : start + rows * cols].reshape(rows, cols, -1))
        start += rows * cols
    return pictures

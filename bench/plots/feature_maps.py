"""Feature maps of a scene: the views on top, one row per backbone or layer below.

Maps come from the tasks ``pca`` (three components, shown as red, green and blue) and ``kmeans``
(clusters). All views of a row share one projection, so a surface that keeps its colour from view to
view is one on which the features agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.linalg import orthogonal_procrustes
from scipy.optimize import linear_sum_assignment

from bench.plots.figure import WIDTH_INCHES, short, styled

Floats = NDArray[np.float64]

KINDS = ("pca", "kmeans")
#: Percentiles of a component that become black and full colour.
RANGE = (1.0, 99.0)
_PALETTE = "tab20"
_LABEL_INCHES = 0.3
_TITLE_INCHES = 0.26


@dataclass(frozen=True)
class SceneMaps:
    """Maps of one scene and one backbone or layer.

    images: uint8 [H, W, 3] per view; maps: per view scores [rows, cols, 3], or labels [rows, cols]
    where ``clusters`` is their number; extents: left, right, bottom, top of each map in pixels.
    """

    label: str
    images: tuple[NDArray[np.uint8], ...]
    maps: tuple[NDArray[Any], ...]
    extents: tuple[Floats, ...]
    clusters: int | None = None


def read_scene_maps(path: Path, label: str) -> SceneMaps:
    """Maps as the tasks save them."""
    with np.load(path) as saved:
        count = sum(name.startswith("map_") for name in saved)
        return SceneMaps(
            label,
            tuple(saved[f"image_{i}"] for i in range(count)),
            tuple(saved[f"map_{i}"] for i in range(count)),
            tuple(saved[f"extent_{i}"] for i in range(count)),
            int(saved["clusters"]) if "clusters" in saved else None,
        )


@styled
def feature_maps(rows: Sequence[SceneMaps], reference: str | None = None) -> Figure:
    """The views, and one row of maps per backbone or layer.

    Args:
        rows: all of one scene and one kind.
        reference: label of the row whose colours the others follow as closely as a rotation of
            their components, or a renaming of their clusters, allows; None keeps each row's own.
    """
    pictures = coloured(rows, reference)
    views = rows[0].images
    aspects = [_aspect(views)] * (len(rows) + 1)
    figure, axes = _picture_grid(aspects, len(views), 0.0)
    for axis, image in zip(axes[0], views, strict=True):
        _show(axis, image, _frame(image), image.shape)
    _name(axes[0, 0], "input")
    for line, row, colours in zip(axes[1:], rows, pictures, strict=True):
        for i, axis in enumerate(line):
            _show(axis, colours[i], row.extents[i], row.images[i].shape)
        _name(line[0], row.label)
    return figure


@styled
def contact_sheet(
    scenes: Mapping[str, Sequence[SceneMaps]], reference: str | None = None
) -> Figure:
    """The first view of every scene: one row per scene, one column per backbone or layer."""
    labels = list(dict.fromkeys(row.label for rows in scenes.values() for row in rows))
    columns = ["input", *labels]
    aspects = [_aspect(rows[0].images[:1]) for rows in scenes.values()]
    figure, axes = _picture_grid(aspects, len(columns), _TITLE_INCHES)
    for line, (scene, rows) in zip(axes, scenes.items(), strict=True):
        found: dict[str, tuple[NDArray[Any], Floats]] = {
            row.label: (picture[0], row.extents[0])
            for row, picture in zip(rows, coloured(rows, reference), strict=True)
        }
        image = rows[0].images[0]
        found["input"] = image, _frame(image)
        for axis, column in zip(line, columns, strict=True):
            axis.set_axis_off()
            if column in found:
                _show(axis, *found[column], image.shape)
        _name(line[0], scene)
    for axis, column in zip(axes[0], columns, strict=True):
        axis.set_title(short(column, 22), fontsize=7, loc="center", pad=2)
    return figure


def write_feature_maps(
    artifacts: Mapping[str, Path], kind: str, folder: Path, reference: int | None = 0
) -> list[Path]:
    """One PNG per scene and a contact sheet, from the folders of artifacts of several cells.

    Args:
        artifacts: row label -> artifacts folder of a cell, in the order of the rows.
        kind: ``pca`` or ``kmeans``.
        reference: of these rows; a scene that it lacks keeps each row's own colours.

    Returns:
        The paths written; none if no folder holds maps.
    """
    scenes: dict[str, list[SceneMaps]] = {}
    for label, place in artifacts.items():
        for path in sorted((place / kind).glob("*.npz")):
            scene = path.stem.rpartition("--")[0]
            scenes.setdefault(scene, []).append(read_scene_maps(path, label))
    if not scenes:
        return []
    guide = None if reference is None else list(artifacts)[reference]
    folder.mkdir(parents=True, exist_ok=True)
    figures = {f"{kind}_{scene}": feature_maps(rows, guide) for scene, rows in scenes.items()}
    figures[f"{kind}_contact_sheet"] = contact_sheet(scenes, guide)
    return [write_png(figure, folder / f"{name}.png") for name, figure in figures.items()]


@styled
def write_png(figure: Figure, path: Path) -> Path:
    """Write a figure so that equal figures give equal bytes."""
    figure.savefig(path, metadata={"Software": None})
    return path


def coloured(rows: Sequence[SceneMaps], reference: str | None) -> list[list[Floats]]:
    """RGBA pictures in [0, 1] of every row and view; transparent where there is no value."""
    guide = next((row for row in rows if row.label == reference), None)
    return [_cluster_colours(row, guide) if row.clusters else _rgb(row, guide) for row in rows]


def _rgb(row: SceneMaps, guide: SceneMaps | None) -> list[Floats]:
    values = np.concatenate([m.reshape(-1, m.shape[-1]) for m in row.maps]).astype(np.float64)
    known = _known(values)
    scaled = _standard(values, known)
    if guide is not None and guide is not row:
        target = np.concatenate([_resampled(guide, i, row).reshape(-1, 3) for i in _views(row)])
        target = _standard(target, _known(target))
        both = known & _known(target)
        if both.any():
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
    if guide is not None and guide is not row and guide.clusters:
        target = np.concatenate([_resampled(guide, i, row).reshape(-1) for i in _views(row)])
        size = max(row.clusters, guide.clusters)
        together = np.zeros((size, size))
        both = known & (target < guide.clusters)
        np.add.at(together, (labels[both], target[both].astype(int)), 1)
        names = linear_sum_assignment(-together)[1]
    palette = colormaps[_PALETTE](np.arange(20))[np.r_[0:20:2, 1:20:2]]
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


def _frame(image: NDArray[np.uint8]) -> Floats:
    return np.array([0, image.shape[1], image.shape[0], 0], dtype=np.float64)


def _show(axis: Any, picture: NDArray[Any], extent: Floats, shape: tuple[int, ...]) -> None:
    """A picture in image coordinates, cut to the image; patches stay sharp squares."""
    axis.imshow(picture, extent=tuple(extent), interpolation="nearest")
    axis.set_xlim(0, shape[1])
    axis.set_ylim(shape[0], 0)
    axis.set_axis_off()


def _name(axis: Any, text: str) -> None:
    """Row label in the margin beside the first picture: the model, and its layer below."""
    label = "\n".join(short(part, 22) for part in text.rsplit(", ", 1))
    axis.annotate(
        label, (0, 0.5), (-4, 0), xycoords="axes fraction", textcoords="offset points",
        rotation=90, ha="right", va="center", multialignment="center",
        fontsize=6, in_layout=False,
    )  # fmt: skip


def _aspect(images: Sequence[NDArray[np.uint8]]) -> float:
    """Height by width of the tallest."""
    return max(float(image.shape[0] / image.shape[1]) for image in images)


def _picture_grid(
    aspects: Sequence[float], columns: int, title_inches: float
) -> tuple[Figure, Any]:
    """A figure that fits rows of pictures of these aspects, with a margin for row labels."""
    cell = (WIDTH_INCHES - _LABEL_INCHES) / columns
    height = cell * sum(aspects) + title_inches
    figure = Figure(figsize=(WIDTH_INCHES, height))
    engine: Any = figure.get_layout_engine()
    left = _LABEL_INCHES / WIDTH_INCHES
    engine.set(w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01, rect=(left, 0, 1 - left, 1))
    return figure, figure.subplots(len(aspects), columns, squeeze=False, height_ratios=aspects)

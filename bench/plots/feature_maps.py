"""Feature maps of a scene: the views on top, one row per backbone or layer below.

All views of a row share one projection, so a surface that keeps its colour from view to view is one
on which the features agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from bench.plots.figure import styled
from bench.plots.map_colours import Floats, SceneMaps, coloured, read_scene_maps
from bench.plots.picture_grid import SLOT, RowName, picture_grid, write_png

KINDS = ("pca", "kmeans")
#: More would be too small to see.
MAX_VIEWS = 6
#: Backbones and layers in one figure, and scenes in one contact sheet; more take several.
MAX_ROWS = 8
MAX_SCENES = 24
_INPUT = RowName("input")
_MARGIN = 2 * SLOT + 4


@styled
def feature_maps(rows: Sequence[SceneMaps], pictures: Sequence[Sequence[Floats]]) -> Figure:
    """The first views, and one row of maps per backbone or layer.

    Args:
        rows: all of one scene and one kind.
        pictures: their colours, as ``coloured`` gives them.
    """
    views = rows[0].images[:MAX_VIEWS]
    aspect = max(_aspect(image) for image in views)
    grid = picture_grid([aspect] * (len(rows) + 1), len(views), left=_MARGIN)
    for i, image in enumerate(views):
        _show_image(grid.axis(0, i, _aspect(image)), image)
    for line, (row, colours) in enumerate(zip(rows, pictures, strict=True), start=1):
        for i, image in enumerate(row.images[:MAX_VIEWS]):
            if row.maps:
                axis = grid.axis(line, i, _aspect(image))
                _show_map(axis, colours[i], row.extents[i], image)
            else:
                grid.blank(line, i, _aspect(image), row.reason)
    grid.name_rows([_INPUT, *(row.name for row in rows)])
    return grid.figure


@styled
def contact_sheet(
    scenes: Mapping[str, Sequence[SceneMaps]], pictures: Mapping[str, Sequence[Sequence[Floats]]]
) -> Figure:
    """The first view of every scene: one row per scene, one column per backbone or layer.

    Args:
        scenes: rows of each scene, all of one kind.
        pictures: their colours, as ``coloured`` gives them.
    """
    names = list(dict.fromkeys(row.name for rows in scenes.values() for row in rows))
    aspects = [_aspect(rows[0].images[0]) for rows in scenes.values()]
    columns = 1 + len(names)
    grid = picture_grid(aspects, columns, left=_MARGIN, top=2 * SLOT + 6, max_height=None)
    for line, (scene, rows) in enumerate(scenes.items()):
        image = rows[0].images[0]
        _show_image(grid.axis(line, 0, aspects[line]), image)
        found = {
            row.name: (row, colours) for row, colours in zip(rows, pictures[scene], strict=True)
        }
        for column, name in enumerate(names, start=1):
            if name not in found:
                grid.blank(line, column, aspects[line], "not measured")
                continue
            row, colours = found[name]
            if row.maps:
                axis = grid.axis(line, column, _aspect(row.images[0]))
                _show_map(axis, colours[0], row.extents[0], row.images[0])
            else:
                grid.blank(line, column, aspects[line], row.reason)
    grid.name_columns([_INPUT, *names])
    grid.name_rows([RowName(scene) for scene in scenes])
    return grid.figure


def write_feature_maps(
    artifacts: Mapping[RowName, Path],
    kind: str,
    stem: Path,
    reference: RowName | None = None,
) -> list[Path]:
    """PNGs per scene and a contact sheet, from the folders of artifacts of several cells.

    Args:
        artifacts: row -> artifacts folder of a cell, in the order of the rows.
        kind: ``pca`` or ``kmeans``.
        stem: folder and beginning of the names of the files.
        reference: of the rows, which gives the colours (see ``coloured``).

    Returns:
        The paths written; none if no folder holds maps.
    """
    scenes: dict[str, list[SceneMaps]] = {}
    for name, place in artifacts.items():
        for path in sorted((place / kind).glob("*.npz")):
            scene = path.stem.rpartition("--")[0]
            scenes.setdefault(scene, []).append(read_scene_maps(path, name))
    pictures = {scene: coloured(rows, reference) for scene, rows in scenes.items()}
    written = []
    for scene, rows in scenes.items():
        for suffix, part in pages(len(rows), MAX_ROWS):
            figure = feature_maps(rows[part], pictures[scene][part])
            written.append(write_png(figure, stem.with_name(f"{stem.name}_{scene}{suffix}.png")))
    for across, columns in pages(len(artifacts), MAX_ROWS):
        chosen = set(list(artifacts)[columns])
        seen = [s for s, rows in scenes.items() if any(row.name in chosen for row in rows)]
        for down, part in pages(len(seen), MAX_SCENES):
            kept = {
                scene: [i for i, row in enumerate(scenes[scene]) if row.name in chosen]
                for scene in seen[part]
            }
            sheet = contact_sheet(
                {scene: [scenes[scene][i] for i in rows] for scene, rows in kept.items()},
                {scene: [pictures[scene][i] for i in rows] for scene, rows in kept.items()},
            )
            path = stem.with_name(f"{stem.name}_contact_sheet{across}{down}.png")
            written.append(write_png(sheet, path))
    return written


def pages(count: int, size: int) -> list[tuple[str, slice]]:
    """Parts of at most `size` of a list, each with a suffix for its file if there are several."""
    starts = range(0, count, size)
    return [
        (f"_{number}" if len(starts) > 1 else "", slice(start, start + size))
        for number, start in enumerate(starts, start=1)
    ]


def _show_image(axis: Any, image: NDArray[np.uint8]) -> None:
    axis.imshow(image, aspect="auto", interpolation="hanning")


def _show_map(axis: Any, picture: Floats, extent: Floats, image: NDArray[np.uint8]) -> None:
    """A map in image coordinates, cut to the image; patches stay sharp squares."""
    axis.imshow(picture, extent=tuple(extent), aspect="auto", interpolation="nearest")
    axis.set_xlim(0, image.shape[1])
    axis.set_ylim(image.shape[0], 0)


def _aspect(image: NDArray[np.uint8]) -> float:
    """Height by width."""
    return float(image.shape[0] / image.shape[1])

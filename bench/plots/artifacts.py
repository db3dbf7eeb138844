"""Figures from what the cells of a run left behind: feature maps, matches and similarities."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.plots.feature_maps import KINDS, pages, write_feature_maps
from bench.plots.figure import file_name, save
from bench.plots.matches import MAX_PANELS, MAX_PNG_COLOURS, matches, read_matches
from bench.plots.picture_grid import RowName, write_png
from bench.plots.similarity import layer_similarity
from bench.sketches import compare_sketches

#: Sixty models have 1,830 pairs, which nobody looks at.
MAX_MODELS_PAIRED = 8


@dataclass(frozen=True)
class CellArtifacts:
    """A finished cell as figures know it.

    task: its registered name; folder: its artifacts; label: of the task in its suite, where a task
    may be several times.
    """

    model: str
    layer: str
    dataset: str
    task: str
    folder: Path
    label: str = ""


def write_artifact_figures(
    cells: Sequence[CellArtifacts], folder: Path, align: bool = True, reference: str | None = None
) -> list[Path]:
    """Every figure that the artifacts hold data for.

    Feature maps: a PNG per scene with a row per model and layer, and a contact sheet. Matches: a
    PNG per scene. Similarity: a heat map for each pair of models, and of each with itself, where
    there is more than one layer to compare; of more than `MAX_MODELS_PAIRED` models, each with
    itself and with the first.

    Args:
        align: give all feature maps of a scene the colours of one of them, as closely as a rotation
            or renaming allows.
        reference: the model whose last layer gives them; None takes the first model.

    Returns:
        The paths written, in order.

    Raises:
        BenchError: no cell is of that model.
    """
    models = list(dict.fromkeys(cell.model for cell in cells))
    if reference is not None and reference not in models:
        raise BenchError(
            f"No model is called '{reference}'.", f"Models here: {', '.join(models) or 'none'}."
        )
    written: list[Path] = []
    kinds = list(dict.fromkeys((c.dataset, c.task, c.label) for c in cells))
    for dataset, task, label in kinds:
        own = [c for c in cells if (c.dataset, c.task, c.label) == (dataset, task, label)]
        place, rows = folder / file_name(dataset), _rows(own)
        several = [kind[:2] for kind in kinds].count((dataset, task)) > 1
        mark = f"_{file_name(label)}" if several else ""
        if task in KINDS:
            guide = _guide(rows, reference) if align else None
            written += write_feature_maps(rows, task, place / f"{task}{mark}", guide)
        elif task == "geometric_matching":
            written += _matches(rows, place / f"matches{mark}")
        elif task == "feature_similarity":
            written += _similarities(own, place)
    return written


def _rows(cells: Iterable[CellArtifacts]) -> dict[RowName, Path]:
    """Folders of one task's cells; the layer is named where a model has several."""
    own = list(cells)
    names = [cell.model for cell in own]
    return {
        RowName(cell.model, cell.layer if names.count(cell.model) > 1 else ""): cell.folder
        for cell in own
    }


def _guide(rows: Iterable[RowName], reference: str | None) -> RowName | None:
    """The last layer of the reference, or of the first model."""
    names = list(rows)
    own = [name for name in names if name.model == (reference or names[0].model)]
    return own[-1] if own else None


def _matches(rows: dict[RowName, Path], stem: Path) -> list[Path]:
    scenes: dict[str, list[tuple[RowName, Path]]] = {}
    for name, folder in rows.items():
        for path in sorted((folder / "matches").glob("*.npz")):
            scenes.setdefault(path.stem.rpartition("--")[0], []).append((name, path))
    written = []
    for scene, found in scenes.items():
        for suffix, part in pages(len(found), MAX_PANELS):
            figure = matches([read_matches(path, name) for name, path in found[part]]).figure
            path = stem.with_name(f"{stem.name}_{scene}{suffix}.png")
            written.append(write_png(figure, path, MAX_PNG_COLOURS))
    return written


def _similarities(cells: Sequence[CellArtifacts], place: Path) -> list[Path]:
    written = []
    for a, b in _pairs(cells):
        try:
            found = compare_sketches(a.folder / "sketches", b.folder / "sketches")
        except BenchError:
            # Models without a view set in common have no similarity, and the run has other figures.
            continue
        if found.cka.size == 1:
            continue
        plot = layer_similarity(pd.DataFrame(found.rows(a.model, b.model)))
        names = [file_name(cell.model) for cell in (a, b)]
        stem = f"cka_{names[0]}" if a is b else f"cka_{names[0]}_{names[1]}"
        written += save(plot, place / stem)
    return written


def _pairs(cells: Sequence[CellArtifacts]) -> Iterator[tuple[CellArtifacts, CellArtifacts]]:
    """Every pair of a few models; of many, each with itself and with the first."""
    for a, b in combinations_with_replacement(cells, 2):
        if len(cells) <= MAX_MODELS_PAIRED or a is b or a is cells[0]:
            yield a, b

"""Figures from what the cells of a run left behind: feature maps, matches and similarities."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations_with_replacement
from pathlib import Path

import pandas as pd

from bench.errors import BenchError
from bench.plots.feature_maps import KINDS, write_feature_maps, write_png
from bench.plots.figure import save
from bench.plots.matches import matches, read_matches
from bench.plots.similarity import layer_similarity
from bench.sketches import compare_sketches

#: Rows of matches in one figure.
MAX_ROWS = 6


@dataclass(frozen=True)
class CellArtifacts:
    """A finished cell as figures know it. task: its registered name; folder: its artifacts."""

    model: str
    layer: str
    dataset: str
    task: str
    folder: Path


def write_artifact_figures(
    cells: Sequence[CellArtifacts], folder: Path, reference: int | None = 0
) -> list[Path]:
    """Every figure that the artifacts hold data for.

    Feature maps: a PNG per scene with a row per model and layer, and a contact sheet. Matches: a
    PNG per scene. Similarity: a heat map for each pair of models, and of each with itself.

    Args:
        reference: row whose colours the feature maps follow; None keeps each row's own.

    Returns:
        The paths written, in order.
    """
    written: list[Path] = []
    for dataset in dict.fromkeys(cell.dataset for cell in cells):
        own = [cell for cell in cells if cell.dataset == dataset]
        place = folder / _file_name(dataset)
        for kind in KINDS:
            rows = _rows(own, kind)
            written += write_feature_maps(rows, kind, place, _present(rows, reference))
        written += _matches(_rows(own, "geometric_matching"), place)
        written += _similarities([c for c in own if c.task == "feature_similarity"], place)
    return written


def _rows(cells: Iterable[CellArtifacts], task: str) -> dict[str, Path]:
    """Row label -> folder; the layer is named where a model has several."""
    own = [cell for cell in cells if cell.task == task]
    names = [cell.model for cell in own]
    return {
        cell.model if names.count(cell.model) == 1 else f"{cell.model}, {cell.layer}": cell.folder
        for cell in own
    }


def _present(rows: dict[str, Path], reference: int | None) -> int | None:
    return reference if reference is not None and reference < len(rows) else None


def _matches(rows: dict[str, Path], place: Path) -> list[Path]:
    scenes: dict[str, list[tuple[str, Path]]] = {}
    for label, folder in rows.items():
        for path in sorted((folder / "matches").glob("*.npz")):
            scenes.setdefault(path.stem.rpartition("--")[0], []).append((label, path))
    written = []
    for scene, found in scenes.items():
        for start in range(0, len(found), MAX_ROWS):
            part = found[start : start + MAX_ROWS]
            plot = matches([read_matches(path, label) for label, path in part])
            suffix = f"_{start // MAX_ROWS + 1}" if len(found) > MAX_ROWS else ""
            place.mkdir(parents=True, exist_ok=True)
            written.append(write_png(plot.figure, place / f"matches_{scene}{suffix}.png"))
    return written


def _similarities(cells: Sequence[CellArtifacts], place: Path) -> list[Path]:
    written = []
    for a, b in combinations_with_replacement(cells, 2):
        try:
            found = compare_sketches(a.folder / "sketches", b.folder / "sketches")
        except BenchError:
            # Models without a view set in common have no similarity, and the run has other figures.
            continue
        plot = layer_similarity(pd.DataFrame(found.rows(a.model, b.model)))
        names = [_file_name(cell.model) for cell in (a, b)]
        stem = f"cka_{names[0]}" if a is b else f"cka_{names[0]}_{names[1]}"
        written += save(plot, place / stem)
    return written


def _file_name(text: str) -> str:
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip("-.")[:60]
    return name if name == text else f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"

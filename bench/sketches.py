"""Sketches: a few tokens of every layer and view set, enough to compare models after the loop.

A sketch is one .npz file per view set with the rays that were sampled, [N, 3] (view, x and y as
shares of the image), and the tokens there per layer, [N, D]. Rays depend on the seed and the view
set alone, so models of one grid are compared on the same tokens, and others on the same rays.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from bench.atomic import atomic
from bench.errors import BenchError
from bench.geometry.similarity import MIN_ROWS, cka, hsic, own_hsic, u_centred_gram

Floats = NDArray[np.float64]
RAYS = "rays"
_LAYER = "layer:"
_NOTHING = (np.zeros(()),) * 3

#: Steps of the R2 sequence (Roberts 2018), the plane's most even additive recurrence.
_GOLDEN = 1.32471795724474602596
_STEPS = np.array([1 / _GOLDEN, 1 / _GOLDEN**2])


@dataclass(frozen=True)
class Sketch:
    """Tokens of one view set. rays: [N, 3]; layers: tokens [N, D] in network order."""

    rays: Floats
    layers: Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Similarity:
    """CKA [L, M] between layers of two models, over the view sets that both have."""

    layers_a: tuple[str, ...]
    layers_b: tuple[str, ...]
    cka: Floats
    num_view_sets: int

    def rows(self, model_a: str, model_b: str) -> list[dict[str, Any]]:
        """One record per pair of layers, as ``bench.plots.layer_similarity`` takes them."""
        return [
            {"model_a": model_a, "model_b": model_b, "layer_a": a, "layer_b": b, "value": value}
            for a, values in zip(self.layers_a, self.cka.tolist(), strict=True)
            for b, value in zip(self.layers_b, values, strict=True)
        ]


def sample_rays(count: int, num_views: int, seed: int, *identity: str) -> Floats:
    """`count` rays [count, 3], spread evenly over the views and over each image.

    Args:
        identity: what names the view set (dataset, scene, set).
    """
    digest = hashlib.sha256(repr((seed, num_views, *identity)).encode()).digest()
    rng = np.random.default_rng(int.from_bytes(digest[:8], "big"))
    view = np.arange(count) % num_views
    number = np.arange(count) // num_views
    start = rng.random((num_views, 2))
    places = (start[view] + number[:, None] * _STEPS) % 1.0
    return np.concatenate([view[:, None], places], axis=1)


def write_sketch(path: Path, sketch: Sketch) -> None:
    """Write a sketch; it appears complete or not at all, and equal sketches give equal bytes."""
    arrays = {f"{_LAYER}{name}": tokens for name, tokens in sketch.layers.items()}
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **{RAYS: sketch.rays, **arrays})  # type: ignore[arg-type]


def read_sketch(path: Path) -> Sketch:
    """Read a sketch.

    Raises:
        BenchError: the file is not a sketch.
    """
    try:
        with np.load(path) as saved:
            layers = {
                name.removeprefix(_LAYER): saved[name]
                for name in saved.files
                if name.startswith(_LAYER)
            }
            return Sketch(saved[RAYS], layers)
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise BenchError(f"{path} is not a sketch: {error}.", "Run the cell again.") from error


def layer_hsic(a: Sketch, b: Sketch) -> tuple[Floats, Floats, Floats] | None:
    """HSIC of one view set: across [L, M], and of each layer with itself [L] and [M].

    Rays at which any layer of either model is not finite are left out; None for too few others.

    Raises:
        BenchError: the sketches are of different rays.
    """
    if not np.array_equal(a.rays, b.rays):
        raise BenchError(
            "The sketches were taken at different rays.", "Run both models with one suite and seed."
        )
    tokens = [*a.layers.values(), *b.layers.values()]
    usable = np.all([np.isfinite(rows).all(axis=1) for rows in tokens], axis=0)
    if usable.sum() < MIN_ROWS:
        return None
    first = _grams(a, usable)
    second = first if b is a else _grams(b, usable)
    return hsic(first, second), own_hsic(first), own_hsic(second)


def compare_sketches(folder_a: Path, folder_b: Path) -> Similarity:
    """CKA between every layer of two models, from the sketches in two folders.

    One view set is in memory at a time.

    Raises:
        BenchError: no view set in common, sketches of different rays, or layers that change from
            file to file.
    """
    names_a, names_b = ({path.name for path in f.glob("*.npz")} for f in (folder_a, folder_b))
    total: list[Floats] | None = None
    layers: tuple[tuple[str, ...], tuple[str, ...]] | None = None
    count = 0
    for name in sorted(names_a & names_b):
        a = read_sketch(folder_a / name)
        b = a if folder_a == folder_b else read_sketch(folder_b / name)
        found = layer_hsic(a, b)
        own_layers = tuple(a.layers), tuple(b.layers)
        if layers is not None and own_layers != layers:
            raise BenchError(f"{name} holds other layers than the files before it.")
        layers = own_layers
        if found is not None:
            total = [s + f for s, f in zip(total or _NOTHING, found, strict=True)]
            count += 1
    if total is None or layers is None:
        raise BenchError(
            f"{folder_a} and {folder_b} hold no usable view set in common.",
            "Run feature_similarity for both models on the same dataset.",
        )
    return Similarity(*layers, cka(*total), count)


def _grams(sketch: Sketch, usable: NDArray[np.bool_]) -> Floats:
    return np.stack(
        [u_centred_gram(rows[usable].astype(np.float64)) for rows in sketch.layers.values()]
    )

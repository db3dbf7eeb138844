"""Image pairs related by a homography: HPatches sequences and single pairs with a JSON file."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict

from bench.datasets import datasets
from bench.datasets._files import find_root, inside, read_json, read_numbers
from bench.datasets._images import read_rgb
from bench.datasets._lists import sorted_refs
from bench.datasets._scene import Matrix
from bench.errors import BenchError
from bench.options import parse_options
from bench.types import View, ViewSet, ViewSetRef

PAIR_FILE = "homography.json"
IMAGE_SUFFIXES = (".ppm", ".png", ".jpg")

#: Both kinds of file count from the first pixel's centre.
HALF_PIXEL = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, 1]], dtype=np.float64)


class HomographyOptions(BaseModel):
    """root: folder of sequences, or of pairs; default $BENCH_DATA/homography."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: str | None = None


class _PairFile(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    image_a: str
    image_b: str
    H_b_from_a: list[list[float]]


@datasets.register("homography")
class HomographyPairs:
    """Each pair is a view set. HPatches sequences give the pairs (1, 2) to (1, 6)."""

    Options: ClassVar[type[BaseModel]] = HomographyOptions
    name: ClassVar[str] = "homography"
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[str]] = frozenset({"homography"})
    licence: ClassVar[str] = "that of the images (HPatches: MIT)"
    citation: ClassVar[str] = (
        "Balntas et al., HPatches: A benchmark and evaluation of handcrafted and learned local "
        "descriptors, CVPR 2017"
    )
    how_to_get: ClassVar[str] = (
        "For HPatches, fetch hpatches-sequences-release.tar.gz (1.3 GB, MIT licence) by the links "
        "in github.com/hpatches/hpatches-dataset and set the option `root` to its folder, or "
        "$BENCH_DATA so that it is $BENCH_DATA/homography. A pair of your own is a folder with two "
        'images and homography.json: {"image_a", "image_b", "H_b_from_a"}.'
    )

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(HomographyOptions, config, "Dataset 'homography'")

    @cached_property
    def root(self) -> Path:
        return find_root(self.options.root, self.name, self.name, self.how_to_get)

    def view_sets(self) -> Sequence[ViewSetRef]:
        return self._refs

    def load(self, ref: ViewSetRef) -> ViewSet:
        """Homographies in both directions."""
        folder = self._folder(ref.scene)
        pair_file = folder / PAIR_FILE
        if pair_file.is_file():
            pair = read_json(pair_file, _PairFile)
            files = [inside(folder, pair.image_a), inside(folder, pair.image_b)]
            b_from_a = _homography(pair.H_b_from_a, pair_file)
        else:
            files = [_image(folder, name) for name in ref.views]
            path = folder / f"H_{ref.views[0]}_{ref.views[1]}"
            b_from_a = _homography(read_numbers(path), path)
        views = tuple(
            View(name, read_rgb(file)) for name, file in zip(ref.views, files, strict=True)
        )
        homographies = {
            (0, 1): torch.from_numpy(b_from_a),
            (1, 0): torch.from_numpy(_inverse(b_from_a)),
        }
        return ViewSet(
            self.name, ref.scene, ref.set_id, ref.split, views, metric=False,
            homographies=homographies,
        )  # fmt: skip

    @cached_property
    def _refs(self) -> tuple[ViewSetRef, ...]:
        refs: list[ViewSetRef] = []
        for folder in [self.root, *sorted(path for path in self.root.iterdir() if path.is_dir())]:
            if (folder / PAIR_FILE).is_file():
                pair = read_json(folder / PAIR_FILE, _PairFile)
                names = (Path(pair.image_a).stem, Path(pair.image_b).stem)
                refs.append(ViewSetRef(folder.name, "-".join(names), "test", names))
            for path in sorted(folder.glob("H_1_*")):
                other = path.name.removeprefix("H_1_")
                refs.append(ViewSetRef(folder.name, f"1-{other}", "test", ("1", other)))
        if not refs:
            raise BenchError(f"Dataset '{self.name}': no pair in {self.root}.", self.how_to_get)
        return sorted_refs(refs)

    def _folder(self, scene: str) -> Path:
        return self.root if scene == self.root.name else inside(self.root, scene)


def _homography(rows: Sequence[Sequence[float]], path: Path) -> Matrix:
    """[3, 3] in pixels whose first centre is (0.5, 0.5), last entry 1."""
    if len(rows) != 3 or any(len(row) != 3 for row in rows):
        raise BenchError(f"{path}: expected three rows of three numbers.")
    matrix = HALF_PIXEL @ np.array(rows, dtype=np.float64) @ np.linalg.inv(HALF_PIXEL)
    if not np.isfinite(matrix).all() or abs(np.linalg.det(matrix)) < 1e-12 or not matrix[2, 2]:
        raise BenchError(f"{path}: the homography is singular.")
    return np.asarray(matrix / matrix[2, 2], dtype=np.float64)


def _inverse(matrix: Matrix) -> Matrix:
    inverse = np.linalg.inv(matrix)
    return np.asarray(inverse / inverse[2, 2], dtype=np.float64)


def _image(folder: Path, name: str) -> Path:
    candidates = [folder / f"{name}{suffix}" for suffix in IMAGE_SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])

"""SPair-71k: semantic keypoints across different objects of a class (Min et al., 2019)."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from bench.datasets import datasets
from bench.datasets._files import find_root, inside, read_json, read_text
from bench.datasets._images import read_mask, read_rgb
from bench.datasets._lists import sorted_refs
from bench.datasets._probe3d import white_square
from bench.errors import BenchError
from bench.options import parse_options
from bench.types import Split, View, ViewSet, ViewSetRef

#: Names of the splits in Layout/ and PairAnnotation/.
SPLITS: Mapping[Split, str] = MappingProxyType({"train": "trn", "val": "val", "test": "test"})


class SPairOptions(BaseModel):
    """Options of `spair71k`.

    root: the folder SPair-71k; default $BENCH_DATA/spair71k. layout: the full or the small list of
    pairs. max_pairs_per_class: at most this many pairs of each class and split, drawn at random;
    None takes all. seed: of the draw. square_px: pad the image with white below and to the right to
    a square and resize it bicubically to this side (Probe3D: 800); None leaves it as it is.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: str | None = None
    layout: Literal["large", "small"] = "large"
    max_pairs_per_class: int | None = Field(None, ge=1)
    seed: int = 0
    square_px: int | None = Field(None, ge=1)


class _Pair(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    src_kps: list[tuple[float, float]]
    trg_kps: list[tuple[float, float]]
    src_bndbox: tuple[float, float, float, float]
    trg_bndbox: tuple[float, float, float, float]
    src_imname: str
    trg_imname: str
    category: str
    viewpoint_variation: int
    scale_variation: int
    truncation: int
    occlusion: int


@datasets.register("spair71k")
class SPair71k:
    """A pair is a view set, its class the scene.

    Keypoints: those annotated in both images, in the same order. extras: ``boxes`` float64 [2, 4]
    (left, top, right, bottom in pixels), ``category``, and the four difficulty labels of the pair;
    with `square_px` also that number, and ``whole_keypoints`` int64 [2, K, 2]: the annotated
    numbers at that size, cut to whole pixels, which Probe3D takes for coordinates.
    """

    Options: ClassVar[type[BaseModel]] = SPairOptions
    name: ClassVar[str] = "spair71k"
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[str]] = frozenset({"keypoints", "mask"})
    licence: ClassVar[str] = "research use (images of PASCAL VOC and PASCAL 3D+)"
    citation: ClassVar[str] = (
        "Min et al., SPair-71k: A large-scale benchmark for semantic correspondence, "
        "arXiv:1908.10543, 2019"
    )
    how_to_get: ClassVar[str] = (
        "Fetch SPair-71k.tar.gz (about 0.2 GB, research use) from cvlab.postech.ac.kr/research/"
        "SPair-71k and set the option `root` to its folder, or $BENCH_DATA so that it is "
        "$BENCH_DATA/spair71k."
    )

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(SPairOptions, config, "Dataset 'spair71k'")

    @cached_property
    def root(self) -> Path:
        return find_root(self.options.root, self.name, self.name, self.how_to_get)

    def view_sets(self) -> Sequence[ViewSetRef]:
        return self._refs

    def load(self, ref: ViewSetRef) -> ViewSet:
        pair = self._pair(ref)
        if len(pair.src_kps) != len(pair.trg_kps):
            raise BenchError(f"Pair {ref.set_id}: the images have different numbers of keypoints.")
        files, points = (pair.src_imname, pair.trg_imname), (pair.src_kps, pair.trg_kps)
        views = tuple(
            self._view(ref.scene, file, keypoints)
            for file, keypoints in zip(files, points, strict=True)
        )
        boxes = torch.tensor([pair.src_bndbox, pair.trg_bndbox], dtype=torch.float64)
        difficulty = ("viewpoint_variation", "scale_variation", "truncation", "occlusion")
        extras = {"category": ref.scene} | {name: getattr(pair, name) for name in difficulty}
        side = self.options.square_px
        if side is not None:
            longest = torch.tensor([max(view.size) for view in views])
            annotated = torch.tensor(points, dtype=torch.float64).reshape(2, -1, 2)
            extras["square_px"] = side
            extras["whole_keypoints"] = (annotated * side / longest[:, None, None]).long()
            boxes = boxes * side / longest[:, None]
            views = tuple(white_square(view, side) for view in views)
        extras["boxes"] = boxes
        return ViewSet(
            self.name, ref.scene, ref.set_id, ref.split, views, metric=False, extras=extras
        )

    @cached_property
    def _refs(self) -> tuple[ViewSetRef, ...]:
        return sorted_refs(ref for split in SPLITS for ref in self._chosen(split))

    def _chosen(self, split: Split) -> list[ViewSetRef]:
        """Pairs of a split, thinned to the same number per class."""
        path = self.root / "Layout" / self.options.layout / f"{SPLITS[split]}.txt"
        by_class: dict[str, list[ViewSetRef]] = {}
        for number, line in enumerate(read_text(path).split(), start=1):
            stem, colon, category = line.partition(":")
            images = stem.split("-")
            if not colon or len(images) != 3:
                raise BenchError(
                    f"{path}:{number}: expected '<id>-<source>-<target>:<class>', got '{line}'."
                )
            ref = ViewSetRef(category, stem, split, (images[1], images[2]))
            by_class.setdefault(category, []).append(ref)
        limit = self.options.max_pairs_per_class
        if limit is None:
            return [ref for refs in by_class.values() for ref in refs]
        return [ref for refs in by_class.values() for ref in self._drawn(refs, limit)]

    def _drawn(self, refs: list[ViewSetRef], limit: int) -> list[ViewSetRef]:
        """`limit` of them, each by its own draw, so that the order of the list does not matter."""

        def lot(ref: ViewSetRef) -> float:
            return random.Random(f"{self.options.seed}/{ref.scene}/{ref.set_id}").random()

        return sorted(refs, key=lot)[:limit]

    def _pair(self, ref: ViewSetRef) -> _Pair:
        folder = f"PairAnnotation/{SPLITS[ref.split]}"
        # Some archives and file systems do not keep colons.
        names = [f"{folder}/{ref.set_id}{mark}{ref.scene}.json" for mark in (":", "_")]
        paths = [inside(self.root, name) for name in names]
        return read_json(next((path for path in paths if path.is_file()), paths[0]), _Pair)

    def _view(self, category: str, file: str, keypoints: list[tuple[float, float]]) -> View:
        image = read_rgb(inside(self.root, f"JPEGImages/{category}/{file}"))
        name = Path(file).stem
        mask = inside(self.root, f"Segmentation/{category}/{name}.png")
        # Keypoints are whole pixels: they mean the pixel's centre.
        points = torch.tensor(keypoints, dtype=torch.float64).reshape(-1, 2) + 0.5
        return View(
            name=name,
            image=image,
            keypoints=points,
            mask=torch.from_numpy(read_mask(mask)),
        )

"""NAVI v1: objects with aligned scans, photographed in the wild (Jampani et al., NeurIPS 2023).

Pairs follow Probe3D: each wild image with a random other one of the same object and collection, at
most 120 degrees apart, every fourth pair kept. Here names are sorted first and every image draws
for itself, so that the pairs are the same everywhere; Probe3D's own depend on the file system.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bench.datasets import datasets
from bench.datasets._depth import DepthMap, clean, read_png16, resize_nearest
from bench.datasets._files import existing, find_root, inside, read_text
from bench.datasets._images import read_mask
from bench.datasets._lists import sorted_refs
from bench.datasets._probe3d import navi_frame, object_square
from bench.datasets._sampling import pick
from bench.datasets._scene import (
    Frame,
    Scene,
    median_depth,
    pinhole,
    pose_from,
    read_view_set,
    rotation_from_quaternion,
)
from bench.errors import BenchError
from bench.geometry.cameras import relative_rotation_deg
from bench.geometry.resolution import resample_view
from bench.options import parse_options
from bench.types import Split, View, ViewSet, ViewSetRef

WILD = "wild_set"
PAIR_FILES: dict[Split, str] = {"test": "pairs-wild_set.txt", "train": "pairs-multiview.txt"}

#: Depth PNGs hold this number of millimetres divided by the depth.
DISPARITY_MM = 655350


class NAVIOptions(BaseModel):
    """Options of `navi`.

    root: folder of the objects; default $BENCH_DATA/navi. pairs: ``drawn`` by Probe3D's rule, or
    the ``official`` lists in custom_splits/. max_angle_deg, keep_every, seed: of the draw. crop:
    the square around the ``object``, ``none``, or ``probe3d``: the square in 512 pixels, cut from
    a smaller image by nearest pixels as there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: str | None = None
    pairs: Literal["drawn", "official"] = "drawn"
    max_angle_deg: float = Field(120, gt=0, le=180)
    keep_every: int = Field(4, ge=1)
    seed: int = 8
    crop: Literal["object", "none", "probe3d"] = "object"


class _Camera(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    q: tuple[float, float, float, float]
    t: tuple[float, float, float]
    focal_length: float = Field(gt=0)


class _Annotation(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)

    filename: str
    image_size: tuple[int, int]
    camera: _Camera


@datasets.register("navi")
class NAVI:
    """Pairs of photographs of one object, in metres. The scene is the object; wild photographs are
    the test split, multi-view ones the training split."""

    Options: ClassVar[type[BaseModel]] = NAVIOptions
    name: ClassVar[str] = "navi"
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[str]] = frozenset({"depth", "poses", "mask"})
    licence: ClassVar[str] = "CC BY 4.0"
    citation: ClassVar[str] = (
        "Jampani et al., NAVI: Category-agnostic image collections with high-quality 3D shape and "
        "pose annotations, NeurIPS 2023"
    )
    how_to_get: ClassVar[str] = (
        "Fetch navi_v1.tar.gz (16 GB, CC BY 4.0) by the link in github.com/google/navi, and set "
        "the option `root` to its folder, or $BENCH_DATA so that it is $BENCH_DATA/navi."
    )

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(NAVIOptions, config, "Dataset 'navi'")
        self._scenes: dict[str, Scene] = {}

    @cached_property
    def root(self) -> Path:
        return find_root(self.options.root, self.name, self.name, self.how_to_get)

    def view_sets(self) -> Sequence[ViewSetRef]:
        return self._refs

    def load(self, ref: ViewSetRef) -> ViewSet:
        """Views named <collection>/<image>; the world is the object's frame."""
        view_set = read_view_set(self.name, self._scene(ref.scene), ref)
        views = tuple(self._finished(ref.scene, view) for view in view_set.views)
        return replace(view_set, views=views, scene_scale=median_depth(views))

    @cached_property
    def _refs(self) -> tuple[ViewSetRef, ...]:
        refs = list(self._official() if self.options.pairs == "official" else self._drawn())
        if not refs:
            raise BenchError(f"Dataset '{self.name}': no pair in {self.root}.", self.how_to_get)
        return sorted_refs(refs)

    def _scene(self, name: str) -> Scene:
        if name not in self._scenes:
            folder = inside(self.root, name)
            frames = [f for path in _collections(folder) for f in _frames(path)]
            self._scenes[name] = Scene(name, {frame.name: frame for frame in frames})
        return self._scenes[name]

    def _drawn(self) -> Iterator[ViewSetRef]:
        """Probe3D's rule over the objects that have wild and other photographs."""
        pairs: dict[Split, list[ViewSetRef]] = {"train": [], "test": []}
        for folder in sorted(path for path in self.root.iterdir() if path.is_dir()):
            names = {path.name for path in _collections(folder)}
            if WILD in names and len(names) > 1:
                for split, ref in self._partners(self._scene(folder.name)):
                    pairs[split].append(ref)
        for refs in pairs.values():
            yield from refs[:: self.options.keep_every]

    def _partners(self, scene: Scene) -> Iterator[tuple[Split, ViewSetRef]]:
        """A pair for each image that has a partner."""
        by_collection: dict[str, list[Frame]] = {}
        for name, frame in scene.frames.items():
            by_collection.setdefault(name.partition("/")[0], []).append(frame)
        for collection, frames in sorted(by_collection.items()):
            split: Split = "test" if collection == WILD else "train"
            poses = [torch.from_numpy(frame.camera_from_world) for frame in frames]
            for index, frame in enumerate(frames):
                angles = [relative_rotation_deg(poses[index], pose) for pose in poses]
                near = [
                    other
                    for other, angle in enumerate(angles)
                    if other != index and 0 < angle <= self.options.max_angle_deg
                ]
                if near:
                    key = f"navi/{self.options.seed}/{scene.name}/{frame.name}"
                    partner = frames[pick(near, random.Random(key))]
                    yield split, _pair(scene.name, split, frame.name, partner.name)

    def _official(self) -> Iterator[ViewSetRef]:
        """Pairs of the lists that come with NAVI, of both splits."""
        folder = self.root / "custom_splits" / "pairwise_pixel_correspondences"
        for split, file in PAIR_FILES.items():
            for number, line in enumerate(read_text(folder / file).splitlines(), start=1):
                words = line.split()
                if not words:
                    continue
                try:
                    a, b = (_place(word) for word in words[:2])
                except ValueError as error:
                    raise BenchError(
                        f"{folder / file}:{number}: expected two paths and an angle, got '{line}'."
                    ) from error
                if a[0] != b[0]:
                    raise BenchError(f"{folder / file}:{number}: two objects in one pair.")
                yield _pair(a[0], split, a[1], b[1])

    def _finished(self, object_name: str, view: View) -> View:
        """With the foreground mask, cropped to the object if that was asked for."""
        collection, stem = view.name.split("/")
        mask = read_mask(inside(self.root, f"{object_name}/{collection}/masks/{stem}.png"))
        height, width = view.size
        masked = replace(view, mask=torch.from_numpy(resize_nearest(mask, (height, width)).copy()))
        if self.options.crop == "none":
            return masked
        if self.options.crop == "probe3d":
            return navi_frame(masked)
        return resample_view(masked, object_square(masked))


def read_navi_depth(path: Path) -> DepthMap:
    """Depth in metres of a PNG of inverse depth, 0 = unknown."""
    stored = read_png16(existing(path)).astype(np.float64)
    depth_mm = np.divide(DISPARITY_MM, stored, out=np.zeros_like(stored), where=stored > 0)
    return clean(depth_mm / 1000)


def _collections(folder: Path) -> list[Path]:
    """Folders of photographs of an object; frames of videos are not among them."""
    if not folder.is_dir():
        raise BenchError(f"{folder} does not exist.", NAVI.how_to_get)
    return sorted(
        path
        for path in folder.iterdir()
        if (path / "annotations.json").is_file() and not path.name.startswith("video")
    )


def _frames(folder: Path) -> Iterator[Frame]:
    """Images of a collection, sorted by name."""
    path = folder / "annotations.json"
    try:
        annotations = TypeAdapter(list[_Annotation]).validate_python(json.loads(read_text(path)))
    except (json.JSONDecodeError, ValidationError) as error:
        raise BenchError(f"{path} is not a list of NAVI's annotations: {error}.") from error
    for annotation in sorted(annotations, key=lambda a: a.filename):
        height, width = annotation.image_size
        stem = Path(annotation.filename).stem
        focal = annotation.camera.focal_length
        rotation = rotation_from_quaternion(*annotation.camera.q)
        yield Frame(
            name=f"{folder.name}/{stem}",
            image=inside(folder / "images", annotation.filename),
            # NAVI puts the principal point in the middle of the image.
            intrinsics=pinhole(focal, focal, width / 2, height / 2),
            camera_from_world=pose_from(rotation, [mm / 1000 for mm in annotation.camera.t]),
            read_depth=partial(read_navi_depth, inside(folder / "depth", f"{stem}.png")),
            size=(height, width),
            upright=True,
        )


def _pair(object_name: str, split: Split, a: str, b: str) -> ViewSetRef:
    set_id = f"{a.replace('/', '-')}--{b.replace('/', '-')}"
    return ViewSetRef(object_name, set_id, split, (a, b))


def _place(path: str) -> tuple[str, str]:
    """Object and view name of a path <object>/<collection>/../<image>."""
    object_name, collection, *_, file = PurePosixPath(path).parts
    return object_name, f"{collection}/{PurePosixPath(file).stem}"

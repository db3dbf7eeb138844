"""COLMAP reconstructions of your own, with dense depth maps or the triangulated points as depth."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from bench.datasets import datasets
from bench.datasets._colmap import (
    Image,
    Model,
    find_model,
    pinhole_of,
    read_model,
    shared_points,
)
from bench.datasets._depth import SUFFIXES, DepthMap, clean, read_depth
from bench.datasets._files import existing, inside
from bench.datasets._posed_scenes import PosedScenes, SceneOptions
from bench.datasets._scene import Frame, Scene
from bench.errors import BenchError


class ColmapOptions(SceneOptions):
    """Options of `colmap`.

    depth: ``stereo``: COLMAP's own maps in stereo/depth_maps; ``folder``: depth/<image name> as
    PNG, EXR, PFM, NPY or NPZ; ``sparse``: only the triangulated points; ``auto``: the first of
    these that exists. depth_unit: stored value times this is the depth (``folder``). metric: the
    model was scaled to metres.
    """

    depth: Literal["auto", "stereo", "folder", "sparse"] = "auto"
    depth_unit: float = Field(1.0, gt=0)
    metric: bool = False


@datasets.register("colmap")
class Colmap(PosedScenes):
    """One reconstruction, or a folder of them: images/ beside sparse/0, sparse or the model."""

    Options: ClassVar[type[BaseModel]] = ColmapOptions
    name: ClassVar[str] = "colmap"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "that of the images"
    citation: ClassVar[str] = "that of the images; Schoenberger and Frahm, CVPR 2016, for COLMAP"
    how_to_get: ClassVar[str] = (
        "Set the option `root` to a COLMAP workspace (images/ and sparse/) or to a folder of them. "
        "Undistort first: `colmap image_undistorter`."
    )

    options: ColmapOptions

    def scene_names(self) -> Sequence[str]:
        return sorted(self._folders())

    def read_scene(self, name: str) -> Scene:
        folder = self._folders()[name]
        model = read_model(self._model(folder))
        frames = {image.name: self._frame(folder, model, image) for image in model.images.values()}
        return Scene(name, frames, self.options.metric)

    def covisibility(self, scene: Scene) -> NDArray[np.floating]:
        """Shares of triangulated points."""
        model = read_model(self._model(self._folders()[scene.name]), with_points=False)
        return shared_points([model.images[name] for name in scene.frames])

    def _folders(self) -> dict[str, Path]:
        children = sorted(path for path in self.root.iterdir() if path.is_dir())
        if (self.root / "images").is_dir():
            children = [self.root]
        return {
            path.name: path
            for path in children
            if (path / "images").is_dir() and find_model(path) is not None
        }

    def _model(self, folder: Path) -> Path:
        model = find_model(folder)
        if model is None:
            raise BenchError(f"{folder} holds no COLMAP model.", self.how_to_get)
        return model

    def _frame(self, folder: Path, model: Model, image: Image) -> Frame:
        if image.camera_id not in model.cameras:
            raise BenchError(f"{folder}: image {image.name} has no camera {image.camera_id}.")
        camera = model.cameras[image.camera_id]
        reader = partial(sparse_depth, image, model, camera.size)
        kind, unit = self.options.depth, self.options.depth_unit
        stereo = inside(folder / "stereo" / "depth_maps", f"{image.name}.geometric.bin")
        stored = _depth_file(folder / "depth", image.name)
        if kind == "stereo" or (kind == "auto" and stereo.is_file()):
            reader = partial(read_colmap_depth, stereo)
        elif kind == "folder" or (kind == "auto" and stored.is_file()):
            reader = partial(read_depth, stored, unit)
        return Frame(
            name=image.name,
            image=inside(folder / "images", image.name),
            intrinsics=pinhole_of(camera, f"{folder}: {image.name}"),
            camera_from_world=image.camera_from_world,
            read_depth=reader,
            size=camera.size,
        )


def sparse_depth(image: Image, model: Model, size: tuple[int, int]) -> DepthMap:
    """z-depth [H, W] at the pixels of the image's triangulated features; the nearest one stays."""
    unknown = [number for number in image.point_ids.tolist() if number not in model.points]
    if unknown:
        raise BenchError(f"Image {image.name} refers to point {unknown[0]}, which does not exist.")
    points = np.array([model.points[number] for number in image.point_ids.tolist()]).reshape(-1, 3)
    z = points @ image.camera_from_world[2, :3] + image.camera_from_world[2, 3]
    columns, rows = np.floor(image.points).astype(int).T
    kept = (columns >= 0) & (columns < size[1]) & (rows >= 0) & (rows < size[0]) & (z > 0)
    depth = np.full(size, np.inf)
    np.minimum.at(depth, (rows[kept], columns[kept]), z[kept])
    return clean(depth)


def read_colmap_depth(path: Path) -> DepthMap:
    """A dense map of COLMAP: the header 'width&height&channels&', then float32, row by row."""
    data = existing(path).read_bytes()
    header = re.match(rb"(\d+)&(\d+)&1&", data)
    if header is None:
        raise BenchError(f"{path} is not a depth map of COLMAP.")
    width, height = int(header[1]), int(header[2])
    if len(data) - header.end() != 4 * width * height:
        raise BenchError(f"{path} is truncated.", "Run COLMAP's dense stereo again.")
    return clean(np.frombuffer(data, "<f4", offset=header.end()).reshape(height, width))


def _depth_file(folder: Path, image: str) -> Path:
    """The depth map of an image in `folder`, of the first kind that exists."""
    base = inside(folder, image)
    candidates = [base.with_suffix(suffix) for suffix in SUFFIXES]
    return next((path for path in candidates if path.is_file()), candidates[0])

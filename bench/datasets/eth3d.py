"""ETH3D high-resolution multi-view in its own layout (Schoeps et al., CVPR 2017).

Images come undistorted, laser depth in the frame of the distorted ones: each undistorted pixel's
ray is sent through the fisheye model to find its depth. Both frames share the camera's axes, so
z-depth carries over.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from bench.datasets import datasets
from bench.datasets._colmap import (
    Camera,
    Image,
    distort_thin_prism_fisheye,
    pinhole_of,
    read_model,
    shared_points,
)
from bench.datasets._depth import DepthMap, clean
from bench.datasets._files import existing, inside
from bench.datasets._posed_scenes import PosedScenes
from bench.datasets._scene import Frame, Matrix, Scene
from bench.errors import BenchError

UNDISTORTED = "dslr_calibration_undistorted"
DISTORTED = "dslr_calibration_jpg"

#: Rows that are looked up at a time; 24 megapixels at once would need gigabytes.
ROWS = 256


@datasets.register("eth3d")
class ETH3D(PosedScenes):
    """The 13 training scenes, whose laser scans are public; metres."""

    name: ClassVar[str] = "eth3d"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "CC BY-NC-SA 4.0"
    citation: ClassVar[str] = (
        "Schoeps et al., A multi-view stereo benchmark with high-resolution images and "
        "multi-camera videos, CVPR 2017"
    )
    how_to_get: ClassVar[str] = (
        "From www.eth3d.net/datasets fetch, for each training scene, dslr_undistorted, dslr_jpg "
        "(for its calibration) and dslr_depth (about 20 GB in all). Unpack them into one folder "
        "per scene and set the option `root`, or $BENCH_DATA so that it is $BENCH_DATA/eth3d. "
        "Licence: CC BY-NC-SA 4.0."
    )

    @property
    def default_covisibility(self) -> float:
        """ETH3D's views overlap little (Map-Anything's value)."""
        return 0.025

    def scene_names(self) -> Sequence[str]:
        return sorted(path.name for path in self.root.iterdir() if (path / UNDISTORTED).is_dir())

    def read_scene(self, name: str) -> Scene:
        folder = self.root / name
        undistorted = read_model(folder / UNDISTORTED, with_points=False)
        distorted = read_model(folder / DISTORTED, with_points=False)
        raw_cameras = {
            PurePosixPath(image.name).name: distorted.cameras[image.camera_id]
            for image in distorted.images.values()
        }
        frames = {}
        for image in undistorted.images.values():
            frame = _frame(folder, image, undistorted.cameras[image.camera_id], raw_cameras)
            frames[frame.name] = frame
        return Scene(name, frames)

    def covisibility(self, scene: Scene) -> NDArray[np.floating]:
        """Shares of triangulated points: the depth maps are too large to compare them all."""
        model = read_model(self.root / scene.name / UNDISTORTED, with_points=False)
        by_name = {PurePosixPath(name).stem: image for name, image in model.images.items()}
        return shared_points([by_name[name] for name in scene.frames])


def _frame(folder: Path, image: Image, camera: Camera, raw_cameras: dict[str, Camera]) -> Frame:
    file = PurePosixPath(image.name).name
    if file not in raw_cameras:
        raise BenchError(f"{folder / DISTORTED}: no image {file}.", ETH3D.how_to_get)
    intrinsics = pinhole_of(camera, f"{folder}: {image.name}")
    depth = inside(folder / "ground_truth_depth" / "dslr_images", file)
    return Frame(
        name=PurePosixPath(file).stem,
        image=inside(folder / "images", image.name),
        intrinsics=intrinsics,
        camera_from_world=image.camera_from_world,
        read_depth=partial(undistorted_depth, depth, raw_cameras[file], intrinsics, camera.size),
        size=camera.size,
    )


def undistorted_depth(
    path: Path, raw: Camera, intrinsics: Matrix, size: tuple[int, int]
) -> DepthMap:
    """z-depth [H, W] at the undistorted pixels, from the distorted frame's map.

    path: float32, row by row, of the distorted image's size, infinite where unknown.
    """
    stored = np.fromfile(existing(path), dtype="<f4")
    if stored.size != raw.size[0] * raw.size[1]:
        raise BenchError(f"{path} does not have {raw.size[1]} x {raw.size[0]} values.")
    if raw.model != "THIN_PRISM_FISHEYE":
        raise BenchError(f"{path}: expected a THIN_PRISM_FISHEYE camera, got {raw.model}.")
    depth = clean(stored.reshape(raw.size))
    undistorted = np.zeros(size, np.float32)
    columns = (np.arange(size[1]) + 0.5 - intrinsics[0, 2]) / intrinsics[0, 0]
    for top in range(0, size[0], ROWS):
        rows = np.arange(top, min(top + ROWS, size[0]))
        y, x = np.meshgrid(
            (rows + 0.5 - intrinsics[1, 2]) / intrinsics[1, 1], columns, indexing="ij"
        )
        u, v = distort_thin_prism_fisheye(raw, x, y)
        inside_raw = (u >= 0) & (u < raw.size[1]) & (v >= 0) & (v < raw.size[0])
        found = np.zeros(u.shape, np.float32)
        found[inside_raw] = depth[v[inside_raw].astype(int), u[inside_raw].astype(int)]
        undistorted[rows] = found
    return undistorted

"""BlendedMVS in its own layout (Yao et al., CVPR 2020): blended images, cameras and PFM depth.

Depth has no unit: each scene has its own scale.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np

from bench.datasets import datasets
from bench.datasets._depth import read_depth
from bench.datasets._files import read_text
from bench.datasets._posed_scenes import PosedScenes
from bench.datasets._scene import Frame, Matrix, Scene, half_pixel_centres
from bench.errors import BenchError
from bench.types import Split


@datasets.register("blendedmvs")
class BlendedMVS(PosedScenes):
    """Scenes as PID/{blended_images, cams, rendered_depth_maps}."""

    name: ClassVar[str] = "blendedmvs"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = "CC BY 4.0"
    citation: ClassVar[str] = (
        "Yao et al., BlendedMVS: A large-scale dataset for generalized multi-view stereo networks, "
        "CVPR 2020"
    )
    how_to_get: ClassVar[str] = (
        "Fetch the low-resolution set (27.5 GB) by the links in github.com/YoYo000/BlendedMVS and "
        "set the option `root`, or $BENCH_DATA so that it is $BENCH_DATA/blendedmvs. Licence: "
        "CC BY 4.0."
    )

    def scene_names(self) -> Sequence[str]:
        return sorted(
            path.name
            for path in self.root.iterdir()
            if (path / "cams").is_dir() and (path / "blended_images").is_dir()
        )

    def read_scene(self, name: str) -> Scene:
        folder = self.root / name
        cameras = sorted((folder / "cams").glob("*_cam.txt"))
        frames = [_frame(folder, path) for path in cameras]
        return Scene(name, {frame.name: frame for frame in frames}, metric=False)

    def split(self, scene: str) -> Split:
        return blendedmvs_split(scene)


def blendedmvs_split(scene: str) -> Split:
    """Map-Anything's rule: one scene in ten, by its hexadecimal name, is held out (43 of 493).

    There is no third split, so the held-out scenes are the test scenes here.
    """
    tail = scene[8:]
    is_hexadecimal = re.fullmatch(r"[0-9a-f]+", tail) is not None
    return "test" if not is_hexadecimal or int(tail, 16) % 10 == 0 else "train"


def _frame(folder: Path, camera_file: Path) -> Frame:
    name = camera_file.name.removesuffix("_cam.txt")
    camera_from_world, intrinsics = read_camera(camera_file)
    return Frame(
        name=name,
        image=folder / "blended_images" / f"{name}.jpg",
        # Map-Anything reads these with the first pixel's centre at (0, 0); the release is silent.
        intrinsics=half_pixel_centres(intrinsics),
        camera_from_world=camera_from_world,
        read_depth=partial(read_depth, folder / "rendered_depth_maps" / f"{name}.pfm"),
    )


def read_camera(path: Path) -> tuple[Matrix, Matrix]:
    """camera_from_world [4, 4] and intrinsics [3, 3] of a cam.txt (the form of MVSNet)."""
    words = read_text(path).split()
    try:
        pose_at, camera_at = words.index("extrinsic") + 1, words.index("intrinsic") + 1
        pose = np.array(words[pose_at : pose_at + 16], dtype=np.float64).reshape(4, 4)
        intrinsics = np.array(words[camera_at : camera_at + 9], dtype=np.float64).reshape(3, 3)
    except ValueError as error:
        raise BenchError(f"{path} is not a camera file: {error}.") from error
    return pose, intrinsics

"""7-Scenes (Shotton et al., CVPR 2013): seq-*/frame-*.{color.png, depth.png, pose.txt}.

All sequences of a scene share one world. The depth of the original release is not registered to
the colour images: the depth camera's calibration is used for both, which leaves an offset of a few
pixels between colour and geometry. Prefer rendered depth where you have it.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from bench.datasets._depth import SATURATED, DepthMap, clean, read_png16
from bench.datasets._files import existing
from bench.datasets._scene import Frame, Scene, invert_pose, pinhole
from bench.datasets.posed_rgbd.scannet import read_matrix
from bench.errors import BenchError

DEPTH_UNIT_M = 0.001

#: The depth camera that the authors give; (320, 240) is the middle of 640 x 480 pixels.
INTRINSICS = pinhole(585.0, 585.0, 320.0, 240.0)


def recognise(folder: Path) -> bool:
    """Whether the folder, or a seq-* folder in it, has frames."""
    return any(folder.glob("frame-*.color.png")) or any(folder.glob("seq-*/frame-*.color.png"))


def read(folder: Path, name: str) -> Scene:
    """All sequences of the scene."""
    frames: dict[str, Frame] = {}
    left_out: dict[str, str] = {}
    for image in sorted([*folder.glob("frame-*.color.png"), *folder.glob("seq-*/*.color.png")]):
        stem = image.name.removesuffix(".color.png")
        pose = read_matrix(image.with_name(f"{stem}.pose.txt"))
        frame_name = image.parent.relative_to(folder).joinpath(stem).as_posix()
        if not np.isfinite(pose).all():
            left_out[frame_name] = "the pose is not finite"
            continue
        frames[frame_name] = Frame(
            name=frame_name,
            image=image,
            intrinsics=INTRINSICS,
            camera_from_world=invert_pose(pose),
            read_depth=partial(_read_depth, image.with_name(f"{stem}.depth.png")),
        )
    if not frames:
        raise BenchError(f"{folder}: no frame has a finite pose.")
    return Scene(name, frames, left_out=left_out)


def _read_depth(path: Path) -> DepthMap:
    stored = read_png16(existing(path)).astype(np.float64)
    return clean(np.where(stored == SATURATED, 0, stored) * DEPTH_UNIT_M)

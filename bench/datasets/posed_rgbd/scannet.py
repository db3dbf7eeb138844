"""ScanNet exports (Dai et al., CVPR 2017): color/, depth/, pose/ and intrinsic/.

The colour image is brought to the depth map's size, which keeps every measured depth. Frames whose
pose is not finite (tracking was lost) are left out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from bench.datasets._depth import read_depth
from bench.datasets._files import read_numbers
from bench.datasets._images import image_size
from bench.datasets._scene import Frame, Matrix, Scene, half_pixel_centres, invert_pose
from bench.errors import BenchError

DEPTH_UNIT_M = 0.001


def recognise(folder: Path) -> bool:
    """Whether the folder has colour, depth, poses and intrinsics."""
    return all((folder / name).is_dir() for name in ("color", "depth", "pose", "intrinsic"))


def read(folder: Path, name: str) -> Scene:
    """The scene with intrinsic/intrinsic_depth.txt; BenchError if no frame is complete."""
    intrinsics = half_pixel_centres(read_matrix(folder / "intrinsic" / "intrinsic_depth.txt"))
    sizes = (image_size(path) for path in sorted((folder / "depth").glob("*.png")))
    size = next(sizes, None)
    frames: dict[str, Frame] = {}
    left_out: dict[str, str] = {}
    for pose_file in sorted((folder / "pose").glob("*.txt"), key=_number):
        frame = read_frame(folder, pose_file.stem, intrinsics, size)
        if np.isfinite(frame.camera_from_world).all():
            frames[frame.name] = frame
        else:
            left_out[frame.name] = "the pose is not finite"
    if not frames:
        raise BenchError(f"{folder}: no frame has a finite pose in pose/.")
    return Scene(name, frames, left_out=left_out)


def read_frame(
    folder: Path, number: str, intrinsics: Matrix, size: tuple[int, int] | None
) -> Frame:
    """One frame of a scene folder.

    Args:
        intrinsics: [3, 3] or [4, 4] of the depth camera, first pixel's centre at (0.5, 0.5).
        size: (height, width) of the depth maps.
    """
    return Frame(
        name=number,
        image=folder / "color" / f"{number}.jpg",
        intrinsics=intrinsics[:3, :3],
        camera_from_world=invert_pose(read_matrix(folder / "pose" / f"{number}.txt")),
        read_depth=partial(read_depth, folder / "depth" / f"{number}.png", DEPTH_UNIT_M),
        size=size,
    )


def read_matrix(path: Path) -> Matrix:
    """A 3 x 3 or 4 x 4 matrix of a text file."""
    matrix = read_numbers(path)
    if len(matrix) not in (3, 4) or any(len(row) != len(matrix) for row in matrix):
        raise BenchError(f"{path}: expected a 3 x 3 or 4 x 4 matrix.")
    return np.array(matrix, dtype=np.float64)


def _number(path: Path) -> tuple[int, str]:
    return (int(path.stem), "") if path.stem.isdigit() else (0, path.stem)

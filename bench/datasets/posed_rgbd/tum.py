"""TUM RGB-D sequences (Sturm et al., IROS 2012): rgb.txt, depth.txt, groundtruth.txt.

The three are matched by time stamp. Frames without a depth map or a pose near in time are left
out.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.datasets._depth import read_depth
from bench.datasets._files import inside, read_numbers, read_text
from bench.datasets._scene import (
    Frame,
    Matrix,
    Scene,
    half_pixel_centres,
    invert_pose,
    pinhole,
    pose_from,
    rotation_from_quaternion,
)
from bench.errors import BenchError

#: Stored value of one metre is 5000.
DEPTH_UNIT_M = 1 / 5000

#: Largest difference of two time stamps that count as one moment (the benchmark's own tools).
MAX_DIFFERENCE_S = 0.02

#: The benchmark recommends the default camera: its depth is registered to unrectified images, and
#: only the freiburg3 sequences come rectified. (fx, fy, cx, cy), first pixel's centre at (0, 0).
DEFAULT_CAMERA = (525.0, 525.0, 319.5, 239.5)
FREIBURG3_CAMERA = (535.4, 539.2, 320.1, 247.6)

#: Optional file of the sequence: fx fy cx cy in the same convention.
CALIBRATION_FILE = "intrinsics.txt"


def recognise(folder: Path) -> bool:
    """Whether the folder has the three lists."""
    return all((folder / f"{name}.txt").is_file() for name in ("rgb", "depth", "groundtruth"))


def read(folder: Path, name: str) -> Scene:
    """The sequence; BenchError if no moment has an image, a depth map and a pose."""
    images, depths = _listed(folder / "rgb.txt"), _listed(folder / "depth.txt")
    poses = read_numbers(folder / "groundtruth.txt")
    if any(len(row) != 8 for row in poses):
        raise BenchError(f"{folder / 'groundtruth.txt'}: expected 'time tx ty tz qx qy qz qw'.")
    depth_times = np.array(sorted(depths))
    poses.sort()
    pose_times = np.array([row[0] for row in poses])
    intrinsics = half_pixel_centres(pinhole(*_camera(folder)))
    frames: dict[str, Frame] = {}
    left_out: dict[str, str] = {}
    for time in sorted(images):
        frame_name = Path(images[time]).stem
        nearest_depth, nearest_pose = _nearest(depth_times, time), _nearest(pose_times, time)
        if nearest_depth is None or nearest_pose is None:
            missing = "depth map" if nearest_depth is None else "pose"
            left_out[frame_name] = f"no {missing} within {MAX_DIFFERENCE_S} s"
            continue
        depth_file = inside(folder, depths[float(depth_times[nearest_depth])])
        frames[frame_name] = Frame(
            name=frame_name,
            image=inside(folder, images[time]),
            intrinsics=intrinsics,
            camera_from_world=_pose(poses[nearest_pose]),
            read_depth=partial(read_depth, depth_file, DEPTH_UNIT_M),
        )
    if not frames:
        raise BenchError(
            f"{folder}: no image has a depth map and a pose within {MAX_DIFFERENCE_S} s.",
            "Are the three lists from the same sequence?",
        )
    return Scene(name, frames, left_out=left_out)


def _listed(path: Path) -> dict[float, str]:
    """File by time stamp, from lines 'time file'."""
    found = {}
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        try:
            time, file = words
            found[float(time)] = file
        except ValueError as error:
            raise BenchError(f"{path}:{number}: expected 'time file', got '{line}'.") from error
    return found


def _nearest(times: NDArray[np.float64], wanted: float) -> int | None:
    """Index of the nearest time stamp, None if it is too far."""
    if not len(times):
        return None
    index = int(np.abs(times - wanted).argmin())
    # A microsecond of slack: the stamps are decimal numbers.
    return index if abs(times[index] - wanted) <= MAX_DIFFERENCE_S + 1e-6 else None


def _pose(row: list[float]) -> Matrix:
    _, tx, ty, tz, qx, qy, qz, qw = row
    return invert_pose(pose_from(rotation_from_quaternion(qw, qx, qy, qz), (tx, ty, tz)))


def _camera(folder: Path) -> tuple[float, float, float, float]:
    path = folder / CALIBRATION_FILE
    if path.is_file():
        numbers = [value for row in read_numbers(path) for value in row]
        if len(numbers) != 4:
            raise BenchError(f"{path}: expected 'fx fy cx cy', got {len(numbers)} numbers.")
        fx, fy, cx, cy = numbers
        return fx, fy, cx, cy
    return FREIBURG3_CAMERA if "freiburg3" in folder.name else DEFAULT_CAMERA

"""Posed images of one scene: what every format is read into, and how it becomes a view set."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bench.datasets._depth import DepthMap, resize_nearest
from bench.datasets._images import image_size, read_rgb
from bench.errors import BenchError
from bench.types import View, ViewSet, ViewSetRef

Matrix = NDArray[np.float64]

#: Recorded poses are rounded to a few digits; more than this is a scale, a shear or a reflection.
RIGID_TOLERANCE = 1e-3


@dataclass(frozen=True)
class Frame:
    """One posed image, not yet read.

    Attributes:
        intrinsics: [3, 3] in pixels of `size`, centre of the first pixel at (0.5, 0.5).
        camera_from_world: [4, 4], OpenCV axes.
        read_depth: gives z-depth [h, w] over the same field of view, 0 = unknown.
        size: (height, width) of the view; the files are brought to it. None: the image's own.
        upright: the camera was calibrated after turning the image by its EXIF tag.
    """

    name: str
    image: Path
    intrinsics: Matrix
    camera_from_world: Matrix
    read_depth: Callable[[], DepthMap] | None = None
    size: tuple[int, int] | None = None
    upright: bool = False


@dataclass(frozen=True)
class Scene:
    """Frames by name, in the order of the recording.

    Attributes:
        metric: poses and depths are in metres.
        left_out: frames that cannot be used and why, for example because tracking was lost.
    """

    name: str
    frames: Mapping[str, Frame]
    metric: bool = True
    left_out: Mapping[str, str] = field(default_factory=dict)


def read_view(frame: Frame) -> View:
    """Image, depth and camera of a frame; BenchError for damaged files or impossible cameras."""
    refuse_impossible_camera(frame)
    image = read_rgb(frame.image, frame.size, frame.upright)
    depth = frame_depth(frame, (int(image.shape[1]), int(image.shape[2])))
    return View(
        name=frame.name,
        image=image,
        depth=None if depth is None else torch.from_numpy(depth),
        intrinsics=torch.from_numpy(frame.intrinsics.copy()),
        camera_from_world=torch.from_numpy(frame.camera_from_world.copy()),
    )


def frame_depth(frame: Frame, size: tuple[int, int] | None = None) -> DepthMap | None:
    """Depth float32 [H, W] of a frame in its view's raster, without decoding the image."""
    if frame.read_depth is None:
        return None
    wanted = size or frame.size or image_size(frame.image)
    return np.ascontiguousarray(resize_nearest(frame.read_depth(), wanted), dtype=np.float32)


def read_view_set(dataset: str, scene: Scene, ref: ViewSetRef) -> ViewSet:
    """The views that `ref` names; BenchError for a name that the scene does not have."""
    missing = [name for name in ref.views if name not in scene.frames]
    if missing:
        raise BenchError(
            f"{dataset}: scene '{scene.name}' has no frame {', '.join(missing)}.",
            f"It has {len(scene.frames)} frames; run `bench data check {dataset}`.",
        )
    views = tuple(read_view(scene.frames[name]) for name in ref.views)
    return ViewSet(
        dataset=dataset,
        scene=ref.scene,
        set_id=ref.set_id,
        split=ref.split,
        views=views,
        metric=scene.metric,
        scene_scale=median_depth(views),
    )


def median_depth(views: Iterable[View]) -> float | None:
    """Median of the known z-depths of all views together; None if nothing is known."""
    depths = [view.depth.numpy() for view in views if view.depth is not None]
    known = np.concatenate([np.zeros(0, np.float32), *(depth[depth > 0] for depth in depths)])
    return float(np.median(known)) if known.size else None


def pinhole(fx: float, fy: float, cx: float, cy: float) -> Matrix:
    """Camera matrix [3, 3]."""
    return np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]], dtype=np.float64)


def half_pixel_centres(intrinsics: Matrix) -> Matrix:
    """The camera of a calibration that puts the centre of the first pixel at (0, 0)."""
    moved = np.array(intrinsics, dtype=np.float64)
    moved[:2, 2] += 0.5
    return moved


def invert_pose(a_from_b: Matrix) -> Matrix:
    """b_from_a of a rigid transform [4, 4]."""
    rotation = a_from_b[:3, :3].T
    return pose_from(rotation, -rotation @ a_from_b[:3, 3])


def pose_from(rotation: Matrix, translation: Matrix | Sequence[float]) -> Matrix:
    """Rigid transform [4, 4] of a rotation [3, 3] and a translation [3]."""
    pose = np.eye(4)
    pose[:3, :3] = rotation
    pose[:3, 3] = translation
    return pose


def rotation_from_quaternion(w: float, x: float, y: float, z: float) -> Matrix:
    """Rotation [3, 3] of a quaternion of any length, scalar first.

    Raises:
        BenchError: the quaternion is zero or not finite.
    """
    q = np.array([w, x, y, z], dtype=np.float64)
    length = np.linalg.norm(q)
    if not np.isfinite(length) or length == 0:
        raise BenchError(f"({w}, {x}, {y}, {z}) is not a rotation.")
    w, x, y, z = q / length
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def refuse_impossible_camera(frame: Frame) -> None:
    """BenchError if ``camera_problems`` finds any."""
    problems = camera_problems(frame.intrinsics, frame.camera_from_world)
    if problems:
        raise BenchError(f"{frame.image}: {'; '.join(problems)}.", "Leave the frame out.")


def camera_problems(
    intrinsics: Matrix | Tensor | None, camera_from_world: Matrix | Tensor | None
) -> list[str]:
    """What makes a camera impossible: singular or non-finite intrinsics, a pose that is not rigid.

    Either may be None, for data without it.
    """
    problems = []
    if intrinsics is not None:
        k = np.asarray(intrinsics, dtype=np.float64)
        if not np.isfinite(k).all():
            problems.append("the intrinsics are not finite")
        elif k[0, 0] <= 0 or k[1, 1] <= 0 or k[2, 2] != 1 or k[1, 0] != 0 or k[2, :2].any():
            problems.append("the intrinsics are singular or not [fx s cx; 0 fy cy; 0 0 1]")
    if camera_from_world is not None:
        pose = np.asarray(camera_from_world, dtype=np.float64)
        rotation = pose[:3, :3]
        if not np.isfinite(pose).all():
            problems.append("the pose is not finite")
        elif (
            np.abs(rotation @ rotation.T - np.eye(3)).max() > RIGID_TOLERANCE
            or np.linalg.det(rotation) < 0
            or np.abs(pose[3] - (0, 0, 0, 1)).max() > RIGID_TOLERANCE
        ):
            problems.append("the pose is not rigid")
    return problems

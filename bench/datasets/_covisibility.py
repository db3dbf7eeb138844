"""How much of one view another one sees: from depth and poses, with the occluded share apart.

In numpy: thousands of small products, on which torch's threads would only wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.datasets._depth import DepthMap
from bench.datasets._scene import Frame, Matrix, frame_depth, invert_pose, refuse_impossible_camera
from bench.types import View

#: Two depths are the same surface if they differ by less than this share of the depth.
DEPTH_TOLERANCE = 0.05

#: Samples along the long side when whole scenes are compared.
SAMPLES = 64


@dataclass(frozen=True)
class PosedDepth:
    """Depth [H, W] (0 = unknown), intrinsics [3, 3] and camera_from_world [4, 4] of one view."""

    depth: DepthMap
    intrinsics: Matrix
    camera_from_world: Matrix


@dataclass(frozen=True)
class Overlap:
    """What becomes of the valid pixels of view a in view b; all are shares in [0, 1] or NaN.

    Attributes:
        inside: of a's valid pixels, those that land inside b's image, in front of the camera.
        visible: of a's valid pixels, those that land on the depth b recorded there.
        consistent: of those that land where b's depth is known, those that agree with it.
        consistent_not_occluded: the same without those that b's depth hides.
        depth_error: median relative difference of the depths that agree or not.
    """

    inside: float
    visible: float
    consistent: float
    consistent_not_occluded: float
    depth_error: float


def posed_depth(view: View) -> PosedDepth:
    """Geometry of a view that has depth and a camera."""
    assert view.depth is not None
    assert view.intrinsics is not None
    assert view.camera_from_world is not None
    return PosedDepth(
        view.depth.numpy(),
        view.intrinsics.double().numpy(),
        view.camera_from_world.double().numpy(),
    )


def overlap(a: PosedDepth, b: PosedDepth, step: int = 1) -> Overlap:
    """Compare every `step`-th pixel of view a with view b.

    A point is occluded if b's depth is smaller than the point's by more than DEPTH_TOLERANCE, and
    consistent if the two differ by no more than that.
    """
    points = _valid_points(a, step)
    z, seen = _depth_pairs(points, b)
    known = seen > 0
    relative = (seen[known] - z[known]) / z[known]
    agrees = int((np.abs(relative) <= DEPTH_TOLERANCE).sum())
    hidden = int((relative < -DEPTH_TOLERANCE).sum())
    return Overlap(
        inside=_share(len(z), len(points)),
        visible=_share(agrees, len(points)),
        consistent=_share(agrees, len(relative)),
        consistent_not_occluded=_share(agrees, len(relative) - hidden),
        depth_error=float(np.median(np.abs(relative))) if len(relative) else float("nan"),
    )


def covisibility(frames: Sequence[Frame]) -> NDArray[np.float64]:
    """[N, N]: the share of frame i's valid pixels that frame j sees (Overlap.visible).

    Frames without depth see nothing and are not seen.
    """
    for frame in frames:
        refuse_impossible_camera(frame)
    posed = [
        PosedDepth(
            np.zeros((1, 1), np.float32) if (depth := frame_depth(frame)) is None else depth,
            frame.intrinsics,
            frame.camera_from_world,
        )
        for frame in frames
    ]
    matrix = np.eye(len(posed))
    for i, view in enumerate(posed):
        points = _valid_points(view, step=max(1, max(view.depth.shape) // SAMPLES))
        for j, other in enumerate(posed):
            if i != j:
                z, seen = _depth_pairs(points, other)
                agrees = (seen > 0) & (np.abs(seen - z) <= DEPTH_TOLERANCE * z)
                matrix[i, j] = agrees.sum() / max(1, len(points))
    return matrix


def _valid_points(view: PosedDepth, step: int) -> Matrix:
    """World points [N, 3] of every `step`-th pixel with a depth."""
    start = step // 2
    rows, columns = np.nonzero(view.depth[start::step, start::step])
    rows, columns = rows * step + start, columns * step + start
    z = view.depth[rows, columns].astype(np.float64)
    pixels = np.stack([columns + 0.5, rows + 0.5, np.ones(len(z))])
    points = np.linalg.inv(view.intrinsics) @ pixels * z
    world_from_camera = invert_pose(view.camera_from_world)
    return (world_from_camera[:3, :3] @ points + world_from_camera[:3, 3:]).T


def _depth_pairs(points: Matrix, view: PosedDepth) -> tuple[Matrix, Matrix]:
    """Of world points [N, 3], those inside the view: their z-depth and the recorded one (0 = none)
    at the pixel they fall on."""
    pose = view.camera_from_world
    x, y, z = view.intrinsics @ (pose[:3, :3] @ points.T + pose[:3, 3:])
    ahead = z > 0
    x, y, z = x[ahead] / z[ahead], y[ahead] / z[ahead], z[ahead]
    height, width = view.depth.shape
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    rows, columns = y[inside].astype(int), x[inside].astype(int)
    return z[inside], view.depth[rows, columns].astype(np.float64)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")

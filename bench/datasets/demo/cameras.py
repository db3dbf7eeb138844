"""Where the demo's cameras stand, and which of a scene's eight views form its four view sets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.datasets.demo.shapes import Vector
from bench.datasets.demo.textures import FloatArray

WIDTH, HEIGHT = 560, 420

# Places along the arc, as shares of half its span: neighbours are near and far by turns, so that
# one scene has both small and large viewpoint changes.
PLACES = (-1.0, -0.84, -0.46, -0.16, 0.1, 0.44, 0.8, 1.0)

# Ranks along the arc. The disjoint sets take every view once and see the scene from both ends; the
# overlapping ones, one of neighbours and one of two pairs of neighbours, have two views in common.
SETS = {
    "disjoint-0": (0, 2, 5, 7),
    "disjoint-1": (1, 3, 4, 6),
    "overlap-0": (0, 1, 2, 3),
    "overlap-1": (2, 3, 6, 7),
}


@dataclass(frozen=True)
class Orbit:
    """An arc of eight cameras round a target.

    Attributes:
        target: the point the cameras look near, metres.
        radius: nearest and farthest distance from the target, metres.
        elevation: lowest and highest angle above the target's plane, degrees.
        span: angle between the first and the last camera, degrees.
        facing: direction of the arc's middle camera's view, degrees from +y towards -x.
        fov: horizontal field of view, degrees.
        sway: how far the point looked at strays from the target, metres.
    """

    target: Vector
    radius: tuple[float, float]
    elevation: tuple[float, float]
    span: float
    facing: float = 0.0
    fov: float = 58.0
    sway: float = 0.28

    def intrinsics(self) -> FloatArray:
        """``(3, 3)`` in pixels; the centre of the first pixel is at (0.5, 0.5)."""
        focal = WIDTH / 2 / np.tan(np.radians(self.fov) / 2)
        return np.array([[focal, 0, WIDTH / 2], [0, focal, HEIGHT / 2], [0, 0, 1]])


def poses(orbit: Orbit, seed: int) -> tuple[FloatArray, NDArray[np.intp]]:
    """Camera poses in the order of the view names, and each view's rank along the arc.

    Distance, height, roll and the point looked at vary from view to view, and the names are
    shuffled, so that neither the place in the image nor the name tells where a point is.

    Returns:
        ``world_from_camera`` ``(8, 4, 4)`` and ranks ``(8,)``.
    """
    rng = np.random.default_rng(seed)
    ranks = rng.permutation(len(PLACES))
    views = []
    for rank in ranks:
        place = PLACES[rank] + rng.uniform(-0.03, 0.03)
        azimuth = np.radians(orbit.facing + place * orbit.span / 2)
        elevation = np.radians(rng.uniform(*orbit.elevation))
        radius = rng.uniform(*orbit.radius)
        level = radius * np.cos(elevation)
        offset = (level * np.sin(azimuth), -level * np.cos(azimuth), radius * np.sin(elevation))
        aim = np.asarray(orbit.target) + orbit.sway * rng.uniform(-1, 1, size=3)
        roll = np.radians(rng.uniform(-9, 9))
        views.append(look_at(np.asarray(orbit.target) + offset, aim, float(roll)))
    return np.stack(views), ranks


def look_at(centre: FloatArray, aim: FloatArray, roll: float) -> FloatArray:
    """``world_from_camera`` ``(4, 4)`` of a camera at ``centre`` that looks at ``aim``.

    Args:
        centre: ``(3,)`` metres, world z up.
        aim: ``(3,)`` metres.
        roll: turn about the optical axis, radians.
    """
    forward = (aim - centre) / np.linalg.norm(aim - centre)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    down = np.cross(forward, right)
    pose = np.eye(4)
    pose[:3, 0] = np.cos(roll) * right + np.sin(roll) * down
    pose[:3, 1] = np.cos(roll) * down - np.sin(roll) * right
    pose[:3, 2] = forward
    pose[:3, 3] = centre
    return pose


def view_sets(ranks: NDArray[np.intp]) -> dict[str, list[int]]:
    """Indices of the views in each set, ascending."""
    return {
        name: [view for view, rank in enumerate(ranks) if rank in members]
        for name, members in SETS.items()
    }

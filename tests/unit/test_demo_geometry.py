"""The demo dataset's files: cameras, depth and view sets agree with each other to the pixel."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

import bench

DATA = Path(bench.__file__).parent / "datasets" / "demo" / "data"
SETS = json.loads((DATA / "sets.json").read_text(encoding="utf-8"))
SCENES = sorted({entry["scene"] for entry in SETS["sets"]})
BINS = [0, 30, 60, 90, 120]

FloatArray = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Views:
    """One scene: z-depth ``(V, H, W)`` in metres, ``(V, 3, 3)`` and ``(V, 4, 4)``."""

    depth: FloatArray
    intrinsics: FloatArray
    camera_from_world: FloatArray

    def angles_deg(self) -> FloatArray:
        """Relative rotation of every two views ``(V, V)``."""
        rotation = self.camera_from_world[:, :3, :3]
        trace = np.einsum("aij,bij->ab", rotation, rotation)
        return np.asarray(np.degrees(np.arccos(np.clip((trace - 1) / 2, -1, 1))))

    def points(self, view: int, stride: int) -> FloatArray:
        """World points ``(N, 3)`` at the centres of every stride-th pixel of both axes."""
        v, u = np.mgrid[0 : self.depth.shape[1] : stride, 0 : self.depth.shape[2] : stride]
        z = self.depth[view, v, u].ravel()
        pixel = np.stack([u.ravel() + 0.5, v.ravel() + 0.5, np.ones(u.size)], axis=1)
        in_camera = pixel @ np.linalg.inv(self.intrinsics[view]).T * z[:, None]
        pose = self.camera_from_world[view]
        return np.asarray((in_camera - pose[:3, 3]) @ pose[:3, :3])

    def seen_by(self, view: int, points: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Pixel coordinates ``(M, 2)`` and z ``(M,)`` of those points that fall well inside."""
        pose = self.camera_from_world[view]
        in_camera = points @ pose[:3, :3].T + pose[:3, 3]
        in_camera = in_camera[in_camera[:, 2] > 0.01]
        pixel = (in_camera @ self.intrinsics[view].T)[:, :2] / in_camera[:, 2:]
        height, width = self.depth.shape[1:]
        inside = ((pixel > 0.5) & (pixel < [width - 0.5, height - 0.5])).all(axis=1)
        return pixel[inside], in_camera[inside, 2]


def read_views(scene: str) -> Views:
    cameras = json.loads((DATA / scene / "cameras.json").read_text(encoding="utf-8"))
    views = cameras["views"]
    depth = [np.asarray(Image.open(DATA / scene / view["depth"])) for view in views]
    return Views(
        depth=np.stack(depth) * cameras["depth_unit_m"],
        intrinsics=np.array([view["intrinsics"] for view in views]),
        camera_from_world=np.array([view["camera_from_world"] for view in views]),
    )


@pytest.fixture(scope="module")
def demo() -> dict[str, Views]:
    return {scene: read_views(scene) for scene in SCENES}


def four_neighbours(depth: FloatArray, pixel: FloatArray) -> FloatArray:
    """Depth at the four pixel centres round each position, ``(4, M)``: tl, tr, bl, br."""
    left, top = (np.floor(pixel - 0.5).astype(np.intp)).T
    return np.stack([depth[top + y, left + x] for y in (0, 1) for x in (0, 1)])


def consistency(views: Views, stride: int) -> tuple[FloatArray, FloatArray]:
    """For every ordered pair of views: how well their depth agrees, and how much they share.

    A point of the first view is hidden in the second if it lies more than 1 % behind all four
    depths round its projection, and consistent if it lies within 1 % of their range. What stands
    in front of the surface that the second view sees contradicts it.

    Returns:
        Share of the co-visible (not hidden) points that are consistent ``(V, V)``, and share of
        all points of the first view that are consistent ``(V, V)``.
    """
    count = len(views.depth)
    agree, shared = np.ones((count, count)), np.ones((count, count))
    for first in range(count):
        points = views.points(first, stride)
        for second in range(count):
            pixel, z = views.seen_by(second, points)
            around = four_neighbours(views.depth[second], pixel)
            visible = z <= 1.01 * around.max(axis=0)
            consistent = visible & (z >= 0.99 * around.min(axis=0))
            agree[first, second] = consistent.sum() / max(visible.sum(), 1)
            shared[first, second] = consistent.sum() / len(points)
    return agree, shared


def surface_error(views: Views, first: int, second: int, stride: int) -> float:
    """Median relative depth error between two views where the second sees one smooth surface.

    1 / z is linear over the image of a plane, so it is what is interpolated.
    """
    pixel, z = views.seen_by(second, views.points(first, stride))
    near = 1 / four_neighbours(views.depth[second], pixel)
    smooth = np.ptp(near, axis=0) < 0.01 * near[0]
    right, down = ((pixel - 0.5) % 1).T
    top = near[0] * (1 - right) + near[1] * right
    bottom = near[2] * (1 - right) + near[3] * right
    error = np.abs(z * (top * (1 - down) + bottom * down) - 1)
    return float(np.median(error[smooth & (error < 0.01)]))


def test_every_view_reprojects_into_every_other(demo: dict[str, Views]) -> None:
    for scene, views in demo.items():
        agree, _ = consistency(views, stride=4)
        assert agree.min() >= 0.98, (scene, agree.min())


def test_surfaces_agree_to_the_depth_unit(demo: dict[str, Views]) -> None:
    for scene, views in demo.items():
        for first, second in zip(range(8), np.roll(range(8), 1), strict=True):
            error = surface_error(views, first, int(second), stride=8)
            assert error < 1e-4, (scene, first, second, error)


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("mistake", ["turned", "moved", "transposed", "focal"])
def test_a_wrong_camera_is_noticed(demo: dict[str, Views], scene: str, mistake: str) -> None:
    views = demo[scene]
    pose, intrinsics = views.camera_from_world.copy(), views.intrinsics.copy()
    if mistake == "turned":
        pose[3, :3] = Rotation.from_euler("y", 3, degrees=True).as_matrix() @ pose[3, :3]
    elif mistake == "moved":
        pose[3, 2, 3] += 0.05
    elif mistake == "transposed":
        pose[3, :3, :3] = pose[3, :3, :3].T
    else:
        intrinsics[3, 0, 0] *= 1.05
        intrinsics[3, 1, 1] *= 1.05
    agree, _ = consistency(replace(views, camera_from_world=pose, intrinsics=intrinsics), stride=8)
    assert agree.min() < 0.98


def test_a_shift_by_half_a_pixel_is_noticed(demo: dict[str, Views]) -> None:
    for views in demo.values():
        shifted = views.intrinsics.copy()
        shifted[:, :2, 2] += 0.5
        wrong = replace(views, intrinsics=shifted)
        right_error = np.mean([surface_error(views, k, (k + 1) % 8, 8) for k in range(8)])
        wrong_error = np.mean([surface_error(wrong, k, (k + 1) % 8, 8) for k in range(8)])
        assert wrong_error > 3 * right_error


def test_every_pixel_has_a_near_depth(demo: dict[str, Views]) -> None:
    for views in demo.values():
        assert views.depth.shape == (8, 420, 560)
        assert views.depth.min() > 0.2 and views.depth.max() < 6.5


def test_cameras(demo: dict[str, Views]) -> None:
    for scene, views in demo.items():
        rotation = views.camera_from_world[:, :3, :3]
        np.testing.assert_allclose(
            rotation @ rotation.transpose(0, 2, 1),
            np.broadcast_to(np.eye(3), (8, 3, 3)),
            atol=1e-12,
        )
        np.testing.assert_allclose(np.linalg.det(rotation), 1)
        assert (views.camera_from_world[:, 3] == [0, 0, 0, 1]).all()
        focal = views.intrinsics[:, 0, 0]
        field_deg = np.degrees(2 * np.arctan(280 / focal))
        assert (field_deg > 50).all() and (field_deg < 65).all()
        cameras = json.loads((DATA / scene / "cameras.json").read_text(encoding="utf-8"))
        assert cameras["pixel_centre"] == 0.5 and cameras["metric"] is True
        assert [view["name"] for view in cameras["views"]] == [f"{k:03d}" for k in range(8)]


def test_images_are_pictures() -> None:
    for scene in SCENES:
        for view in range(8):
            image = Image.open(DATA / scene / "images" / f"{view:03d}.jpg")
            assert (image.size, image.mode) == ((560, 420), "RGB")
            pixels = np.asarray(image)
            assert pixels.std() > 20 and 60 < pixels.mean() < 190


def test_small_enough_to_ship() -> None:
    sizes = [path.stat().st_size for path in DATA.rglob("*") if path.is_file()]
    assert sum(sizes) <= 15e6 and max(sizes) <= 5e6


def test_view_sets(demo: dict[str, Views]) -> None:
    keys = [(entry["scene"], entry["set"]) for entry in SETS["sets"]]
    assert SETS["version"] == 1 and keys == sorted(keys)
    assert len(SCENES) >= 12 and len(keys) == 4 * len(SCENES)
    splits = {entry["scene"]: entry["split"] for entry in SETS["sets"]}
    assert sorted(splits.values()) == ["test"] * (len(SCENES) - 4) + ["val"] * 4
    spans = []
    for scene in SCENES:
        sets = {entry["set"]: entry["views"] for entry in SETS["sets"] if entry["scene"] == scene}
        assert {splits[scene]} == {e["split"] for e in SETS["sets"] if e["scene"] == scene}
        assert list(sets) == ["disjoint-0", "disjoint-1", "overlap-0", "overlap-1"]
        assert all(len(set(views)) == 4 and views == sorted(views) for views in sets.values())
        assert sorted(sets["disjoint-0"] + sets["disjoint-1"]) == [f"{k:03d}" for k in range(8)]
        assert set(sets["overlap-0"]) & set(sets["overlap-1"])
        angles = demo[scene].angles_deg()
        for views in sets.values():
            members = [int(view) for view in views]
            spans.append(angles[np.ix_(members, members)].max())
    assert np.mean(np.array(spans) >= 45) >= 0.5


def test_every_angle_bin_has_covisible_pairs(demo: dict[str, Views]) -> None:
    filled = np.zeros(4, dtype=int)
    for views in demo.values():
        angles = views.angles_deg()
        assert angles.max() < 120
        _, shared = consistency(views, stride=12)
        pairs = np.triu(np.minimum(shared, shared.T) > 0.1, k=1)
        filled += np.histogram(angles[pairs], BINS)[0]
    assert filled.min() >= 30, filled


def test_a_view_stays_at_no_fixed_place_in_the_image(demo: dict[str, Views]) -> None:
    """The point at the centre of one image lies away from the centre of most others."""
    offsets = []
    for views in demo.values():
        for first in range(8):
            centre = views.points(first, stride=70)[3 * 8 + 4][None]  # pixel (280, 210)
            for second in set(range(8)) - {first}:
                pixel, _ = views.seen_by(second, centre)
                offsets += list(np.linalg.norm(pixel - [280, 210], axis=1))
    assert np.median(offsets) > 56

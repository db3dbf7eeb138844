"""The demo's rooms and its renderer: the committed depth follows from the code."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy.special import beta

import bench
from bench.datasets.demo import render, tracer
from bench.datasets.demo.cameras import look_at, poses
from bench.datasets.demo.denoise import filter_light
from bench.datasets.demo.rooms import SCENES
from bench.datasets.demo.scene import Scene
from bench.datasets.demo.shapes import Material, ball, box, cylinder, merged, pillow, placed
from bench.datasets.demo.textures import plain, wood
from bench.errors import BenchError

DATA = Path(bench.__file__).parent / "datasets" / "demo" / "data"
ROOMS = {scene.name: scene for scene in SCENES}
WHITE = Material(plain((1, 1, 1)))


def committed_depth(scene: str, view: int) -> NDArray[np.float64]:
    return np.asarray(Image.open(DATA / scene / "depth" / f"{view:03d}.png")) * 1e-4


def nearest_hit(
    origin: NDArray[np.float64], ray: NDArray[np.float64], corners: NDArray[np.float64]
) -> float:
    """Smallest t > 0 at which origin + t ray meets a triangle ``(F, 3, 3)`` (Moeller, Trumbore)."""
    first, second = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    normal = np.cross(ray, second)
    volume = np.einsum("fk,fk->f", first, normal)
    with np.errstate(divide="ignore", invalid="ignore"):
        offset = origin - corners[:, 0]
        u = np.einsum("fk,fk->f", offset, normal) / volume
        across = np.cross(offset, first)
        v = across @ ray / volume
        t = np.einsum("fk,fk->f", second, across) / volume
    hit = (u >= 0) & (v >= 0) & (u + v <= 1) & (t > 1e-6)
    return float(t[hit].min())


@pytest.mark.parametrize("scene", ["desk", "gallery"])
def test_committed_depth_is_where_rays_meet_the_meshes(scene: str) -> None:
    room = ROOMS[scene]
    corners = np.concatenate([mesh.vertices[mesh.faces] for mesh in room.meshes()])
    pose = poses(room.orbit, room.seed)[0][0]
    rng = np.random.default_rng(0)
    v, u = rng.integers(420, size=24), rng.integers(560, size=24)
    pixel = np.stack([u + 0.5, v + 0.5, np.ones(24)], axis=1)
    rays = pixel @ np.linalg.inv(room.orbit.intrinsics()).T @ pose[:3, :3].T
    depth = [nearest_hit(pose[:3, 3], ray, corners) for ray in rays]
    np.testing.assert_allclose(committed_depth(scene, 0)[v, u], depth, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("scene", "view"), [("desk", 3), ("colonnade", 6)])
def test_rendering_again_gives_the_same_geometry(scene: str, view: int) -> None:
    pytest.importorskip("mitsuba")
    mitsuba = tracer.load_mitsuba()
    room = ROOMS[scene]
    again = tracer.z_depth(
        mitsuba,
        tracer.lit_scene(mitsuba, room.meshes()),
        room.orbit,
        poses(room.orbit, room.seed)[0][view],
    )
    same = np.abs(again - committed_depth(scene, view)) <= 1e-3
    # A ray along a silhouette may fall to either side on another processor.
    assert same.mean() > 0.9999


@pytest.mark.parametrize("room", SCENES, ids=lambda room: room.name)
def test_committed_cameras_are_those_of_the_code(room: Scene, tmp_path: Path) -> None:
    render.write_cameras(room, tmp_path)
    again = json.loads((tmp_path / "cameras.json").read_text(encoding="utf-8"))
    kept = json.loads((DATA / room.name / "cameras.json").read_text(encoding="utf-8"))
    for key in ("intrinsics", "camera_from_world"):
        np.testing.assert_allclose(
            [view.pop(key) for view in again["views"]],
            [view.pop(key) for view in kept["views"]],
            atol=1e-9,
        )
    assert again == kept


def test_committed_sets_are_those_of_the_code(tmp_path: Path) -> None:
    render.write_sets(tmp_path / "sets.json")
    assert (tmp_path / "sets.json").read_bytes() == (DATA / "sets.json").read_bytes()


def test_without_mitsuba_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(BenchError, match=r'pip install "bench3d\[render\]"'):
        tracer.load_mitsuba()


def test_look_at_puts_the_aim_on_the_optical_axis() -> None:
    centre, aim = np.array([1.0, -2.0, 1.5]), np.array([0.0, 0.5, 0.7])
    for roll in (0.0, 0.3):
        pose = look_at(centre, aim, roll)
        in_camera = np.linalg.inv(pose) @ [*aim, 1]
        np.testing.assert_allclose(in_camera[:2], 0, atol=1e-12)
        assert in_camera[2] > 0 and np.linalg.det(pose) == pytest.approx(1)
    above = np.linalg.inv(look_at(centre, aim, 0.0)) @ [*aim[:2], aim[2] + 0.1, 1]
    assert above[1] < 0  # image y points down


@pytest.mark.parametrize(
    ("meshes", "volume"),
    [
        (box(1, 2, 3, WHITE), 6.0),
        (cylinder(0.5, 2, WHITE), np.pi / 2),
        (ball(1.0, WHITE), 4 / 3 * np.pi),
        (pillow(2, 4, 6, WHITE, squareness=0.5), 6 * 0.5 * beta(1.25, 0.5) * beta(0.25, 0.25)),
    ],
)
def test_shapes_enclose_their_volume(meshes: list[Any], volume: float) -> None:
    """Divergence theorem; it also holds only if all faces of a shape turn the same way."""
    moved = placed(meshes, (0.3, -2, 5), yaw=20, pitch=30, roll=40)
    corners = np.concatenate([mesh.vertices[mesh.faces] for mesh in moved])
    enclosed = np.linalg.det(corners).sum() / 6
    assert abs(enclosed) == pytest.approx(volume, rel=0.01)


def test_merging_keeps_every_triangle() -> None:
    meshes = [*box(1, 2, 3, WHITE), *placed(ball(0.5, WHITE), (4, 0, 0))]
    flat, smooth = merged(meshes)
    np.testing.assert_array_equal(
        np.concatenate([mesh.vertices[mesh.faces] for mesh in meshes]),
        np.concatenate([mesh.vertices[mesh.faces] for mesh in (flat, smooth)]),
    )
    assert flat.normals is None and smooth.normals is not None


def test_filtered_light_keeps_texture_and_loses_noise() -> None:
    rng = np.random.default_rng(0)
    texture = 0.1 + 0.8 * wood((0.2, 0.1, 0.1), (0.9, 0.8, 0.6), seed=1)[:120, :160] / 255
    slanted = np.broadcast_to(1 / np.linspace(0.3, 0.6, 160), (120, 160))
    clean = 0.7 * texture
    noisy = clean * rng.gamma(9, 1 / 9, size=clean.shape)
    filtered = filter_light(noisy, texture, slanted)
    assert np.abs(filtered - clean).mean() < 0.3 * np.abs(noisy - clean).mean()
    assert np.abs(filter_light(clean, texture, slanted) / clean - 1).mean() < 0.005


def test_light_does_not_leak_across_a_depth_edge() -> None:
    colour = np.full((40, 40, 3), 0.5)
    depth = np.where(np.arange(40) < 20, 1.0, 2.0)[None].repeat(40, axis=0)
    picture = np.where(np.arange(40) < 20, 0.1, 0.4)[None, :, None] * np.ones((40, 1, 3))
    np.testing.assert_allclose(filter_light(picture, colour, depth), picture, rtol=1e-6)

"""VGGT's pose encoding, depth unprojection and rotary embedding: known answers and properties."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from torch import Tensor
from torch.testing import assert_close

from bench.geometry.cameras import world_points
from bench.models.vggt import (
    cameras_from_pose_encoding,
    pose_encoding_from_cameras,
    unproject_depth,
)
from bench.models.vggt.pose_encoding import (
    crop_pose_encoding,
    quaternion_from_rotation,
    rotation_from_quaternion,
)
from bench.models.vggt.rope import axial_rotation, token_positions

unit = st.floats(-1, 1)
quaternions = st.tuples(unit, unit, unit, unit).filter(lambda q: math.hypot(*q) > 0.1)


@settings(max_examples=50, deadline=None)
@given(quaternions, st.floats(0.1, 10))
def test_quaternions_of_any_norm(quaternion: tuple[float, ...], scale: float) -> None:
    scaled = scale * torch.tensor(quaternion, dtype=torch.float64)
    rotation = rotation_from_quaternion(scaled)
    expected = Rotation.from_quat(quaternion).as_matrix()
    assert_close(rotation, torch.from_numpy(expected), atol=1e-12, rtol=0)
    back = quaternion_from_rotation(rotation)
    assert back[3] >= 0
    assert_close(rotation_from_quaternion(back), rotation, atol=1e-12, rtol=0)


@pytest.mark.parametrize("axis", [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0, -0.8)])
@pytest.mark.parametrize("degrees", [0.0, 1e-4, 90.0, 179.9999, 180.0])
def test_quaternions_at_the_corners(axis: tuple[float, float, float], degrees: float) -> None:
    vector = torch.tensor(axis, dtype=torch.float64) * math.radians(degrees)
    rotation = torch.from_numpy(Rotation.from_rotvec(vector.numpy()).as_matrix())
    back = rotation_from_quaternion(quaternion_from_rotation(rotation))
    assert_close(back, rotation, atol=1e-12, rtol=0)


def random_cameras(*lead: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    encoding = torch.rand(*lead, 9, generator=generator, dtype=torch.float64) + 0.1
    return cameras_from_pose_encoding(encoding, (30, 50))


def test_encoding_both_ways() -> None:
    cameras, intrinsics = random_cameras(2, 3)
    encoding = pose_encoding_from_cameras(cameras, intrinsics, (30, 50))
    again = cameras_from_pose_encoding(encoding, (30, 50))
    assert_close(again, (cameras, intrinsics))
    assert_close(encoding[..., 3:7].norm(dim=-1), torch.ones(2, 3, dtype=torch.float64))


def test_a_camera_by_hand() -> None:
    """90 degrees about z, 90 degrees tall and 60 degrees wide."""
    half = math.sqrt(0.5)
    encoding = torch.tensor([1, 2, 3, 0, 0, half, half, math.pi / 2, math.pi / 3])
    camera, intrinsics = cameras_from_pose_encoding(encoding, (100, 200))
    assert_close(camera, torch.tensor([[0.0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3]]))
    wide = 100 * math.sqrt(3)
    assert_close(intrinsics, torch.tensor([[wide, 0, 100], [0, 50, 50], [0, 0, 1]]))


def test_a_central_crop_keeps_the_focal_length() -> None:
    cameras, intrinsics = random_cameras(4)
    encoding = pose_encoding_from_cameras(cameras, intrinsics, (30, 50))
    cropped, smaller = cameras_from_pose_encoding(
        crop_pose_encoding(encoding, (30, 50), (20, 44)), (20, 44)
    )
    assert_close(cropped, cameras)
    shift = torch.tensor([[0.0, 0, 3], [0, 0, 5], [0, 0, 0]], dtype=torch.float64)
    assert_close(smaller, intrinsics - shift)


def test_unprojection_is_the_project_s() -> None:
    cameras, intrinsics = random_cameras(2, 3)
    depth = torch.rand(2, 3, 30, 50, dtype=torch.float64) + 0.5
    found = unproject_depth(depth, cameras, intrinsics)
    for index in torch.cartesian_prod(torch.arange(2), torch.arange(3)):
        b, s = index.tolist()
        square = torch.eye(4, dtype=torch.float64)
        square[:3] = cameras[b, s]
        assert_close(found[b, s], world_points(depth[b, s], intrinsics[b, s], square))


def test_unprojection_with_the_authors_pixel_origin() -> None:
    """Identity camera, focal length 2, principal point (2, 1): the first pixel is at (0, 0)."""
    intrinsics = torch.tensor([[2.0, 0, 2], [0, 2, 1], [0, 0, 1]])
    depth = torch.tensor([[2.0, 2, 2, 2], [4, 4, 4, 4]])
    points = unproject_depth(depth, torch.eye(4)[:3], intrinsics, pixel_centre=0.0)
    assert_close(points[0, 0], torch.tensor([-2.0, -1, 2]))
    assert_close(points[1, 3], torch.tensor([2.0, 0, 4]))
    centred = unproject_depth(depth, torch.eye(4)[:3], intrinsics)
    assert_close(centred[0, 0], torch.tensor([-1.5, -0.5, 2]))


def test_rotation_depends_on_relative_places_only() -> None:
    query, key = torch.randn(2, 1, 1, 1, 16, dtype=torch.float64)

    def score(q_place: tuple[int, int], k_place: tuple[int, int]) -> Tensor:
        q_turn, k_turn = (axial_rotation(torch.tensor([p]), 16, 100.0) for p in (q_place, k_place))
        return (q_turn(query) * k_turn(key)).sum()

    assert_close(score((3, 5), (1, 9)), score((13, 25), (11, 29)), atol=1e-5, rtol=0)
    assert (score((3, 5), (1, 9)) - score((3, 5), (2, 9))).abs() > 1e-3
    assert (score((3, 5), (1, 9)) - score((3, 5), (1, 8))).abs() > 1e-3


def test_rotation_by_hand() -> None:
    """Eight channels: two per axis and half, at frequencies 1 and 1 / 10."""
    turn = axial_rotation(torch.tensor([[2, 3]]), 8, 100.0)
    x = torch.tensor([[[[1.0, 1, 0, 0, 1, 1, 0, 0]]]])
    angles = (2.0, 0.2, 3.0, 0.3)
    cos, sin = ([f(a) for a in angles] for f in (math.cos, math.sin))
    expected = [cos[0], cos[1], sin[0], sin[1], cos[2], cos[3], sin[2], sin[3]]
    assert_close(turn(x).flatten(), torch.tensor(expected))


def test_special_tokens_do_not_turn() -> None:
    positions = token_positions(2, 3, num_special=5)
    assert positions[5:].tolist() == [[1, 1], [1, 2], [1, 3], [2, 1], [2, 2], [2, 3]]
    x = torch.randn(1, 2, 11, 16)
    turned = axial_rotation(positions, 16, 100.0)(x)
    assert_close(turned[:, :, :5], x[:, :, :5], atol=0, rtol=0)
    assert_close(turned.norm(dim=-1), x.norm(dim=-1))

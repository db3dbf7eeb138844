"""Every patch size sees the same rays at its patch centres, whatever the image's shape."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import BenchError
from bench.geometry.cameras import pixel_centres, rays, world_points
from bench.geometry.grid import patch_centres, sample_bilinear
from bench.geometry.resolution import (
    Resampling,
    move_intrinsics,
    move_pixels,
    plan_resampling,
    resample_view,
    target_from_source,
)
from bench.models.feature_extractors import get_extractor_from_id
from bench.models.preprocessing import padded_grid
from bench.suite import resolution_of
from bench.types import Resolution, View
from tests.rooms import RoomView, camera, look, shoot
from tests.unit.room_checks import as_view

STRIDES = (8, 14, 16, 32)
SHAPES = {"4:3": (480, 640), "3:2": (400, 600), "portrait": (640, 480), "odd": (371, 517)}


def rays_at_patches(size: tuple[int, int], resolution: Resolution, stride: int) -> torch.Tensor:
    """Directions [rows, cols, 3] of the patch centres in the source camera's frame."""
    intrinsics = torch.from_numpy(camera(size, focal=500.0))
    r = plan_resampling(*size, resolution, stride)
    grid = padded_grid(r.height, r.width, stride, stride)
    assert (grid.pad_top, grid.pad_left) == (0, 0)
    return rays(patch_centres(grid), move_intrinsics(intrinsics, r))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("patches", [7, 24, 37])
def test_same_rays_for_every_patch_size(shape: str, patches: int) -> None:
    resolution = Resolution("patches", patches)
    found = [rays_at_patches(SHAPES[shape], resolution, stride) for stride in STRIDES]
    assert max(found[0].shape[:2]) == patches
    for other in found[1:]:
        assert other.shape == found[0].shape
        assert (other - found[0]).abs().max() < 1e-4


@given(
    st.integers(64, 3000),
    st.integers(64, 3000),
    st.integers(1, 60),
    st.sampled_from(STRIDES),
)
@settings(max_examples=200, deadline=None)
def test_the_plan(height: int, width: int, patches: int, stride: int) -> None:
    """Whole patches, the promised grid, an isotropic resize of a centred crop inside the image."""
    r = plan_resampling(height, width, Resolution("patches", patches), stride)
    long, short = max(height, width), min(height, width)
    expected_short = max(1, math.floor(patches * short / long + 0.5))
    sides = (r.height // stride, r.width // stride)
    assert sides == ((expected_short, patches) if width >= height else (patches, expected_short))
    assert (r.height % stride, r.width % stride) == (0, 0)
    assert r.height / r.crop_height == pytest.approx(r.width / r.crop_width, rel=1e-12)
    assert r.crop_width <= width
    assert r.crop_height <= height
    assert r.crop_width == pytest.approx(width) or r.crop_height == pytest.approx(height)
    assert r.left + r.crop_width / 2 == pytest.approx(width / 2)
    assert r.top + r.crop_height / 2 == pytest.approx(height / 2)
    other = plan_resampling(height, width, Resolution("patches", patches), 14)
    assert (r.left, r.top, r.crop_width, r.crop_height) == (
        other.left, other.top, other.crop_width, other.crop_height,
    )  # fmt: skip


@given(st.integers(40, 2000), st.integers(40, 2000), st.sampled_from(STRIDES))
@settings(max_examples=100, deadline=None)
def test_pixels_and_native(height: int, width: int, stride: int) -> None:
    pixels = plan_resampling(height, width, Resolution("pixels", 518), stride)
    patches = plan_resampling(height, width, Resolution("patches", 518 // stride), stride)
    assert pixels == patches
    native = plan_resampling(height, width, Resolution("native"), stride)
    assert (native.left, native.top, native.scale) == (0, 0, 1)
    assert 0 <= height - native.height < stride
    assert 0 <= width - native.width < stride


def test_too_small() -> None:
    with pytest.raises(BenchError, match="smaller than one patch of 32"):
        plan_resampling(20, 100, Resolution("native"), 32)
    with pytest.raises(BenchError, match="no whole patch at stride 16"):
        plan_resampling(100, 100, Resolution("pixels", 15), 16)


@given(st.floats(-50, 700), st.floats(-50, 700), st.sampled_from(list(SHAPES.values())))
def test_pixels_and_intrinsics_move_together(x: float, y: float, size: tuple[int, int]) -> None:
    """The ray through a pixel is the ray through where the pixel went."""
    r = plan_resampling(*size, Resolution("patches", 37), 14)
    k = torch.from_numpy(camera(size, focal=500.0))
    pixel = torch.tensor([x, y], dtype=torch.float64)
    moved = move_pixels(pixel, r)
    assert torch.allclose(rays(moved, move_intrinsics(k, r)), rays(pixel, k), atol=1e-9)
    homogeneous = target_from_source(r) @ torch.tensor([x, y, 1.0], dtype=torch.float64)
    assert torch.allclose(homogeneous[:2], moved)


def smooth_view(size: tuple[int, int]) -> RoomView:
    return shoot("a", look(20.0, (0.2, 0.1, -0.3)), camera(size, focal=0.8 * max(size)), size)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("stride", STRIDES)
def test_a_resampled_view_is_what_its_camera_sees(shape: str, stride: int) -> None:
    """Compared with the room shot by the moved camera itself: image, depth, mask, keypoints."""
    truth = smooth_view(SHAPES[shape])
    source = as_view(truth)
    source_keypoints = pixel_centres(*truth.size)[::97, ::89].reshape(-1, 2)
    view = resample_view(
        View(
            "a",
            source.image,
            source.depth,
            source.intrinsics,
            source.camera_from_world,
            keypoints=source_keypoints,
            mask=torch.ones(truth.size, dtype=torch.bool),
        ),
        r := plan_resampling(*truth.size, Resolution("patches", 24), stride),
    )
    assert view.size == (r.height, r.width)
    assert view.intrinsics is not None
    assert view.depth is not None
    assert view.mask is not None
    assert view.keypoints is not None
    assert view.mask.all()
    assert view.mask.shape == view.depth.shape == view.size
    again = shoot("a", truth.camera_from_world, view.intrinsics.numpy(), (r.height, r.width))
    # Nearest source pixel: at most 0.71 source pixels away from the target's centre.
    slope = np.hypot(*np.gradient(again.depth)) * r.scale
    error = np.abs(view.depth.numpy() - again.depth)
    assert (error <= 0.75 * slope + 1e-3).mean() > 0.99
    colours = view.image.permute(1, 2, 0).numpy().astype(float)
    assert np.abs(colours - again.image).mean() < 1.5
    expected = target_from_source(r)[:2, :2] @ source_keypoints.T
    assert torch.allclose(view.keypoints, expected.T + target_from_source(r)[:2, 2])


def test_native_crop_keeps_every_pixel() -> None:
    truth = smooth_view((50, 70))
    view = resample_view(as_view(truth), plan_resampling(50, 70, Resolution("native"), 16))
    assert view.size == (48, 64)
    assert (view.image.permute(1, 2, 0).numpy() == truth.image[:48, :64]).all()
    assert view.intrinsics is not None
    assert view.depth is not None
    assert view.camera_from_world is not None
    np.testing.assert_allclose(view.intrinsics.numpy(), truth.intrinsics)
    np.testing.assert_allclose(view.depth.numpy(), truth.depth[:48, :64], rtol=1e-6)
    points = world_points(view.depth, view.intrinsics, view.camera_from_world)
    exact = as_view(truth)
    assert exact.depth is not None
    assert exact.intrinsics is not None
    assert exact.camera_from_world is not None
    whole = world_points(exact.depth, exact.intrinsics, exact.camera_from_world)
    assert (points - whole[:48, :64]).abs().max() < 1e-12


def test_identity_changes_nothing() -> None:
    view = as_view(smooth_view((48, 64)))
    same = resample_view(view, Resampling(0, 0, 64, 48, 48, 64))
    assert torch.equal(same.image, view.image)
    assert same.depth is not None
    assert view.depth is not None
    assert torch.equal(same.depth, view.depth)


def test_unknown_depth_never_spreads() -> None:
    """Nearest: a target pixel is unknown exactly if the source pixel under it is."""
    truth = smooth_view((120, 160))
    view = as_view(truth)
    assert view.depth is not None
    view.depth[:, 80:] = 0
    small = resample_view(view, plan_resampling(120, 160, Resolution("patches", 8), 8))
    assert small.depth is not None
    half = small.size[1] // 2
    assert (small.depth[:, :half] > 0).all()
    assert not small.depth[:, half:].any()


# Padding by the model


def published_padding(side: tuple[int, int], patch: int) -> tuple[int, int, int, int]:
    """(top, bottom, left, right) of Probe3D: both sides are padded unless both are whole."""
    if side[0] % patch == 0 and side[1] % patch == 0:
        return 0, 0, 0, 0
    y, x = (patch - length % patch for length in side)
    return y // 2, y - y // 2, x // 2, x - x // 2


@pytest.mark.parametrize("size", [(512, 512), (480, 640), (800, 800)])
@pytest.mark.parametrize("patch", [8, 14, 16, 32])
def test_padded_is_probe3d_at_its_sizes(size: tuple[int, int], patch: int) -> None:
    """Zeros after normalisation, as many at every edge as the published protocols have."""
    r = plan_resampling(*size, Resolution("padded"), patch)
    assert (r.left, r.top, r.scale, r.height, r.width) == (0, 0, 1, *size)
    extractor = get_extractor_from_id("rgb", {"patch_size": patch, "normalisation": "imagenet"})
    grid = extractor.grid(*size)
    top, bottom, left, right = published_padding(size, patch)
    assert (grid.pad_top, grid.pad_left) == (top, left)
    assert grid.rows * patch == size[0] + top + bottom
    assert grid.cols * patch == size[1] + left + right
    images = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(0))
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    expected = torch.zeros(3, grid.rows * patch, grid.cols * patch)
    expected[:, top : top + size[0], left : left + size[1]] = (images[0] - mean) / std
    torch.testing.assert_close(extractor.prepare_images(images)[0], expected)


@pytest.mark.parametrize("patch", [14, 16, 32])
@pytest.mark.parametrize("size", [(100, 150), (96, 128), (50, 33)])
def test_padded_features_lie_where_their_pixels_are(size: tuple[int, int], patch: int) -> None:
    """Cells hold the mean place of their own pixels, so a bilinear sample gives back the place."""
    r = plan_resampling(*size, Resolution("padded"), patch)
    view = resample_view(as_view(smooth_view(size)), r)
    assert view.size == size
    extractor = get_extractor_from_id("rgb", {"patch_size": patch})
    grid = extractor.grid(*size)
    y, x = (torch.arange(length) / 256 for length in size)
    ramp = torch.stack([x.expand(size), y[:, None].expand(size), torch.ones(size)])
    patches = extractor.forward_features(ramp[None], unflatten_patches=True)["x_norm_patchtokens"]
    cells = patches[0].reshape(*grid.shape, 3, patch * patch).mean(-1)
    whole = cells[..., 2] == 1
    expected = (patch_centres(grid) - 0.5) / 256
    torch.testing.assert_close(cells[whole][:, :2].double(), expected[whole], atol=1e-6, rtol=0)
    inside = patch_centres(grid)[whole]
    if len(inside) > 1:
        between = inside[:-1].lerp(inside[1:], 0.3)[
            (inside[1:] - inside[:-1]).abs().sum(1) <= patch
        ]
        found = sample_bilinear(cells, between, grid)[:, :2].double()
        torch.testing.assert_close(found, (between - 0.5) / 256, atol=1e-5, rtol=0)


def test_padded_is_a_rule_of_suites_and_keys() -> None:
    assert resolution_of("padded") == Resolution("padded") != Resolution("native")
    rules = (
        Resolution("padded"), Resolution("native"), Resolution("patches", 37),
        Resolution("pixels", 518),
    )  # fmt: skip
    assert [r.rule for r in rules] == ["padded", "native", "patches=37", "pixels=518"]

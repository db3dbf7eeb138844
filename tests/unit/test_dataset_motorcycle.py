"""The Motorcycle pair: disparity, depth and cameras say the same."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from skimage.data import stereo_motorcycle

from bench.datasets._covisibility import overlap, posed_depth
from bench.datasets.motorcycle import Motorcycle, right_disparity
from bench.errors import BenchError
from bench.geometry.cameras import pixel_centres, project, transform, world_points
from bench.types import ViewSet


@pytest.fixture(scope="module")
def pair() -> ViewSet:
    dataset = Motorcycle()
    (ref,) = dataset.view_sets()
    return dataset.load(ref)


def test_left_pixels_land_where_the_disparity_says(pair: ViewSet) -> None:
    left, right = pair.views
    assert left.depth is not None
    assert left.intrinsics is not None
    assert left.camera_from_world is not None
    assert right.intrinsics is not None
    assert right.camera_from_world is not None
    stored = stereo_motorcycle()[2]  # type: ignore[no-untyped-call]
    disparity = torch.from_numpy(stored).double()
    valid = torch.isfinite(disparity)
    assert torch.equal(left.depth > 0, valid)
    points = world_points(left.depth, left.intrinsics, left.camera_from_world)[valid]
    found, _ = project(transform(right.camera_from_world, points), right.intrinsics)
    expected = pixel_centres(*left.size)[valid]
    expected[:, 0] -= disparity[valid]
    assert (found - expected).abs().max() < 1e-3


def test_known_numbers(pair: ViewSet) -> None:
    left, right = pair.views
    assert left.depth is not None
    assert right.depth is not None
    assert left.size == right.size == (500, 741)
    known = left.depth[left.depth > 0]
    assert len(known) / left.depth.numel() == pytest.approx(0.927, abs=1e-3)
    assert known.min() == pytest.approx(2.11, abs=0.01)
    assert known.max() == pytest.approx(5.02, abs=0.01)
    both = torch.cat([known, right.depth[right.depth > 0]])
    assert pair.scene_scale == pytest.approx(float(np.median(both.numpy())))
    assert pair.metric


def test_right_depth_agrees_with_left(pair: ViewSet) -> None:
    left, right = (posed_depth(view) for view in pair.views)
    assert (right.depth > 0).mean() > 0.8
    for a, b in ((left, right), (right, left)):
        shares = overlap(a, b)
        assert shares.inside > 0.9
        assert shares.consistent_not_occluded > 0.995
        assert shares.depth_error < 1e-3


def test_a_slanted_plane_is_exact_on_the_right() -> None:
    """On a plane, disparity is linear in the image of either camera."""
    slope, offset = 0.1, 5.0
    x = np.arange(80)
    left = np.tile(slope * x + offset, (3, 1))
    right = right_disparity(left)
    # x_right = x - (slope x + offset), so d = slope (x_right + offset) / (1 - slope) + offset
    expected = slope * (x + offset) / (1 - slope) + offset
    inside = x <= x[-1] - left[0, -1]
    np.testing.assert_allclose(right[1, inside], expected[inside], atol=1e-9)
    assert np.isnan(right[1, ~inside]).all()


def test_the_nearer_surface_hides_the_other() -> None:
    left = np.full((1, 40), 2.0)
    left[0, 20:30] = 8.0
    right = right_disparity(left)
    assert (right[0, 12:22] == 8.0).all()
    assert (right[0, :12] == 2.0).all()
    # The left camera never saw what its foreground hides from it.
    assert np.isnan(right[0, 22:28]).all()
    assert (right[0, 28:38] == 2.0).all()


def test_no_options() -> None:
    with pytest.raises(BenchError, match=r"unknown option 'root'.*takes no options"):
        Motorcycle(root="/data")

"""The geometry of a view that was read, against the room it was written from."""

from __future__ import annotations

import numpy as np
import torch

from bench.geometry.cameras import world_points
from bench.types import View
from tests.rooms import RoomView


def assert_same_view(
    view: View, truth: RoomView, depth_quantum: float = 0.0, exact_image: bool = True
) -> None:
    """Same camera to 1e-9, depth to half a quantum, and world points to 1e-4 plus that quantum.

    depth_quantum: step of the file's depth, in metres.
    """
    assert_same_camera(view, truth, exact_image)
    assert view.depth is not None
    assert view.intrinsics is not None
    assert view.camera_from_world is not None
    assert view.depth.dtype == torch.float32
    np.testing.assert_allclose(view.depth.numpy(), truth.depth, atol=depth_quantum / 2 + 1e-6)
    points = world_points(view.depth, view.intrinsics, view.camera_from_world).numpy()
    exact = world_points(
        torch.from_numpy(truth.depth),
        torch.from_numpy(truth.intrinsics),
        torch.from_numpy(truth.camera_from_world),
    ).numpy()
    assert np.abs(points - exact).max() < 1e-4 + depth_quantum


def assert_same_camera(view: View, truth: RoomView, exact_image: bool = True) -> None:
    """Same image, intrinsics and pose; the last two to 1e-9."""
    assert view.size == truth.size
    assert view.intrinsics is not None
    assert view.camera_from_world is not None
    assert view.image.dtype == torch.uint8
    assert view.intrinsics.dtype == view.camera_from_world.dtype == torch.float64
    if exact_image:
        assert (view.image.permute(1, 2, 0).numpy() == truth.image).all()
    np.testing.assert_allclose(view.intrinsics.numpy(), truth.intrinsics, atol=1e-9)
    np.testing.assert_allclose(view.camera_from_world.numpy(), truth.camera_from_world, atol=1e-9)


def as_view(truth: RoomView) -> View:
    """The room's view as a reader without a file would give it."""
    return View(
        name=truth.name,
        image=torch.from_numpy(truth.image).permute(2, 0, 1).contiguous(),
        depth=torch.from_numpy(truth.depth).float(),
        intrinsics=torch.from_numpy(truth.intrinsics.copy()),
        camera_from_world=torch.from_numpy(truth.camera_from_world.copy()),
    )

"""DINOv2's position embedding follows the authors' release."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from bench.models.feature_extractors.dinov2 import resample_positions


def cubic(x: np.ndarray) -> np.ndarray:
    """The cubic convolution kernel with a = -0.75 (Keys 1981)."""
    a, x = -0.75, np.abs(x)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def interpolation_matrix(source: int, target: int) -> np.ndarray:
    """Bicubic weights [target, source] for the scale (target + 0.1) / source, borders repeated."""
    weights = np.zeros((target, source))
    for i in range(target):
        centre = (i + 0.5) * source / (target + 0.1) - 0.5
        first = int(np.floor(centre)) - 1
        for j in range(first, first + 4):
            weights[i, min(max(j, 0), source - 1)] += cubic(np.array(centre - j))
    return weights


def table(side: int, dim: int = 5) -> Tensor:
    return torch.randn(1, 1 + side * side, dim, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("rows", "cols"), [(16, 16), (28, 37), (37, 28), (50, 5), (1, 1)])
def test_resampled_like_the_release(rows: int, cols: int) -> None:
    positions = table(37)
    found = resample_positions(positions, rows, cols)
    assert found.shape == (1, 1 + rows * cols, 5)
    grid = positions[0, 1:].reshape(37, 37, 5).double().numpy()
    expected = np.einsum(
        "ri,cj,ijd->rcd", interpolation_matrix(37, rows), interpolation_matrix(37, cols), grid
    )
    np.testing.assert_allclose(found[0, 1:].numpy(), expected.reshape(-1, 5), atol=1e-4)
    assert torch.equal(found[:, :1], positions[:, :1])


def test_native_size_is_untouched() -> None:
    positions = table(37)
    assert resample_positions(positions, 37, 37) is positions


def test_same_number_of_patches_in_another_shape_is_resampled() -> None:
    positions = table(4)
    assert not torch.equal(resample_positions(positions, 2, 8), positions)

"""Rotary position embedding over two image axes (RoFormer, split into rows and columns)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AxialRotation:
    """Rotates queries or keys [B, heads, N, D] by each token's place.

    The first half of the channels turns with y, the second with x; within a half, channel j is
    paired with channel j + D / 4. cos, sin: float32 [N, 2, D / 4].
    """

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        first, second = torch.unflatten(x, -1, (2, 2, -1)).unbind(-2)
        rotated = (first * self.cos - second * self.sin, second * self.cos + first * self.sin)
        return torch.stack(rotated, dim=-2).flatten(-3)


def axial_rotation(positions: Tensor, head_dim: int, base: float) -> AxialRotation:
    """Rotation for tokens at integer positions (y, x) [N, 2]; `head_dim` is a multiple of 4."""
    exponents = torch.arange(head_dim // 4, device=positions.device, dtype=torch.float32)
    angles = positions[..., None].float() * base ** (-exponents / (head_dim // 4))
    return AxialRotation(angles.cos(), angles.sin())


def token_positions(
    rows: int, cols: int, num_special: int, device: torch.device | None = None
) -> Tensor:
    """Positions (y, x) [num_special + rows * cols, 2] of one frame's tokens.

    Patches count from (1, 1) in raster order. Special tokens stand at (0, 0) and so do not turn.
    """
    y = torch.arange(1, rows + 1, device=device)
    x = torch.arange(1, cols + 1, device=device)
    patches = torch.cartesian_prod(y, x)
    return torch.cat([patches.new_zeros(num_special, 2), patches])

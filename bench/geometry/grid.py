"""The one place that maps pixels to feature-grid coordinates, for any patch, padding and resize."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import pad

from bench.types import PatchGrid


def patch_centres(grid: PatchGrid) -> Tensor:
    """Image coordinates (x, y) of every cell's centre, float64 [rows, cols, 2].

    Centres of cells that lie in the padding fall outside the image.
    """
    y = (torch.arange(grid.rows, dtype=torch.float64) + 0.5) * grid.stride - grid.pad_top
    x = (torch.arange(grid.cols, dtype=torch.float64) + 0.5) * grid.stride - grid.pad_left
    return torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)


def grid_from_pixels(pixels: Tensor, grid: PatchGrid) -> Tensor:
    """Fractional cell indices (col, row) of image coordinates [..., 2]; integers at the centres."""
    offset = torch.tensor([grid.pad_left, grid.pad_top], dtype=pixels.dtype, device=pixels.device)
    return (pixels + offset) / grid.stride - 0.5


def sample_bilinear(tokens: Tensor, pixels: Tensor, grid: PatchGrid) -> Tensor:
    """Features [N, D] at image coordinates [N, 2], bilinear between patch centres.

    Beyond the outermost centres the border value is kept. tokens: [rows, cols, D].
    """
    position = grid_from_pixels(pixels.to(torch.float64), grid)
    extent = torch.tensor([grid.cols, grid.rows], dtype=torch.float64, device=position.device)
    normalised = (2 * position + 1) / extent - 1
    sampled = torch.nn.functional.grid_sample(
        tokens.permute(2, 0, 1)[None].float(),
        normalised[None, None].float(),
        mode="bilinear",
        padding_mode="border",
        align_corners=False,
    )
    return sampled[0, :, 0].T


def split_into_patches(values: Tensor, grid: PatchGrid, fill: float) -> Tensor:
    """Pixels of every cell: [H, W, ...] -> [rows, cols, stride * stride, ...].

    Pixels that the model padded hold `fill`.
    """
    height, width = values.shape[:2]
    below = grid.rows * grid.stride - height - grid.pad_top
    right = grid.cols * grid.stride - width - grid.pad_left
    channels = values.reshape(height, width, -1).permute(2, 0, 1)
    padded = pad(channels, (grid.pad_left, right, grid.pad_top, below), value=fill)
    blocks = padded.reshape(-1, grid.rows, grid.stride, grid.cols, grid.stride)
    pixels = blocks.permute(1, 3, 2, 4, 0).flatten(2, 3)
    return pixels.reshape(grid.rows, grid.cols, grid.stride**2, *values.shape[2:])

"""Pixel constants, and padding to a multiple of the patch with the padding reported."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from bench.errors import BenchError
from bench.types import PatchGrid


@dataclass(frozen=True)
class Normalisation:
    """Per-channel mean and standard deviation of RGB in [0, 1]."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
CLIP = Normalisation((0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711))
#: Pixels from -1 to 1.
HALF = Normalisation((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
#: Pixels in [0, 1] unchanged.
IDENTITY = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def to_unit_range(images: Tensor) -> Tensor:
    """Floats in [0, 1]. Integer images are scaled by their dtype, never by their largest value."""
    if images.dtype.is_floating_point:
        return images
    if images.dtype != torch.uint8:
        raise BenchError(
            f"Images of dtype {images.dtype} are not supported.",
            "Pass uint8 or floats in [0, 1].",
        )
    return images.float() / 255


def padded_grid(height: int, width: int, stride: int, multiple: int) -> PatchGrid:
    """Grid of a model that pads (height, width) centrally to multiples of `multiple` pixels.

    The top and left get half of the padding, rounded down.
    """
    pad_y, pad_x = -height % multiple, -width % multiple
    return PatchGrid(
        rows=(height + pad_y) // stride,
        cols=(width + pad_x) // stride,
        stride=stride,
        image_height=height,
        image_width=width,
        pad_top=pad_y // 2,
        pad_left=pad_x // 2,
    )


def pad_to_grid(images: Tensor, grid: PatchGrid) -> Tensor:
    """Zero padding around normalised images [N, 3, H, W]: zero is the mean colour."""
    bottom = grid.rows * grid.stride - grid.image_height - grid.pad_top
    right = grid.cols * grid.stride - grid.image_width - grid.pad_left
    if not (grid.pad_top or grid.pad_left or bottom or right):
        return images
    return pad(images, (grid.pad_left, right, grid.pad_top, bottom))

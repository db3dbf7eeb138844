"""What the reference rows share: options, and the place of every patch in the image."""

from __future__ import annotations

import torch
from pydantic import Field, field_validator
from torch import Tensor

from bench.models.feature_extractors.base import Architecture, ExtractorOptions


class ControlOptions(ExtractorOptions):
    """patch_size: side in pixels, so that a control stands beside any backbone."""

    patch_size: int = Field(14, ge=1)

    @field_validator("checkpoint_path")
    @classmethod
    def _no_weights(cls, value: str | None) -> str | None:
        if value is not None:
            raise ValueError("this reference row has no weights to load")
        return value


def control_architecture(options: ControlOptions, embed_dim: int) -> Architecture:
    """One layer on a grid of `options.patch_size` pixels."""
    p = options.patch_size
    return Architecture((), stride=p, embed_dim=embed_dim, native_size=p, pad_multiple=p)


def places(height: int, width: int, patch_size: int) -> Tensor:
    """(x, y) of the patch centres of an image of whole patches, float64 [rows * cols, 2].

    The origin is the image's centre, and the long side reaches from -1 to 1, so that the patch size
    changes where patches lie but not what a place is called. Always computed on the CPU: equal
    grids give equal bits on every device.
    """
    rows, cols = height // patch_size, width // patch_size
    y = 2 * torch.arange(rows, dtype=torch.float64) + 1 - rows
    x = 2 * torch.arange(cols, dtype=torch.float64) + 1 - cols
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    return grid.flatten(0, 1) / max(rows, cols)

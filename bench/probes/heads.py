"""Heads on frozen patch tokens: one linear layer, or a DPT (Ranftl et al. 2021).

The heads follow Probe3D's, with these differences:

- Features are first standardised per channel by constants of the training set, so that one learning
  rate fits backbones whose features differ in scale by orders of magnitude.
- Every backbone gives patch tokens; Probe3D adds the class token for DINO and DINOv2 alone.
- Maps are resized with pixel areas aligned (``align_corners=False``), and to the padded image
  before the padding is cut off, so that every prediction lies over the pixels it belongs to.
  Probe3D aligns corners and stretches the padded map over the image.
- Depth is read from the bins before the last resizing, which then has one channel, not 256.
  Probe3D doubles the bins' maps once more before it reads them, and resizes normals bicubically.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from bench.types import PatchGrid

Read = Callable[[Tensor], Tensor]


class Probe(nn.Module):
    """Standardised tokens of one or more layers to a dense prediction.

    Args:
        dims: channels of each layer. head: maps a list of [B, D, rows, cols] to [B, C, h, w].
        read: turns the head's output into what is resized to the image.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, dims: Sequence[int], head: nn.Module, read: Read) -> None:
        super().__init__()
        self.dims = list(dims)
        self.head = head
        self.read = read
        self.register_buffer("mean", torch.zeros(sum(dims)))
        self.register_buffer("scale", torch.ones(sum(dims)))

    def forward(self, tokens: Sequence[Tensor], grid: PatchGrid) -> Tensor:
        """Prediction [B, C', H, W] over the image for tokens [B, D, rows, cols] per layer."""
        stacked = torch.cat(list(tokens), dim=1)
        scaled = (stacked - self.mean[:, None, None]) / self.scale[:, None, None]
        low = self.read(self.head(torch.split(scaled, self.dims, dim=1)))
        size = (grid.rows * grid.stride, grid.cols * grid.stride)
        full = interpolate(low, size=size, mode="bilinear", align_corners=False)
        bottom, right = grid.pad_top + grid.image_height, grid.pad_left + grid.image_width
        return full[..., grid.pad_top : bottom, grid.pad_left : right]


def build_head(
    dims: Sequence[int], width: int | None, outputs: int, start: Sequence[float] | None = None
) -> nn.Module:
    """A DPT of this width, or a linear head; with `start`, its output before training."""
    head = LinearHead(dims, outputs) if width is None else DPTHead(dims, width, outputs)
    if start is not None:
        bias = head.last.bias
        assert bias is not None
        with torch.no_grad():
            head.last.weight.zero_()
            bias.copy_(torch.tensor(start))
    return head


class LinearHead(nn.Module):
    """One linear layer on the concatenated layers, at the resolution of the patches."""

    def __init__(self, dims: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.last = nn.Conv2d(sum(dims), outputs, 1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        found: Tensor = self.last(torch.cat(list(levels), dim=1))
        return found


class DPTHead(nn.Module):
    """Layers fused from the deepest to the shallowest, with outputs at 8 times the patch grid.

    Each layer is projected to `width` channels and doubled in size; the sum so far and the next
    layer pass through residual units; the result is enlarged 4 times and goes through two 3 x 3
    convolutions with a ReLU between them. Layers of one stride are at one scale, as in Probe3D.
    """

    def __init__(self, dims: Sequence[int], width: int, outputs: int) -> None:
        super().__init__()
        self.project = nn.ModuleList(nn.Conv2d(dim, width, 1) for dim in dims)
        self.before = nn.ModuleList(ResidualUnit(width) for _ in dims)
        self.after = nn.ModuleList(ResidualUnit(width) for _ in dims)
        self.blend = nn.Conv2d(width, width, 3, padding=1)
        self.last = nn.Conv2d(width, outputs, 3, padding=1)

    def forward(self, levels: Sequence[Tensor]) -> Tensor:
        fused: Tensor | None = None
        for i in reversed(range(len(levels))):
            own = self.before[i](_enlarged(self.project[i](levels[i]), 2))
            fused = self.after[i](own if fused is None else own + fused)
        assert fused is not None
        found: Tensor = self.last(relu(self.blend(_enlarged(fused, 4))))
        return found


class ResidualUnit(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        change: Tensor = self.second(relu(self.first(relu(x))))
        return x + change


def _enlarged(maps: Tensor, factor: int) -> Tensor:
    return interpolate(maps, scale_factor=factor, mode="bilinear", align_corners=False)

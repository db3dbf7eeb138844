"""The nearest-neighbour search beside the similarity product it cannot avoid."""

from __future__ import annotations

from collections.abc import Callable

import torch

from bench.geometry.nearest import nearest, nearest_both_ways
from tests.perf.measure import time_ratio

#: Patches of one view at 37 x 37, and four samples per patch of it; DINOv2-S and ViT-B widths.
SIZES = ((1369, 384), (5476, 384), (5476, 768))

Search = Callable[[torch.Tensor, torch.Tensor], object]


def against_product(search: Search, count: int, dim: int, device: str) -> float:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(count, dim, generator=generator).to(device) for _ in range(2))
    return time_ratio(lambda: search(a, b), lambda: a @ b.T, device)


def one_way(device: str) -> float:
    """The worst of the sizes."""
    return max(against_product(nearest, *size, device) for size in SIZES)


def both_ways(device: str) -> float:
    """The worst of the sizes; one search in place of two, so against two products."""
    return max(against_product(nearest_both_ways, *size, device) for size in SIZES) / 2

"""Speed of the nearest-neighbour search beside the bare similarity product.

Run: ``pytest tests/perf/test_matching_speed.py -o addopts= --benchmark-columns=min,median``. The
search is meant to take at most 1.5 times the product; the one in both directions replaces two.
Times are of one thread's own work, so that what else the machine does hardly counts.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from bench.geometry.nearest import nearest, nearest_both_ways, unit_rows

#: Patches of one view at 37 x 37, and four samples per patch of it; DINOv2-S and ViT-B widths.
SIZES = [(1369, 384), (5476, 384), (5476, 768)]

pytestmark = pytest.mark.benchmark(timer=time.process_time)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def rows(count: int, dim: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(count, dim, generator=generator) for _ in range(2))
    return unit_rows(a)[0], unit_rows(b)[0]


@pytest.mark.parametrize(("count", "dim"), SIZES)
def test_bare_product(benchmark: Any, count: int, dim: int) -> None:
    a, b = rows(count, dim)
    benchmark(lambda: a @ b.T)


@pytest.mark.parametrize(("count", "dim"), SIZES)
@pytest.mark.parametrize("search", [nearest, nearest_both_ways], ids=["one_way", "both_ways"])
def test_search(benchmark: Any, search: Any, count: int, dim: int) -> None:
    a, b = rows(count, dim)
    benchmark(lambda: search(a, b))

"""Nearest-neighbour search against scikit-learn, whatever the size of the tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from bench.geometry.nearest import mutual, nearest, nearest_both_ways, two_nearest, unit_rows


def random_rows(count: int, seed: int, dim: int = 8) -> torch.Tensor:
    return torch.randn(count, dim, generator=torch.Generator().manual_seed(seed))


@settings(max_examples=12, deadline=None)
@given(
    n=st.integers(1, 40), m=st.integers(2, 40), tile=st.integers(1, 4000), seed=st.integers(0, 99)
)
def test_agrees_with_scikit_learn(n: int, m: int, tile: int, seed: int) -> None:
    a, b = random_rows(n, seed), random_rows(m, seed + 1000)
    reference = NearestNeighbors(n_neighbors=2, metric="cosine").fit(b.numpy())
    distance, index = reference.kneighbors(a.numpy())
    one = nearest(a, b, tile)
    two, second = two_nearest(a, b, tile)
    forward, backward = nearest_both_ways(a, b, tile)
    assert (one.index.numpy() == index[:, 0]).all()
    assert torch.equal(one.index, two.index) and torch.equal(one.index, forward.index)
    assert torch.equal(backward.index, nearest(b, a, tile).index)
    np.testing.assert_allclose(1 - one.cosine.numpy(), distance[:, 0], atol=1e-5)
    np.testing.assert_allclose(1 - second.numpy(), distance[:, 1], atol=1e-5)


def test_rows_without_a_direction_take_no_part() -> None:
    a, b = random_rows(6, 0), random_rows(5, 1)
    a[1], a[2, 0] = 0, torch.nan
    b[0], b[3, 1] = torch.inf, torch.nan
    # Every usable candidate points away: a zero row must not win with cosine 0.
    b[[1, 2, 4]] = -a[0]
    b[1] += 0.01
    forward, backward = nearest_both_ways(a, b)
    assert forward.index[1] == forward.index[2] == -1
    assert torch.isnan(forward.cosine[[1, 2]]).all()
    assert set(forward.index[[0, 3, 4, 5]].tolist()) <= {1, 2, 4}
    assert forward.cosine[0] < -0.9
    assert not backward.found[[0, 3]].any()
    _, usable = unit_rows(a)
    assert usable.tolist() == [True, False, False, True, True, True]


@pytest.mark.parametrize(("n", "m"), [(0, 3), (3, 0), (3, 1)])
def test_degenerate_sizes(n: int, m: int) -> None:
    a, b = random_rows(n, 0), random_rows(m, 1)
    forward, backward = nearest_both_ways(a, b)
    best, second = two_nearest(a, b)
    assert len(forward.index) == len(best.index) == n and len(backward.index) == m
    assert forward.found.all() == (m > 0 or n == 0)
    assert torch.isnan(second).all()
    assert mutual(forward, backward).shape == (n,)


def test_mutual_by_hand() -> None:
    a = torch.tensor([[1.0, 0], [0.9, 0.1], [0, 1]])
    b = torch.tensor([[1.0, 0.02], [0, 2]])
    forward, backward = nearest_both_ways(a, b)
    assert mutual(forward, backward).tolist() == [True, False, True]
    assert mutual(backward, forward).tolist() == [True, True]


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    original = torch.Tensor.__matmul__

    def spy(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        product = original(left, right)
        sizes.append(product.numel() * product.element_size())
        return product

    monkeypatch.setattr(torch.Tensor, "__matmul__", spy)
    nearest_both_ways(random_rows(300, 0), random_rows(257, 1), tile_bytes=16384)
    assert max(sizes) <= 16384 and sum(sizes) == 300 * 257 * 4

"""Exact nearest neighbours by cosine similarity, at the speed of the matrix product.

The similarity matrix exists one tile at a time, so memory is bounded by ``tile_bytes`` whatever the
number of points. Rows without a direction (zero or not finite) match nothing and are matched by
nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

#: Large enough for the matrix product to run at full speed, small next to the features themselves.
TILE_BYTES = 32 * 2**20
NO_MATCH = -1


@dataclass(frozen=True)
class Nearest:
    """Best candidate of every query.

    index: int64 [N], -1 where the query has no direction or there is no candidate; cosine: float32
    [N], NaN there.
    """

    index: Tensor
    cosine: Tensor

    @property
    def found(self) -> Tensor:
        """Queries that have a match, bool [N]."""
        return self.index != NO_MATCH


def unit_rows(features: Tensor) -> tuple[Tensor, Tensor]:
    """Rows [N, D] scaled to unit length (float32), and which of them have a direction, bool [N].

    Rows without a direction are zero.
    """
    rows = features.to(torch.float32)
    norms = torch.linalg.vector_norm(rows, dim=1)
    usable = torch.isfinite(norms) & (norms > 0)
    scaled = rows / torch.where(usable, norms, 1.0)[:, None]
    return torch.where(usable[:, None], scaled, 0.0), usable


def nearest(queries: Tensor, candidates: Tensor, tile_bytes: int = TILE_BYTES) -> Nearest:
    """Nearest candidate [M, D] of each query [N, D]; of equals, one of them."""
    a, b = _Usable.of(queries), _Usable.of(candidates)
    best_a = _Best.none(a)
    for rows, cols in _tiles(len(a.unit), len(b.unit), tile_bytes):
        best_a.offer(rows, a.unit[rows] @ b.unit[cols].T, cols.start)
    return best_a.among(a, b)


def nearest_both_ways(
    a_features: Tensor, b_features: Tensor, tile_bytes: int = TILE_BYTES
) -> tuple[Nearest, Nearest]:
    """Nearest row of b [M, D] for each of a [N, D], and of a for each of b, from one product."""
    a, b = _Usable.of(a_features), _Usable.of(b_features)
    best_a, best_b = _Best.none(a), _Best.none(b)
    for rows, cols in _tiles(len(a.unit), len(b.unit), tile_bytes):
        similarity = a.unit[rows] @ b.unit[cols].T
        best_a.offer(rows, similarity, cols.start)
        best_b.offer(cols, similarity.T, rows.start)
    return best_a.among(a, b), best_b.among(b, a)


def two_nearest(
    queries: Tensor, candidates: Tensor, tile_bytes: int = TILE_BYTES
) -> tuple[Nearest, Tensor]:
    """Nearest candidate of each query, and the cosine of the second nearest (NaN if none) [N]."""
    a, b = _Usable.of(queries), _Usable.of(candidates)
    best = _Best.none(a)
    second = torch.full_like(best.cosine, -torch.inf)
    for rows, cols in _tiles(len(a.unit), len(b.unit), tile_bytes):
        similarity = a.unit[rows] @ b.unit[cols].T
        top = similarity.topk(min(2, similarity.shape[1]), dim=1)
        known = torch.stack([best.cosine[rows], second[rows]], dim=1)
        merged = torch.cat([known, top.values], dim=1).topk(2, dim=1).values
        second[rows] = merged[:, 1]
        best.take(rows, top.values[:, 0], top.indices[:, 0] + cols.start)
    everywhere = torch.full((len(queries),), torch.nan, device=queries.device)
    everywhere[a.where] = torch.where(torch.isfinite(second), second, torch.nan)
    return best.among(a, b), everywhere


def mutual(a_to_b: Nearest, b_to_a: Nearest) -> Tensor:
    """Rows of a that are the nearest of their nearest, bool [N]."""
    if not len(b_to_a.index):
        return torch.zeros_like(a_to_b.found)
    back = b_to_a.index[a_to_b.index.clamp(min=0)]
    own = torch.arange(len(back), device=back.device)
    return a_to_b.found & (back == own)


@dataclass(frozen=True)
class _Usable:
    """The rows that have a direction, of `count`: unit vectors, and where they came from."""

    unit: Tensor
    where: Tensor
    count: int

    @staticmethod
    def of(features: Tensor) -> _Usable:
        unit, usable = unit_rows(features)
        where = usable.nonzero()[:, 0]
        return _Usable(unit[where], where, len(features))


@dataclass(frozen=True)
class _Best:
    """Running best among the tiles seen so far; updated in place."""

    cosine: Tensor
    index: Tensor

    @staticmethod
    def none(rows: _Usable) -> _Best:
        return _Best(
            torch.full((len(rows.unit),), -torch.inf, device=rows.unit.device),
            torch.full((len(rows.unit),), NO_MATCH, device=rows.unit.device),
        )

    def offer(self, rows: slice, similarity: Tensor, offset: int) -> None:
        cosine, index = similarity.max(dim=1)
        self.take(rows, cosine, index + offset)

    def take(self, rows: slice, cosine: Tensor, index: Tensor) -> None:
        better = cosine > self.cosine[rows]
        self.cosine[rows] = torch.where(better, cosine, self.cosine[rows])
        self.index[rows] = torch.where(better, index, self.index[rows])

    def among(self, rows: _Usable, others: _Usable) -> Nearest:
        """In terms of all rows and all others, usable or not."""
        device = self.cosine.device
        cosine = torch.full((rows.count,), torch.nan, device=device)
        index = torch.full((rows.count,), NO_MATCH, device=device)
        if len(others.unit):
            cosine[rows.where] = self.cosine
            index[rows.where] = others.where[self.index]
        return Nearest(index, cosine)


def _tiles(num_rows: int, num_cols: int, tile_bytes: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of a float32 matrix of at most `tile_bytes`, whole rows where they fit."""
    budget = max(1, tile_bytes // 4)
    width = max(1, min(num_cols, budget))
    height = max(1, budget // width)
    for row in range(0, num_rows, height):
        for col in range(0, num_cols, width):
            yield slice(row, min(row + height, num_rows)), slice(col, min(col + width, num_cols))

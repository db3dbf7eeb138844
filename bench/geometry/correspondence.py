"""Do patches that see the same place have similar features? Exact means, cosines and AUROC.

Features are float32 rows. Sums over a voxel, over its neighbourhood and over a view are float32, as
they have few terms or are summed pairwise; products of them are accumulated in float64.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import embedding_bag

from bench.geometry.patch_pairs import PairList
from bench.geometry.voxel_groups import VoxelGroups

#: Cosines of float32 features that differ by no more than this are equal.
TIE = 1e-6
#: Rows that are worked on at once: few enough to stay in the processor's cache.
CHUNK = 256
#: Channels that are worked on at once, for the same reason.
CHANNELS = 128
#: A dot product of two gathered rows takes about as long as this many entries of a matrix product.
GATHER_COST = 24


def lengths(features: Tensor) -> Tensor:
    """Norms [N] of rows; 0 where a row has no direction, being zero or not finite."""
    norm: Tensor = torch.linalg.vector_norm(features, dim=-1)
    return torch.where(norm.isfinite(), norm, 0)


def mean_feature(features: Tensor, chosen: Tensor) -> Tensor:
    """Mean of the chosen rows [N] of features [N, D], summed in float64; NaN if none is chosen.

    float64 makes the mean of equal rows equal to them, so that constant features have no direction
    once they are centred.
    """
    kept = features if bool(chosen.all()) else features[chosen]
    total = features.new_zeros(features.shape[-1], dtype=torch.float64)
    for block in torch.split(kept, CHUNK):
        total += block.sum(0, dtype=torch.float64)
    return (total / len(kept)).to(features.dtype)


def normalize_(features: Tensor, length: Tensor) -> Tensor:
    """Rows divided by their lengths [N] in place; rows of length 0 become zero."""
    features.div_(length[:, None])
    if not bool(length.all()):
        features[length == 0] = 0
    return features


@dataclass(frozen=True)
class PairSums:
    """Sums of dot products over all unordered pairs of different views.

    same: in the same voxel; near: in different voxels within the dead zone; every: all pairs.
    """

    same: float
    near: float
    every: float

    @property
    def far(self) -> float:
        """Over pairs outside the dead zone."""
        return self.every - self.near - self.same


def pair_sums(rows: Tensor, groups: VoxelGroups) -> PairSums:
    """Exact sums over pairs of rows [N, D], in time and memory linear in N.

    The sum over pairs of dot products is half the squared norm of the sum less the squared norms;
    taken over all views and again per view, the difference holds the pairs of different views
    alone. With a row of ones per patch the sums are the numbers of pairs.
    """
    # Channels add up, so a few at a time do; more leave the cache and cost fresh pages of memory.
    # Each block is read where it lies: as every n-th row of the same memory in rows of n blocks.
    width = _block_width(rows.shape[1])
    blocks = rows.reshape(-1, width)
    step = rows.shape[1] // width
    members = groups.members * step
    sums = rows.new_zeros(3, dtype=torch.float64)
    for block in range(step):
        totals = embedding_bag(members + block, blocks, groups.member_offsets, mode="sum")
        sums += _product_sums(totals, groups)
    return PairSums(*sums.tolist())


def _block_width(num_channels: int) -> int:
    """Widest divisor up to ``CHANNELS``; all channels where only narrow ones, dear to visit, do."""
    widths = range(CHANNELS, CHANNELS // 4, -1)
    return next((width for width in widths if num_channels % width == 0), num_channels)


def _product_sums(totals: Tensor, groups: VoxelGroups) -> Tensor:
    """The three sums of ``PairSums``, float64 [3], over the channels of the rows of `groups`."""
    squares = torch.linalg.vector_norm(totals, dim=-1).double().square()
    same = torch.dot(groups.sign, squares) / 2
    nearby = embedding_bag(
        groups.near,
        totals,
        groups.near_offsets,
        mode="sum",
        per_sample_weights=groups.near_weights.to(totals.dtype),
    )
    near = nearby.mul_(totals).sum(-1).sum(dtype=torch.float64)
    spans = zip(groups.view_rows, groups.view_rows[1:], strict=False)
    views = torch.stack([totals[start:stop].sum(0) for start, stop in spans]).double()
    every = (views.sum(0).square().sum() - views.square().sum()) / 2
    return torch.stack([same, near, every])


def cosines(unit: Tensor, scored: Tensor, pairs: PairList) -> Tensor:
    """Dot products [M] of listed pairs of unit rows [N, D]; NaN where a row is not `scored`.

    One view pair at a time: as a matrix product, or pair by pair where that is less work. At most
    one similarity matrix is in memory.
    """
    found = unit.new_empty(len(pairs.first))
    for s in pairs.slices:
        first, second = pairs.first[s.start : s.stop], pairs.second[s.start : s.stop]
        (start_a, stop_a), (start_b, stop_b) = s.rows_a, s.rows_b
        if GATHER_COST * len(first) < (stop_a - start_a) * (stop_b - start_b):
            for a, b, out in zip(
                torch.split(first, CHUNK),
                torch.split(second, CHUNK),
                torch.split(found[s.start : s.stop], CHUNK),
                strict=True,
            ):
                torch.linalg.vecdot(unit.index_select(0, a), unit.index_select(0, b), out=out)
        else:
            similarity = unit[start_a:stop_a] @ unit[start_b:stop_b].T
            place = (first - start_a) * (stop_b - start_b) + (second - start_b)
            found[s.start : s.stop] = similarity.flatten()[place]
    found[~(scored[pairs.first] & scored[pairs.second])] = torch.nan
    return found


def auroc(positives: Tensor, negatives: Tensor, at_least: int = 1) -> float:
    """P(positive > negative), a tie (``TIE``) counting one half; NaN values are left out.

    NaN with fewer than `at_least` positives or negatives.
    """
    positives = positives[positives.isfinite()].double()
    negatives = negatives[negatives.isfinite()].double().sort().values
    if min(len(positives), len(negatives)) < at_least:
        return float("nan")
    lower = torch.searchsorted(negatives, positives - TIE)
    not_higher = torch.searchsorted(negatives, positives + TIE, right=True)
    return float((lower + not_higher).double().mean()) / (2 * len(negatives))

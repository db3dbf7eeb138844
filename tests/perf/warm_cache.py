"""Reading a layer from the feature cache beside computing it."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench.plan import Plan
from bench.runner.cache import FeatureStore
from bench.runner.features import FeatureSource
from bench.types import FeatureMap
from tests.perf.dinov2 import built, planned
from tests.perf.measure import time_ratio
from tests.perf.room import views


def against_computing(device: str) -> float:
    """The last block of four views: hashing images, reading, checking, against the forward pass."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = planned(folder, device, limit=1)
        store = FeatureStore(folder / "features")
        read_layer(plan, device, store)
        return time_ratio(
            lambda: read_layer(plan, device, store),
            lambda: read_layer(plan, device, None),
            device,
            rounds=3,
        )


def read_layer(plan: Plan, device: str, store: FeatureStore | None) -> list[FeatureMap]:
    """From the store; computed where it has none or there is none."""
    (model,) = plan.models
    source = FeatureSource(
        built(device), model, device, plan.cells[0].precision, "float16", store, write=True
    )
    ((_, maps),) = source.layers([views()], [model.layers[-1]])
    return maps

"""DINOv2-S with random weights: no time depends on what the weights are."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from functools import cache
from pathlib import Path

import torch

from bench.check import load_suite
from bench.models.feature_extractors import get_extractor_from_id
from bench.models.feature_extractors.base import FeatureExtractor
from bench.plan import Plan, make_plan
from bench.runner.features import AUTOCAST, resolve_precision
from bench.tasks import tasks
from tests.perf.measure import time_ratio
from tests.perf.room import images
from tests.synthetic import Brightness

CONFIG = {"backbone": "small", "pretrained": False}
SUITE = """\
name: speed
defaults: {resolution: {patches: 37}}
models:
  - label: DINOv2-S random init
    model_id: feature_extractor/dinov2
    model_config: {backbone: small, pretrained: false}
    layers: quarters
datasets: [{name: demo}]
tasks: [{name: brightness}]
"""


@cache
def built(device: str) -> FeatureExtractor:
    extractor = get_extractor_from_id("dinov2", CONFIG)
    return extractor.eval().requires_grad_(False).to(device)


def forward(device: str) -> None:
    """One pass over the four views of the room, in the precision that the runner chooses."""
    with torch.no_grad(), precision(device):
        built(device).forward_features(images(device))


def precision(device: str) -> AbstractContextManager[object]:
    """The runner's own choice: bfloat16 on CUDA, float32 elsewhere."""
    dtype = AUTOCAST[resolve_precision("auto", device)]
    return torch.autocast(device, dtype) if dtype else nullcontext()


def half_precision(device: str) -> float:
    """The runner's precision on CUDA against full precision."""

    def in_float32() -> None:
        with torch.no_grad():
            built(device).forward_features(images(device))

    return time_ratio(lambda: forward(device), in_float32, device)


def planned(folder: Path, device: str, limit: int) -> Plan:
    """The model on view sets of the demo scenes, with a task that costs next to nothing.

    limit: view sets per split, of which there are two.
    """
    tasks._registered.setdefault(Brightness.name, Brightness)
    path = folder / "suite.yaml"
    path.write_text(SUITE)
    return make_plan(load_suite(path), precision=resolve_precision("auto", device), limit=limit)

"""What the runner adds to the forward passes it makes."""

from __future__ import annotations

import tempfile
from itertools import count
from pathlib import Path

import torch

from bench.models.feature_extractors.base import resolve_layers
from bench.plan import Plan
from bench.runner.group import GroupRun
from bench.runner.loading import load_view_set
from bench.runner.settings import Outcome, Settings
from tests.perf.dinov2 import built, planned, precision
from tests.perf.measure import Work, time_ratio

#: Of each of the two splits of the demo scenes.
VIEW_SETS = {"cpu": 1, "cuda": 16}


def overhead(device: str) -> float:
    """A run against the bare forward passes of the same batches, four layers wanted of each.

    In the run: decoding and resizing images, the storage cast, the loop, the journal and the
    records of four cells, each of a task that takes one mean. Left out: start of the process,
    reading the suite, building the model, tables and figures.
    """
    settings = Settings(device, cache="off")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plan = planned(folder, device, VIEW_SETS[device])
        outs = (folder / str(number) for number in count())
        return time_ratio(
            lambda: run(plan, next(outs), settings), bare(plan, settings), device, rounds=3
        )


def run(plan: Plan, out: Path, settings: Settings) -> None:
    ((model, dataset, cells),) = plan.groups(plan.cells)
    outcome = Outcome()
    group = GroupRun(plan.suite, out, settings, outcome, None, model, dataset)
    group.compute(cells, built(settings.device))
    assert outcome.done == len(cells), outcome.failures


def bare(plan: Plan, settings: Settings) -> Work:
    """The forward passes alone, over batches of images that are in memory."""
    ((model, dataset, _),) = plan.groups(plan.cells)
    assert dataset.dataset is not None and model.stride is not None
    extractor, device = built(settings.device), settings.device
    layers = resolve_layers(list(model.layers), extractor.layer_names)
    batches = []
    for start in range(0, len(dataset.refs), settings.batch):
        refs = dataset.refs[start : start + settings.batch]
        sets = [load_view_set(dataset.dataset, r, dataset.resolution, model.stride) for r in refs]
        batches.append(torch.stack([view.image for one in sets for view in one.views])[:, None])

    def forward() -> None:
        for images in batches:
            with torch.no_grad(), precision(device):
                for _ in extractor.iter_layers(images.to(device).float() / 255, layers):
                    pass

    return forward

"""Surface normals from frozen features by a small trained head."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel
from torch import Tensor
from torch.nn.functional import normalize

from bench.geometry.normals import (
    THRESHOLDS_DEG,
    angles_deg,
    normal_scores,
    normals_from_depth,
)
from bench.options import parse_options
from bench.probes.objectives import normal_objective
from bench.probes.samples import Sample, SampleKey
from bench.tasks import tasks
from bench.tasks._probe import (
    COUNTS,
    ProbeOptions,
    ProbeState,
    collect,
    score_views,
    split_samples,
    start,
    train_probe,
)
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem, TaskScope, View, ViewSet


class NormalProbeOptions(ProbeOptions):
    """Options of ``normal_probe``: those of every trained probe."""


@tasks.register("normal_probe")
class NormalProbe:
    """A linear or DPT head on all layers of a model together, trained once per dataset.

    After Probe3D's normal probe (El Banani et al. 2024). Normals are the dataset's, else from depth
    by central differences with the true principal point, which Probe3D's for NAVI leave out, and
    unknown at silhouettes, which Probe3D keeps. Columns ``constant_`` are those of the mean
    training normal everywhere, which is what features without content reach.
    """

    Options: ClassVar[type[BaseModel]] = NormalProbeOptions
    name: ClassVar[str] = "normal_probe"
    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"features", "depth"})
    scope: ClassVar[TaskScope] = "dataset"
    layers: ClassVar[Literal["each", "group"]] = "group"
    splits: ClassVar[tuple[Split, ...]] = ("train", "val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(NormalProbeOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        found = []
        for prefix, note in (("", ""), ("constant_", " of the mean training normal")):
            better = None if prefix else True
            lower = None if prefix else False
            for limit in THRESHOLDS_DEG:
                key = f"{prefix}within_{limit:g}deg"
                about = f"Share of pixels with an error below {limit:g} degrees{note}"
                first = key == f"within_{THRESHOLDS_DEG[0]:g}deg"
                found.append(Metric(key, about, "", better, headline=first))
            for key, about in (
                ("rmse_deg", "Root mean squared error"),
                ("mean_deg", "Mean error"),
                ("median_deg", "Median error"),
            ):
                found.append(Metric(f"{prefix}{key}", f"{about}{note}", "deg", lower))
        return (*found, *COUNTS)

    def prepare(self, context: TaskContext) -> ProbeState:
        return start(context, self.name, normal_target)

    def score(self, state: ProbeState, item: TaskItem) -> list[ItemScore]:
        """Nothing by itself: the probe is trained first."""
        return []

    def update(self, state: ProbeState, item: TaskItem) -> None:
        collect(state, item, self.options, _mean_normal)

    def finish(self, state: ProbeState) -> list[ItemScore]:
        train_on, held_out, test = split_samples(state.keys, self.options)
        probe = train_probe(state, self.options, normal_objective(), train_on, held_out)
        return score_views(state, probe, test, self.metrics, _scorer(train_on))


def normal_target(view: View, view_set: ViewSet) -> Tensor:
    """Unit normals [3, H, W] towards the camera, 0 where unknown."""
    if view.normals is not None:
        known = torch.isfinite(view.normals).all(0, keepdim=True)
        return normalize(torch.where(known, view.normals, 0.0).float(), dim=0)
    if view.depth is None or view.intrinsics is None:
        return torch.zeros(3, *view.size)
    return normals_from_depth(view.depth, view.intrinsics)


def _scorer(train_on: Sequence[SampleKey]) -> Callable[[Tensor, Sample], Mapping[str, float]]:
    means = [key.typical for key in train_on]
    constant = torch.tensor(means).mean(0) if means else torch.tensor([0.0, 0.0, -1.0])

    def score(predicted: Tensor, sample: Sample) -> Mapping[str, float]:
        known = sample.known
        true = sample.target[:, known].T
        own = normal_scores(angles_deg(predicted[:3, known].T, true))
        plain = normal_scores(angles_deg(constant.expand_as(true), true))
        return {**own, **{f"constant_{key}": value for key, value in plain.items()}}

    return score


def _mean_normal(sample: Sample) -> tuple[float, ...]:
    return tuple(sample.target[:, sample.known].mean(1).tolist())

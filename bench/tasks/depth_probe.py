"""Depth from frozen features by a small trained head."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.depth import align_affine, depth_scores, relative_depth
from bench.options import parse_options
from bench.probes.objectives import depth_objective
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


class DepthProbeOptions(ProbeOptions):
    """Options of ``depth_probe``.

    target: ``metric`` depth, or depth ``relative`` to each image's own extremes (Probe3D on NAVI).
    max_depth: metres; beyond it depth is unknown.
    """

    target: Literal["metric", "relative"] = "metric"
    max_depth: float = Field(10.0, gt=0)


@tasks.register("depth_probe")
class DepthProbe:
    """A linear or DPT head on all layers of a model together, trained once per dataset.

    After Probe3D's depth probe (El Banani et al. 2024). Raw scores; the same after the best scale
    and shift per image (``affine_``), which Probe3D calls scale-invariant, here with negative
    results raised to 1 mm before ratios are taken; and those of the median training depth
    everywhere (``constant_``), which is what features without content reach. Scores are means over
    the known pixels of an image, then over the images of a view set.
    """

    Options: ClassVar[type[BaseModel]] = DepthProbeOptions
    name: ClassVar[str] = "depth_probe"
    version: ClassVar[int] = 2
    needs: ClassVar[frozenset[str]] = frozenset({"features", "depth"})
    scope: ClassVar[TaskScope] = "dataset"
    layers: ClassVar[Literal["each", "group"]] = "group"
    splits: ClassVar[tuple[Split, ...]] = ("train", "val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(DepthProbeOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return tuple(self._metrics())

    def _metrics(self) -> Iterator[Metric]:
        unit = "m" if self.options.target == "metric" else ""
        prefixes = {
            "": ("", True),
            "affine_": (" after scale and shift per image", True),
            "constant_": (" of the median training depth", None),
        }
        for prefix, (note, direction) in prefixes.items():
            for k in (1, 2, 3):
                about = f"Share of pixels with max(p/t, t/p) < 1.25^{k}{note}"
                key = f"{prefix}delta{k}"
                yield Metric(key, about, "", direction, headline=key == "delta1")
            lower = False if direction else None
            yield Metric(self._rmse(prefix), f"Root mean squared error{note}", unit, lower)
            yield Metric(f"{prefix}abs_rel", f"Mean of |p - t| / t{note}", "", lower)
        yield from COUNTS

    def _rmse(self, prefix: str) -> str:
        return f"{prefix}rmse_m" if self.options.target == "metric" else f"{prefix}rmse"

    def prepare(self, context: TaskContext) -> ProbeState:
        return start(context, self.name, self._target)

    def score(self, state: ProbeState, item: TaskItem) -> list[ItemScore]:
        """Nothing by itself: the probe is trained first."""
        return []

    def update(self, state: ProbeState, item: TaskItem) -> None:
        collect(state, item, self.options, _median)

    def finish(self, state: ProbeState) -> list[ItemScore]:
        own = self.options
        train_on, held_out, test = split_samples(state.keys, own)
        limit = own.max_depth if own.target == "metric" else 1.0
        objective = depth_objective(limit, own.size.bins)
        probe = train_probe(state, own, objective, train_on, held_out)
        return score_views(state, probe, test, self.metrics, self._scorer(train_on))

    def _target(self, view: View, view_set: ViewSet) -> Tensor:
        """Depth [1, H, W], 0 where unknown."""
        if view.depth is None:
            return torch.zeros(1, *view.size)
        depth = view.depth.float()
        depth = torch.where(torch.isfinite(depth) & (depth > 0), depth, 0.0)
        if self.options.target == "relative":
            return relative_depth(depth)[None]
        if not view_set.metric:
            raise BenchError(
                f"Depth of {view_set.dataset}/{view_set.scene} is not in metres.",
                "Set the task's target to relative.",
            )
        return torch.where(depth <= self.options.max_depth, depth, 0.0)[None]

    def _scorer(
        self, train_on: Sequence[SampleKey]
    ) -> Callable[[Tensor, Sample], Mapping[str, float]]:
        medians = [key.typical for key in train_on]
        constant = float(torch.tensor(medians).median()) if medians else 1.0

        def score(predicted: Tensor, sample: Sample) -> Mapping[str, float]:
            true = sample.target[0][sample.known]
            own = predicted[0][sample.known]
            found = {
                "": depth_scores(own, true),
                "affine_": depth_scores(align_affine(own, true), true),
                "constant_": depth_scores(torch.full_like(true, constant), true),
            }
            return {
                self._rmse(prefix) if key == "rmse" else f"{prefix}{key}": value
                for prefix, scores in found.items()
                for key, value in scores.items()
            }

        return score


def _median(sample: Sample) -> tuple[float]:
    return (float(sample.target[0][sample.known].median()),)

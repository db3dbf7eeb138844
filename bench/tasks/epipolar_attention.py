"""Which layers find correspondences: heads whose strongest attention falls on the true match.

After the head analysis of Bratulić et al. (arXiv 2512.11508): a head matches a patch if, among the
patches of another view, its attention is strongest on the one that sees the same surface point.
For VGGT with ``attention_matches: true``; its features are not looked at.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from bench.errors import BenchError
from bench.geometry.grid import patch_centres
from bench.geometry.matching import find_queries, lift
from bench.options import parse_options
from bench.tasks import tasks
from bench.tasks._per_view_set import PerViewSet
from bench.tasks._predictions import predicted
from bench.types import (
    ItemScore,
    Metric,
    PatchGrid,
    Split,
    TaskContext,
    TaskItem,
    ViewSet,
)


class AttentionOptions(BaseModel):
    """preset: the only one. tolerance_patches: how far off a match may be in rows and in columns;
    0 is the true patch. min_queries: a pair of views with fewer visible patches is unscored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Literal["v1"] = "v1"
    tolerance_patches: int = Field(0, ge=0, le=8)
    min_queries: int = Field(20, ge=1)


@dataclass(frozen=True)
class TrueMatches:
    """Visible patches of view `a` as raster indices [Q], and the cell (row, column) [Q, 2] of view
    `b` that each of them falls into."""

    a: int
    b: int
    queries: Tensor
    cells: Tensor


@tasks.register("epipolar_attention")
class EpipolarAttention(PerViewSet):
    """Share of heads whose strongest attention falls on the true match, by global layer.

    Over ordered pairs of views and their patches whose centre is visible in the other view.
    """

    Options: ClassVar[type[BaseModel]] = AttentionOptions
    name: ClassVar[str] = "epipolar_attention"
    version: ClassVar[int] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"predictions", "depth", "poses"})
    layers: ClassVar[Literal["each", "group"]] = "group"
    splits: ClassVar[tuple[Split, ...]] = ("val", "test")

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(AttentionOptions, config, f"Task '{self.name}'")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (
            Metric(
                "matching_heads",
                "Share of heads whose strongest attention falls on the true match; mean over"
                " patches, then pairs of views",
                headline=True,
            ),
            Metric("best_head", "Share of patches that the best single head matches"),
            Metric("chance", "Expected share of a head that looks anywhere", "", None),
            Metric("num_queries", "Visible patches of the scored pairs", "", None),
            Metric("num_pairs", "Ordered pairs of views", "", None),
            Metric("num_unscored_pairs", "Pairs with too few visible patches", "", None),
        )

    @torch.inference_mode()
    def score(self, state: TaskContext, item: TaskItem) -> list[ItemScore]:
        view_set, tolerance = item.view_set, self.options.tolerance_patches
        matches = _attention_matches(item)
        num_heads, rows, cols = matches.shape[3:]
        pairs = true_matches(view_set, _grid(view_set, rows, cols))
        scored = [pair for pair in pairs if len(pair.queries) >= self.options.min_queries]
        counts = {
            "chance": _mean([_chance(pair, (rows, cols), tolerance) for pair in scored]),
            "num_queries": float(sum(len(pair.queries) for pair in scored)),
            "num_pairs": float(len(pairs)),
            "num_unscored_pairs": float(len(pairs) - len(scored)),
        }
        where = view_set.scene, view_set.set_id, view_set.split
        scores = []
        for layer in range(matches.shape[1]):
            shares = [
                head_shares(matches[pair.a, layer, pair.b], pair, tolerance) for pair in scored
            ]
            per_head = torch.stack(shares).mean(0) if shares else torch.full((num_heads,), math.nan)
            values = {"matching_heads": float(per_head.mean()), "best_head": float(per_head.max())}
            scores.append(ItemScore(*where, values | counts, f"global_{layer}"))
        return scores


def true_matches(view_set: ViewSet, grid: PatchGrid) -> list[TrueMatches]:
    """For all ordered pairs of views, the patches whose centre both of them see."""
    views = view_set.views
    points = [lift(view, patch_centres(grid).flatten(0, 1)) for view in views]
    found = []
    for a, view_a in enumerate(views):
        for b, view_b in enumerate(views):
            if a == b:
                continue
            queries = find_queries(view_a, view_b, points[a], view_set.metric, occlusion=True)
            cells = (queries.targets[queries.visible].flip(-1) / grid.stride).floor().long()
            found.append(TrueMatches(a, b, queries.index[queries.visible], cells))
    return found


def head_shares(matches: Tensor, pair: TrueMatches, tolerance: int) -> Tensor:
    """Share [heads] of a pair's patches that each head matches.

    Args:
        matches: raster indices [heads, rows, cols] of b's patches, for every patch of a.
    """
    chosen = matches.flatten(1)[:, pair.queries]
    cols = matches.shape[-1]
    cells = torch.stack([chosen // cols, chosen % cols], dim=-1)
    hits = (cells - pair.cells).abs().amax(-1) <= tolerance
    return hits.double().mean(-1)


def _chance(pair: TrueMatches, shape: tuple[int, int], tolerance: int) -> float:
    """Share of b's patches that would count as the match, mean over queries."""
    within = torch.ones(len(pair.cells), dtype=torch.double)
    for axis, size in enumerate(shape):
        cell = pair.cells[:, axis]
        within *= (cell + tolerance).clamp(max=size - 1) - (cell - tolerance).clamp(min=0) + 1
    return float(within.mean()) / (shape[0] * shape[1])


def _attention_matches(item: TaskItem) -> Tensor:
    """Raster indices [S, layers, S, heads, rows, cols]."""
    found = (item.predictions or {}).get("attention_matches")
    if found is None:
        raise BenchError(
            "The model does not say where its attention falls.",
            "Use model_id vggt with model_config {attention_matches: true}.",
        )
    return predicted(item, "attention_matches", *found.shape[1:]).long()


def _grid(view_set: ViewSet, rows: int, cols: int) -> PatchGrid:
    height, width = view_set.views[0].size
    stride = height // rows
    if (height, width) != (rows * stride, cols * stride):
        raise BenchError(
            f"{rows} x {cols} patches do not tile views of {height} x {width} pixels.",
            "Choose a resolution in whole patches of this model.",
        )
    return PatchGrid(rows, cols, stride, height, width)


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan

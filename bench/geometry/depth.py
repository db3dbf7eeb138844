"""Scores of a predicted depth map, as they stand and after alignment."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

#: Aligned depths are kept at least this large before ratios are taken.
MIN_DEPTH = 1e-3
RATIO = 1.25


def align_affine(predicted: Tensor, true: Tensor) -> Tensor:
    """s * predicted + t with the scale and shift that minimise the squared error; values [N].

    A constant prediction is only shifted.
    """
    centre, goal = predicted.mean(), true.mean()
    offset = predicted - centre
    spread = offset.square().sum()
    scale = (offset * (true - goal)).sum() / spread if float(spread) > 0 else 1.0
    return offset * scale + goal


def align_median(predicted: Tensor, true: Tensor) -> Tensor:
    """Predicted values [N] scaled so that the medians agree."""
    middle = predicted.median()
    return predicted * (true.median() / middle) if float(middle) > 0 else predicted


def depth_scores(predicted: Tensor, true: Tensor) -> Mapping[str, float]:
    """Scores over pixels [N] of known depth; empty without pixels.

    delta1 to delta3: share with max(p / t, t / p) < 1.25^k; rmse in the unit of depth; abs_rel:
    mean |p - t| / t.
    """
    if not len(true):
        return {}
    p, t = predicted.to(torch.float64).clamp(min=MIN_DEPTH), true.to(torch.float64)
    ratio = torch.maximum(p / t, t / p)
    scores = {f"delta{k}": float((ratio < RATIO**k).double().mean()) for k in (1, 2, 3)}
    scores["rmse"] = float((p - t).square().mean().sqrt())
    scores["abs_rel"] = float(((p - t).abs() / t).mean())
    return scores


def relative_depth(depth: Tensor) -> Tensor:
    """Depth [H, W] mapped to [0.01, 1] by its own extremes; 0 stays unknown (Probe3D on NAVI)."""
    known = depth > 0
    if not known.any():
        return depth
    low, high = depth[known].min(), depth[known].max()
    scaled = (depth - low) / (high - low).clamp(min=0.01) * 0.99 + 0.01
    return torch.where(known, scaled, 0.0)

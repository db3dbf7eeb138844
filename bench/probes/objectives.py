"""What a dense probe predicts, how that is read from a head's output, and its loss.

Bins, weights of the losses and clamps are Probe3D's; each function says what differs.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import elu, normalize, relu

#: Subsampling of the gradient loss.
GRADIENT_STRIDES = (1, 2, 4, 6)
_LOG_OFFSET = 1e-3
_MAX_COSINE = 1 - 1e-4


@dataclass(frozen=True)
class Objective:
    """outputs: channels of the head. loss: of predictions [B, C, H, W], targets and known pixels
    [B, H, W]. start: output before training, where a random one could be a bad place to start."""

    outputs: int
    read: Callable[[Tensor], Tensor]
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]
    start: tuple[float, ...] | None = None


def depth_objective(max_depth: float, bins: int) -> Objective:
    """Depth as a mean of bin centres, weighted by what the head says (AdaBins' linear norm).

    Centres are evenly spaced from 0.001 to `max_depth`; weights are relu(x) + 0.1, divided by their
    sum (Bhat et al. 2021).
    """
    centres = torch.linspace(_LOG_OFFSET, max_depth, bins)

    def read(logits: Tensor) -> Tensor:
        weights = relu(logits) + 0.1
        weighted = (weights * centres.to(logits)[:, None, None]).sum(1, keepdim=True)
        return weighted / weights.sum(1, keepdim=True)

    return Objective(bins, read, depth_loss)


def normal_objective() -> Objective:
    """Three channels of direction and one of certainty.

    Training starts with every normal towards the camera: the loss is flat around the opposite of
    the truth, and a random start may never leave it.
    """
    return Objective(4, lambda output: output, normal_loss, start=(0.0, 0.0, -1.0, 0.0))


def depth_loss(predicted: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """10 * scale-invariant log loss + 0.5 * gradient loss, for depths [B, 1, H, W].

    With g = ln(p + 1e-3) - ln(t + 1e-3): sqrt(mean g^2 - 0.85 (mean g)^2) over all known pixels of
    the batch (Eigen et al. 2014), and `gradient_loss` of g. The root is taken of 1e-8 at least,
    where its slope is still finite.
    """
    valid = known[:, None]
    log_true = torch.where(valid, true, 1.0).add(_LOG_OFFSET).log()
    gap = torch.where(valid, predicted.add(_LOG_OFFSET).log() - log_true, 0.0)
    count = valid.sum().clamp(min=1)
    mean, square = gap.sum() / count, gap.square().sum() / count
    overall = (square - 0.85 * mean.square()).clamp(min=1e-8).sqrt()
    return 10 * overall + 0.5 * gradient_loss(gap, valid)


def gradient_loss(gap: Tensor, valid: Tensor) -> Tensor:
    """Mean |difference| of valid neighbours, summed over both axes and all thinnings.

    Neighbours are next to each other in the map thinned by 1, 2, 4 or 6, and each mean is over the
    pairs that it sums. Probe3D compares pixels two apart in the thinned map and divides by the
    number of valid pixels: coarse structure counts twice as far apart, and holes lower the loss.
    """
    total = gap.new_zeros(())
    for stride in GRADIENT_STRIDES:
        thin, ok = gap[..., ::stride, ::stride], valid[..., ::stride, ::stride]
        for axis in (-1, -2):
            length = thin.shape[axis] - 1
            both = ok.narrow(axis, 1, length) & ok.narrow(axis, 0, length)
            step = (thin.narrow(axis, 1, length) - thin.narrow(axis, 0, length)).abs()
            total = total + torch.where(both, step, 0.0).sum() / both.sum().clamp(min=1)
    return total


def normal_loss(predicted: Tensor, true: Tensor, known: Tensor) -> Tensor:
    """Angular error weighed by predicted certainty (Bae et al. 2021), as in Probe3D.

    ln(1 + exp(-k pi)) - ln(k^2 + 1) + k a with the angle a in radians and k = elu(x) + 1.01 of the
    fourth channel; predicted [B, 4, H, W], true [B, 3, H, W]. Up to a constant it is minus the log
    of a density on the sphere. Cosines are clamped to 1 - 1e-4, where the slope of the arc cosine
    is still finite; the mean is over known pixels.
    """
    cosine = (normalize(predicted[:, :3], dim=1) * true).sum(1)
    angle = torch.arccos(cosine.clamp(-_MAX_COSINE, _MAX_COSINE))
    certainty = elu(predicted[:, 3]) + 1.01
    loss = (
        torch.log1p(torch.exp(-certainty * math.pi))
        - torch.log1p(certainty.square())
        + certainty * angle
    )
    return torch.where(known, loss, 0.0).sum() / known.sum().clamp(min=1)

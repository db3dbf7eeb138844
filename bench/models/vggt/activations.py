"""What turns a dense head's last channels into values and confidences."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import normalize, relu

from bench.models.vggt.options import Activation, ConfidenceActivation


def inv_log(x: Tensor) -> Tensor:
    """sign(x) (exp|x| - 1): the inverse of a signed logarithm."""
    return x.sign() * torch.expm1(x.abs())


def xy_inv_log(x: Tensor) -> Tensor:
    """Rays (x, y) times a depth given as a logarithm, [..., 3]."""
    z = inv_log(x[..., 2:])
    return torch.cat([x[..., :2] * z, z], dim=-1)


def norm_exp(x: Tensor) -> Tensor:
    """The direction of x [..., D] at the distance exp(|x|) - 1."""
    distance = x.norm(dim=-1, keepdim=True).clamp(min=1e-8)
    unit: Tensor = x / distance
    return unit * torch.expm1(distance)


def _identity(x: Tensor) -> Tensor:
    return x


def _unit(x: Tensor) -> Tensor:
    return normalize(x, dim=-1)


#: Values, channels last.
ACTIVATIONS: dict[Activation, Callable[[Tensor], Tensor]] = {
    "exp": torch.exp,
    "inv_log": inv_log,
    "xy_inv_log": xy_inv_log,
    "norm_exp": norm_exp,
    "norm": _unit,
    "relu": relu,
    "sigmoid": torch.sigmoid,
    "linear": _identity,
}


def one_plus_exp(x: Tensor) -> Tensor:
    return 1 + x.exp()


CONFIDENCE_ACTIVATIONS: dict[ConfidenceActivation, Callable[[Tensor], Tensor]] = {
    "expp1": one_plus_exp,
    "expp0": torch.exp,
    "sigmoid": torch.sigmoid,
}

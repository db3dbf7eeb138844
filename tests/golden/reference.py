"""Reference numbers: how weights and inputs are made, and how outputs are compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent


def read_golden(name: str) -> dict[str, Any]:
    """Entries of ``golden_<name>.json``."""
    entries: dict[str, Any] = json.loads((FOLDER / f"golden_{name}.json").read_text())
    return entries


def read_keys(name: str) -> dict[str, list[int]]:
    """Shape by state-dict key, from ``<name>_keys.json``."""
    shapes: dict[str, list[int]] = json.loads((FOLDER / f"{name}_keys.json").read_text())
    return shapes


def fill_state(module: nn.Module) -> None:
    """Overwrite every tensor of the state dict by the rule the reference numbers were made with.

    The i-th key in sorted order draws from RandomState(i). Rotary periods keep their value.
    """
    state = module.state_dict()
    for seed, key in enumerate(sorted(state)):
        target = state[key]
        if key.endswith("rope_embed.periods"):
            continue
        u = np.random.RandomState(seed).uniform(-1, 1, target.numel()).reshape(target.shape)
        *parents, leaf = key.split(".")
        if target.ndim >= 2:
            value = u * np.sqrt(3 * target.shape[0] / target.numel())
        elif leaf == "gamma":
            value = 0.1 + 0.02 * u
        elif leaf == "weight" and "norm" in parents[-1]:
            value = 1 + 0.02 * u
        else:
            value = 0.02 * u
        target.copy_(torch.from_numpy(value))


def uniform(seed: int, *shape: int) -> Tensor:
    """RandomState(seed).rand(*shape) as float32."""
    return torch.from_numpy(np.random.RandomState(seed).rand(*shape).astype(np.float32))


def largest_difference(found: Tensor, golden: dict[str, Any]) -> float:
    """Largest absolute difference of the listed values, mean, standard deviation and maximum.

    Also asserts the shape. Entries name their flat indices ``index`` or ``idx``.
    """
    assert list(found.shape) == golden["shape"]
    values = found.detach().double().flatten()
    index = golden.get("index", golden.get("idx"))
    listed = torch.tensor(golden.get("value", golden.get("val")), dtype=torch.float64)
    summary = torch.stack([values.mean(), values.std(), values.abs().max()])
    expected = torch.tensor([golden[k] for k in ("mean", "std", "absmax")], dtype=torch.float64)
    differences = torch.cat([values[index] - listed, summary - expected])
    return float(differences.abs().max())

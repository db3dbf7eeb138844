"""Training and test samples of dense probes, kept on disk so that memory stays bounded."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bench.types import PatchGrid, Split


@dataclass(frozen=True)
class SampleKey:
    """Which view a sample is. usable: it has finite features and a known target."""

    scene: str
    set_id: str
    split: Split
    view: str
    grid: PatchGrid
    usable: bool


@dataclass(frozen=True)
class Sample:
    """tokens: per layer [rows, cols, D]; target: [C, H, W] of the image, 0 where unknown."""

    tokens: tuple[Tensor, ...]
    target: Tensor

    @property
    def known(self) -> Tensor:
        """Pixels with a target, bool [H, W]."""
        return (self.target != 0).any(0)


@dataclass
class SampleStore:
    """Samples in the order in which they came; the files vanish with the store."""

    keys: list[SampleKey] = field(default_factory=list)
    _folder: tempfile.TemporaryDirectory[str] = field(
        default_factory=lambda: tempfile.TemporaryDirectory(prefix="bench-probe-")
    )

    def add(self, key: SampleKey, sample: Sample) -> None:
        if key.usable:
            # safetensors refuses tensors that share memory, as layers and views of a batch may.
            tensors = {f"layer_{i}": _own(tokens) for i, tokens in enumerate(sample.tokens)}
            save_file(tensors | {"target": _own(sample.target)}, self._path(len(self.keys)))
        self.keys.append(key)

    def load(self, index: int) -> Sample:
        tensors = load_file(self._path(index))
        target = tensors.pop("target")
        return Sample(tuple(tensors[f"layer_{i}"] for i in range(len(tensors))), target)

    def batch(self, indices: list[int]) -> tuple[list[Tensor], Tensor, Tensor]:
        """Tokens [B, D, rows, cols] per layer, targets [B, C, H, W] and known pixels [B, H, W]."""
        samples = [self.load(index) for index in indices]
        layers = zip(*(sample.tokens for sample in samples), strict=True)
        tokens = [torch.stack(layer).permute(0, 3, 1, 2).float() for layer in layers]
        target = torch.stack([sample.target for sample in samples])
        return tokens, target, torch.stack([sample.known for sample in samples])

    def close(self) -> None:
        self._folder.cleanup()

    def _path(self, index: int) -> Path:
        return Path(self._folder.name) / f"{index:06d}.safetensors"


def _own(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().clone(memory_format=torch.contiguous_format)

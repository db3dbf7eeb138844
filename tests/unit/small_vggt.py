"""A VGGT that runs in milliseconds, and a backbone to put into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from bench.models.feature_extractors.base import (
    Architecture,
    ExtractorOptions,
    FeatureExtractor,
    Tokens,
)
from bench.models.preprocessing import CLIP, Normalisation
from bench.models.vggt import VGGT
from bench.types import OUTPUT_LAYER

PATCH = 14
WIDTH = 32
DEPTH = 4
PYRAMID: dict[str, Any] = {
    "features": 16,
    "out_channels": [8, 8, 16, 16],
    "intermediate_layer_idx": [0, 1, 2, 3],
}
TRACK: dict[str, Any] = {
    **PYRAMID,
    "corr_levels": 3,
    "corr_radius": 1,
    "hidden_size": 32,
    "depth": 2,
    "num_heads": 4,
    "num_virtual_tracks": 4,
}


def small_config(**changes: Any) -> dict[str, Any]:
    """Options of a model with every head; `aggregator_config` in `changes` is merged."""
    aggregator = {
        "depth": DEPTH,
        "num_heads": 2,
        "patch_embed": "conv",
        "init_values": 1.0,
        **changes.pop("aggregator_config", {}),
    }
    return {
        "embed_dim": WIDTH,
        "patch_size": PATCH,
        "enable_point": True,
        "enable_track": True,
        "aggregator_config": aggregator,
        "camera_head_config": {"num_heads": 4, "trunk_depth": 2, "init_values": 1.0},
        "depth_head_config": PYRAMID,
        "point_head_config": PYRAMID,
        "track_head_config": TRACK,
        **changes,
    }


def small_vggt(**changes: Any) -> VGGT:
    """The same weights at every call with the same options, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return VGGT(**small_config(**changes)).eval()


def random_images(*shape: int) -> Tensor:
    """[*shape] in [0, 1], the same at every call."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


class SmallBackboneOptions(ExtractorOptions):
    """patch_size: in pixels."""

    patch_size: int = 16


class SmallBackbone(FeatureExtractor):
    """One convolution, with pixel constants that are not VGGT's."""

    Options = SmallBackboneOptions
    options: SmallBackboneOptions
    normalisation: Normalisation = CLIP

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        self.model = nn.Conv2d(3, WIDTH, self.patch_size, self.patch_size)

    @classmethod
    def describe(cls, options: SmallBackboneOptions) -> Architecture:
        p = options.patch_size
        return Architecture((), stride=p, embed_dim=WIDTH, native_size=p, pad_multiple=p)

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        yield OUTPUT_LAYER, Tokens(self.model(images).flatten(2).transpose(1, 2))

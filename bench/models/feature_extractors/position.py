"""Sines and cosines of the patch's place in the image: what position alone achieves."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._control import ControlOptions, control_architecture, places
from bench.models.feature_extractors.base import Architecture, FeatureExtractor, Role, Tokens
from bench.types import OUTPUT_LAYER

EMBED_DIM = 384
#: Shortest wavelength as a share of the longest, which spans the long side twice.
FINEST = 1 / 64


@feature_extractors.register("position")
class Position(FeatureExtractor):
    """Sin-cos embedding of the patch centre; blind to the image's content.

    Wavelengths run geometrically from twice the long side down to 1/32 of it.
    """

    Options = ControlOptions
    role: ClassVar[Role] = "floor"

    def __init__(self, **config: object) -> None:
        super().__init__(**config)
        self.model = nn.Identity()

    @classmethod
    def describe(cls, options: ControlOptions) -> Architecture:
        return control_architecture(options, EMBED_DIM)

    @classmethod
    def fingerprint(cls, options: ControlOptions) -> str:
        return "none"

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        height, width = images.shape[-2:]
        embedding = embed_places(places(height, width, self.patch_size))
        yield OUTPUT_LAYER, Tokens(embedding.to(images).expand(len(images), -1, -1))


def embed_places(xy: Tensor) -> Tensor:
    """Sin-cos embedding [P, 384] of places [P, 2] in [-1, 1]."""
    exponents = torch.linspace(0, 1, EMBED_DIM // 4, dtype=xy.dtype)
    angles = xy[:, :, None] * (math.pi / 2) * FINEST**-exponents
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(1)

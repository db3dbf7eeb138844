"""The patch's place in the image as (x, y, 1): the plainest position code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._control import ControlOptions, control_architecture, places
from bench.models.feature_extractors.base import Architecture, FeatureExtractor, Role, Tokens
from bench.types import OUTPUT_LAYER


@feature_extractors.register("position_xy")
class PositionXY(FeatureExtractor):
    """(x, y, 1) of the patch centre; the long side reaches from -1 to 1."""

    Options = ControlOptions
    role: ClassVar[Role] = "floor"

    def __init__(self, **config: object) -> None:
        super().__init__(**config)
        self.model = nn.Identity()

    @classmethod
    def describe(cls, options: ControlOptions) -> Architecture:
        return control_architecture(options, 3)

    @classmethod
    def fingerprint(cls, options: ControlOptions) -> str:
        return "none"

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        height, width = images.shape[-2:]
        xy = places(height, width, self.patch_size)
        homogeneous = torch.cat([xy, torch.ones_like(xy[:, :1])], dim=1)
        yield OUTPUT_LAYER, Tokens(homogeneous.to(images).expand(len(images), -1, -1))

"""Raw patch pixels in [0, 1]: the floor that any learned feature should clear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn

from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors.base import (
    Architecture,
    ExtractorOptions,
    FeatureExtractor,
    Role,
    Tokens,
)
from bench.models.preprocessing import IDENTITY, Normalisation
from bench.types import OUTPUT_LAYER


class ControlOptions(ExtractorOptions):
    """patch_size: side in pixels, so that a control stands beside any backbone."""

    patch_size: int = Field(14, ge=1)


@feature_extractors.register("rgb")
class RGB(FeatureExtractor):
    """Every patch's 3 * p * p pixel values."""

    Options = ControlOptions
    role: ClassVar[Role] = "floor"
    normalisation: Normalisation = IDENTITY

    def __init__(self, **config: object) -> None:
        super().__init__(**config)
        self.model = nn.PixelUnshuffle(self.patch_size)

    @classmethod
    def describe(cls, options: ControlOptions) -> Architecture:
        p = options.patch_size
        return Architecture((), stride=p, embed_dim=3 * p * p, native_size=p, pad_multiple=p)

    @classmethod
    def fingerprint(cls, options: ControlOptions) -> str:
        return "none"

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        patches = self.model(images).flatten(2).transpose(1, 2)
        yield OUTPUT_LAYER, Tokens(patches)

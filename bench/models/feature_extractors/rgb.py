"""Raw patch pixels in [0, 1]: the floor that any learned feature should clear."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from torch import Tensor, nn

from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._control import ControlOptions, control_architecture
from bench.models.feature_extractors.base import Architecture, FeatureExtractor, Role, Tokens
from bench.models.preprocessing import IDENTITY, Normalisation
from bench.types import OUTPUT_LAYER


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
        return control_architecture(options, 3 * options.patch_size**2)

    @classmethod
    def fingerprint(cls, options: ControlOptions) -> str:
        return "none"

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        patches = self.model(images).flatten(2).transpose(1, 2)
        yield OUTPUT_LAYER, Tokens(patches)

"""Independent Gaussian noise: what a feature that knows nothing achieves."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._control import ControlOptions, control_architecture
from bench.models.feature_extractors.base import Architecture, FeatureExtractor, Role, Tokens
from bench.models.preprocessing import IDENTITY, Normalisation
from bench.types import OUTPUT_LAYER

EMBED_DIM = 384


@feature_extractors.register("noise")
class Noise(FeatureExtractor):
    """A standard normal vector per patch.

    The seed comes from the image's pixels and ``init_seed``, so that the same image has the same
    noise in every run and every batch.
    """

    Options = ControlOptions
    role: ClassVar[Role] = "floor"
    normalisation: Normalisation = IDENTITY

    def __init__(self, **config: object) -> None:
        super().__init__(**config)
        self.model = nn.Identity()

    @classmethod
    def describe(cls, options: ControlOptions) -> Architecture:
        return control_architecture(options, EMBED_DIM)

    @classmethod
    def fingerprint(cls, options: ControlOptions) -> str:
        return f"seed={options.init_seed}"

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        count = (images.shape[-2] // self.patch_size) * (images.shape[-1] // self.patch_size)
        draw = noise_of
        if torch.compiler.is_compiling():
            # Not a decorator: that would import the compiler in every run.
            draw = torch.compiler.disable(noise_of)  # type: ignore[no-untyped-call]
        drawn = [draw(image, count, self.options.init_seed) for image in images]
        yield OUTPUT_LAYER, Tokens(torch.stack(drawn).to(images))


def noise_of(image: Tensor, count: int, seed: int) -> Tensor:
    """Standard normal [count, 384] that depends on the pixels of one image and on `seed` alone."""
    pixels = image.detach().float().cpu().contiguous().numpy().tobytes()
    digest = hashlib.sha256(seed.to_bytes(8, "little", signed=True) + pixels).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little", signed=True))
    return torch.randn(count, EMBED_DIM, generator=generator)

"""MuM's encoder, a ViT-L/16 with rotary positions in bfloat16."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from torch import Tensor

from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._blocks import split_prefix
from bench.models.feature_extractors._weights import one_of, wanted_weights
from bench.models.feature_extractors.base import (
    Architecture,
    ExtractorOptions,
    FeatureExtractor,
    Tokens,
    block_names,
    seeded,
)
from bench.models.layouts import Layout, canonical_state, load_canonical
from bench.models.manifest import published_source
from bench.models.mum.encoder import MuMEncoder
from bench.models.sources import Source
from bench.types import OUTPUT_LAYER

MODEL_ID = "feature_extractor/mumvisiontransformer"
PATCH = 16
NATIVE = 256


@dataclass(frozen=True)
class Backbone:
    dim: int
    depth: int
    heads: int


BACKBONES = {"large": Backbone(1024, 24, 16)}

#: Authors' files, of the encoder alone or with the decoder.
LAYOUT = Layout(
    aliases={"blocks.#.attn.qkv": ("blocks.#.attn.q", "blocks.#.attn.k", "blocks.#.attn.v")},
    wrappers=("encoder.",),
    ignored=("decoder_", "mask_token", "rope_embed_decoder."),
)


class MuMOptions(ExtractorOptions):
    """backbone: large is the only one that was published."""

    backbone: Annotated[str, one_of(BACKBONES)] = "large"


@feature_extractors.register("mumvisiontransformer")
class MuMVisionTransformer(FeatureExtractor):
    """MuM (github.com/davnords/mum): masked image modelling over several views, ViT-L/16."""

    Options = MuMOptions
    options: MuMOptions
    version: ClassVar[int] = 1
    model: MuMEncoder

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        backbone = BACKBONES[self.options.backbone]
        weights = wanted_weights(self.options, self.source(self.options))
        with seeded(self.options.init_seed):
            self.model = MuMEncoder(
                patch_size=PATCH,
                embed_dim=backbone.dim,
                depth=backbone.depth,
                num_heads=backbone.heads,
            ).eval()
        if weights is not None:
            state = canonical_state(weights.state, LAYOUT)
            load_canonical(self.model, state, LAYOUT, weights.name)

    @classmethod
    def describe(cls, options: MuMOptions) -> Architecture:
        backbone = BACKBONES[options.backbone]
        return Architecture(block_names(backbone.depth), PATCH, backbone.dim, NATIVE, PATCH)

    @classmethod
    def source(cls, options: MuMOptions) -> Source | None:
        return published_source(MODEL_ID, options.model_dump())

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        norm = self.model.norm
        for name, tokens in zip(self.layer_names, self.model.iter_blocks(images), strict=True):
            if name in layers:
                block = norm(tokens) if self.options.norm == "final" else tokens
                yield name, split_prefix(block, 1)
        if OUTPUT_LAYER in layers:
            yield OUTPUT_LAYER, split_prefix(norm(tokens), 1)

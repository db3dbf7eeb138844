"""MAE's encoder with nothing masked, built by transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import ViTMAEConfig, ViTMAEModel

from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._blocks import encode_blocks, last_hidden_state, module_list
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
from bench.models.sources import Source

MODEL_ID = "feature_extractor/mae"
NATIVE = 224


@dataclass(frozen=True)
class Backbone:
    dim: int
    depth: int
    heads: int
    patch: int


BACKBONES = {
    "base": Backbone(768, 12, 12, 16),
    "large": Backbone(1024, 24, 16, 16),
    "huge": Backbone(1280, 32, 16, 14),
}

_QKV = ("blocks.#.attn.q", "blocks.#.attn.k", "blocks.#.attn.v")


def _transformers_block(block: str) -> dict[str, tuple[str, ...]]:
    return {
        block: ("blocks.#",),
        f"{block}.layernorm_before": ("blocks.#.norm1",),
        f"{block}.layernorm_after": ("blocks.#.norm2",),
        f"{block}.attention.attention.query": (_QKV[0],),
        f"{block}.attention.attention.key": (_QKV[1],),
        f"{block}.attention.attention.value": (_QKV[2],),
        f"{block}.attention.output.dense": ("blocks.#.attn.proj",),
        f"{block}.attention.q_proj": (_QKV[0],),
        f"{block}.attention.k_proj": (_QKV[1],),
        f"{block}.attention.v_proj": (_QKV[2],),
        f"{block}.attention.o_proj": ("blocks.#.attn.proj",),
        f"{block}.intermediate.dense": ("blocks.#.mlp.fc1",),
        f"{block}.output.dense": ("blocks.#.mlp.fc2",),
    }


#: Authors' files, timm, and transformers before and since version 5, with a decoder or without.
LAYOUT = Layout(
    aliases={
        "embeddings.cls_token": ("cls_token",),
        "embeddings.position_embeddings": ("pos_embed",),
        "embeddings.patch_embeddings.projection": ("patch_embed.proj",),
        "layernorm": ("norm",),
        "blocks.#.attn.qkv": _QKV,
        **_transformers_block("encoder.layer.#"),
        **_transformers_block("layers.#"),
    },
    wrappers=("vit.",),
    ignored=("decoder", "mask_token", "head."),
)


class MAEOptions(ExtractorOptions):
    """backbone: base, large or huge (huge has patches of 14 pixels, the others of 16)."""

    backbone: Annotated[str, one_of(BACKBONES)] = "base"


@feature_extractors.register("mae")
class MAE(FeatureExtractor):
    """MAE (He et al. 2022), the pre-trained encoder; all patches are kept, in raster order."""

    Options = MAEOptions
    options: MAEOptions
    version: ClassVar[int] = 1

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        weights = wanted_weights(self.options, self.source(self.options))
        with seeded(self.options.init_seed):
            self.model = build(BACKBONES[self.options.backbone]).eval()
        if weights is not None:
            state = canonical_state(weights.state, LAYOUT)
            load_canonical(self.model, state, LAYOUT, weights.name)

    @classmethod
    def describe(cls, options: MAEOptions) -> Architecture:
        b = BACKBONES[options.backbone]
        return Architecture(block_names(b.depth), b.patch, b.dim, NATIVE, b.patch)

    @classmethod
    def source(cls, options: MAEOptions) -> Source | None:
        return published_source(MODEL_ID, options.model_dump())

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        model: Any = self.model
        # The model keeps patches in the order of their noise, even when it masks none of them.
        count = images[0, 0].numel() // self.patch_size**2
        order = torch.arange(count, device=images.device).expand(len(images), -1)
        yield from encode_blocks(
            partial(last_hidden_state, model, images, noise=order, interpolate_pos_encoding=True),
            dict(zip(self.layer_names, module_list(model, len(self.layer_names)), strict=True)),
            layers,
            norm=model.layernorm if self.options.norm == "final" else None,
            prefix=1,
        )


def build(backbone: Backbone) -> nn.Module:
    """transformers' encoder, masking nothing.

    The norms' epsilon is that of the authors; transformers' own default is 1e-12.
    """
    model: nn.Module = ViTMAEModel(
        ViTMAEConfig(
            hidden_size=backbone.dim,
            intermediate_size=4 * backbone.dim,
            num_hidden_layers=backbone.depth,
            num_attention_heads=backbone.heads,
            patch_size=backbone.patch,
            image_size=NATIVE,
            mask_ratio=0.0,
            layer_norm_eps=1e-6,
        )
    )
    return model

"""CLIP's image encoder, built by transformers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

from torch import Tensor, nn
from transformers import CLIPVisionConfig, CLIPVisionModel

from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._blocks import (
    encode_blocks,
    last_hidden_state,
    module_list,
    module_named,
)
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
from bench.models.preprocessing import CLIP as CLIP_PIXELS
from bench.models.preprocessing import Normalisation
from bench.models.sources import Source

MODEL_ID = "feature_extractor/clip"
NATIVE = 224


@dataclass(frozen=True)
class Backbone:
    dim: int
    depth: int
    heads: int
    patch: int


BACKBONES = {
    "vit-base-patch16": Backbone(768, 12, 12, 16),
    "vit-base-patch32": Backbone(768, 12, 12, 32),
    "vit-large-patch14": Backbone(1024, 24, 16, 14),
}

_QKV = ("blocks.#.attn.q", "blocks.#.attn.k", "blocks.#.attn.v")
_RESBLOCK = "visual.transformer.resblocks.#"

#: Authors' state dict, timm, and transformers before and since version 5, also of the whole CLIP.
LAYOUT = Layout(
    aliases={
        "visual.class_embedding": ("cls_token",),
        "visual.positional_embedding": ("pos_embed",),
        "visual.conv1": ("patch_embed.proj",),
        "visual.ln_pre": ("norm_pre",),
        "visual.ln_post": ("norm",),
        f"{_RESBLOCK}.attn.in_proj_weight": tuple(f"{name}.weight" for name in _QKV),
        f"{_RESBLOCK}.attn.in_proj_bias": tuple(f"{name}.bias" for name in _QKV),
        f"{_RESBLOCK}.attn.out_proj": ("blocks.#.attn.proj",),
        f"{_RESBLOCK}.ln_1": ("blocks.#.norm1",),
        f"{_RESBLOCK}.ln_2": ("blocks.#.norm2",),
        f"{_RESBLOCK}.mlp.c_fc": ("blocks.#.mlp.fc1",),
        f"{_RESBLOCK}.mlp.c_proj": ("blocks.#.mlp.fc2",),
        "blocks.#.attn.qkv": _QKV,
        "embeddings.class_embedding": ("cls_token",),
        "embeddings.position_embedding.weight": ("pos_embed",),
        "embeddings.patch_embedding": ("patch_embed.proj",),
        "pre_layrnorm": ("norm_pre",),
        "post_layernorm": ("norm",),
        "encoder.layers.#": ("blocks.#",),
        "encoder.layers.#.layer_norm1": ("blocks.#.norm1",),
        "encoder.layers.#.layer_norm2": ("blocks.#.norm2",),
        "encoder.layers.#.self_attn.q_proj": (_QKV[0],),
        "encoder.layers.#.self_attn.k_proj": (_QKV[1],),
        "encoder.layers.#.self_attn.v_proj": (_QKV[2],),
        "encoder.layers.#.self_attn.out_proj": ("blocks.#.attn.proj",),
    },
    wrappers=("vision_model.",),
    ignored=(
        "embeddings.position_ids",
        "head.",
        "ln_final",
        "logit_scale",
        "positional_embedding",
        "text_model",
        "text_projection",
        "token_embedding",
        "transformer.",
        "visual.proj",
        "visual_projection",
        "context_length",
        "input_resolution",
        "vocab_size",
    ),
)


class CLIPOptions(ExtractorOptions):
    """backbone: vit-base-patch16, vit-base-patch32 or vit-large-patch14."""

    backbone: Annotated[str, one_of(BACKBONES)] = "vit-base-patch16"


@feature_extractors.register("clip")
class CLIP(FeatureExtractor):
    """CLIP (Radford et al. 2021), OpenAI's weights; the post-norm is applied to all tokens."""

    Options = CLIPOptions
    options: CLIPOptions
    version: ClassVar[int] = 1
    normalisation: Normalisation = CLIP_PIXELS

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        weights = wanted_weights(self.options, self.source(self.options))
        with seeded(self.options.init_seed):
            self.model = build(BACKBONES[self.options.backbone]).eval()
        if weights is not None:
            state = canonical_state(weights.state, LAYOUT)
            load_canonical(self.model, state, LAYOUT, weights.name)

    @classmethod
    def describe(cls, options: CLIPOptions) -> Architecture:
        b = BACKBONES[options.backbone]
        return Architecture(block_names(b.depth), b.patch, b.dim, NATIVE, b.patch)

    @classmethod
    def source(cls, options: CLIPOptions) -> Source | None:
        return published_source(MODEL_ID, options.model_dump())

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        # transformers normalises only the class token that it pools.
        norm = module_named(self.model, "post_layernorm")
        blocks = module_list(self.model, len(self.layer_names))
        yield from encode_blocks(
            partial(self._normed, images, norm),
            dict(zip(self.layer_names, blocks, strict=True)),
            layers,
            norm=norm if self.options.norm == "final" else None,
            prefix=1,
        )

    def _normed(self, images: Tensor, norm: nn.Module) -> Tensor:
        tokens = last_hidden_state(self.model, images, interpolate_pos_encoding=True)
        normed: Tensor = norm(tokens)
        return normed


def build(backbone: Backbone) -> nn.Module:
    """transformers' image encoder."""
    model: nn.Module = CLIPVisionModel(
        CLIPVisionConfig(
            hidden_size=backbone.dim,
            intermediate_size=4 * backbone.dim,
            num_hidden_layers=backbone.depth,
            num_attention_heads=backbone.heads,
            patch_size=backbone.patch,
            image_size=NATIVE,
            hidden_act="quick_gelu",
        )
    )
    return model

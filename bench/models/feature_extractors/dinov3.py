"""DINOv3, built by timm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import timm
import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._blocks import encode_blocks
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

MODEL_ID = "feature_extractor/dinov3"
PATCH = 16
NATIVE = 256
REGISTERS = 4


@dataclass(frozen=True)
class Backbone:
    """timm_name: without the tag of the weights. swiglu: gated MLP instead of a plain one."""

    timm_name: str
    dim: int
    depth: int
    heads: int
    swiglu: bool = False


BACKBONES = {
    "small": Backbone("vit_small_patch16_dinov3", 384, 12, 6),
    "small_plus": Backbone("vit_small_plus_patch16_dinov3", 384, 12, 6, swiglu=True),
    "base": Backbone("vit_base_patch16_dinov3", 768, 12, 12),
    "large": Backbone("vit_large_patch16_dinov3", 1024, 24, 16),
    "huge_plus": Backbone("vit_huge_plus_patch16_dinov3", 1280, 32, 20, swiglu=True),
    "7b": Backbone("vit_7b_patch16_dinov3", 4096, 40, 32, swiglu=True),
}
#: Named in the study, but no such weights were published.
UNPUBLISHED = {"huge": "vit_huge_patch16_dinov3"}

_QKV = ("blocks.#.attn.q", "blocks.#.attn.k", "blocks.#.attn.v")
_HEAD = {
    "reg_token": ("register_tokens",),
    "storage_tokens": ("register_tokens",),
    "embeddings.cls_token": ("cls_token",),
    "embeddings.register_tokens": ("register_tokens",),
    "embeddings.patch_embeddings": ("patch_embed.proj",),
    "blocks.#.gamma_1": ("blocks.#.ls1.gamma",),
    "blocks.#.gamma_2": ("blocks.#.ls2.gamma",),
    "blocks.#.attn.qkv": _QKV,
    "blocks.#.attn.qkv.bias_mask": (),
    "blocks.#.attn.q_bias": (f"{_QKV[0]}.bias",),
    "blocks.#.attn.v_bias": (f"{_QKV[2]}.bias",),
    "layer.#": ("blocks.#",),
    "layer.#.attention.q_proj": (_QKV[0],),
    "layer.#.attention.k_proj": (_QKV[1],),
    "layer.#.attention.v_proj": (_QKV[2],),
    "layer.#.attention.o_proj": ("blocks.#.attn.proj",),
    "layer.#.layer_scale1.lambda1": ("blocks.#.ls1.gamma",),
    "layer.#.layer_scale2.lambda1": ("blocks.#.ls2.gamma",),
}
_IGNORED = ("mask_token", "embeddings.mask_token", "rope", "local_cls_norm", "head.")

#: Authors' files, timm, and transformers before and since version 5.
LAYOUT = Layout(
    aliases={
        **_HEAD,
        "layer.#.mlp.up_proj": ("blocks.#.mlp.fc1",),
        "layer.#.mlp.down_proj": ("blocks.#.mlp.fc2",),
    },
    ignored=_IGNORED,
)
GATED_LAYOUT = Layout(
    aliases={
        **_HEAD,
        "blocks.#.mlp.w1": ("blocks.#.mlp.gate",),
        "blocks.#.mlp.w2": ("blocks.#.mlp.up",),
        "blocks.#.mlp.w3": ("blocks.#.mlp.down",),
        "blocks.#.mlp.fc1_g": ("blocks.#.mlp.gate",),
        "blocks.#.mlp.fc1_x": ("blocks.#.mlp.up",),
        "blocks.#.mlp.fc2": ("blocks.#.mlp.down",),
        "layer.#.mlp.gate_proj": ("blocks.#.mlp.gate",),
        "layer.#.mlp.up_proj": ("blocks.#.mlp.up",),
        "layer.#.mlp.down_proj": ("blocks.#.mlp.down",),
    },
    ignored=_IGNORED,
)


class DINOv3Options(ExtractorOptions):
    """backbone: small, small_plus, base, large, huge_plus or 7b."""

    backbone: Annotated[str, one_of(BACKBONES, UNPUBLISHED)] = "base"


@feature_extractors.register("dinov3")
class DINOv3(FeatureExtractor):
    """DINOv3 (Siméoni et al. 2025), LVD-1689M weights, patches of 16 pixels."""

    Options = DINOv3Options
    options: DINOv3Options
    version: ClassVar[int] = 1

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        backbone = backbone_of(self.options.backbone)
        weights = wanted_weights(self.options, self.source(self.options))
        layout = GATED_LAYOUT if backbone.swiglu else LAYOUT
        state = None
        if weights is not None:
            state = with_plain_bias(canonical_state(weights.state, layout))
        biased = state is not None and any(key.endswith("attn.q.bias") for key in state)
        with seeded(self.options.init_seed):
            self.model = build(backbone, qkv_bias=biased).eval()
        if weights is not None and state is not None:
            load_canonical(self.model, state, layout, weights.name)

    @classmethod
    def describe(cls, options: DINOv3Options) -> Architecture:
        backbone = backbone_of(options.backbone)
        return Architecture(block_names(backbone.depth), PATCH, backbone.dim, NATIVE, PATCH)

    @classmethod
    def source(cls, options: DINOv3Options) -> Source | None:
        return published_source(MODEL_ID, options.model_dump())

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        model: Any = self.model
        yield from encode_blocks(
            partial(model.forward_features, images),
            dict(zip(self.layer_names, model.blocks, strict=True)),
            layers,
            norm=model.norm if self.options.norm == "final" else None,
            prefix=1 + REGISTERS,
        )


def backbone_of(name: str) -> Backbone:
    """The architecture behind an option.

    Raises:
        BenchError: a size that is known by name only.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    timm_name = UNPUBLISHED[name]
    if not timm.is_model(timm_name):
        raise BenchError(
            f"DINOv3 has no published '{name}' backbone, and the installed timm has none.",
            "Use backbone: huge_plus.",
        )
    with torch.device("meta"):
        model: Any = timm.create_model(timm_name)
    heads = model.blocks[0].attn.num_heads
    return Backbone(timm_name, model.embed_dim, len(model.blocks), heads)


def build(backbone: Backbone, *, qkv_bias: bool) -> nn.Module:
    """timm's model without a head. Most weights have no query and value bias."""
    model: nn.Module = timm.create_model(
        backbone.timm_name,
        pretrained=False,
        num_classes=0,
        embed_dim=backbone.dim,
        depth=backbone.depth,
        num_heads=backbone.heads,
        qkv_bias=qkv_bias,
    )
    return model


def with_plain_bias(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the key's bias, which is masked in training, and without biases that are all zero.

    The authors' files and transformers' have biases everywhere, most of them zero.
    """
    kept = {key: value for key, value in state.items() if not key.endswith("attn.k.bias")}
    biases = {key for key in kept if key.endswith(("attn.q.bias", "attn.v.bias"))}
    if any(kept[key].any() for key in biases):
        return kept
    return {key: value for key, value in kept.items() if key not in biases}

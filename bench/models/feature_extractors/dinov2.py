"""DINOv2, with and without registers, built by transformers or by timm."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import torch
from timm.layers.mlp import SwiGLUPacked
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn.functional import interpolate
from transformers import (
    Dinov2Config,
    Dinov2Model,
    Dinov2WithRegistersConfig,
    Dinov2WithRegistersModel,
)
from transformers.models.dinov2.modeling_dinov2 import Dinov2Embeddings

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

MODEL_ID = "feature_extractor/dinov2"
PATCH = 14
NATIVE = 518
REGISTERS = 4


@dataclass(frozen=True)
class Backbone:
    """swiglu: gated MLP instead of a plain one."""

    dim: int
    depth: int
    heads: int
    swiglu: bool = False


BACKBONES = {
    "small": Backbone(384, 12, 6),
    "base": Backbone(768, 12, 12),
    "large": Backbone(1024, 24, 16),
    "giant": Backbone(1536, 40, 24, swiglu=True),
}

_QKV = ("blocks.#.attn.q", "blocks.#.attn.k", "blocks.#.attn.v")
_GATED = ("blocks.#.mlp.gate", "blocks.#.mlp.up")
_ATTENTION = "encoder.layer.#.attention"

#: Authors' files, timm, and transformers before and since version 5.
LAYOUT = Layout(
    aliases={
        "reg_token": ("register_tokens",),
        "embeddings.cls_token": ("cls_token",),
        "embeddings.register_tokens": ("register_tokens",),
        "embeddings.position_embeddings": ("pos_embed",),
        "embeddings.patch_embeddings.projection": ("patch_embed.proj",),
        "layernorm": ("norm",),
        "blocks.#.attn.qkv": _QKV,
        "encoder.layer.#": ("blocks.#",),
        "encoder.layer.#.layer_scale1.lambda1": ("blocks.#.ls1.gamma",),
        "encoder.layer.#.layer_scale2.lambda1": ("blocks.#.ls2.gamma",),
        f"{_ATTENTION}.attention.query": (_QKV[0],),
        f"{_ATTENTION}.attention.key": (_QKV[1],),
        f"{_ATTENTION}.attention.value": (_QKV[2],),
        f"{_ATTENTION}.output.dense": ("blocks.#.attn.proj",),
        f"{_ATTENTION}.q_proj": (_QKV[0],),
        f"{_ATTENTION}.k_proj": (_QKV[1],),
        f"{_ATTENTION}.v_proj": (_QKV[2],),
        f"{_ATTENTION}.o_proj": ("blocks.#.attn.proj",),
    },
    wrappers=("dinov2.", "dinov2_with_registers."),
    ignored=(
        "mask_token",
        "embeddings.mask_token",
        "head.",
        "classifier.",
        "decoder.",
        "dino_head.",
        "ibot_head.",
    ),
)
GATED_LAYOUT = Layout(
    aliases={
        **LAYOUT.aliases,
        "blocks.#.mlp.w12": _GATED,
        "blocks.#.mlp.w3": ("blocks.#.mlp.down",),
        "blocks.#.mlp.fc1": _GATED,
        "blocks.#.mlp.fc2": ("blocks.#.mlp.down",),
        "encoder.layer.#.mlp.weights_in": _GATED,
        "encoder.layer.#.mlp.weights_out": ("blocks.#.mlp.down",),
        "encoder.layer.#.mlp.gate_proj": (_GATED[0],),
        "encoder.layer.#.mlp.up_proj": (_GATED[1],),
        "encoder.layer.#.mlp.down_proj": ("blocks.#.mlp.down",),
    },
    wrappers=LAYOUT.wrappers,
    ignored=LAYOUT.ignored,
)


class DINOv2Options(ExtractorOptions):
    """backbone: small, base, large or giant. with_registers: the weights with 4 register tokens.
    use_timm: timm's implementation instead of transformers'; the features are the same."""

    backbone: Annotated[str, one_of(BACKBONES)] = "base"
    with_registers: bool = False
    use_timm: bool = False


@feature_extractors.register("dinov2")
class DINOv2(FeatureExtractor):
    """DINOv2 (Oquab et al. 2024), ViT-S/B/L/g with patches of 14 pixels."""

    Options = DINOv2Options
    options: DINOv2Options
    version: ClassVar[int] = 1

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        backbone = BACKBONES[self.options.backbone]
        weights = wanted_weights(self.options, self.source(self.options))
        build = _build_timm if self.options.use_timm else _build_transformers
        with seeded(self.options.init_seed):
            self.model = build(backbone, self.options.with_registers).eval()
        if weights is not None:
            layout = GATED_LAYOUT if backbone.swiglu else LAYOUT
            state = with_joined_positions(canonical_state(weights.state, layout))
            if self.options.with_registers:
                state = with_class_position(state, kept=not self.options.use_timm)
            load_canonical(self.model, state, layout, weights.name)

    @classmethod
    def describe(cls, options: DINOv2Options) -> Architecture:
        backbone = BACKBONES[options.backbone]
        return Architecture(block_names(backbone.depth), PATCH, backbone.dim, NATIVE, PATCH)

    @classmethod
    def source(cls, options: DINOv2Options) -> Source | None:
        return published_source(MODEL_ID, options.model_dump())

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        model: Any = self.model
        if self.options.use_timm:
            forward = partial(model.forward_features, images)
            blocks, norm = model.blocks, model.norm
        else:
            forward = partial(last_hidden_state, model, images)
            blocks, norm = module_list(model, len(self.layer_names)), model.layernorm
        yield from encode_blocks(
            forward,
            dict(zip(self.layer_names, blocks, strict=True)),
            layers,
            norm=norm if self.options.norm == "final" else None,
            prefix=1 + REGISTERS * self.options.with_registers,
        )


class ReleaseEmbeddings(Dinov2Embeddings):
    """transformers' embeddings with the position rule of the authors' release."""

    def interpolate_pos_encoding(self, embeddings: Tensor, height: int, width: int) -> Tensor:
        return resample_positions(self.position_embeddings, height // PATCH, width // PATCH)


class ReleaseVisionTransformer(VisionTransformer):
    """timm's model with the position rule of the authors' release."""

    def _pos_embed(self, x: Tensor) -> Tensor:
        cls_token, pos_embed = self.get_parameter("cls_token"), self.get_parameter("pos_embed")
        positions = resample_positions(pos_embed, x.shape[1], x.shape[2])
        return torch.cat([cls_token.expand(len(x), -1, -1), x.flatten(1, 2)], dim=1) + positions


def resample_positions(positions: Tensor, rows: int, cols: int) -> Tensor:
    """Position embedding [1, 1 + rows * cols, D] of models without registers.

    The authors scale by (n + 0.1) / 37, bicubic, without antialiasing, and leave the native grid
    untouched. Models with registers are resampled to the exact size with antialiasing, which both
    libraries do as the authors.
    """
    side = math.isqrt(positions.shape[1] - 1)
    if (rows, cols) == (side, side):
        return positions
    table = positions[:, 1:].float().reshape(1, side, side, -1).permute(0, 3, 1, 2)
    scale = ((rows + 0.1) / side, (cols + 0.1) / side)
    resized = interpolate(table, scale_factor=scale, mode="bicubic")
    patches = resized.flatten(2).transpose(1, 2).to(positions.dtype)
    return torch.cat([positions[:, :1], patches], dim=1)


def with_joined_positions(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The position embedding in one piece; an exported graph holds class and patches apart."""
    parts = {k: v for k, v in state.items() if re.fullmatch(r"embeddings\.[A-Z]\w+", k)}
    joined = {k: v for k, v in state.items() if k not in parts}
    if parts:
        joined["pos_embed"] = torch.cat(sorted(parts.values(), key=lambda part: part.shape[1]), 1)
    return joined


def with_class_position(state: Mapping[str, Tensor], *, kept: bool) -> dict[str, Tensor]:
    """Register models: the class token's position kept apart, or added to the token (timm)."""
    aligned = dict(state)
    if "pos_embed" not in state or "cls_token" not in state:
        return aligned
    positions = state["pos_embed"]
    folded = math.isqrt(positions.shape[1]) ** 2 == positions.shape[1]
    if kept and folded:
        aligned["pos_embed"] = torch.cat([torch.zeros_like(positions[:, :1]), positions], dim=1)
    elif not kept and not folded:
        aligned["cls_token"] = state["cls_token"] + positions[:, :1]
        aligned["pos_embed"] = positions[:, 1:]
    return aligned


def _build_transformers(backbone: Backbone, with_registers: bool) -> nn.Module:
    shared: dict[str, Any] = {
        "hidden_size": backbone.dim,
        "num_hidden_layers": backbone.depth,
        "num_attention_heads": backbone.heads,
        "use_swiglu_ffn": backbone.swiglu,
        "image_size": NATIVE,
        "patch_size": PATCH,
    }
    model: nn.Module
    if with_registers:
        config = Dinov2WithRegistersConfig(num_register_tokens=REGISTERS, **shared)
        model = Dinov2WithRegistersModel(config)
    else:
        model = Dinov2Model(Dinov2Config(**shared))
        embeddings = ReleaseEmbeddings(model.config)
        embeddings.load_state_dict(model.embeddings.state_dict())
        model.embeddings = embeddings
    return model


def _build_timm(backbone: Backbone, with_registers: bool) -> nn.Module:
    variant: dict[str, Any] = {}
    if backbone.swiglu:
        variant |= {"mlp_ratio": 2 * 2.66667, "mlp_layer": SwiGLUPacked, "act_layer": nn.SiLU}
    if with_registers:
        variant |= {"reg_tokens": REGISTERS, "no_embed_class": True}
    kind = VisionTransformer if with_registers else ReleaseVisionTransformer
    model: nn.Module = kind(
        img_size=NATIVE,
        patch_size=PATCH,
        embed_dim=backbone.dim,
        depth=backbone.depth,
        num_heads=backbone.heads,
        init_values=1.0,
        num_classes=0,
        dynamic_img_size=True,
        **variant,
    )
    return model

"""Patch embeddings: DINOv2 with registers, and a single convolution.

A patch embedding takes RGB in [0, 1] and owns its normalisation and padding:
``forward_features(images [N, 3, H, W]) -> {"x_norm_patchtokens": [N, rows * cols, embed_dim]}``
with rows = ceil(H / patch_size), cols = ceil(W / patch_size), the padding central. Feature
extractors keep the same contract, so that any of them can stand in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate
from torch.nn.init import normal_, trunc_normal_, zeros_
from torch.utils.checkpoint import checkpoint

from bench.errors import BenchError
from bench.models.preprocessing import IMAGENET, pad_to_grid, padded_grid
from bench.models.transformer import Block, PatchConv
from bench.models.vggt.options import PatchEmbedName
from bench.registry import suggestion

#: Width, blocks and heads (DINOv2, table 17). The giant has a plain MLP here, not SwiGLU.
DINOV2_SIZES: dict[str, tuple[int, int, int]] = {
    "dinov2_vits14_reg": (384, 12, 6),
    "dinov2_vitb14_reg": (768, 12, 12),
    "dinov2_vitl14_reg": (1024, 24, 16),
    "dinov2_vitg2_reg": (1536, 40, 24),
}
NUM_REGISTERS = 4


def build_patch_embed(
    name: PatchEmbedName,
    *,
    img_size: int,
    patch_size: int,
    embed_dim: int,
    gradient_checkpointing: bool = False,
) -> nn.Module:
    """The built-in patch embedding `name`, randomly initialised.

    Raises:
        BenchError: a DINOv2 size whose width is not `embed_dim`, or an image size that is not a
            whole number of patches.
    """
    if name == "conv":
        return ConvPatchEmbed(patch_size, embed_dim)
    width, depth, num_heads = DINOV2_SIZES[name]
    if width != embed_dim:
        fitting = [n for n, (w, _, _) in DINOV2_SIZES.items() if w == embed_dim]
        raise BenchError(
            f"Patch embedding {name} has width {width}, VGGT has embed_dim {embed_dim}.",
            f"Set embed_dim to {width}, or patch_embed to {' or '.join([*fitting, 'conv'])}.",
        )
    if img_size % patch_size:
        raise BenchError(
            f"img_size {img_size} is not a multiple of patch_size {patch_size}.",
            f"Use {img_size - img_size % patch_size or patch_size}.",
        )
    return DinoVisionTransformer(
        img_size, patch_size, width, depth, num_heads, gradient_checkpointing
    )


def build_swapped_patch_embed(
    config: Mapping[str, Any], *, patch_size: int, embed_dim: int
) -> nn.Module:
    """The feature extractor that ``patch_embed_config`` asks for.

    It always normalises its images itself, whatever ``preprocess_images`` says, because nothing
    else in VGGT does.

    Args:
        config: ``model_id`` and, if wanted, ``model_config``.

    Raises:
        BenchError: unknown key or model, intermediate layers asked for, or a backbone whose patch
            size or width is not VGGT's.
    """
    from bench.models import EXTRACTOR_PREFIX, get_model_from_model_id

    known = ("model_id", "model_config")
    for key in config:
        if key not in known:
            raise BenchError(
                f"VGGT patch_embed_config: unknown option '{key}'.", suggestion(key, known)
            )
    model_id = config.get("model_id")
    if not isinstance(model_id, str) or not model_id.startswith(EXTRACTOR_PREFIX):
        raise BenchError(
            f"VGGT patch_embed_config: model_id {model_id!r} is not a feature extractor.",
            f"Name one as {EXTRACTOR_PREFIX}<name>; see `bench list models`.",
        )
    options = {**(config.get("model_config") or {}), "preprocess_images": True}
    if options.get("layers") is not None:
        raise BenchError(
            f"VGGT patch_embed_config: {model_id} was asked for intermediate layers.",
            "Leave out layers: the final output becomes the patch embedding.",
        )
    extractor = get_model_from_model_id(model_id, options)
    check_patch_embed(extractor, model_id, patch_size=patch_size, embed_dim=embed_dim)
    return extractor


def check_patch_embed(extractor: nn.Module, name: str, *, patch_size: int, embed_dim: int) -> None:
    """Raise BenchError unless `extractor` can give VGGT its patch tokens."""
    if getattr(extractor, "scope", "image") != "image":
        raise BenchError(
            f"{name} works on whole view sets and cannot embed the patches of an image.",
            "Choose an extractor that sees each image alone.",
        )
    for what, wanted in (("patch_size", patch_size), ("embed_dim", embed_dim)):
        found = getattr(extractor, what)
        if found != wanted:
            raise BenchError(
                f"{name} has {what} {found}, VGGT has {what} {wanted}.",
                f"Set VGGT's {what} to {found}, or choose another backbone.",
            )


class ConvPatchEmbed(PatchConv):
    """A single convolution, without norm or position embedding."""

    def __init__(self, patch_size: int, embed_dim: int) -> None:
        super().__init__(patch_size, embed_dim)
        self.patch_size = patch_size

    def forward_features(self, images: Tensor) -> dict[str, Tensor]:
        return {"x_norm_patchtokens": self(normalise_and_pad(images, self.patch_size))}


class DinoVisionTransformer(nn.Module):
    """DINOv2 with registers (Darcet et al. 2024), state dict as in Meta's files.

    Args:
        img_size: side in pixels of the images whose positions `pos_embed` holds.
        gradient_checkpointing: recompute the blocks in the backward pass in training mode.
    """

    def __init__(
        self,
        img_size: int,
        patch_size: int,
        embed_dim: int,
        depth: int,
        num_heads: int,
        gradient_checkpointing: bool = False,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.embed_dim = embed_dim
        self.native_side = img_size // patch_size
        self.gradient_checkpointing = gradient_checkpointing
        self.patch_embed = PatchConv(patch_size, embed_dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + self.native_side**2, embed_dim))
        self.register_tokens = nn.Parameter(torch.empty(1, NUM_REGISTERS, embed_dim))
        # Part of the published weights; only masked pre-training uses it.
        self.mask_token = nn.Parameter(torch.zeros(1, embed_dim), requires_grad=False)
        self.blocks = nn.ModuleList(
            Block(embed_dim, num_heads, init_values=1.0, norm_eps=1e-6) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim, eps=1e-6)
        self._initialise()

    def _initialise(self) -> None:
        trunc_normal_(self.pos_embed, std=0.02)
        normal_(self.cls_token, std=1e-6)
        normal_(self.register_tokens, std=1e-6)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                zeros_(module.bias)

    def forward_features(self, images: Tensor) -> dict[str, Tensor]:
        prepared = normalise_and_pad(images, self.patch_size)
        rows, cols = (side // self.patch_size for side in prepared.shape[-2:])
        patches = self.patch_embed(prepared)
        positions = self._positions(rows, cols)
        count = len(patches)
        x = torch.cat(
            [
                (self.cls_token + positions[:, :1]).expand(count, -1, -1),
                self.register_tokens.expand(count, -1, -1),
                patches + positions[:, 1:],
            ],
            dim=1,
        )
        for block in self.blocks:
            if self.gradient_checkpointing and self.training:
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        x = self.norm(x)
        return {
            "x_norm_clstoken": x[:, 0],
            "x_norm_regtokens": x[:, 1 : 1 + NUM_REGISTERS],
            "x_norm_patchtokens": x[:, 1 + NUM_REGISTERS :],
        }

    def _positions(self, rows: int, cols: int) -> Tensor:
        """[1, 1 + rows * cols, C]: the class token's, then the patches', resampled if needed."""
        side = self.native_side
        if (rows, cols) == (side, side):
            return self.pos_embed
        native = torch.unflatten(self.pos_embed[:, 1:].float(), 1, (side, side)).permute(0, 3, 1, 2)
        resampled = interpolate(
            native, size=(rows, cols), mode="bicubic", align_corners=False, antialias=True
        )
        patches = resampled.flatten(2).transpose(1, 2).to(self.pos_embed.dtype)
        return torch.cat([self.pos_embed[:, :1], patches], dim=1)


def normalise_and_pad(images: Tensor, patch_size: int) -> Tensor:
    """ImageNet normalisation of [N, 3, H, W] in [0, 1], then padding with the mean colour."""
    mean = images.new_tensor(IMAGENET.mean).view(3, 1, 1)
    std = images.new_tensor(IMAGENET.std).view(3, 1, 1)
    height, width = images.shape[-2:]
    grid = padded_grid(height, width, patch_size, patch_size)
    return pad_to_grid((images - mean) / std, grid)

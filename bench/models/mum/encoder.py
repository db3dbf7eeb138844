"""The MuM encoder: a plain vision transformer whose rotary embedding runs in bfloat16."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.init import normal_, trunc_normal_, uniform_, zeros_

from bench.errors import BenchError
from bench.models.transformer import Block, PatchConv

ROPE_BASE = 100.0
#: The published weights were trained with it; float32 changes features by about 1e-2.
ROPE_DTYPE = torch.bfloat16


@dataclass(frozen=True)
class PatchRotation:
    """Rotates queries or keys [B, heads, 1 + P, D]; the class token in front does not turn.

    Channel j is paired with channel j + D / 2. cos, sin: `ROPE_DTYPE` [P, D].
    """

    cos: Tensor
    sin: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        rounded = x.to(self.cos.dtype)
        prefix, patches = rounded[..., :1, :], rounded[..., 1:, :]
        first, second = patches.chunk(2, dim=-1)
        turned = torch.cat([-second, first], dim=-1)
        return torch.cat([prefix, patches * self.cos + turned * self.sin], dim=-2).to(x.dtype)


class PatchPositions(nn.Module):
    """Rotary embedding of patch centres, both axes mapped to [-1, 1] (as in DINOv3)."""

    periods: Tensor

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        exponents = 2 * torch.arange(head_dim // 4, dtype=ROPE_DTYPE) / (head_dim // 2)
        self.register_buffer("periods", ROPE_BASE**exponents)

    def forward(self, rows: int, cols: int) -> PatchRotation:
        """The rotation for a grid of patches in raster order; every step rounds to bfloat16."""
        # A caller may have moved the module to another precision.
        periods = self.periods.to(ROPE_DTYPE)
        y = torch.arange(0.5, rows, dtype=ROPE_DTYPE, device=periods.device) / rows
        x = torch.arange(0.5, cols, dtype=ROPE_DTYPE, device=periods.device) / cols
        centres = 2.0 * torch.cartesian_prod(y, x) - 1.0
        angles = 2 * math.pi * centres[:, :, None] / periods
        angles = angles.flatten(1).tile(2)
        return PatchRotation(angles.cos(), angles.sin())


class MuMEncoder(nn.Module):
    """Encoder of MuM; the defaults are those of the published ViT-L/16."""

    def __init__(
        self,
        patch_size: int = 16,
        embed_dim: int = 1024,
        depth: int = 24,
        num_heads: int = 16,
        mlp_ratio: float = 4.0,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.embed_dim = embed_dim
        self.patch_embed = PatchConv(patch_size, embed_dim)
        self.cls_token = nn.Parameter(torch.empty(1, 1, embed_dim))
        self.rope_embed = PatchPositions(embed_dim // num_heads)
        self.blocks = nn.ModuleList(
            Block(embed_dim, num_heads, mlp_ratio=mlp_ratio) for _ in range(depth)
        )
        self.norm = nn.LayerNorm(embed_dim)
        self._initialise()

    def _initialise(self) -> None:
        normal_(self.cls_token, std=0.02)
        bound = (3 * self.patch_size**2) ** -0.5
        uniform_(self.patch_embed.proj.weight, -bound, bound)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                trunc_normal_(module.weight, std=0.02)
                zeros_(module.bias)

    def iter_blocks(self, images: Tensor) -> Iterator[Tensor]:
        """Tokens [N, 1 + P, C] after every block, before the final norm; the class token is first.

        Args:
            images: normalised, [N, 3, H, W]; both sides multiples of the patch.
        """
        rows, cols = (side // self.patch_size for side in images.shape[-2:])
        if tuple(images.shape[-2:]) != (rows * self.patch_size, cols * self.patch_size):
            raise BenchError(
                f"{images.shape[-1]} x {images.shape[-2]} pixels are not whole patches of "
                f"{self.patch_size}.",
                "Pad or resize the images first.",
            )
        patches = self.patch_embed(images)
        x = torch.cat([self.cls_token.expand(len(patches), -1, -1), patches], dim=1)
        rotate = self.rope_embed(rows, cols)
        for block in self.blocks:
            x = block(x, rotate)
            yield x

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """All tokens of the last block, and their normalised class and patch tokens.

        Args:
            images: as in `iter_blocks`.

        Returns:
            ``x_norm_cls_token`` [N, C], ``x_norm_patchtokens`` [N, P, C], ``x_prenorm``
            [N, 1 + P, C].
        """
        for x in self.iter_blocks(images):
            last = x
        normed = self.norm(last)
        return {
            "x_norm_cls_token": normed[:, 0],
            "x_norm_patchtokens": normed[:, 1:],
            "x_prenorm": last,
        }

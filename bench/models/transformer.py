"""The parts of a pre-norm vision transformer that VGGT, DINOv2 within it, and MuM share."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, scaled_dot_product_attention

from bench.errors import BenchError

#: Rotary position embedding of queries or keys [B, heads, N, head_dim]; the shape is kept.
Rotation = Callable[[Tensor], Tensor]


class PatchConv(nn.Module):
    """One convolution per patch: [N, 3, H, W] -> [N, P, embed_dim] in raster order."""

    def __init__(self, patch_size: int, embed_dim: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, images: Tensor) -> Tensor:
        tokens: Tensor = self.proj(images)
        return tokens.flatten(2).transpose(1, 2)


class Attention(nn.Module):
    """Multi-head self-attention over [B, N, dim].

    Args:
        qk_norm: LayerNorm (eps 1e-5) over the channels of each head's queries and keys, with one
            weight for all heads.
    """

    def __init__(self, dim: int, num_heads: int, *, qk_norm: bool = False) -> None:
        super().__init__()
        if dim % num_heads:
            raise BenchError(
                f"{num_heads} attention heads do not divide a width of {dim}.",
                "Choose a number of heads that divides the width.",
            )
        self.num_heads = num_heads
        self.qkv = nn.Linear(dim, 3 * dim)
        self.q_norm = nn.LayerNorm(dim // num_heads) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(dim // num_heads) if qk_norm else nn.Identity()
        self.proj = nn.Linear(dim, dim)

    def queries_keys_values(
        self, x: Tensor, rotate: Rotation | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """What is compared and what is averaged, each [B, heads, N, head_dim]."""
        heads = torch.unflatten(self.qkv(x), -1, (3, self.num_heads, -1))
        q, k, v = heads.permute(2, 0, 3, 1, 4).unbind(0)
        q, k = self.q_norm(q), self.k_norm(k)
        if rotate is not None:
            q, k = rotate(q), rotate(k)
        return q, k, v

    def forward(self, x: Tensor, rotate: Rotation | None = None) -> Tensor:
        q, k, v = self.queries_keys_values(x, rotate)
        # Under autocast the norm and the rotation leave q and k in float32, v in bfloat16.
        attended = scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v)
        out: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return out


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, dim_in: int, hidden: int, dim_out: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim_in, hidden)
        self.fc2 = nn.Linear(hidden, dim_out)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.fc2(gelu(self.fc1(x)))
        return out


class LayerScale(nn.Module):
    """A learned factor per channel (CaiT)."""

    def __init__(self, dim: int, init_value: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((dim,), init_value))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.gamma


class Block(nn.Module):
    """x + ls1(attention(norm1(x))), then x + ls2(mlp(norm2(x))), over [B, N, dim].

    Args:
        init_values: start value of the LayerScale; None leaves it out.
        norm_eps: of norm1 and norm2.
    """

    def __init__(
        self,
        dim: int,
        num_heads: int,
        *,
        mlp_ratio: float = 4.0,
        qk_norm: bool = False,
        init_values: float | None = None,
        norm_eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=norm_eps)
        self.attn = Attention(dim, num_heads, qk_norm=qk_norm)
        self.ls1 = LayerScale(dim, init_values) if init_values is not None else nn.Identity()
        self.norm2 = nn.LayerNorm(dim, eps=norm_eps)
        self.mlp = Mlp(dim, int(dim * mlp_ratio), dim)
        self.ls2 = LayerScale(dim, init_values) if init_values is not None else nn.Identity()

    def forward(self, x: Tensor, rotate: Rotation | None = None) -> Tensor:
        x = x + self.ls1(self.attn(self.norm1(x), rotate))
        update: Tensor = self.ls2(self.mlp(self.norm2(x)))
        return x + update

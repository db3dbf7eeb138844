"""Alternating attention: within each frame, then over all frames of a sequence (VGGT, 3.2)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Protocol, cast

import torch
from torch import Tensor, nn
from torch.nn.init import normal_
from torch.utils.checkpoint import checkpoint

from bench.errors import BenchError
from bench.models.preprocessing import padded_grid
from bench.models.transformer import Block, Rotation
from bench.models.vggt.options import AggregatorOptions
from bench.models.vggt.rope import axial_rotation, token_positions
from bench.types import PatchGrid


class PatchEmbedding(Protocol):
    """What an aggregator asks of its patch embedding."""

    def forward_features(self, images: Tensor) -> Mapping[str, Tensor]:
        """``x_norm_patchtokens`` [N, P, C] of images [N, 3, H, W] in [0, 1]."""


class Aggregator(nn.Module):
    """Patch embedding, and frame and global attention blocks in alternation.

    Tokens of a frame: the camera token, the registers, then the patches in raster order. The first
    frame of a sequence has camera and register tokens of its own, all others share a second set.

    Args:
        patch_embed: see `bench.models.vggt.patch_embed` for its contract.

    Raises:
        BenchError: a number of heads that does not suit the width.
    """

    def __init__(
        self, options: AggregatorOptions, *, patch_embed: nn.Module, patch_size: int, embed_dim: int
    ) -> None:
        super().__init__()
        self.options = options
        self.patch_size = patch_size
        self.num_special = 1 + options.num_register_tokens
        self.camera_token = nn.Parameter(torch.empty(1, 2, 1, embed_dim))
        self.register_token = nn.Parameter(
            torch.empty(1, 2, options.num_register_tokens, embed_dim)
        )
        normal_(self.camera_token, std=1e-6)
        normal_(self.register_token, std=1e-6)
        self.patch_embed = patch_embed
        if options.freeze_patch_embed:
            patch_embed.requires_grad_(False).eval()

        def blocks() -> nn.ModuleList:
            return nn.ModuleList(
                Block(
                    embed_dim,
                    options.num_heads,
                    mlp_ratio=options.mlp_ratio,
                    qk_norm=options.qk_norm,
                    init_values=options.init_values,
                )
                for _ in range(options.depth)
            )

        self.frame_blocks = blocks()
        self.global_blocks = blocks()
        self.head_dim = embed_dim // options.num_heads
        if self.head_dim % 4:
            raise BenchError(
                f"Heads of {self.head_dim} channels cannot be rotated along two axes.",
                "embed_dim / num_heads must be a multiple of 4.",
            )

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names that `iter_layers` yields, in network order."""
        return self.options.layer_names

    def grid(self, images: Tensor) -> PatchGrid:
        """Where the patch tokens of images [..., H, W] lie."""
        height, width = images.shape[-2:]
        return padded_grid(height, width, self.patch_size, self.patch_size)

    def train(self, mode: bool = True) -> Aggregator:
        super().train(mode)
        if self.options.freeze_patch_embed:
            self.patch_embed.eval()
        return self

    def iter_layers(self, images: Tensor) -> Iterator[tuple[str, Tensor]]:
        """Patch tokens [B, S, P, C] of every layer, one at a time, in network order.

        ``patch_embed`` is the patch embedding's output (DINOv2: after its final norm);
        ``frame_<i>`` and ``global_<i>`` are raw values of the residual stream, before any norm.
        A layer is computed when it is asked for, and none is kept.

        Args:
            images: [B, S, 3, H, W], RGB floats in [0, 1]; one sequence per leading index.
        """
        patches = self._embed_patches(images)
        yield "patch_embed", patches
        for kind, index, tokens in self._attend(patches, self.grid(images)):
            # Otherwise the first layer would live as long as the last.
            patches = tokens[:, :, self.num_special :]
            yield f"{kind}_{index}", patches

    def forward(self, images: Tensor, layers: Collection[int] | None = None) -> dict[int, Tensor]:
        """Frame and global tokens of `layers`, concatenated: {layer: [B, S, T, 2 C]}.

        The first half of the channels is the frame block's output, the second the global block's;
        T = 1 + registers + patches. Nothing is computed beyond the last layer asked for, and no
        other layer is kept.

        Args:
            images: [B, S, 3, H, W], RGB floats in [0, 1]; one sequence per leading index.
            layers: 0 to depth - 1; None means all of them.
        """
        depth = self.options.depth
        wanted = set(range(depth) if layers is None else layers)
        if wanted and not 0 <= min(wanted) <= max(wanted) < depth:
            raise BenchError(
                f"Aggregator layers {sorted(wanted)} do not all exist.",
                f"This aggregator has layers 0 to {depth - 1}.",
            )
        halves: dict[int, dict[str, Tensor]] = {index: {} for index in wanted}
        found: dict[int, Tensor] = {}
        if not wanted:
            return found
        for kind, index, tokens in self._attend(self._embed_patches(images), self.grid(images)):
            if index not in wanted:
                continue
            halves[index][kind] = tokens
            if len(halves[index]) == 2:
                pair = halves.pop(index)
                found[index] = torch.cat([pair["frame"], pair["global"]], dim=-1)
                if not halves:
                    break
        return found

    def _embed_patches(self, images: Tensor) -> Tensor:
        """[B, S, 3, H, W] -> [B, S, P, C]."""
        if images.ndim != 5 or images.shape[2] != 3:
            raise BenchError(
                f"VGGT needs images [B, S, 3, H, W], got {list(images.shape)}.",
                "Pass RGB views of one scene as one sequence.",
            )
        batch, frames, _, height, width = images.shape
        embedding = cast(PatchEmbedding, self.patch_embed)
        found = embedding.forward_features(images.flatten(0, 1))["x_norm_patchtokens"]
        grid = self.grid(images)
        if found.shape[1] != grid.rows * grid.cols:
            raise BenchError(
                f"The patch embedding gave {found.shape[1]} patches for {width} x {height} "
                f"pixels, VGGT expects {grid.cols} x {grid.rows}.",
                "Choose a backbone that pads to multiples of its patch.",
            )
        return torch.unflatten(found, 0, (batch, frames))

    def _attend(self, patches: Tensor, grid: PatchGrid) -> Iterator[tuple[str, int, Tensor]]:
        """Kind, index and tokens [B, S, T, C] of every block in network order."""
        batch, frames = patches.shape[:2]
        special = torch.cat([self.camera_token, self.register_token], dim=2)
        special = torch.cat([special[:, :1], special[:, 1:].expand(-1, frames - 1, -1, -1)], dim=1)
        x = torch.cat([special.expand(batch, -1, -1, -1), patches], dim=2)
        del patches
        positions = token_positions(grid.rows, grid.cols, self.num_special, x.device)
        base = self.options.rope_freq
        rotations = {
            "frame": axial_rotation(positions, self.head_dim, base),
            "global": axial_rotation(positions.repeat(frames, 1), self.head_dim, base),
        }
        blocks = {"frame": self.frame_blocks, "global": self.global_blocks}
        shape = x.shape
        for kind, index in self.options.schedule:
            # A frame attends to itself: frames are the batch. Global: the sequence is.
            flat = x.flatten(0, 1) if kind == "frame" else x.flatten(1, 2)
            x = self._run(blocks[kind][index], flat, rotations[kind]).view(shape)
            yield kind, index, x

    def _run(self, block: nn.Module, x: Tensor, rotate: Rotation) -> Tensor:
        if self.options.gradient_checkpointing and self.training:
            out = checkpoint(block, x, rotate, use_reentrant=False)
        else:
            out = block(x, rotate)
        assert isinstance(out, Tensor)
        return out

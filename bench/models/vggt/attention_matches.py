"""Where each head of the global attention looks: the patch that every patch attends to most.

Read by hooks while the model runs, since attention maps are far too large to be handed on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from bench.models.transformer import Attention
from bench.models.vggt.aggregator import Aggregator


@contextmanager
def recorded(aggregator: Aggregator, images: Tensor) -> Iterator[list[Tensor]]:
    """While it is open, the aggregator's forward pass on these images fills the list it yields.

    One tensor for each global block that runs, in order: [B, S, S, heads, rows, cols], where
    ``[b, i, j, h, y, x]`` is the raster index of the patch of view j to which head h gives the most
    attention from patch (y, x) of view i. Softmax keeps the order, so none is computed.

    Args:
        images: [B, S, 3, H, W].
    """
    frames = images.shape[1]
    grid = aggregator.grid(images)
    found: list[Tensor] = []

    def note(module: nn.Module, given: tuple[Any, ...]) -> None:
        assert isinstance(module, Attention)
        with torch.no_grad():
            queries, keys, _ = module.queries_keys_values(*given)
            best = strongest(
                _patches(queries, frames, aggregator.num_special),
                _patches(keys, frames, aggregator.num_special),
            )
        found.append(torch.unflatten(best, -1, grid.shape))

    hooks = [
        block.get_submodule("attn").register_forward_pre_hook(note)
        for block in aggregator.global_blocks
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


def strongest(queries: Tensor, keys: Tensor) -> Tensor:
    """Index [B, S, S, heads, P] of the largest product for queries and keys [B, heads, S, P, C].

    One view and one head at a time, so that never more than [P, S P] products are in memory.
    """
    batch, heads, frames, patches, _ = queries.shape
    best = queries.new_empty(batch, frames, frames, heads, patches, dtype=torch.long)
    with torch.autocast(device_type=queries.device.type, enabled=False):
        for b in range(batch):
            for head in range(heads):
                every = keys[b, head].flatten(0, 1).float()
                for view in range(frames):
                    products = queries[b, head, view].float() @ every.T
                    found = torch.unflatten(products, -1, (frames, patches)).argmax(-1)
                    best[b, view, :, head] = found.T
    return best


def _patches(tokens: Tensor, frames: int, num_special: int) -> Tensor:
    """Tokens [B, heads, S T, C] without the special ones, view by view [B, heads, S, P, C]."""
    return torch.unflatten(tokens, 2, (frames, -1))[:, :, :, num_special:]

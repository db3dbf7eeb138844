"""Peak memory of VGGT's activations beside that of the naive form.

The naive form keeps the concatenated outputs of all layers and runs the dense heads on eight
frames at a time. Counted are the bytes of live tensors besides the weights; buffers inside kernels
are not.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakIdKeyDictionary

from bench.models.vggt import VGGT

FRAMES = 16
NAIVE_CHUNK = 8


class ActivationMemory(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Bytes of the tensors that are made inside, as long as they live; `peak` is their maximum."""

    def __init__(self, weights: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = self.peak = 0
        self._known = WeakIdKeyDictionary()
        for tensor in (*weights.parameters(), *inputs):
            self._known[tensor.untyped_storage()] = None

    def __torch_dispatch__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, Tensor):
                self._count(tensor.untyped_storage())
        return result

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage in self._known:
            return
        self._known[storage] = None
        size = storage.nbytes()
        self.live += size
        self.peak = max(self.peak, self.live)
        weakref.finalize(storage, self._free, size)

    def _free(self, size: int) -> None:
        self.live -= size


def build(scale: int, chunk: int | None) -> VGGT:
    """VGGT-1B with every width divided by `scale`; the patch embedding is one convolution."""
    pyramid = {
        "features": 256 // scale,
        "out_channels": [width // scale for width in (256, 512, 1024, 1024)],
        **({} if chunk is None else {"frames_chunk_size": chunk}),
    }
    return VGGT(
        embed_dim=1024 // scale,
        enable_point=True,
        aggregator_config={"num_heads": 16 // scale, "patch_embed": "conv"},
        camera_head_config={"num_heads": 16 // scale},
        depth_head_config=pyramid,
        point_head_config=pyramid,
    ).eval()


def naive(model: VGGT, images: Tensor) -> dict[str, Any]:
    layers = model.aggregator(images)
    predictions = model._run_heads(layers, model.aggregator.grid(images), None)
    return {**predictions, "images": images}


def measure(
    forward: Callable[[Tensor], dict[str, Any]], model: VGGT, images: Tensor
) -> tuple[int, dict[str, Any]]:
    """Peak bytes and predictions."""
    with torch.no_grad(), ActivationMemory(model, [images]) as memory:
        predictions = forward(images)
    return memory.peak, predictions


def compare(scale: int, side: int) -> tuple[float, dict[str, Any], dict[str, Any]]:
    """Ratio of the peaks, then the predictions of both."""
    torch.manual_seed(0)
    lean_model, naive_model = build(scale, None), build(scale, NAIVE_CHUNK)
    naive_model.load_state_dict(lean_model.state_dict())
    images = torch.rand(1, FRAMES, 3, side, side)
    lean_peak, lean = measure(lean_model, lean_model, images)
    naive_peak, full = measure(lambda x: naive(naive_model, x), naive_model, images)
    return lean_peak / naive_peak, lean, full


def against_naive(device: str) -> float:
    """VGGT-1B on 16 views of 518 pixels: every tensor has its size, none has contents."""
    with FakeTensorMode():
        ratio, _, _ = compare(scale=1, side=518)
    return ratio

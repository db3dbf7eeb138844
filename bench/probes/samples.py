"""Training and test samples of dense probes: known by key, read again when they are needed."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

import torch
from torch import Tensor
from tqdm import tqdm

from bench.types import PatchGrid, Reread, TaskItem, ViewSetRef

#: Samples held in memory while a probe trains, however many view sets the dataset has.
HELD_BYTES = 10**9
#: Samples that are shuffled together; the other half is left to the held-out ones.
WINDOW_BYTES = HELD_BYTES // 2


@dataclass(frozen=True)
class Sample:
    """tokens: per layer [rows, cols, D]; target: [C, H, W] of the image, 0 where unknown."""

    tokens: tuple[Tensor, ...]
    target: Tensor

    @property
    def known(self) -> Tensor:
        """Pixels with a target, bool [H, W]."""
        return (self.target != 0).any(0)

    @property
    def size_bytes(self) -> int:
        return sum(tensor.nbytes for tensor in (*self.tokens, self.target))


@dataclass(frozen=True)
class SampleKey:
    """Which view a sample is.

    view: its place in the view set. usable: it has finite features and a known target. typical:
    what a constant prediction would say of it, empty where it is not usable.
    """

    view_set: ViewSetRef
    view: int
    grid: PatchGrid
    usable: bool
    size_bytes: int = 0
    typical: tuple[float, ...] = field(default=(), compare=False)


@dataclass
class Samples:
    """Samples by key, of which a bounded number stays in memory.

    Attributes:
        sample_of: makes the sample of one view of a view set, on the processor.
        label: names the bars that show how far reading is.
    """

    reread: Reread
    sample_of: Callable[[TaskItem, int], Sample]
    label: str = "samples"
    held_bytes: int = HELD_BYTES
    _held: OrderedDict[SampleKey, Sample] = field(default_factory=OrderedDict)
    _size_bytes: int = 0

    def load(self, key: SampleKey) -> Sample:
        self.hold([key])
        return self._held[key]

    def batch(self, keys: Sequence[SampleKey]) -> tuple[list[Tensor], Tensor, Tensor]:
        """Tokens [B, D, rows, cols] per layer, targets [B, C, H, W] and known pixels [B, H, W]."""
        self.hold(keys)
        samples = [self._held[key] for key in keys]
        layers = zip(*(sample.tokens for sample in samples), strict=True)
        tokens = [torch.stack(layer).permute(0, 3, 1, 2).float() for layer in layers]
        target = torch.stack([sample.target for sample in samples])
        return tokens, target, torch.stack([sample.known for sample in samples])

    def hold(self, keys: Sequence[SampleKey]) -> None:
        """Bring samples into memory; what was used longest ago makes room."""
        missing: dict[ViewSetRef, list[SampleKey]] = {}
        for key in keys:
            if key in self._held:
                self._held.move_to_end(key)
            else:
                missing.setdefault(key.view_set, []).append(key)
        if not missing:
            return
        self._make_room(sum(key.size_bytes for own in missing.values() for key in own), set(keys))
        items = self.reread(list(missing))
        shown = tqdm(
            zip(missing.values(), items, strict=True),
            f"{self.label}: reading",
            len(missing),
            disable=None,
            leave=False,
            delay=1,
        )
        for own, item in shown:
            for key in own:
                self._held[key] = self.sample_of(item, key.view)
                self._size_bytes += key.size_bytes

    def _make_room(self, size_bytes: int, wanted: set[SampleKey]) -> None:
        for key in list(self._held):
            if self._size_bytes + size_bytes <= self.held_bytes:
                return
            if key not in wanted:
                del self._held[key]
                self._size_bytes -= key.size_bytes


def windows(keys: Sequence[SampleKey], size_bytes: int = WINDOW_BYTES) -> Iterator[list[SampleKey]]:
    """The keys in order, parted so that each part fits into `size_bytes`.

    Neighbours of one view set stay together, however large it is.
    """
    window: list[SampleKey] = []
    size = 0
    for _, group in groupby(keys, key=lambda key: key.view_set):
        own = list(group)
        more = sum(key.size_bytes for key in own)
        if window and size + more > size_bytes:
            yield window
            window, size = [], 0
        window += own
        size += more
    if window:
        yield window

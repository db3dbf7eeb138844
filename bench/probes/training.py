"""Training of a probe: shuffled, with a schedule, early stopping on held-out samples."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.probes.heads import Probe
from bench.probes.samples import SampleStore
from bench.types import PatchGrid

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Training:
    """steps: at most; warm-up over the first 15 % of them, then a cosine to zero. evaluate_every:
    steps between looks at the held-out samples; patience: looks without an improvement."""

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    evaluate_every: int = 25
    patience: int = 8

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        warm = max(1, math.ceil(0.15 * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        progress = (step - warm) / max(1, self.steps - warm)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


@dataclass
class History:
    """Loss on the held-out samples by step; best: the step whose weights were kept."""

    held_out: dict[int, float] = field(default_factory=dict)

    @property
    def best(self) -> int | None:
        known = {step: loss for step, loss in self.held_out.items() if math.isfinite(loss)}
        return min(known, key=lambda step: (known[step], step)) if known else None

    @property
    def looks_since_best(self) -> int:
        return sum(step > (self.best or 0) for step in self.held_out)


def standardise(probe: Probe, store: SampleStore, indices: Sequence[int]) -> None:
    """Set the probe's constants to mean and standard deviation per channel over the samples."""
    count, total, square = 0, torch.zeros(()), torch.zeros(())
    for index in indices:
        tokens, _, _ = store.batch([index])
        rows = torch.cat(tokens, dim=1)[0].flatten(1).to(torch.float64)
        count += rows.shape[1]
        total = total + rows.sum(1)
        square = square + rows.square().sum(1)
    mean = total / count
    spread = (square / count - mean.square()).clamp(min=0).sqrt()
    probe.mean.copy_(mean)
    # A constant channel stays as it is: dividing by its rounding errors would make it noise.
    probe.scale.copy_(torch.where(spread > 1e-6 * mean.abs().clamp(min=1e-6), spread, 1.0))


@torch.enable_grad()
def train(
    probe: Probe,
    loss: Loss,
    store: SampleStore,
    train_on: Sequence[int],
    held_out: Sequence[int],
    training: Training,
    seed: int,
) -> History:
    """Train in place; the weights with the smallest held-out loss stay."""
    standardise(probe, store, train_on)
    optimizer = torch.optim.AdamW(
        probe.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    history, best = History(), copy.deepcopy(probe.state_dict())
    batches = endless_batches(store, train_on, training.batch_size, seed)
    for step in range(1, training.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = training.rate(step - 1)
        optimizer.zero_grad()
        batch_loss(probe, loss, store, next(batches)).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if step % training.evaluate_every and step != training.steps:
            continue
        history.held_out[step] = held_out_loss(probe, loss, store, held_out, training.batch_size)
        if history.best == step:
            best = copy.deepcopy(probe.state_dict())
        if history.looks_since_best >= training.patience:
            break
    probe.load_state_dict(best)
    return history


@torch.no_grad()
def held_out_loss(
    probe: Probe, loss: Loss, store: SampleStore, indices: Sequence[int], batch_size: int
) -> float:
    """Mean loss over samples, each batch weighted by its size."""
    total = 0.0
    for batch in same_grid_batches(store, indices, batch_size):
        total += float(batch_loss(probe, loss, store, batch)) * len(batch)
    return total / len(indices)


def batch_loss(probe: Probe, loss: Loss, store: SampleStore, batch: Sequence[int]) -> Tensor:
    """Loss of the samples of a batch, which share a grid."""
    device = probe.mean.device
    tokens, target, known = store.batch(list(batch))
    predicted = probe([t.to(device) for t in tokens], store.keys[batch[0]].grid)
    return loss(predicted, target.to(device), known.to(device))


def endless_batches(
    store: SampleStore, indices: Sequence[int], batch_size: int, seed: int
) -> Iterator[list[int]]:
    """Batches of shuffled samples, epoch after epoch."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = [indices[i] for i in torch.randperm(len(indices), generator=generator).tolist()]
        batches = list(same_grid_batches(store, order, batch_size))
        for i in torch.randperm(len(batches), generator=generator).tolist():
            yield batches[i]


def same_grid_batches(
    store: SampleStore, indices: Sequence[int], batch_size: int
) -> Iterator[list[int]]:
    """The samples in batches of one grid each, in order."""
    groups: dict[PatchGrid, list[int]] = {}
    for index in indices:
        groups.setdefault(store.keys[index].grid, []).append(index)
    for group in groups.values():
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]

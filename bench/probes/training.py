"""Training of a probe: shuffled, with a schedule, early stopping on held-out samples.

Probe3D's loader never shuffles ("trainval" is not "train"), selects nothing on held-out data and
loses the weights at the end. There is no augmentation here: features are those of the image itself,
so that they can be kept.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from tqdm import tqdm

from bench.probes.heads import Probe
from bench.probes.samples import WINDOW_BYTES, SampleKey, Samples, windows
from bench.types import PatchGrid, ViewSetRef

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

#: Share of the steps in which the learning rate rises: 1.5 of Probe3D's 10 epochs.
WARM_UP = 0.15


@dataclass(frozen=True)
class Training:
    """AdamW with a linear warm-up over the first 15 % of the steps, then a cosine to zero.

    Probe3D's code ends at 1 % of its rate, on the first quarter of a cosine; its paper says a
    cosine to zero, as here.

    Attributes:
        steps: at most. looks: at the held-out samples, evenly spread; patience: looks without an
            improvement after which training stops.
    """

    steps: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.01
    looks: int = 24
    patience: int = 8

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        warm = max(1, math.ceil(WARM_UP * self.steps))
        if step < warm:
            return self.learning_rate * (step + 1) / warm
        progress = (step - warm) / max(1, self.steps - warm)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))

    def is_look(self, step: int) -> bool:
        """Whether the held-out samples are looked at after a step, counted from 1."""
        return step % math.ceil(self.steps / self.looks) == 0 or step == self.steps


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


def standardise(probe: Probe, samples: Samples, keys: Sequence[SampleKey]) -> None:
    """Set the probe's constants to mean and standard deviation per channel over the samples."""
    count, total, square = 0, torch.zeros(()), torch.zeros(())
    for window in windows(keys):
        samples.hold(window)
        for key in window:
            tokens = [layer.flatten(0, 1) for layer in samples.load(key).tokens]
            rows = torch.cat(tokens, dim=1).to(torch.float64)
            count += rows.shape[0]
            total = total + rows.sum(0)
            square = square + rows.square().sum(0)
    mean = total / count
    spread = (square / count - mean.square()).clamp(min=0).sqrt()
    probe.mean.copy_(mean)
    # A constant channel stays as it is: dividing by its rounding errors would make it noise.
    probe.scale.copy_(torch.where(spread > 1e-6 * mean.abs().clamp(min=1e-6), spread, 1.0))


@torch.enable_grad()
def train(
    probe: Probe,
    loss: Loss,
    samples: Samples,
    train_on: Sequence[SampleKey],
    held_out: Sequence[SampleKey],
    training: Training,
    seed: int,
) -> History:
    """Train in place; the weights with the smallest held-out loss stay."""
    standardise(probe, samples, train_on)
    optimizer = torch.optim.AdamW(
        probe.parameters(), lr=training.learning_rate, weight_decay=training.weight_decay
    )
    history, best = History(), copy.deepcopy(probe.state_dict())
    batches = endless_batches(samples, train_on, training.batch_size, seed)
    steps = range(1, training.steps + 1)
    with tqdm(steps, samples.label, unit="step", disable=None, leave=False) as shown:
        for step in shown:
            for group in optimizer.param_groups:
                group["lr"] = training.rate(step - 1)
            optimizer.zero_grad()
            batch_loss(probe, loss, samples, next(batches)).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            if not training.is_look(step):
                continue
            found = held_out_loss(probe, loss, samples, held_out, training.batch_size)
            history.held_out[step] = found
            shown.set_postfix(held_out=found, best=history.best)
            if history.best == step:
                best = copy.deepcopy(probe.state_dict())
            if history.looks_since_best >= training.patience:
                break
    probe.load_state_dict(best)
    return history


@torch.no_grad()
def held_out_loss(
    probe: Probe, loss: Loss, samples: Samples, keys: Sequence[SampleKey], batch_size: int
) -> float:
    """Mean loss over samples, each batch weighted by its size."""
    total = 0.0
    for window in windows(keys):
        samples.hold(window)
        for batch in same_grid_batches(window, batch_size):
            total += float(batch_loss(probe, loss, samples, batch)) * len(batch)
    return total / len(keys)


def batch_loss(probe: Probe, loss: Loss, samples: Samples, batch: Sequence[SampleKey]) -> Tensor:
    """Loss of the samples of a batch, which share a grid."""
    device = probe.mean.device
    tokens, target, known = samples.batch(batch)
    predicted = probe([t.to(device) for t in tokens], batch[0].grid)
    return loss(predicted, target.to(device), known.to(device))


def endless_batches(
    samples: Samples,
    keys: Sequence[SampleKey],
    batch_size: int,
    seed: int,
    window_bytes: int = WINDOW_BYTES,
) -> Iterator[list[SampleKey]]:
    """Batches of shuffled samples, each sample once an epoch, epoch after epoch.

    View sets are shuffled, then the samples of as many of them as fit into memory: of a small
    dataset all, of a large one a new choice every time.
    """
    by_view_set: dict[ViewSetRef, list[SampleKey]] = {}
    for key in keys:
        by_view_set.setdefault(key.view_set, []).append(key)
    generator = torch.Generator().manual_seed(seed)

    def order(count: int) -> list[int]:
        found: list[int] = torch.randperm(count, generator=generator).tolist()
        return found

    view_sets = list(by_view_set.values())
    while True:
        shuffled = [key for i in order(len(view_sets)) for key in view_sets[i]]
        for window in windows(shuffled, window_bytes):
            samples.hold(window)
            mixed = [window[i] for i in order(len(window))]
            batches = list(same_grid_batches(mixed, batch_size))
            for i in order(len(batches)):
                yield batches[i]


def same_grid_batches(keys: Sequence[SampleKey], batch_size: int) -> Iterator[list[SampleKey]]:
    """The samples in batches of one grid each, in order."""
    groups: dict[PatchGrid, list[SampleKey]] = {}
    for key in keys:
        groups.setdefault(key.grid, []).append(key)
    for group in groups.values():
        for start in range(0, len(group), batch_size):
            yield group[start : start + batch_size]

"""A measure: a ratio of two costs inside one run, and the goal it is held against.

Machines are shared and differ, so no time is ever reported or asserted alone. Both sides are timed
in turn, and the smallest time of each counts: what disturbs a run only ever makes it longer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

Work = Callable[[], object]


@dataclass(frozen=True)
class Measure:
    """A ratio per device. at_least: the goal is a lower bound; else an upper one."""

    what: str
    goal: float
    ratio: Callable[[str], float]
    at_least: bool = False
    devices: tuple[str, ...] = ("cpu",)

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.goal if self.at_least else ratio <= self.goal


def time_ratio(work: Work, other: Work, device: str = "cpu", rounds: int = 7) -> float:
    """How many times as long `work` takes as `other`."""
    work(), other()
    with one_thread():
        times = [(seconds(work, device), seconds(other, device)) for _ in range(rounds)]
    return min(own for own, _ in times) / min(theirs for _, theirs in times)


def seconds(work: Work, device: str = "cpu") -> float:
    """Time of one call.

    On the processor that of the work itself, in all threads of this process, so that what else
    the machine does hardly counts; elsewhere the time that passes until the device is done.
    """
    if device == "cpu":
        start = time.process_time()
        work()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    work()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


@contextmanager
def one_thread() -> Iterator[None]:
    """torch computes in one thread, none of which then waits for another."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)

"""How a suite is run, as far as it does not change a score, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from bench.runner.cache import DEFAULT_CAP_BYTES


@dataclass(frozen=True)
class Settings:
    """How to run, as far as it does not change a score.

    batch_size: view sets per forward pass; None chooses 8 on CUDA and 1 elsewhere. cache_bytes: cap
    of the feature cache.
    """

    device: str = "cpu"
    cache: Literal["auto", "off", "read", "on"] = "auto"
    force: bool = False
    workers: int = 2
    batch_size: int | None = None
    compile: bool = False
    cache_bytes: int = DEFAULT_CAP_BYTES

    @property
    def batch(self) -> int:
        return self.batch_size or (8 if self.device.startswith("cuda") else 1)


@dataclass
class Outcome:
    """What a run did."""

    done: int = 0
    failed: int = 0
    skipped: int = 0
    forward_passes: int = 0
    cache_hits: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)

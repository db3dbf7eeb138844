"""Features on disk: content-addressed, checked when read, pruned by last use.

One safetensors file per layer and image (single-view models) or ordered view set (joint models).
The key covers weights, configuration, precision, layer and image content, so an entry is never
stale, only unused.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bench.models.checkpoints import cache_root
from bench.results import atomic

DEFAULT_CAP_BYTES = 20 * 10**9


@dataclass(frozen=True)
class Entry:
    """One file of the cache."""

    path: Path
    size_bytes: int
    used: float


@dataclass
class FeatureStore:
    """A folder of features shared by all runs and processes of a user.

    Attributes:
        problems: what went wrong and was mended by computing again; for the run's report.
        writable: False once the disk is full; the run goes on without writing.
    """

    folder: Path = field(default_factory=lambda: cache_root() / "features")
    cap_bytes: int = DEFAULT_CAP_BYTES
    problems: list[str] = field(default_factory=list)
    writable: bool = True
    _written: int = 0

    def path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        return self.path(key).is_file()

    def read(self, key: str) -> dict[str, Tensor] | None:
        """Tensors of an entry; None if absent or damaged (a damaged one is removed)."""
        path = self.path(key)
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                stored = (file.metadata() or {}).get("checksum")
            if checksum(tensors) != stored:
                raise ValueError("checksum differs")
            os.utime(path)
        except FileNotFoundError:
            return None
        except (SafetensorError, OSError, ValueError) as error:
            self.problems.append(f"cache entry {path.name[:12]} is damaged ({error}); recomputed")
            path.unlink(missing_ok=True)
            return None
        return tensors

    def write(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Store an entry; a full disk or an unwritable folder ends writing, not the run."""
        if not self.writable:
            return
        own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        size = sum(t.numel() * t.element_size() for t in own.values())
        try:
            with atomic(self.path(key)) as temporary:
                save_file(own, temporary, metadata={"checksum": checksum(own)})
        except (OSError, SafetensorError) as error:
            self.writable = False
            full = getattr(error, "errno", None) == errno.ENOSPC
            reason = "the disk is full" if full else f"{self.folder} cannot be written ({error})"
            self.problems.append(f"features are no longer cached: {reason}")
            return
        self._written += size
        if self._written > self.cap_bytes // 20:
            self._written = 0
            self.prune()

    def entries(self) -> Iterator[Entry]:
        """All entries, in no particular order."""
        for path in self.folder.glob("??/*.safetensors"):
            try:
                stat = path.stat()
            except FileNotFoundError:
                continue
            yield Entry(path, stat.st_size, stat.st_mtime)

    def prune(self, cap_bytes: int | None = None) -> int:
        """Remove the least recently used entries above the cap; returns the bytes removed.

        Safe beside other processes: an entry that vanishes is only computed again.
        """
        cap = self.cap_bytes if cap_bytes is None else cap_bytes
        found = sorted(self.entries(), key=lambda entry: entry.used)
        excess = sum(entry.size_bytes for entry in found) - cap
        removed = 0
        for entry in found:
            if removed >= excess:
                break
            entry.path.unlink(missing_ok=True)
            removed += entry.size_bytes
        return removed

    def verify(self) -> list[str]:
        """Read every entry; damaged ones are removed and named."""
        before = len(self.problems)
        for entry in list(self.entries()):
            self.read(entry.path.stem)
        return self.problems[before:]


def checksum(tensors: Mapping[str, Tensor]) -> str:
    """Hash of names, shapes, types and bytes."""
    state = hashlib.blake2b(digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        state.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        state.update(tensor.contiguous().numpy().data)
    return state.hexdigest()

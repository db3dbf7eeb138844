"""Features on disk: content-addressed, checked when read, pruned by last use.

One safetensors file per layer and image (single-view models) or ordered view set (joint models), in
a folder per model. The names cover weights, configuration, precision, layer and image content, so
an entry is never stale, only unused.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from errno import ENOSPC
from os import utime
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from bench.atomic import sweep, write_bytes
from bench.models.checkpoints import cache_root

DEFAULT_CAP_BYTES = 20 * 10**9
#: Left free on the disk, so that a full cache never keeps results from being written.
RESERVE_BYTES = 500 * 10**6


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
    _room: int = 0

    def path(self, key: str) -> Path:
        """Where an entry lies. key: ``<model>/<content>``."""
        return self.folder / f"{key}.safetensors"

    def has(self, key: str) -> bool:
        return self.path(key).is_file()

    def knows(self, model: str) -> bool:
        """Whether there may be features of a model."""
        return (self.folder / model).is_dir()

    def read(self, key: str) -> dict[str, Tensor] | None:
        """Tensors of an entry; None if absent or damaged (a damaged one is removed)."""
        path = self.path(key)
        try:
            with safe_open(path, framework="pt") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                stored = (file.metadata() or {}).get("checksum")
            if checksum(key, tensors) != stored:
                raise ValueError("checksum differs")
        except FileNotFoundError:
            return None
        except Exception as error:  # Whatever a reader trips over is damage.
            self.problems.append(f"cache entry {path.name[:12]} is damaged ({error}); recomputed")
            with suppress(OSError):
                path.unlink()
            return None
        with suppress(OSError):
            utime(path)
        return tensors

    def write(self, key: str, tensors: Mapping[str, Tensor]) -> None:
        """Store an entry; a full disk or an unwritable folder ends writing, not the run."""
        if not self.writable:
            return
        own = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        content = save(own, metadata={"checksum": checksum(key, own)})
        try:
            self._make_room(len(content))
            write_bytes(self.path(key), content)
        except OSError as error:
            self.writable = False
            reason = "the disk is full" if error.errno == ENOSPC else str(error)
            self.problems.append(f"features are no longer cached in {self.folder}: {reason}")

    def entries(self) -> Iterator[Entry]:
        """All entries, in no particular order."""
        for path in self.folder.glob("*/*.safetensors"):
            with suppress(OSError):
                stat = path.stat()
                yield Entry(path, stat.st_size, stat.st_mtime)

    def prune(self, cap_bytes: int | None = None) -> int:
        """Remove the least recently used entries above the cap; returns the bytes removed.

        Safe beside other processes: an entry that vanishes is only computed again.
        """
        cap = self.cap_bytes if cap_bytes is None else cap_bytes
        sweep(self.folder)
        found = sorted(self.entries(), key=lambda entry: entry.used)
        excess = sum(entry.size_bytes for entry in found) - cap
        removed = 0
        for entry in found:
            if removed >= excess:
                break
            with suppress(OSError):
                entry.path.unlink(missing_ok=True)
                removed += entry.size_bytes
        return removed

    def verify(self) -> list[str]:
        """Read every entry; damaged ones are removed and named."""
        before = len(self.problems)
        for entry in list(self.entries()):
            self.read(f"{entry.path.parent.name}/{entry.path.stem}")
        return self.problems[before:]

    def _make_room(self, size_bytes: int) -> None:
        """Prune now and then, by a share that lasts for a while."""
        share = self.cap_bytes // 20
        if self._room < size_bytes:
            self.prune(self.cap_bytes - share)
            self._room = share
        self._room -= size_bytes
        self.folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(self.folder).free < RESERVE_BYTES + size_bytes:
            raise OSError(ENOSPC, "less than the reserve is free")


def checksum(key: str, tensors: Mapping[str, Tensor]) -> str:
    """Hash of an entry's name and of names, shapes, types and bytes of its tensors."""
    state = hashlib.blake2b(key.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        state.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        state.update(tensor.contiguous().numpy().data)
    return state.hexdigest()

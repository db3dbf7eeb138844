"""Files that are whole or not there: no crash leaves half of one under its name."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: A temporary file that nobody has touched for so long belongs to a process that was killed.
ABANDONED_SECONDS = 3600


@contextmanager
def atomic(path: Path, durable: bool = True) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place, complete, at the end.

    Args:
        durable: on disk before it takes the place, so that a power failure cannot tear it either;
            what can be made again does without the wait.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield temporary
        if durable:
            _sync(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        _sync(path.parent)


def write_bytes(path: Path, content: bytes, durable: bool = True) -> None:
    """Write a file atomically."""
    with atomic(path, durable) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    write_bytes(path, text.encode("utf-8"))


def write_json(path: Path, value: object) -> None:
    """Write JSON atomically, with sorted keys."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def sweep(folder: Path) -> None:
    """Remove the temporary files that killed processes left below `folder`."""
    now = time.time()
    for path in folder.rglob(".*.tmp"):
        with suppress(OSError):
            if now - path.stat().st_mtime > ABANDONED_SECONDS:
                path.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

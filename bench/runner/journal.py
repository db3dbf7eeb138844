"""Progress inside a cell: the scores of finished view sets survive the end of the process.

One line of JSON per finished batch, in a file of each process, so that two processes on one run
folder never write to the same file. View sets are the unit of record, not batches: a rerun may
have other batches. A torn line is ignored and its view sets are scored again. Lines are handed to
the system, not forced onto the disk: losing the last ones with the machine costs time, not truth.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import IO

from pydantic import TypeAdapter

from bench.types import ItemScore

#: View set -> its scores in one cell.
Progress = dict[str, list[ItemScore]]

_LINE = TypeAdapter(dict[str, Progress])


class Journal:
    """Scores of finished view sets, per cell, of the cells of one model and dataset."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        self._file: IO[bytes] | None = None

    def read(self) -> dict[str, Progress]:
        """Cell -> what all processes so far noted of it."""
        found: dict[str, Progress] = {}
        for path in sorted(self.folder.glob("*.jsonl")):
            for line in _lines(path):
                for cell, progress in line.items():
                    found.setdefault(cell, {}).update(progress)
        return found

    def add(self, scores: Mapping[str, Progress]) -> None:
        """Note the scores of a finished batch, per cell and view set."""
        if not any(scores.values()):
            return
        if self._file is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
        record = {
            cell: {name: [asdict(score) for score in rows] for name, rows in progress.items()}
            for cell, progress in scores.items()
        }
        self._file.write(json.dumps(record).encode() + b"\n")


def drop(folder: Path, is_over: Callable[[str], bool]) -> None:
    """Remove every file below `folder` that speaks of no unfinished cell, of all processes."""
    for path in folder.rglob("*.jsonl"):
        if all(is_over(cell) for line in _lines(path) for cell in line):
            path.unlink(missing_ok=True)


def _lines(path: Path) -> Iterator[dict[str, Progress]]:
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        try:
            yield _LINE.validate_python(json.loads(line))
        except (ValueError, RecursionError):
            continue

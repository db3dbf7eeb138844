"""Progress inside a cell: finished batches survive whatever happens to the machine.

One line of JSON per finished batch, in a file of each process, so that two processes on one run
folder never write to the same file. A line torn by a crash is ignored and its batch redone.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.types import ItemScore

Progress = dict[int, list[ItemScore]]


@dataclass
class Journal:
    """Scores of finished batches of the cells of one model and dataset."""

    folder: Path
    path: Path = field(init=False)
    done: dict[str, Progress] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.path = self.folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.jsonl"
        for file in sorted(self.folder.glob("*.jsonl")):
            self._read(file)

    def of(self, key: str) -> Progress:
        """Batch number -> scores of the cell with this key."""
        return self.done.get(key, {})

    def add(
        self, batch: int, scores: Mapping[str, list[ItemScore]], skipped: Mapping[str, str]
    ) -> None:
        """Note a finished batch: scores per cell key, and view sets that could not be read."""
        self.skipped.update(skipped)
        record = {
            "batch": batch,
            "skipped": dict(skipped),
            "scores": {key: [asdict(score) for score in rows] for key, rows in scores.items()},
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def forget(self, keys: Iterable[str]) -> None:
        """Drop the progress of cells that are stored; the files go with the last of them."""
        for key in keys:
            self.done.pop(key, None)

    def close(self) -> None:
        """Remove the files once every cell that they speak of is stored."""
        for file in self.folder.glob("*.jsonl"):
            file.unlink(missing_ok=True)
        if self.folder.is_dir() and not any(self.folder.iterdir()):
            self.folder.rmdir()

    def _read(self, file: Path) -> None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except OSError:
            return
        for line in lines:
            try:
                record = json.loads(line)
                batch = int(record["batch"])
                self.skipped.update(record["skipped"])
                for key, rows in record["scores"].items():
                    scores = [ItemScore(**row) for row in rows]
                    self.done.setdefault(key, {})[batch] = scores
            except (ValueError, KeyError, TypeError):
                continue

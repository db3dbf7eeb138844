"""Published lists of view sets: their file format and their hash."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from bench.datasets._files import read_json
from bench.errors import BenchError
from bench.types import Dataset, Split, ViewSetRef


class _ListedSet(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    scene: str
    split: Split
    set: str
    views: tuple[str, ...] = Field(min_length=1)


class _ListFile(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1]
    sets: tuple[_ListedSet, ...]


def list_hash(dataset: Dataset) -> str:
    """sha256 of the dataset's name, version and list of view sets: what was scored."""
    content = {
        "name": dataset.name,
        "version": dataset.version,
        "view_sets": [asdict(ref) for ref in dataset.view_sets()],
    }
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def sorted_refs(refs: Iterable[ViewSetRef]) -> tuple[ViewSetRef, ...]:
    """The published order: by scene, then by set."""
    return tuple(sorted(refs, key=lambda ref: (ref.scene, ref.set_id)))


def read_list(path: Path) -> tuple[ViewSetRef, ...]:
    """A published list; BenchError if it is malformed or names a set or a view twice."""
    listed = read_json(path, _ListFile).sets
    refs = sorted_refs(ViewSetRef(s.scene, s.set, s.split, s.views) for s in listed)
    problems = [f"set '{ref.set_id}' of '{ref.scene}' {what}" for ref, what in duplicates(refs)]
    if problems:
        raise BenchError(f"{path}: {'; '.join(problems)}.", "List every set and view once.")
    return refs


def write_list(refs: Iterable[ViewSetRef], path: Path) -> None:
    """Save a list for others to use with the option `sets`."""
    sets = [
        {"scene": r.scene, "split": r.split, "set": r.set_id, "views": list(r.views)} for r in refs
    ]
    lines = ",\n".join(f"  {json.dumps(entry)}" for entry in sets)
    path.write_text(f'{{"version": 1, "sets": [\n{lines}\n]}}\n', encoding="utf-8")


def duplicates(refs: Iterable[ViewSetRef]) -> list[tuple[ViewSetRef, str]]:
    """Sets that are listed twice, hold a view twice, or hold the views of an earlier set."""
    refs = tuple(refs)
    names = Counter((ref.scene, ref.set_id) for ref in refs)
    first: dict[tuple[str, frozenset[str]], str] = {}
    found = []
    for ref in refs:
        views = (ref.scene, frozenset(ref.views))
        if names[ref.scene, ref.set_id] > 1:
            found.append((ref, "is listed twice"))
        elif len(views[1]) < len(ref.views):
            found.append((ref, "holds a view twice"))
        elif views in first:
            found.append((ref, f"holds the same views as set '{first[views]}'"))
        first.setdefault(views, ref.set_id)
    return found

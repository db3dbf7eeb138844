"""Files that tasks leave for figures and later comparisons: equal content, equal bytes."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from bench.atomic import atomic


def scene_file(folder: Path, kind: str, scene: str, layer: str, suffix: str = ".npz") -> Path:
    """``<kind>/<scene>--<layer>.npz``; a name that had to be changed is kept apart by its hash."""
    return folder / kind / f"{_file_name(scene)}--{_file_name(layer)}{suffix}"


def save_arrays(path: Path, **arrays: Any) -> None:
    """Write a compressed .npz that appears complete or not at all."""
    with atomic(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)


def _file_name(name: str) -> str:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "_", name)[:80]
    if safe == name:
        return safe
    return f"{safe}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"

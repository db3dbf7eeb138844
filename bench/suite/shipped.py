"""Suites and other data files that come with bench."""

from __future__ import annotations

from pathlib import Path

from bench.errors import BenchError
from bench.registry import suggestion


def find_suite(name: str) -> Path:
    """A suite by path, or by the name of one that comes with bench.

    Raises:
        BenchError: there is none.
    """
    path = Path(name)
    if is_file(path):
        return path
    known = shipped_suites()
    if name in known:
        return known[name]
    raise BenchError(f"No suite at '{name}'.", suggestion(name, known))


def is_file(path: Path) -> bool:
    """Whether there is such a file; False for names that no file can have."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def shipped_suites() -> dict[str, Path]:
    """Suites that come with bench, by name."""
    return {path.stem: path for path in sorted(shipped_folder("suites").glob("*.yaml"))}


def shipped_folder(name: str) -> Path:
    """A data folder of the project: in a checkout beside the package, in a wheel inside it."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "_shipped" / name
    return inside if inside.is_dir() else package.parent / name

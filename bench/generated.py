"""Leaderboards inside hand-written pages, between markers, and whether they are stale.

A block starts with ``<!-- results: <run> -->`` and ends with ``<!-- end results -->``; between them
stands the leaderboard of ``results/<run>/leaderboard.md``, without its title.
"""

from __future__ import annotations

import re
from pathlib import Path

from bench.atomic import write_text
from bench.errors import BenchError

_BLOCK = re.compile(r"(<!-- results: (\S+) -->\n)(.*?)(<!-- end results -->)", re.DOTALL)


def refreshed(page: str, results: Path) -> str:
    """The page with every block as the runs below `results` have it now.

    Raises:
        BenchError: a block names a run that has no leaderboard.
    """

    def block(match: re.Match[str]) -> str:
        start, run, _, end = match.groups()
        file = results / run / "leaderboard.md"
        if not file.is_file():
            raise BenchError(f"{file} is missing.", f"Run `bench run {run}`.")
        _, _, body = file.read_text(encoding="utf-8").partition("\n")
        return f"{start}\n{_nested(body.strip())}\n\n{end}"

    return _BLOCK.sub(block, page)


def refresh(page: Path, results: Path) -> None:
    """Bring a page up to date."""
    text = page.read_text(encoding="utf-8")
    fresh = refreshed(text, results)
    if fresh != text:
        write_text(page, fresh)


def is_stale(page: Path, results: Path) -> bool:
    """Whether a page shows other numbers than the runs."""
    text = page.read_text(encoding="utf-8")
    return refreshed(text, results) != text


def _nested(markdown: str) -> str:
    """Second-level headings become third-level ones."""
    return re.sub(r"^## ", "### ", markdown, flags=re.MULTILINE)

"""Tables inside BENCHMARKS.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import BenchError
from bench.generated import is_stale, refresh

PAGE = "# Page\n\n<!-- results: run -->\nold\n<!-- end results -->\n\ntail\n"


def test_blocks_follow_the_results(tmp_path: Path) -> None:
    page = tmp_path / "PAGE.md"
    page.write_text(PAGE)
    with pytest.raises(BenchError, match="bench run run"):
        is_stale(page, tmp_path)
    (tmp_path / "run").mkdir()
    board = tmp_path / "run" / "leaderboard.md"
    board.write_text("# Leaderboard: run\n\n## Table\n\n| a | b |\n")
    assert is_stale(page, tmp_path)
    refresh(page, tmp_path)
    assert not is_stale(page, tmp_path)
    assert "### Table\n\n| a | b |" in page.read_text() and page.read_text().endswith("tail\n")
    board.write_text("# Leaderboard: run\n\n## Table\n\n| a | c |\n")
    assert is_stale(page, tmp_path)

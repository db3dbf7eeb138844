"""``report``, ``leaderboard``, ``compare``, ``cache`` and ``data`` as a user drives them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.test_cli import bench


@pytest.fixture
def run_folder(tiny_suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    out = tmp_path / "run"
    text = tiny_suite.read_text().replace("{name: slab}", "{name: slab, params: {num_sets: 4}}")
    tiny_suite.write_text(text)
    assert bench("run", tiny_suite, "--out", out, "--cache", "on") == 0
    capsys.readouterr()
    return out


def test_report_is_one_page(run_folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert bench("report", run_folder, "--out", page) == 0
    html = page.read_text()
    assert "tiny" in html and "RGB" in html and "<script" in html
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert bench("report") == 2


def test_report_says_where_the_page_is_and_opens_it(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    address = (run_folder / "report.html").as_uri()
    assert bench("report", run_folder) == 0
    assert opened == []
    assert address in capsys.readouterr().out
    assert bench("report", run_folder, "--open") == 0
    assert opened == [address]


def test_report_check_sees_stale_files(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert bench("report", run_folder, "--check") == 0
    board = run_folder / "leaderboard.md"
    board.write_text(board.read_text().replace("RGB", "RBG"))
    assert bench("report", run_folder, "--check") == 1
    assert "leaderboard.md" in capsys.readouterr().err
    assert bench("report", run_folder) == 0
    assert bench("report", run_folder, "--check") == 0


@pytest.mark.parametrize(
    ("form", "text"),
    [("text", "RGB"), ("markdown", "| RGB"), ("csv", "\nRGB,"), ("latex", r"\toprule"),
     ("html", "<table"), ("json", '"RGB')],
)  # fmt: skip
def test_leaderboard_formats(
    run_folder: Path, form: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("leaderboard", run_folder, "--format", form) == 0
    printed = capsys.readouterr().out
    assert text in printed
    if form == "json":
        json.loads(printed)


def test_leaderboard_refuses_what_was_measured_differently(
    run_folder: Path, tiny_suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    assert bench("run", tiny_suite, "--out", other, "--limit", "1") == 0
    assert bench("leaderboard", run_folder, other) == 2
    assert "limit" in capsys.readouterr().err


def test_compare_in_words(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plots = tmp_path / "plots"
    words = ("compare", "RGB", "noise", "--run", run_folder, "--out", plots)
    assert bench(*words) == 0
    printed = capsys.readouterr().out
    assert "cannot be decided with 4 scenes of slab" in printed
    assert (plots / "forest.png").is_file() and (plots / "forest.csv").is_file()
    assert bench("compare", "RGB", "nois", "--run", run_folder) == 2
    assert "Did you mean 'noise'?" in capsys.readouterr().err


def test_cache_commands(run_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("cache", "ls") == 0
    assert "32 entries" in capsys.readouterr().out
    assert bench("cache", "verify") == 0
    assert "0 damaged" in capsys.readouterr().out
    assert bench("cache", "prune") == 0
    assert bench("cache", "ls") == 0
    assert " 0 entries" in capsys.readouterr().out


def test_data_check(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert bench("data", "check", "motorcycle") == 0
    assert "1 scenes, 1 view sets, 0 errors" in capsys.readouterr().out
    assert bench("data", "check", "eth3d", "--root", tmp_path / "nowhere") == 2
    message = capsys.readouterr().err
    assert "nowhere" in message and "Traceback" not in message
    assert bench("data", "check", "motorcycle", "--params", "{") == 2

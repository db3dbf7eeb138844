"""The command line as a user drives it: exit codes, messages, files."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from bench.cli import main
from bench.models.feature_extractors.rgb import RGB

ROOT = Path(__file__).parents[2]


def bench(*words: str | Path) -> int:
    with pytest.raises(SystemExit) as caught:
        main([str(word) for word in words])
    return int(caught.value.code or 0)


def test_run_writes_what_it_promises(
    tiny_suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert bench("run", tiny_suite, "--out", out) == 0
    printed = capsys.readouterr().out
    assert "RGB" in printed and "forward passes: 8" in printed and str(out) in printed
    names = {path.name for path in out.iterdir()}
    assert names >= {"leaderboard.md", "leaderboard.csv", "records.csv", "figures", "run.json"}
    header = (out / "leaderboard.csv").read_text().splitlines()[0]
    assert header == (
        "model,layer,dataset,split,task,metric,value,ci_low,ci_high,"
        "num_scenes,num_sets,num_unscored"
    )
    record = json.loads((out / "run.json").read_text())
    assert record["outcome"]["forward_passes"] == 8 and record["versions"]["torch"]
    assert bench("run", tiny_suite, "--out", out) == 0
    assert "Nothing to compute" in capsys.readouterr().out


def test_published_files_hold_no_times_hosts_or_paths(tiny_suite: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for out in (first, second):
        assert bench("run", tiny_suite, "--out", out) == 0
    published = [p.relative_to(first) for p in first.rglob("*") if p.is_file()]
    published = [p for p in published if p.parts[0] not in ("cells", "run.json")]
    assert len([p for p in published if p.suffix == ".png"]) >= 1
    for path in published:
        content = (first / path).read_bytes()
        assert content == (second / path).read_bytes(), path
        assert str(tmp_path).encode() not in content, path
        if path.suffix != ".png":
            assert not re.search(rf"\b{re.escape(socket.gethostname())}\b", content.decode()), path


def test_mistakes_end_with_2_and_without_traceback(
    tiny_suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_suite.write_text(tiny_suite.read_text().replace("name: slab", "name: slap"))
    for command in ("run", "check"):
        assert bench(command, tiny_suite) == 2
        message = capsys.readouterr().err
        assert f"{tiny_suite}:6: Unknown dataset 'slap'. Did you mean 'slab'?" in message
        assert "Traceback" not in message
    assert not (Path("results") / "tiny").exists()


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["run", "corespondence"], "Did you mean 'correspondence'"),
        (["run", "smoke", "--device", "tpux"], "Unknown device"),
        (["run", "smoke", "--shard", "3/2"], "--shard 3/2"),
        (["run", "smoke", "--limit", "0"], "--limit"),
        (["run", "smoke", "--no-such-flag"], "--no-such-flag"),
        (["show", "feature_extractor/rbg"], "Did you mean"),
        (["fly"], "fly"),
    ],
)
def test_unusable_arguments(
    words: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench(*words) == 2
    message = capsys.readouterr().err
    assert text in message and "Traceback" not in message


def test_failed_cells_end_with_1_and_keep_the_rest(
    tiny_suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    text = tiny_suite.read_text()
    tiny_suite.write_text(
        text.replace(
            "datasets:",
            "  - {label: gone, model_id: feature_extractor/dinov2,"
            " model_config: {checkpoint_path: 'package://no_such_package/x.onnx'}}\ndatasets:",
        )
    )
    assert bench("run", tiny_suite, "--out", out) == 1
    printed = capsys.readouterr()
    assert "no_such_package" in printed.err and "pip install" in printed.err
    assert "Traceback" not in printed.err
    assert "no_such_package" in (out / "leaderboard.md").read_text()
    assert "\nRGB," in (out / "leaderboard.csv").read_text()


def test_interrupt_ends_with_130(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RGB, "encode", interrupted)
    assert bench("run", tiny_suite, "--out", tmp_path / "run") == 130
    assert "Interrupted" in capsys.readouterr().err


def test_dry_run_runs_nothing(
    tiny_suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bench("run", tiny_suite, "--out", tmp_path / "run", "--dry-run") == 0
    assert "RGB on slab: 1 cells (0 done), 4 view sets" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_offline_makes_no_network_call(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocked(*_: object, **__: object) -> None:
        raise AssertionError("a network call")

    monkeypatch.setattr(socket.socket, "connect", blocked)
    monkeypatch.setattr(socket, "getaddrinfo", blocked)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    tiny_suite.write_text(
        tiny_suite.read_text().replace(
            "datasets:",
            "  - {label: hub, model_id: feature_extractor/dinov2}\ndatasets:",
        )
    )
    assert bench("run", tiny_suite, "--out", tmp_path / "run", "--offline") == 1


def test_list_show_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench("list") == 0
    listed = capsys.readouterr().out
    for name in ("feature_extractor/dinov2", "demo", "multiview_correspondence", "smoke"):
        assert name in listed
    assert bench("list", "models", "--json") == 0
    assert json.loads(capsys.readouterr().out)["models"]
    names = ("feature_extractor/dinov2", "demo", "multiview_correspondence", "smoke", "rgb")
    for name in names:
        assert bench("show", name) == 0, name
        assert capsys.readouterr().out.startswith(("feature_extractor/", name, f"name: {name}")), (
            name
        )
    assert bench("doctor") == 0


def test_smoke_suite_as_a_process(tmp_path: Path) -> None:
    """The oracle tells points apart, noise and position do not: the instrument works."""
    environment = {**os.environ, "BENCH_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "smoke", "--out", str(tmp_path / "run")],
        cwd=ROOT, capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    import pandas as pd

    board = pd.read_csv(tmp_path / "run" / "leaderboard.csv")
    test = board[board["split"] == "test"].set_index(["model", "metric"])["value"]
    assert test["oracle", "auroc_position_controlled"] > 0.97
    assert test["position", "auroc_position_controlled"] == pytest.approx(0.5, abs=1e-6)
    assert test["noise", "auroc"] == pytest.approx(0.5, abs=0.02)

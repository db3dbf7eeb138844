"""Interrupted and repeated runs: what is kept, what is done again, and right scores at the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from torch import Tensor

from bench import plots
from bench.check import load_suite
from bench.cli import main
from bench.models.feature_extractors.base import Tokens
from bench.models.feature_extractors.rgb import RGB
from bench.plan import Selection, make_plan
from bench.results import CELLS, JOURNAL, load_cells, load_results
from bench.runner.loop import Outcome, Settings, run_plan
from bench.tasks import tasks
from bench.types import ItemScore, Split, TaskItem
from tests.synthetic import Brightness, Slab


def run(suite: Path, out: Path, settings: Settings | None = None, **chosen: Any) -> Outcome:
    plan = make_plan(load_suite(suite), precision="float32")
    return run_plan(plan, out, settings or Settings(), Selection(**chosen))


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def journals(out: Path) -> list[Path]:
    return sorted((out / CELLS / JOURNAL).rglob("*.jsonl"))


def interrupt(suite: Path, out: Path, after: int, settings: Settings | None = None) -> None:
    """A run that Ctrl-C ends in the forward pass after so many."""
    passes = 0
    original = RGB.encode

    def encode(self: RGB, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        nonlocal passes
        passes += 1
        if passes > after:
            raise KeyboardInterrupt
        return original(self, images, layers)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RGB, "encode", encode)
        run(suite, out, settings)


@pytest.fixture
def suite(tiny_suite: Path) -> Path:
    """One model, two tasks, four view sets per split."""
    lines = [line for line in tiny_suite.read_text().splitlines() if "noise" not in line]
    tiny_suite.write_text("\n".join(lines) + "\n")
    edit(tiny_suite, "{name: slab}", "{name: slab, params: {num_sets: 4}}")
    edit(
        tiny_suite,
        "  - {name: brightness}",
        "  - {name: brightness}\n  - {name: brightness, label: twice, params: {scale: 2.0}}",
    )
    return tiny_suite


def assert_right(suite: Path, out: Path, whole: Path) -> None:
    run(suite, whole)
    assert load_results(out).equals(load_results(whole))


def test_other_batches_after_an_interruption(suite: Path, tmp_path: Path) -> None:
    """Progress belongs to view sets: three finished ones stay so whatever the next batches are."""
    out = tmp_path / "run"
    interrupt(suite, out, after=3, settings=Settings(batch_size=1))
    outcome = run(suite, out, Settings(batch_size=2))
    assert outcome.forward_passes == 6, "the second batch has a new view set"
    assert_right(suite, out, tmp_path / "whole")


def test_one_task_alone_keeps_the_progress_of_the_other(suite: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    interrupt(suite, out, after=5)
    assert run(suite, out, tasks=["twice"]).forward_passes == 3
    assert len(journals(out)) == 1
    assert run(suite, out).forward_passes == 3
    assert journals(out) == []
    assert_right(suite, out, tmp_path / "whole")


def test_a_collecting_task_starts_again_without_the_others(suite: Path, tmp_path: Path) -> None:
    edit(suite, "{name: brightness, label: twice, params: {scale: 2.0}}", "{name: mean_of_means}")
    out = tmp_path / "run"
    scored: list[str] = []
    original = Brightness.score

    def score(self: Brightness, state: None, item: TaskItem) -> list[ItemScore]:
        scored.append(item.view_set.scene)
        return original(self, state, item)

    interrupt(suite, out, after=5)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Brightness, "score", score)
        assert run(suite, out).forward_passes == 8
    assert len(scored) == 3
    assert_right(suite, out, tmp_path / "whole")


def test_a_view_set_mended_between_two_runs_counts(suite: Path, tmp_path: Path) -> None:
    edit(suite, "num_sets: 4", "num_sets: 20")
    out = tmp_path / "run"
    original = Slab.load
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            Slab,
            "load",
            lambda self, ref: original(Slab(broken=("test-scene-1",)), ref),
        )
        interrupt(suite, out, after=5)
    assert run(suite, out).forward_passes == 35, "the mended one and what was not reached"
    assert [result.skipped for result, _ in load_cells(out)] == [{}, {}]
    assert_right(suite, out, tmp_path / "whole")


class OfTheTest(Brightness):
    name: ClassVar[str] = "test_only"
    splits: ClassVar[tuple[Split, ...]] = ("test",)
    scope: ClassVar[Literal["view_set", "scene", "dataset"]] = "view_set"


def test_broken_view_sets_of_another_split_do_not_count(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(tasks._registered, "test_only", OfTheTest)
    edit(suite, "{name: brightness, label: twice, params: {scale: 2.0}}", "{name: test_only}")
    edit(suite, "num_sets: 4", "num_sets: 4, broken: [val-scene-1]")
    outcome = run(suite, tmp_path)
    assert list(outcome.failures) == ["RGB | slab | brightness | output"]
    done = [result for result, _ in load_cells(tmp_path) if result.status == "done"]
    assert [(result.task, result.skipped) for result in done] == [("test_only", {})]


@pytest.mark.parametrize(
    "rubbish",
    [
        b"\xff\xfe\x00\x00" * 20,
        b"[]\n3\nnull\n",
        b'{"RGB/slab/brightness/x": []}\n',
        b'{"CELL": {"test/test-scene-0/set-0": [{"scene": 1}]}}\n',
        b'{"CELL": {"test/test-scene-0/set-0": [{"scene": "a", "set_id": "b", "split": "test",'
        b' "values": {"mean": "loud"}}]}}\n',
        b"[" * 100_000,
        b"",
    ],
    ids=["binary", "no objects", "a list", "no score", "no number", "deep", "empty"],
)
def test_rubbish_in_the_journal(suite: Path, tmp_path: Path, rubbish: bytes) -> None:
    out = tmp_path / "run"
    interrupt(suite, out, after=2)
    plan = make_plan(load_suite(suite), precision="float32")
    cell = plan.cells[0].folder.encode()
    with journals(out)[0].open("ab") as file:
        file.write(rubbish.replace(b"CELL", cell))
    (journals(out)[0].parent / "another.jsonl").write_bytes(rubbish)
    assert run(suite, out).forward_passes == 6
    assert_right(suite, out, tmp_path / "whole")
    assert run(suite, out).skipped == 2 and journals(out) == []


def test_force_starts_from_nothing(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(suite, tmp_path, after=5)
    original = Brightness.score

    def mended(self: Brightness, state: None, item: TaskItem) -> list[ItemScore]:
        (score,) = original(self, state, item)
        return [ItemScore(score.scene, score.set_id, score.split, {"mean": 7.0})]

    monkeypatch.setattr(Brightness, "score", mended)
    interrupt(suite, tmp_path, after=2, settings=Settings(force=True))
    assert run(suite, tmp_path).forward_passes == 6, "only what --force computed is kept"
    assert set(load_results(tmp_path)["value"]) == {7.0}


def test_numbers_of_any_kind_are_scores(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import numpy as np
    import torch

    values: Iterator[Any] = iter([np.float32(0.5), np.int64(1), torch.tensor(2.0), True] * 20)
    original = Brightness.score

    def score(self: Brightness, state: None, item: TaskItem) -> list[ItemScore]:
        (row,) = original(self, state, item)
        return [ItemScore(row.scene, row.set_id, row.split, {"mean": next(values)})]

    monkeypatch.setattr(Brightness, "score", score)
    assert run(suite, tmp_path).failures == {}
    assert set(load_results(tmp_path)["value"]) == {0.5, 1.0, 2.0}
    monkeypatch.setattr(Brightness, "score", lambda *_: ["not a score"])
    outcome = run(suite, tmp_path / "other")
    assert (outcome.done, outcome.failed) == (0, 2)


def test_interrupted_while_the_figures_are_drawn(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def bench(out: Path) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["run", str(suite), "--out", str(out)])
        return int(ended.value.code or 0)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    out, whole = tmp_path / "run", tmp_path / "whole" / "run"
    with monkeypatch.context() as patch:
        patch.setattr(plots, "write_figures", interrupted)
        assert bench(out) == 130
    assert "finished is kept" in capsys.readouterr().err
    assert bench(out) == 0
    assert "0 cells computed, 2 already done" in capsys.readouterr().out
    assert bench(whole) == 0
    for path in whole.rglob("*"):
        inside = path.relative_to(whole)
        if path.is_file() and inside.parts[0] not in ("cells", "run.json"):
            assert (out / inside).read_bytes() == path.read_bytes()


def test_damaged_records(suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged record is computed again; damaged scores are named."""
    run(suite, tmp_path)
    (_, first), (_, second) = load_cells(tmp_path)
    (first / "result.json").write_text('{"status": "done"}')
    assert run(suite, tmp_path).done == 1
    items = second / "items.parquet"
    items.write_bytes(items.read_bytes()[:100])
    with pytest.raises(SystemExit) as ended:
        main(["report", str(tmp_path)])
    message = capsys.readouterr().err
    assert ended.value.code == 2
    assert str(items) in message and "Remove its folder" in message
    (tmp_path / CELLS / "plan.json").write_text('{"cells": [["a", "../../../etc"]]}')
    with pytest.raises(SystemExit):
        main(["report", str(tmp_path)])
    assert "No results in" in capsys.readouterr().err


def test_a_task_without_view_sets_of_its_splits_fails(
    suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(OfTheTest, "splits", ("train",))
    monkeypatch.setitem(tasks._registered, "test_only", OfTheTest)
    edit(suite, "{name: brightness, label: twice, params: {scale: 2.0}}", "{name: test_only}")
    outcome = run(suite, tmp_path)
    assert outcome.done == 1
    (reason,) = outcome.failures.values()
    assert reason == "The dataset has no view sets of split train."

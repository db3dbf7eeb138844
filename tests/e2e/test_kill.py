"""Killed at any moment: no torn file, no lost or doubled record, the bytes of an unbroken run."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.e2e.runs import Unbroken, assert_like_unbroken, assert_nothing_is_torn
from tests.e2e.synthetic_bench import Forge


def test_killed_before_three_file_operations(
    commands: Forge, unbroken: Unbroken, tmp_path: Path
) -> None:
    """One run is killed three times, each time a little later than before."""
    out = tmp_path / "run"
    for share in (0.15, 0.3, 0.45):
        moment = int(share * unbroken.operations)
        ended = commands.run("run", unbroken.suite, "--out", out, watch=tmp_path, die_at=moment)
        assert ended.code == -9, ended.printed
        assert_nothing_is_torn(out)
    ended = commands.run("run", unbroken.suite, "--out", out)
    assert ended.code == 0, ended.printed
    assert_nothing_is_torn(out)
    assert_like_unbroken(out, unbroken.run)


@pytest.mark.slow
def test_killed_at_twenty_random_moments(
    commands: Forge, unbroken: Unbroken, tmp_path: Path
) -> None:
    began = time.monotonic()
    assert commands.run("run", unbroken.suite, "--out", tmp_path / "timed").code == 0
    duration = time.monotonic() - began
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    killed = 0
    for number in range(20):
        out = tmp_path / f"run-{number}"
        for _ in range(moments.randint(1, 3)):
            process = commands.start("run", unbroken.suite, "--out", out)
            time.sleep(moments.uniform(0, duration))
            process.kill()
            killed += process.wait().code == -9
            assert_nothing_is_torn(out)
        ended = commands.run("run", unbroken.suite, "--out", out)
        assert ended.code == 0, ended.printed
        assert_like_unbroken(out, unbroken.run)
    assert killed >= 10


@pytest.mark.slow
def test_killed_before_every_kind_of_file_operation(
    commands: Forge, unbroken: Unbroken, tmp_path: Path
) -> None:
    for moment in range(1, unbroken.operations, max(1, unbroken.operations // 60)):
        out = tmp_path / f"at-{moment}"
        assert (
            commands.run("run", unbroken.suite, "--out", out, watch=tmp_path, die_at=moment).code
            == -9
        )
        assert_nothing_is_torn(out)
        ended = commands.run("run", unbroken.suite, "--out", out)
        assert ended.code == 0, ended.printed
        assert_like_unbroken(out, unbroken.run)

"""Two processes at once on one run folder and one cache: both end well, the results are right."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest

from tests.e2e.runs import Unbroken, assert_like_unbroken, assert_nothing_is_torn
from tests.e2e.synthetic_bench import Forge


def run_together(
    commands: Forge, *both: tuple[str | Path, ...], apart: float = 0.0
) -> tuple[str, str]:
    """What two commands print; both must end well. apart: seconds between their starts."""
    first = commands.start(*both[0])
    time.sleep(apart)
    second = commands.start(*both[-1])
    ended = [first.wait(), second.wait()]
    for one in ended:
        assert one.code == 0, one.printed
        assert "Traceback" not in one.printed
    return ended[0].printed, ended[1].printed


def test_the_same_suite_twice(commands: Forge, unbroken: Unbroken, tmp_path: Path) -> None:
    out = tmp_path / "run"
    command = ("run", unbroken.suite, "--out", out, "--cache", "on")
    run_together(commands, command)
    assert_nothing_is_torn(out)
    assert_like_unbroken(out, unbroken.run)


def test_two_shards(commands: Forge, unbroken: Unbroken, tmp_path: Path) -> None:
    """The one that ends last has published everything; no pass is computed by both."""
    out = tmp_path / "run"
    shards = [("run", unbroken.suite, "--out", out, "--shard", f"{i}/2") for i in (1, 2)]
    printed = run_together(commands, *shards)
    assert all("3 cells computed, 0 already done" in text for text in printed), printed
    assert_like_unbroken(out, unbroken.run)


@pytest.mark.slow
def test_many_times_with_a_cache_that_is_always_full(
    commands: Forge, unbroken: Unbroken, tmp_path: Path
) -> None:
    """Both prune what the other is reading."""
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    moments = random.Random(seed)
    for number in range(10):
        out = tmp_path / f"run-{number}"
        command = ("run", unbroken.suite, "--out", out, "--cache", "on", "--cache-gb", "0.0012")
        run_together(commands, command, apart=moments.uniform(0, 1))
        assert_nothing_is_torn(out)
        assert_like_unbroken(out, unbroken.run)


@pytest.mark.slow
def test_one_of_two_is_killed(commands: Forge, unbroken: Unbroken, tmp_path: Path) -> None:
    moments = random.Random(0)
    for number in range(5):
        out = tmp_path / f"run-{number}"
        words = ("run", unbroken.suite, "--out", out)
        killed, other = commands.start(*words), commands.start(*words)
        time.sleep(moments.uniform(0, 2))
        killed.kill()
        killed.wait()
        ended = other.wait()
        assert ended.code == 0, ended.printed
        assert_nothing_is_torn(out)
        assert_like_unbroken(out, unbroken.run)

"""One process that has imported everything, from which `bench` commands are forked."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.runs import SUITE, Unbroken
from tests.e2e.synthetic_bench import Forge, forge


@pytest.fixture(scope="session")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Forge]:
    """Starts `bench` commands that know the synthetic dataset and task."""
    with forge(tmp_path_factory.mktemp("commands")) as started:
        yield started


@pytest.fixture(scope="session")
def unbroken(commands: Forge, tmp_path_factory: pytest.TempPathFactory) -> Unbroken:
    """A run that nothing disturbed."""
    folder = tmp_path_factory.mktemp("unbroken")
    suite, run = folder / "disturbed.yaml", folder / "run"
    suite.write_text(SUITE)
    ended = commands.run("run", suite, "--out", run, watch=run)
    assert ended.code == 0, ended.printed
    return Unbroken(suite, run, ended.operations)

"""What every registered dataset promises."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from bench.datasets import datasets
from bench.datasets._check import check
from bench.datasets._lists import list_hash, sorted_refs
from bench.errors import BenchError
from bench.types import Dataset, Need, Split

NAMES = datasets.names()
NEEDS_DATA = [name for name in NAMES if "root" in datasets.get(name).Options.model_fields]
SHIPPED = [name for name in NAMES if name not in NEEDS_DATA]


def test_something_is_registered() -> None:
    assert {"demo", "motorcycle"} <= set(SHIPPED)
    assert {"posed_rgbd", "wai", "navi", "spair71k"} <= set(NEEDS_DATA)


@pytest.mark.parametrize("name", NAMES)
def test_class(name: str) -> None:
    """Facts that `bench show` prints, and options that refuse what they do not know."""
    kind = datasets.get(name)
    assert kind.name == name
    assert isinstance(kind.version, int)
    assert kind.version >= 1
    assert kind.provides
    assert kind.provides <= set(get_args(Need)) - {"features", "predictions"}
    for text in (kind.licence, kind.citation, kind.how_to_get, datasets.summary(name)):
        assert isinstance(text, str)
        assert len(text) > 5
    assert issubclass(kind.Options, BaseModel)
    assert kind.Options.model_config.get("extra") == "forbid"
    assert kind.Options.model_config.get("frozen")
    assert isinstance(kind(), Dataset)


@pytest.mark.parametrize("name", NAMES)
def test_unknown_options(name: str) -> None:
    wrong: dict[str, Any] = {"no_such_option": 1, "nor_this": 2}
    with pytest.raises(BenchError) as caught:
        datasets.get(name)(**wrong)
    assert f"'{name}'" in str(caught.value)
    assert "'no_such_option'" in str(caught.value)
    assert "'nor_this'" in str(caught.value)


@pytest.mark.parametrize("name", NEEDS_DATA)
def test_absent_data(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is downloaded: the error says how to obtain the data."""
    kind = datasets.get(name)
    monkeypatch.delenv("BENCH_DATA", raising=False)
    for options in ({}, {"root": str(tmp_path / "absent")}, {"root": str(tmp_path)}):
        with pytest.raises(BenchError) as caught:
            kind(**options).view_sets()
        if options.get("root") != str(tmp_path):
            assert caught.value.hint == kind.how_to_get


@pytest.mark.parametrize("name", SHIPPED)
def test_list(name: str) -> None:
    kind = datasets.get(name)
    dataset = kind()
    refs = dataset.view_sets()
    assert refs
    assert tuple(refs) == sorted_refs(refs) == tuple(kind().view_sets())
    assert {ref.split for ref in refs} <= set(get_args(Split))
    assert len({(ref.scene, ref.set_id) for ref in refs}) == len(refs)


@pytest.mark.parametrize("name", SHIPPED)
def test_view_sets_are_sound(name: str) -> None:
    """`check` looks at images, depth, cameras and at the agreement between views."""
    dataset = datasets.get(name)()
    errors = [str(problem) for problem in check(dataset, limit=5) if problem.level == "error"]
    assert errors == []
    view_set = dataset.load(dataset.view_sets()[0])
    assert view_set.dataset == name
    if "depth" in dataset.provides:
        assert view_set.scene_scale is not None
        assert view_set.scene_scale > 0


@pytest.mark.parametrize("name", SHIPPED)
def test_datasets_travel_between_processes(name: str) -> None:
    dataset = datasets.get(name)()
    refs = dataset.view_sets()
    copy = pickle.loads(pickle.dumps(dataset))
    assert copy.view_sets() == refs
    assert copy.load(refs[0]).views[0].name == refs[0].views[0]


def test_hashes_are_the_same_in_another_process() -> None:
    script = (
        "from bench.datasets import datasets\n"
        "from bench.datasets._lists import list_hash\n"
        f"for name in {SHIPPED}: print(list_hash(datasets.get(name)()))\n"
    )
    environment = os.environ | {"PYTHONHASHSEED": "12345"}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.split() == [list_hash(datasets.get(name)()) for name in SHIPPED]

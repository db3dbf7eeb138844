"""The shipped dataset's reader, on rooms of known geometry in the place of its data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import bench.datasets.demo as demo
from bench.datasets._lists import list_hash
from bench.errors import BenchError
from tests.rooms import room, save_cameras_json
from tests.unit.room_checks import assert_same_view


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("attic", "cellar"):
        save_cameras_json(tmp_path / name, room(5))
    write(tmp_path, [("cellar", "test", "wide-0"), ("attic", "val", "near-0")])
    monkeypatch.setattr(demo, "DATA", tmp_path)
    return tmp_path


def write(folder: Path, sets: list[tuple[str, str, str]], views: int = 4) -> None:
    names = [f"{index:03d}" for index in range(views)]
    listed = [{"scene": a, "split": b, "set": c, "views": names} for a, b, c in sets]
    (folder / "sets.json").write_text(json.dumps({"version": 1, "sets": listed}))


def test_demo(data: Path) -> None:
    dataset, truth = demo.Demo(), room(5)
    refs = dataset.view_sets()
    assert [(ref.scene, ref.split, ref.set_id) for ref in refs] == [
        ("attic", "val", "near-0"),
        ("cellar", "test", "wide-0"),
    ]
    for ref in refs:
        view_set = dataset.load(ref)
        assert (view_set.dataset, view_set.scene, view_set.split) == ("demo", ref.scene, ref.split)
        assert view_set.metric
        for view in view_set.views:
            assert_same_view(view, truth[int(view.name)], 1e-4)


def test_the_order_of_the_file_does_not_matter(data: Path) -> None:
    first = list_hash(demo.Demo())
    write(data, [("attic", "val", "near-0"), ("cellar", "test", "wide-0")])
    assert list_hash(demo.Demo()) == first
    write(data, [("attic", "test", "near-0"), ("cellar", "test", "wide-0")])
    assert list_hash(demo.Demo()) != first


@pytest.mark.parametrize(
    ("sets", "complaint"),
    [
        ([("attic", "test", "0"), ("attic", "test", "0")], "is listed twice"),
        ([("attic", "test", "0"), ("attic", "test", "1")], "holds the same views as set '0'"),
        ([("attic", "exam", "0")], r"sets\.0\.split"),
    ],
)
def test_mistakes_in_the_list(data: Path, sets: list[tuple[str, str, str]], complaint: str) -> None:
    write(data, sets)
    with pytest.raises(BenchError, match=complaint):
        demo.Demo().view_sets()


def test_scenes_of_a_list_stay_inside(data: Path) -> None:
    write(data, [("../attic", "test", "0")])
    dataset = demo.Demo()
    with pytest.raises(BenchError, match="leads out of"):
        dataset.load(dataset.view_sets()[0])

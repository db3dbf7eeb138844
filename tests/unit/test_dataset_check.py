"""`check` finds what was broken on purpose, and nothing where nothing is broken."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from pydantic import BaseModel
from torch import Tensor

from bench.datasets._check import check, list_problems, view_problems
from bench.datasets.motorcycle import Motorcycle
from bench.datasets.posed_rgbd import PosedRGBD
from bench.types import View, ViewSet, ViewSetRef
from tests.rooms import room, save_cameras_json, save_depth_png, save_image

Change = Callable[[Path, dict[str, Any]], None]


def build(folder: Path, change: Change | None = None) -> PosedRGBD:
    """Four views; exactly as many sets as asked for."""
    save_cameras_json(folder, room(4))
    if change is not None:
        path = folder / "cameras.json"
        content = json.loads(path.read_text())
        change(folder, content)
        path.write_text(json.dumps(content))
    return PosedRGBD(root=str(folder), num_views=2, sets_per_scene=2, min_covisibility=0.1)


def found(dataset: PosedRGBD, level: str = "error") -> list[str]:
    return [str(problem) for problem in check(dataset) if problem.level == level]


def test_nothing_is_wrong(tmp_path: Path) -> None:
    assert check(build(tmp_path)) == []
    assert check(Motorcycle()) == []


def truncate(folder: Path, content: dict[str, Any]) -> None:
    path = folder / "images" / "001.png"
    path.write_bytes(path.read_bytes()[:300])


def empty_depth(folder: Path, content: dict[str, Any]) -> None:
    save_depth_png(folder / "depth" / "002.png", np.zeros((48, 64)), 1e-4)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (truncate, r"room: 001: .*001.png cannot be read"),
        (empty_depth, r"room: 002: no pixel has a depth"),
        (lambda f, c: (f / "images/003.png").unlink(), r"room: 003: .*003.png is missing"),
        (lambda f, c: (f / "depth/003.png").unlink(), r"room: 003: .*003.png is missing"),
        (lambda f, c: c["views"][1].update(image="../x.png"), r"'../x.png' leads out of"),
        (lambda f, c: edit(c, 1, "intrinsics", (1, 1), 0), r"room: 001: .*singular"),
        (lambda f, c: edit(c, 1, "intrinsics", (0, 2), np.nan), r"room: 001: .*not finite"),
        (lambda f, c: edit(c, 1, "camera_from_world", (0, 0), 3), r"room: 001: .*not rigid"),
        (lambda f, c: edit(c, 1, "camera_from_world", (0, 3), np.inf), r"room: 001: .*not finite"),
        (lambda f, c: c["views"][1].update(name="000"), r"two views are called '000'"),
    ],
)
def test_damaged_scenes(tmp_path: Path, change: Change, complaint: str) -> None:
    errors = found(build(tmp_path / "room", change))
    assert any(re.search(complaint, error) for error in errors), errors


def edit(
    content: dict[str, Any], view: int, key: str, place: tuple[int, int], value: float
) -> None:
    content["views"][view][key][place[0]][place[1]] = value


def test_notes(tmp_path: Path) -> None:
    """EXIF turns and far-off principal points are told, but are no errors."""

    def change(folder: Path, content: dict[str, Any]) -> None:
        exif = Image.Exif()
        exif[ExifTags.Base.Orientation] = 3
        save_image(folder / "images" / "000.png", room(1)[0].image, exif=exif)
        edit(content, 3, "intrinsics", (0, 2), -40.0)

    dataset = build(tmp_path / "room", change)
    notes = found(dataset, "note")
    assert any("room: 000: EXIF orientation 3" in note for note in notes)
    assert any("room: 003: the principal point (-40.0" in note for note in notes)


class Altered:
    """The sets of another dataset, each view passed through `alter`."""

    Options: ClassVar[type[BaseModel]] = BaseModel
    name: ClassVar[str] = "altered"
    version: ClassVar[int] = 1
    licence: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    how_to_get: ClassVar[str] = ""
    provides: ClassVar[frozenset[str]] = frozenset({"depth", "poses"})

    def __init__(self, source: PosedRGBD, alter: Callable[[View], View]) -> None:
        self.source, self.alter = source, alter

    def view_sets(self) -> Sequence[ViewSetRef]:
        return self.source.view_sets()

    def load(self, ref: ViewSetRef) -> ViewSet:
        view_set = self.source.load(ref)
        return replace(view_set, views=tuple(self.alter(view) for view in view_set.views))


def with_depth(change: Callable[[Tensor], Tensor]) -> Callable[[View], View]:
    def alter(view: View) -> View:
        assert view.depth is not None
        return replace(view, depth=change(view.depth))

    return alter


def inverted_pose(view: View) -> View:
    assert view.camera_from_world is not None
    return replace(view, camera_from_world=torch.linalg.inv(view.camera_from_world))


def fail(view: View) -> View:
    raise RuntimeError("tripped")


@pytest.mark.parametrize(
    ("alter", "complaint"),
    [
        (with_depth(lambda d: torch.where(d > 2, torch.nan, d)), "NaN, infinite or negative"),
        (with_depth(lambda d: -d), "NaN, infinite or negative"),
        (with_depth(lambda d: d * 0), "no pixel has a depth"),
        (with_depth(lambda d: d[:-1]), r"depth is \[47, 64\], but the image has 64 x 48"),
        (with_depth(lambda d: 1 / d), "depth and poses disagree"),
        (inverted_pose, "depth and poses disagree"),
        (lambda view: replace(view, depth=None), "has no depth, which the dataset promises"),
        (lambda view: replace(view, name="other"), "not those of the list"),
        (lambda view: replace(view, image=view.image.float()), "not uint8"),
        (fail, "RuntimeError: tripped"),
    ],
)
def test_altered_views(tmp_path: Path, alter: Callable[[View], View], complaint: str) -> None:
    dataset = Altered(build(tmp_path), alter)
    problems = [str(problem) for problem in check(dataset)]
    assert any(re.search(complaint, problem) for problem in problems), problems


def test_limit(tmp_path: Path) -> None:
    calls: list[str] = []

    def count(view: View) -> View:
        calls.append(view.name)
        return view

    check(Altered(build(tmp_path), count), limit=1)
    assert len(calls) == 2


def test_lists() -> None:
    a = ViewSetRef("a", "0", "test", ("x", "y"))
    b = ViewSetRef("a", "1", "test", ("y", "x"))
    c = ViewSetRef("a", "2", "test", ("x", "x"))
    assert list(list_problems("d", [a])) == []
    for refs, complaint in (
        ([], "empty"),
        ([b, a], "not sorted"),
        ([a, a], "listed twice"),
        ([a, b], "the same views as set '0'"),
        ([c], "holds a view twice"),
    ):
        assert any(complaint in problem.what for problem in list_problems("d", refs))


def test_keypoints_and_normals() -> None:
    image = torch.zeros(3, 4, 6, dtype=torch.uint8)
    points = torch.tensor([[0.5, 3.5], [float("nan"), float("nan")], [5.5, 0.5]])
    assert list(view_problems(View("a", image, keypoints=points), frozenset({"keypoints"}))) == []
    (what,) = view_problems(View("a", image, keypoints=points + 2), frozenset())
    assert "outside" in what
    normals = torch.zeros(3, 4, 6)
    normals[2, :2] = 1
    assert list(view_problems(View("a", image, normals=normals), frozenset())) == []
    (what,) = view_problems(View("a", image, normals=normals * 2), frozenset())
    assert "length 1" in what

"""Malformed and hostile dataset folders, each in its own way: the cells fail with a clear error."""

from __future__ import annotations

import json
import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from PIL import Image

from bench.check import load_suite
from bench.plan import Selection, make_plan
from bench.results import load_cells
from bench.runner.loop import Outcome, Settings, run_plan
from bench.tasks import tasks
from tests.rooms import room, save_cameras_json, save_image
from tests.synthetic import Brightness, Slab
from tests.unit.test_dataset_formats import write_colmap, write_wai
from tests.unit.test_dataset_posed_rgbd import write_scannet, write_tum

VIEWS = room(3)


POSED = "name: posed_rgbd, params: {num_views: 2}"
Make = Callable[[Path], str]


class Glance(Brightness):
    """Needs nothing but features, so that any dataset serves."""

    name: ClassVar[str] = "glance"
    needs: ClassVar[frozenset[str]] = frozenset({"features"})


def posed(folder: Path) -> str:
    save_cameras_json(folder / "room", VIEWS)
    return POSED


def colmap(folder: Path, binary: bool = False) -> str:
    write_colmap(folder / "room", VIEWS, binary)
    return "name: colmap, params: {num_views: 2}"


def wai(folder: Path) -> str:
    write_wai(folder / "room", VIEWS)
    return "name: wai, params: {num_views: 2}"


def tum(folder: Path) -> str:
    (folder / "room").mkdir()
    write_tum(folder / "room", VIEWS)
    return POSED


def scannet(folder: Path) -> str:
    (folder / "room").mkdir()
    write_scannet(folder / "room", VIEWS)
    return POSED


def homography(folder: Path) -> str:
    pair = folder / "pair"
    for name in ("a", "b"):
        save_image(pair / f"{name}.png", VIEWS[0].image)
    content = {"image_a": "a.png", "image_b": "b.png", "H_b_from_a": np.eye(3).tolist()}
    (pair / "homography.json").write_text(json.dumps(content))
    return "name: homography"


def with_json(make: Make, file: str, change: Callable[[Any], object]) -> Make:
    """A folder whose JSON file was changed."""

    def build(folder: Path) -> str:
        fields = make(folder)
        path = next(folder.rglob(file))
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        return fields

    return build


def with_file(make: Make, file: str, change: Callable[[Path], object]) -> Make:
    """A folder in which the first file of this name was changed."""

    def build(folder: Path) -> str:
        fields = make(folder)
        change(sorted(folder.rglob(file))[0])
        return fields

    return build


def first_view(**changes: Any) -> Callable[[Any], object]:
    return lambda content: content["views"][0].update(changes)


def put(content: bytes | str) -> Callable[[Path], object]:
    data = content.encode() if isinstance(content, str) else content
    return lambda path: path.write_bytes(data)


def swap(old: str, new: str) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


def cut(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def folder_instead(path: Path) -> None:
    path.unlink()
    path.mkdir()


def bomb(path: Path) -> None:
    """A PNG of a few hundred bytes that claims 50,000 x 50,000 pixels."""
    Image.new("L", (8, 8)).save(path)
    content = bytearray(path.read_bytes())
    content[16:24] = struct.pack(">II", 50_000, 50_000)
    path.write_bytes(bytes(content))


def gone_list(folder: Path) -> str:
    posed(folder)
    return f"name: posed_rgbd, params: {{sets: {folder / 'sets.json'}}}"


def list_of(sets: Any, version: int = 1) -> Make:
    """A published list that the suite names with the option `sets`."""

    def build(folder: Path) -> str:
        fields = gone_list(folder)
        (folder / "sets.json").write_text(json.dumps({"version": version, "sets": sets}))
        return fields

    return build


def listed(*views: str, scene: str = "room", split: str = "test", name: str = "0") -> Any:
    return {"scene": scene, "split": split, "set": name, "views": list(views)}


def nothing(folder: Path) -> str:
    return POSED


def a_file(folder: Path) -> str:
    folder.rmdir()
    folder.write_text("not a folder")
    return "name: colmap"


def something_else(folder: Path) -> str:
    save_image(folder / "room" / "holiday.jpg", VIEWS[0].image)
    return "name: wai"


ROTATED_TWICE = (2 * np.eye(4)).tolist()

#: What is wrong -> how to make it (giving the dataset's name), and a piece of the message.
CASES: dict[str, tuple[Make, str]] = {
    # Folders.
    "nothing in it": (nothing, "no scene in"),
    "a file instead": (a_file, "does not exist"),
    "files of something else": (something_else, "no scene in"),
    # JSON.
    "JSON cut off": (with_file(posed, "cameras.json", cut), "is not JSON"),
    "JSON of a list": (with_file(posed, "cameras.json", put("[]")), "expected an object"),
    "JSON that is no text": (with_file(posed, "cameras.json", put(b"\xff\xfe{}")), "not a text"),
    "JSON nested without end": (
        with_file(posed, "cameras.json", put('{"views": ' + "[" * 200_000)), "nested too deeply"
    ),
    "an empty JSON file": (with_file(posed, "cameras.json", put("")), "is not JSON"),
    "a missing key": (
        with_json(posed, "cameras.json", lambda c: c["views"][0].pop("image")), "is missing"
    ),
    "a number in words": (with_json(posed, "cameras.json", first_view(width="wide")), "width"),
    "an image without pixels": (with_json(posed, "cameras.json", first_view(width=0)), "width"),
    "no view": (with_json(posed, "cameras.json", lambda c: c.update(views=[])), "views"),
    "a name twice": (with_json(posed, "cameras.json", first_view(name="001")), "001"),
    "intrinsics of two rows": (
        with_json(posed, "cameras.json", first_view(intrinsics=[[1, 0, 0], [0, 1, 0]])),
        "intrinsics",
    ),
    "a camera without focal length": (
        with_json(posed, "cameras.json", first_view(intrinsics=np.zeros((3, 3)).tolist())),
        "singular",
    ),
    "a pose that is none": (
        with_json(posed, "cameras.json", first_view(camera_from_world=ROTATED_TWICE)), "not rigid"
    ),
    "a pose at NaN": (
        with_json(posed, "cameras.json", first_view(camera_from_world=[[float("nan")] * 4] * 4)),
        "finite",
    ),
    # Paths.
    "an image outside": (
        with_json(posed, "cameras.json", first_view(image="../../../../etc/passwd")), "leads out of"
    ),
    "an image at an absolute path": (
        with_json(posed, "cameras.json", first_view(image="/etc/passwd")), "leads out of"
    ),
    "depth outside": (
        with_json(posed, "cameras.json", first_view(depth="../../secret.png")), "leads out of"
    ),
    "a name with a zero byte": (
        with_json(posed, "cameras.json", first_view(image="a\0b.png")), "missing"
    ),
    "an endless name": (
        with_json(posed, "cameras.json", first_view(image="a" * 5_000)), "File name too long"
    ),
    "a homography outside": (
        with_json(homography, "homography.json", lambda c: c.update(image_a="../../x.png")),
        "leads out of",
    ),
    "a frame outside": (
        with_json(wai, "scene_meta.json", lambda c: c["frames"][0].update(image="../../x.png")),
        "leads out of",
    ),
    "an image list outside": (
        with_file(tum, "rgb.txt", swap("rgb/0", "../../rgb/0")), "leads out of"
    ),
    "an image of the model outside": (
        with_file(colmap, "images.txt", swap("000.png", "../../../x.png")), "leads out of"
    ),
    # Images and depth maps.
    "an image that is gone": (with_file(posed, "000.png", Path.unlink), "missing"),
    "half an image": (with_file(posed, "images/000.png", cut), "cannot be read"),
    "a web page as image": (
        with_file(posed, "images/000.png", put("<html>")), "cannot be read"
    ),
    "a folder as image": (with_file(posed, "images/000.png", folder_instead), "missing"),
    "a pipe as image": (with_file(posed, "images/000.png", pipe), "missing"),
    "an image that explodes": (with_file(posed, "images/000.png", bomb), "cannot be read"),
    "an image of another shape": (
        with_file(posed, "images/000.png", lambda p: Image.new("RGB", (9, 64)).save(p)), "pixels"
    ),
    "a colour picture as depth": (
        with_file(posed, "depth/000.png", lambda p: Image.new("RGB", (64, 48)).save(p)),
        "depth map",
    ),
    "half a depth map": (with_file(posed, "depth/000.png", cut), "depth"),
    # Text formats.
    "cameras that are words": (with_file(colmap, "cameras.txt", put("1 PINHOLE a b c")), "COLMAP"),
    "an unknown camera": (with_file(colmap, "cameras.txt", swap("PINHOLE", "MAGIC")), "MAGIC"),
    "a camera too few": (with_file(colmap, "cameras.txt", put("# none\n")), "no camera"),
    "points that do not exist": (with_file(colmap, "points3D.txt", put("# none\n")), "point"),
    "half a binary model": (with_file(lambda f: colmap(f, True), "images.bin", cut), "COLMAP"),
    "a billion cameras": (
        with_file(lambda f: colmap(f, True), "cameras.bin", put(struct.pack("<Q", 2**60))), "COLMAP"
    ),
    "a rotation of nothing": (
        with_file(tum, "groundtruth.txt", put("1000.0 0 0 0 0 0 0 0\n1000.5 0 0 0 0 0 0 0\n")),
        "not a rotation",
    ),
    "poses of three numbers": (with_file(tum, "groundtruth.txt", put("1 2 3\n")), "expected 'time"),
    "time in words": (with_file(tum, "rgb.txt", put("noon rgb/000.png\n")), "expected 'time file'"),
    "a matrix of words": (with_file(scannet, "intrinsic_depth.txt", put("a b\nc d\n")), "numbers"),
    "a matrix of one row": (with_file(scannet, "0.txt", put("1 2 3 4\n")), "3 x 3 or 4 x 4"),
    "a singular homography": (
        with_json(homography, "homography.json", lambda c: c.update(H_b_from_a=[[0] * 3] * 3)),
        "singular",
    ),
    "a homography of infinity": (
        with_json(homography, "homography.json", lambda c: c.update(H_b_from_a=[[1e308] * 3] * 3)),
        "homography",
    ),
    # Lists of view sets.
    "a list that is gone": (gone_list, "sets.json is missing"),
    "a list of another version": (list_of([], version=2), "version"),
    "an empty list": (list_of([]), "has no view sets"),
    "a list of an unknown scene": (list_of([listed("000", scene="hall")]), "no scene 'hall'"),
    "a list of an unknown view": (list_of([listed("000", "999")]), "no frame 999"),
    "a list of an unknown split": (list_of([listed("000", split="exam")]), "split"),
    "a set twice": (list_of([listed("000"), listed("001")]), "is listed twice"),
    "a set of one view twice": (list_of([listed("000", "000")]), "holds a view twice"),
    "a set of nothing": (list_of([listed()]), "views"),
    "a scene that climbs": (list_of([listed("000", scene="../room")]), "no scene '../room'"),
}  # fmt: skip

#: How an exception looks that nobody foresaw.
UNFORESEEN = re.compile(r"\b[A-Z]\w*(Error|Exception|Warning): ")


def test_there_are_more_than_twenty() -> None:
    assert len(CASES) >= 20


def run(suite: Path, fields: str, root: Path) -> Outcome:
    suite.write_text(
        "name: trust\nmodels: [{model_id: feature_extractor/rgb}]\n"
        f"datasets: [{{root: {root}, {fields}}}]\n"
        "tasks: [{name: glance}]\ndefaults: {resolution: {patches: 4}}\n"
    )
    plan = make_plan(load_suite(suite), precision="float32")
    return run_plan(plan, suite.with_name("run"), Settings(), Selection())


@pytest.fixture(autouse=True)
def _glance(monkeypatch: pytest.MonkeyPatch, synthetic: None) -> None:
    monkeypatch.setitem(tasks._registered, "glance", Glance)


@pytest.mark.parametrize("case", CASES)
def test_one_clear_error(case: str, tmp_path: Path) -> None:
    make, text = CASES[case]
    root = tmp_path / "data"
    root.mkdir()
    outcome = run(tmp_path / "suite.yaml", make(root), root)
    assert (outcome.done, outcome.failed) == (0, 1)
    (reason,) = outcome.failures.values()
    assert text in reason, reason
    assert not UNFORESEEN.search(reason), reason
    ((failed, _),) = load_cells(tmp_path / "run")
    assert failed.error == reason and failed.traceback is None


@pytest.mark.parametrize("make", [posed, colmap, wai, tum, scannet, homography])
def test_the_good_folder_is_good(make: Make, tmp_path: Path) -> None:
    """The cases above fail for what they change, not for what they share."""
    root = tmp_path / "data"
    root.mkdir()
    assert run(tmp_path / "suite.yaml", make(root), root).failures == {}


def test_a_reader_that_trips_fails_its_own_cells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trips(self: object) -> None:
        raise KeyError("nobody foresaw this")

    monkeypatch.setattr(Slab, "view_sets", trips)
    outcome = run(tmp_path / "suite.yaml", POSED + "}, {name: slab", tmp_path)
    assert outcome.failed == 2
    assert "slab: KeyError: 'nobody foresaw this'" in outcome.failures.values()

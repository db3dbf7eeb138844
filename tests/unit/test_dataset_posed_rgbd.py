"""Every layout of `posed_rgbd` gives back the room that was written in it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.datasets._check import check
from bench.datasets._lists import list_hash, write_list
from bench.datasets.posed_rgbd import PosedRGBD
from bench.errors import BenchError
from tests.rooms import (
    Array,
    RoomView,
    look,
    room,
    save_cameras_json,
    save_depth_png,
    save_image,
    shoot,
)
from tests.unit.room_checks import assert_same_view

VGA = (480, 640)
Json = dict[str, Any]


def write_sibling_json(folder: Path, views: Sequence[RoomView]) -> None:
    """The other accepted form: integer pixel centres, K, world_from_camera, no names."""
    save_cameras_json(folder, views)
    content = json.loads((folder / "cameras.json").read_text())
    del content["pixel_centre"]
    content["pixel_centre_of_first_pixel"] = 0.0
    for entry, view in zip(content["views"], views, strict=True):
        del entry["name"], entry["intrinsics"], entry["camera_from_world"]
        moved = view.intrinsics.copy()
        moved[:2, 2] -= 0.5
        entry["K"] = moved.tolist()
        entry["world_from_camera"] = view.world_from_camera.tolist()
    (folder / "cameras.json").write_text(json.dumps(content))


def write_tum(folder: Path, views: Sequence[RoomView]) -> None:
    """rgb.txt, depth.txt with late stamps, groundtruth.txt as quaternions, and a frame without a
    pose."""
    rgb, depth, poses = ["# color images"], ["# depth maps"], ["# time tx ty tz qx qy qz qw"]
    for index, view in enumerate(views):
        time = 1000.0 + 0.5 * index
        save_image(folder / "rgb" / f"{view.name}.png", view.image)
        save_depth_png(folder / "depth" / f"{view.name}.png", view.depth, 1 / 5000)
        rgb.append(f"{time:.6f} rgb/{view.name}.png")
        depth.append(f"{time + 0.012:.6f} depth/{view.name}.png")
        q = quaternion_xyzw(view.world_from_camera[:3, :3])
        numbers = [time - 0.004, *view.world_from_camera[:3, 3], *q]
        poses.append(" ".join(repr(float(n)) for n in numbers))
    rgb.append("2000.0 rgb/untracked.png")
    for name, lines in {"rgb": rgb, "depth": depth, "groundtruth": poses}.items():
        (folder / f"{name}.txt").write_text("\n".join(lines) + "\n")
    k = views[0].intrinsics
    calibration = [k[0, 0], k[1, 1], k[0, 2] - 0.5, k[1, 2] - 0.5]
    (folder / "intrinsics.txt").write_text(" ".join(map(str, calibration)))


def write_scannet(folder: Path, views: Sequence[RoomView]) -> None:
    """Colour at twice the depth's size, poses and intrinsics as 4 x 4, and one lost frame."""
    for index, view in enumerate(views):
        large = np.repeat(np.repeat(view.image, 2, axis=0), 2, axis=1)
        save_image(folder / "color" / f"{index}.jpg", large, quality=95)
        save_depth_png(folder / "depth" / f"{index}.png", view.depth, 0.001)
        (folder / "pose").mkdir(exist_ok=True)
        np.savetxt(folder / "pose" / f"{index}.txt", view.world_from_camera, fmt="%.12f")
    (folder / "pose" / f"{len(views)}.txt").write_text("-inf -inf -inf -inf\n" * 4)
    k = np.eye(4)
    k[:3, :3] = views[0].intrinsics
    k[:2, 2] -= 0.5
    (folder / "intrinsic").mkdir()
    np.savetxt(folder / "intrinsic" / "intrinsic_depth.txt", k, fmt="%.12f")


def write_seven_scenes(folder: Path, views: Sequence[RoomView]) -> None:
    for view in views:
        stem = folder / "seq-01" / f"frame-{view.name}"
        save_image(stem.with_name(f"{stem.name}.color.png"), view.image)
        save_depth_png(stem.with_name(f"{stem.name}.depth.png"), view.depth, 0.001)
        np.savetxt(stem.with_name(f"{stem.name}.pose.txt"), view.world_from_camera, fmt="%.12f")


def quaternion_xyzw(rotation: Array) -> Array:
    """From the matrix's eigenvector of eigenvalue 1 and its trace; angles below 180 degrees."""
    w = np.sqrt(1 + np.trace(rotation)) / 2
    axis = [
        rotation[2, 1] - rotation[1, 2],
        rotation[0, 2] - rotation[2, 0],
        rotation[1, 0] - rotation[0, 1],
    ]
    return np.array([*(np.array(axis) / (4 * w)), w])


def seven_scenes_room() -> list[RoomView]:
    k = np.array([[585.0, 0, 320], [0, 585, 240], [0, 0, 1]])
    return [shoot(f"{i:06d}", look(10.0 * i, (0, 0, 0)), k, VGA) for i in range(2)]


LAYOUTS: dict[str, tuple[Callable[[Path, Sequence[RoomView]], None], float, Callable[[int], str]]]
LAYOUTS = {
    "json": (save_cameras_json, 1e-4, "{:03d}".format),
    "sibling": (write_sibling_json, 1e-4, "{:03d}".format),
    "tum": (write_tum, 1 / 5000, "{:03d}".format),
    "scannet": (write_scannet, 1e-3, "{}".format),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("size", [(48, 64), (64, 48)], ids=["landscape", "portrait"])
def test_layout(tmp_path: Path, layout: str, size: tuple[int, int]) -> None:
    write, unit, name = LAYOUTS[layout]
    views = room(4, size)
    scene_folder = tmp_path / "room"
    scene_folder.mkdir()
    write(scene_folder, views)
    dataset = PosedRGBD(root=str(tmp_path), num_views=2, min_covisibility=0.1)
    scene = dataset.scene("room")
    assert list(scene.frames) == [name(i) for i in range(4)]
    refs = dataset.view_sets()
    assert refs
    for ref in refs:
        view_set = dataset.load(ref)
        assert view_set.metric
        for view in view_set.views:
            truth = views[int(view.name)]
            assert_same_view(view, truth, unit, exact_image=layout != "scannet")
        expected = np.median(np.concatenate([views[int(n)].depth.ravel() for n in ref.views]))
        assert view_set.scene_scale == pytest.approx(expected, abs=2 * unit)


def test_seven_scenes(tmp_path: Path) -> None:
    views = seven_scenes_room()
    write_seven_scenes(tmp_path / "chess", views)
    stored = np.round(views[1].depth / 0.001).astype(np.uint16)
    stored[:10] = 65535
    Image.fromarray(stored).save(tmp_path / "chess/seq-01/frame-000001.depth.png")
    dataset = PosedRGBD(root=str(tmp_path), num_views=2, sets_per_scene=1, layout="7scenes")
    (ref,) = dataset.view_sets()
    assert set(ref.views) == {"seq-01/frame-000000", "seq-01/frame-000001"}
    by_name = {view.name: view for view in dataset.load(ref).views}
    assert_same_view(by_name["seq-01/frame-000000"], views[0], 0.001)
    depth = by_name["seq-01/frame-000001"].depth
    assert depth is not None
    assert not depth[:10].any()
    assert depth[10:].all()


def test_one_scene_or_a_folder_of_them(tmp_path: Path) -> None:
    save_cameras_json(tmp_path / "a", room(3))
    save_cameras_json(tmp_path / "b", room(3))
    (tmp_path / "notes").mkdir()
    assert PosedRGBD(root=str(tmp_path)).scene_names() == ["a", "b"]
    assert PosedRGBD(root=str(tmp_path / "a")).scene_names() == ["a"]
    with pytest.raises(BenchError, match="no scene 'c'"):
        PosedRGBD(root=str(tmp_path), scenes=["c"]).view_sets()
    refs = PosedRGBD(root=str(tmp_path), scenes=["b"], num_views=2).view_sets()
    assert {ref.scene for ref in refs} == {"b"}


def test_sets_are_reproducible_and_distinct(tmp_path: Path) -> None:
    save_cameras_json(tmp_path, room(6))
    options = {"root": str(tmp_path), "num_views": 3, "min_covisibility": 0.1}
    first, again = PosedRGBD(**options), PosedRGBD(**options)
    assert list_hash(first) == list_hash(again)
    assert list_hash(first) != list_hash(PosedRGBD(**options, seed=1))
    refs = first.view_sets()
    assert len({frozenset(ref.views) for ref in refs}) == len(refs)
    assert all(len(set(ref.views)) == 3 for ref in refs)


def test_a_published_list_replaces_the_draw(tmp_path: Path) -> None:
    save_cameras_json(tmp_path / "data" / "room", room(5))
    root = str(tmp_path / "data")
    drawn = PosedRGBD(root=root, num_views=2, sets_per_scene=3, min_covisibility=0.1)
    path = tmp_path / "list.json"
    write_list(drawn.view_sets(), path)
    listed = PosedRGBD(root=root, sets=str(path), seed=9)
    assert listed.view_sets() == drawn.view_sets()
    assert list_hash(listed) == list_hash(drawn)
    path.write_text(path.read_text().replace('"001"', '"999"'))
    stale = PosedRGBD(root=root, sets=str(path))
    with pytest.raises(BenchError, match="no frame 999"):
        for ref in stale.view_sets():
            stale.load(ref)


def test_no_more_sets_than_the_frames_allow(tmp_path: Path) -> None:
    save_cameras_json(tmp_path, room(3))
    dataset = PosedRGBD(root=str(tmp_path), num_views=3, min_covisibility=0.0)
    assert len(dataset.view_sets()) == 1
    (note,) = check(dataset)
    assert "has 1 of 10 view sets" in note.what
    with pytest.raises(BenchError, match="has 4 views that overlap"):
        PosedRGBD(root=str(tmp_path)).view_sets()


def test_splits(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_cameras_json(tmp_path / name, room(3))
    dataset = PosedRGBD(root=str(tmp_path), num_views=2, splits={"a": "train"})
    assert {(ref.scene, ref.split) for ref in dataset.view_sets()} == {
        ("a", "train"),
        ("b", "test"),
    }


def edit(folder: Path, change: Callable[[Json], None]) -> PosedRGBD:
    """A scene whose cameras.json was changed."""
    save_cameras_json(folder, room(3))
    content = json.loads((folder / "cameras.json").read_text())
    change(content)
    (folder / "cameras.json").write_text(json.dumps(content))
    return PosedRGBD(root=str(folder), num_views=2)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda c: c.pop("depth_unit_m"), "'depth_unit_m' is missing"),
        (lambda c: c.update(pixel_centre=0.25), "at 0 or at 0.5"),
        (lambda c: c["views"][0].update(intrinsics=[[1, 0], [0, 1]]), "3 rows of 3"),
        (lambda c: c["views"][0].update(image="../../secret.png"), "leads out of"),
        (lambda c: c["views"][0].update(depth="/etc/passwd"), "leads out of"),
        (lambda c: c["views"][0].update(name="001"), "two views are called '001'"),
        (lambda c: c["views"][0].update(image="images/none.png"), "none.png is missing"),
        (lambda c: c["views"][0].update(width=48, height=64), "64 x 48 pixels, but its camera"),
        (lambda c: c["views"][0]["intrinsics"][0].__setitem__(0, 0), "intrinsics are singular"),
        (lambda c: c["views"][0]["camera_from_world"][0].__setitem__(0, 2), "not rigid"),
        (lambda c: c["views"][0].pop("camera_from_world"), "either camera_from_world or"),
    ],
)
def test_mistakes_are_named(
    tmp_path: Path,
    change: Callable[[Json], None],
    complaint: str,
) -> None:
    dataset = edit(tmp_path, change)
    with pytest.raises(BenchError, match=complaint):
        for ref in dataset.view_sets():
            dataset.load(ref)


def test_all_mistakes_of_a_file_at_once(tmp_path: Path) -> None:
    def change(content: Json) -> None:
        content["depth_unit_m"] = -1
        content["views"][1]["width"] = "wide"

    with pytest.raises(BenchError) as caught:
        edit(tmp_path, change).view_sets()
    assert "depth_unit_m" in str(caught.value)
    assert "views.1.width" in str(caught.value)


def test_image_of_another_size_is_brought_to_its_camera(tmp_path: Path) -> None:
    views = room(2)
    save_cameras_json(tmp_path, views)
    large = Image.fromarray(views[0].image).resize((128, 96), Image.Resampling.BICUBIC)
    large.save(tmp_path / "images" / "000.png")
    small = views[1].depth[::2, ::2]
    save_depth_png(tmp_path / "depth" / "001.png", small, 1e-4)
    dataset = PosedRGBD(root=str(tmp_path), num_views=2, sets_per_scene=1)
    by_name = {v.name: v for v in dataset.load(dataset.view_sets()[0]).views}
    assert by_name["000"].size == (48, 64)
    error = by_name["000"].image.permute(1, 2, 0).numpy().astype(float) - views[0].image
    assert np.abs(error).mean() < 2
    depth = by_name["001"].depth
    assert depth is not None
    expected = torch.from_numpy(small).repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert torch.allclose(depth.double(), expected, atol=1e-4)

"""Pair and single-image formats: what was written in each of them comes back the same."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import ExifTags, Image
from scipy.io import savemat

from bench.datasets._covisibility import overlap, posed_depth
from bench.datasets.homography import HomographyPairs
from bench.datasets.navi import NAVI, read_navi_depth
from bench.datasets.nyu import INTRINSICS, NYU
from bench.datasets.scannet_pairs import ScanNetPairs
from bench.datasets.spair71k import SPair71k
from bench.errors import BenchError
from bench.geometry.cameras import world_points
from tests.rooms import HALF, Array, RoomView, look, room, save_depth_png, save_image, shoot
from tests.unit.room_checks import assert_same_camera, assert_same_view
from tests.unit.test_dataset_formats import quaternion_wxyz

# NAVI


def navi_views(count: int, size: tuple[int, int]) -> list[RoomView]:
    """The principal point is in the middle, as NAVI has it."""
    height, width = size
    k = np.array([[60.0, 0, width / 2], [0, 60.0, height / 2], [0, 0, 1]])
    return [
        shoot(f"{i:03d}", look(10.0 * i, (0.1 * i - 0.2, 0.05 * i, 0)), k, size)
        for i in range(count)
    ]


def navi_depth(view: RoomView) -> Array:
    """Stored inverse depth, and 0 outside of an off-centre 'object'."""
    stored = np.round(655350 / (view.depth * 1000))
    rows, columns = np.mgrid[: view.size[0], : view.size[1]]
    stored[(rows < 5) | (rows >= 25) | (columns < 30) | (columns >= 40)] = 0
    return stored


def write_collection(folder: Path, views: Sequence[RoomView], turned: bool = False) -> None:
    """turned: the files hold the images lying on their side, with the EXIF tag that says so."""
    annotations = []
    for view in reversed(views):
        name = f"{view.name}.png"
        stored = navi_depth(view)
        exif = Image.Exif()
        pixels = view.image
        if turned:
            exif[ExifTags.Base.Orientation] = 6
            pixels = np.rot90(view.image).copy()
        save_image(folder / "images" / name, pixels, exif=exif)
        save_depth_png(folder / "depth" / name, stored, 1)
        save_image(folder / "masks" / name, ((stored > 0) * 255).astype(np.uint8))
        annotations.append(
            {
                "object_id": folder.parent.name,
                "filename": name,
                "image_size": list(view.size),
                "camera": {
                    "q": quaternion_wxyz(view.camera_from_world[:3, :3]).tolist(),
                    "t": (view.camera_from_world[:3, 3] * 1000).tolist(),
                    "focal_length": 60.0,
                    "camera_model": "pixel_5",
                },
                "split": "train",
            }
        )
    (folder / "annotations.json").write_text(json.dumps(annotations))


def write_navi(root: Path) -> list[RoomView]:
    views = navi_views(9, (48, 64))
    write_collection(root / "duck" / "wild_set", views, turned=True)
    write_collection(root / "duck" / "multiview_00_pixel", views[:3])
    write_collection(root / "duck" / "video-00", views[:2])
    write_collection(root / "lonely" / "wild_set", views[:3])
    return views


def test_navi_depth_values(tmp_path: Path) -> None:
    """Known from the release: 65535 is 10 mm, 1000 is 0.65535 m, 0 is unknown."""
    path = tmp_path / "depth.png"
    save_depth_png(path, np.array([[65535.0, 1000, 0]]), 1)
    np.testing.assert_allclose(read_navi_depth(path), [[0.01, 0.65535, 0]], rtol=1e-6)


def test_navi_views(tmp_path: Path) -> None:
    views = write_navi(tmp_path)
    dataset = NAVI(root=str(tmp_path), keep_every=1, crop="none")
    refs = dataset.view_sets()
    assert {ref.scene for ref in refs} == {"duck"}
    assert {ref.split for ref in refs} == {"train", "test"}
    for ref in refs:
        collections = {name.split("/")[0] for name in ref.views}
        assert collections == {"wild_set" if ref.split == "test" else "multiview_00_pixel"}
        for view in dataset.load(ref).views:
            truth = views[int(view.name.split("/")[1])]
            assert_same_camera(view, truth)
            assert view.depth is not None
            assert view.mask is not None
            assert torch.equal(view.depth > 0, view.mask)
            stored = navi_depth(truth)
            known = stored > 0
            decoded = 655.350 / stored[known]
            np.testing.assert_allclose(view.depth.numpy()[known], decoded, rtol=1e-6)
            # One step of the stored inverse depth is z^2 / 655.35 m.
            error = np.abs(view.depth.numpy() - truth.depth)[known]
            assert (error < truth.depth[known] ** 2 / 655.35).all()


def test_navi_crop_keeps_the_rays(tmp_path: Path) -> None:
    """A square around the object, its world points unchanged, the foreground complete."""
    views = write_navi(tmp_path)
    whole = NAVI(root=str(tmp_path), crop="none")
    cropped = NAVI(root=str(tmp_path))
    for ref in cropped.view_sets():
        for a, b in zip(whole.load(ref).views, cropped.load(ref).views, strict=True):
            assert b.size == (20, 20)
            found = []
            for view in (a, b):
                assert view.depth is not None
                assert view.intrinsics is not None
                assert view.camera_from_world is not None
                points = world_points(view.depth, view.intrinsics, view.camera_from_world)
                found.append(points[view.depth > 0])
            assert len(found[0]) == len(found[1]) == 200
            assert (found[0] - found[1]).abs().max() < 1e-9
            truth = views[int(b.name.split("/")[1])]
            assert (b.image.permute(1, 2, 0).numpy() == truth.image[5:25, 25:45]).all()


def test_navi_frame_of_probe3d_is_what_its_camera_sees(tmp_path: Path) -> None:
    """512 x 512 whatever the photograph's shape; image, depth, mask and camera belong together."""
    views = write_navi(tmp_path)
    dataset = NAVI(root=str(tmp_path), crop="probe3d", keep_every=3)
    for ref in dataset.view_sets():
        for view in dataset.load(ref).views:
            truth = views[int(view.name.split("/")[1])]
            assert view.size == (512, 512)
            assert view.depth is not None and view.intrinsics is not None and view.mask is not None
            assert torch.equal(view.depth > 0, view.mask) and view.mask.any()
            assert view.camera_from_world is not None
            points = world_points(view.depth, view.intrinsics, view.camera_from_world)
            known = points[view.mask].numpy()
            camera = known @ truth.camera_from_world[:3, :3].T + truth.camera_from_world[:3, 3]
            pixels = camera @ truth.intrinsics.T
            column, row = (pixels[:, i] / pixels[:, 2] for i in range(2))
            # The object of the fixture, but for its outermost pixels.
            assert 29 < column.min() < 31.5 and 38.5 < column.max() < 41
            assert 4 < row.min() < 6.5 and 23.5 < row.max() < 26
            there = row.astype(int), column.astype(int)
            np.testing.assert_allclose(camera[:, 2], truth.depth[there], rtol=0.05)
            seen = view.image.permute(1, 2, 0)[view.mask].numpy().astype(float)
            assert np.abs(seen - truth.image[there]).mean() < 25


def test_navi_pairs(tmp_path: Path) -> None:
    write_navi(tmp_path)
    every = NAVI(root=str(tmp_path), keep_every=1)
    tests = [ref for ref in every.view_sets() if ref.split == "test"]
    assert len(tests) == 9
    assert len({ref.views[0] for ref in tests}) == 9
    assert all(ref.views[0] != ref.views[1] for ref in tests)
    thinned = NAVI(root=str(tmp_path))
    assert sum(ref.split == "test" for ref in thinned.view_sets()) == 3
    assert set(thinned.view_sets()) <= set(every.view_sets())
    near = NAVI(root=str(tmp_path), keep_every=1, max_angle_deg=10.5)
    for ref in near.view_sets():
        a, b = (int(name.split("/")[1]) for name in ref.views)
        assert abs(a - b) == 1


def test_navi_official_pairs(tmp_path: Path) -> None:
    write_navi(tmp_path)
    folder = tmp_path / "custom_splits" / "pairwise_pixel_correspondences"
    folder.mkdir(parents=True)
    line = "duck/wild_set/images/000.jpg duck/wild_set/images/002.jpg 20.0\n"
    (folder / "pairs-wild_set.txt").write_text(line)
    (folder / "pairs-multiview.txt").write_text(line.replace("wild_set", "multiview_00_pixel"))
    refs = NAVI(root=str(tmp_path), pairs="official").view_sets()
    assert [(ref.split, ref.views) for ref in refs] == [
        ("train", ("multiview_00_pixel/000", "multiview_00_pixel/002")),
        ("test", ("wild_set/000", "wild_set/002")),
    ]
    (folder / "pairs-wild_set.txt").write_text("000.jpg\n")
    with pytest.raises(BenchError, match=r"pairs-wild_set.txt:1: expected two paths"):
        NAVI(root=str(tmp_path), pairs="official").view_sets()


# ScanNet-1500


def write_scannet_pairs(root: Path) -> list[RoomView]:
    k = np.array([[500.0, 0, 322.5], [0, 505.0, 238.0], [0, 0, 1]])
    views = [shoot(str(30 * i), look(15.0 * i, (0.1 * i, 0, 0)), k, (480, 640)) for i in range(2)]
    for view in views:
        folder = root / "scannet_test_1500" / "scene0707_00"
        image = Image.fromarray(view.image).resize((1296, 968), Image.Resampling.BICUBIC)
        save_image(folder / "color" / f"{view.name}.jpg", np.array(image))
        save_depth_png(folder / "depth" / f"{view.name}.png", view.depth, 0.001)
        (folder / "pose").mkdir(exist_ok=True)
        np.savetxt(folder / "pose" / f"{view.name}.txt", view.world_from_camera, fmt="%.12f")
    np.savez(root / "test.npz", name=np.array([[707, 0, 0, 30]]), rel_pose=np.zeros((1, 12)))
    stored = k.copy()
    stored[:2, 2] -= 0.5
    np.savez(root / "intrinsics.npz", scene0707_00=stored)
    return views


def test_scannet_pairs(tmp_path: Path) -> None:
    views = write_scannet_pairs(tmp_path)
    dataset = ScanNetPairs(root=str(tmp_path))
    (ref,) = dataset.view_sets()
    assert (ref.scene, ref.views, ref.split) == ("scene0707_00", ("0", "30"), "test")
    view_set = dataset.load(ref)
    for view, truth in zip(view_set.views, views, strict=True):
        assert_same_view(view, truth, 0.001, exact_image=False)
        error = view.image.permute(1, 2, 0).numpy().astype(float) - truth.image
        assert np.abs(error).mean() < 4
    a, b = (posed_depth(view) for view in view_set.views)
    assert overlap(a, b).consistent > 0.99
    np.savez(tmp_path / "intrinsics.npz", other=np.eye(3), another=np.eye(3))
    with pytest.raises(BenchError, match=r"intrinsics.npz cannot be read"):
        ScanNetPairs(root=str(tmp_path)).load(ref)


# SPair-71k


def write_spair(root: Path, pairs_per_class: int = 5) -> None:
    for split, stem in {"trn": "1", "val": "2", "test": "3"}.items():
        lines = []
        for category, (width, height) in {"cat": (50, 40), "bus": (30, 60)}.items():
            for index in range(pairs_per_class):
                pair = f"{stem}{index:05d}-2008_{index:06d}-2009_{index:06d}"
                lines.append(f"{pair}:{category}")
                write_spair_pair(root, split, pair, category, (width, height))
        for layout in ("large", "small"):
            path = root / "Layout" / layout / f"{split}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text("\n".join(lines if layout == "large" else lines[:1]) + "\n")


def write_spair_pair(
    root: Path, split: str, pair: str, category: str, size: tuple[int, int]
) -> None:
    width, height = size
    _, source, target = pair.split("-")
    for name in (source, target):
        pixels = np.zeros((height, width, 3), np.uint8)
        pixels[7, 3] = 255
        save_image(root / "JPEGImages" / category / f"{name}.jpg", pixels, quality=100)
        mask = np.zeros((height, width), np.uint8)
        mask[5:20, 2:10] = 8
        save_image(root / "Segmentation" / category / f"{name}.png", mask)
    annotation = {
        "filename": f"{pair}:{category}",
        "src_imname": f"{source}.jpg",
        "trg_imname": f"{target}.jpg",
        "src_kps": [[3, 7], [5, 9]],
        "trg_kps": [[3, 7], [4, 10]],
        "src_bndbox": [2, 5, 10, 20],
        "trg_bndbox": [1, 4, 11, 21],
        "src_imsize": [width, height, 3],
        "category": category,
        "viewpoint_variation": 2,
        "scale_variation": 1,
        "truncation": 0,
        "occlusion": 3,
        "mirror": 0,
    }
    path = root / "PairAnnotation" / split / f"{pair}:{category}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(annotation))


def test_spair(tmp_path: Path) -> None:
    write_spair(tmp_path)
    dataset = SPair71k(root=str(tmp_path))
    refs = dataset.view_sets()
    assert {(ref.scene, ref.split) for ref in refs} == {
        (scene, split) for scene in ("bus", "cat") for split in ("train", "val", "test")
    }
    assert len(refs) == 30
    view_set = dataset.load(refs[-1])
    assert view_set.scene == "cat"
    source, target = view_set.views
    assert source.size == target.size == (40, 50)
    assert source.keypoints is not None
    assert target.keypoints is not None
    assert source.mask is not None
    # The first keypoint is the centre of the only white pixel.
    assert source.keypoints.tolist() == [[3.5, 7.5], [5.5, 9.5]]
    assert target.keypoints.tolist() == [[3.5, 7.5], [4.5, 10.5]]
    brightest = int(source.image.float().mean(0).argmax())
    assert divmod(brightest, 50) == (7, 3)
    assert source.mask.nonzero().amin(0).tolist() == [5, 2]
    assert int(source.mask.sum()) == 15 * 8
    assert view_set.extras["boxes"].tolist() == [[2, 5, 10, 20], [1, 4, 11, 21]]
    assert view_set.extras["viewpoint_variation"] == 2
    assert not view_set.metric


def test_spair_in_white_squares(tmp_path: Path) -> None:
    """The image at the top left, and everything that is known of it at the new scale."""
    write_spair(tmp_path)
    plain, dataset = SPair71k(root=str(tmp_path)), SPair71k(root=str(tmp_path), square_px=200)
    ref = dataset.view_sets()[-1]
    assert dataset.view_sets() == plain.view_sets()
    before, after = plain.load(ref), dataset.load(ref)
    assert after.extras["square_px"] == 200
    assert after.extras["whole_keypoints"].tolist() == [[[12, 28], [20, 36]], [[12, 28], [16, 40]]]
    assert torch.equal(after.extras["boxes"], before.extras["boxes"] * 4)
    for old, new in zip(before.views, after.views, strict=True):
        assert old.size == (40, 50) and new.size == (200, 200)
        assert new.keypoints is not None and old.keypoints is not None and new.mask is not None
        assert torch.equal(new.keypoints, old.keypoints * 4)
        assert (new.image[:, 163:] == 255).all() and new.image[:, :157].float().mean() < 20
        assert not new.mask[160:].any() and int(new.mask.sum()) == 16 * 15 * 8
        # The only white pixel of the picture is the first keypoint.
        bright = new.image[:, :150].float().mean(0) ** 2
        rows, columns = (torch.arange(n) + 0.5 for n in bright.shape)
        centre = (bright.sum(0) @ columns / bright.sum(), bright.sum(1) @ rows / bright.sum())
        assert torch.allclose(torch.stack(centre).double(), new.keypoints[0], atol=0.5)
    tall = dataset.load(next(r for r in dataset.view_sets() if r.scene == "bus"))
    assert tall.views[0].size == (200, 200) and (tall.views[0].image[:, :, 105:] == 255).all()


def test_spair_limits(tmp_path: Path) -> None:
    write_spair(tmp_path)
    limited = SPair71k(root=str(tmp_path), max_pairs_per_class=2).view_sets()
    assert len(limited) == 2 * 2 * 3
    assert set(limited) <= set(SPair71k(root=str(tmp_path)).view_sets())
    other = SPair71k(root=str(tmp_path), max_pairs_per_class=2, seed=1).view_sets()
    assert other != limited
    path = tmp_path / "Layout" / "large" / "test.txt"
    lines = path.read_text().split()
    path.write_text("\n".join(reversed(lines)))
    assert SPair71k(root=str(tmp_path), max_pairs_per_class=2).view_sets() == limited
    assert len(SPair71k(root=str(tmp_path), layout="small").view_sets()) == 3


def test_spair_without_colons(tmp_path: Path) -> None:
    write_spair(tmp_path, 1)
    for path in list((tmp_path / "PairAnnotation" / "test").iterdir()):
        path.rename(path.with_name(path.name.replace(":", "_")))
    dataset = SPair71k(root=str(tmp_path))
    for ref in dataset.view_sets():
        dataset.load(ref)


# NYU Depth v2


def write_nyu(root: Path) -> list[RoomView]:
    h5py = pytest.importorskip("h5py")
    views = [
        shoot(f"{i + 1:04d}", look(20.0 * i, (0, 0, 0.1 * i)), INTRINSICS, (480, 640))
        for i in range(4)
    ]
    with h5py.File(root / "nyu_depth_v2_labeled.mat", "w") as file:
        file["images"] = np.stack([view.image.transpose(2, 1, 0) for view in views])
        filled = np.stack([view.depth.T for view in views]).astype(np.float32)
        raw = filled.copy()
        raw[:, :100] = 0
        file["depths"], file["rawDepths"] = filled, raw
        names = [file.create_dataset(f"#refs#/{i}", data=codes(f"room_{i}")) for i in range(4)]
        file["scenes"] = np.array([[name.ref for name in names]], dtype=h5py.ref_dtype)
    splits = {"trainNdxs": np.array([[1], [2]]), "testNdxs": np.array([[3], [4]])}
    savemat(root / "splits.mat", splits)
    return views


def codes(text: str) -> Any:
    """Text as MATLAB stores it."""
    return np.array([[ord(letter)] for letter in text], dtype=np.uint16)


def test_nyu(tmp_path: Path) -> None:
    views = write_nyu(tmp_path)
    dataset = NYU(root=str(tmp_path))
    refs = dataset.view_sets()
    assert [(ref.scene, ref.split) for ref in refs] == [
        ("room_0", "val"),
        ("room_1", "train"),
        ("room_2", "test"),
        ("room_3", "test"),
    ]
    for ref, truth in zip(refs, views, strict=True):
        (view,) = dataset.load(ref).views
        assert view.name == truth.name
        assert (view.image.permute(1, 2, 0).numpy() == truth.image).all()
        assert view.depth is not None
        assert not view.depth[:, :100].any()
        np.testing.assert_allclose(view.depth[:, 100:], truth.depth[:, 100:], rtol=1e-6)
        (filled,) = NYU(root=str(tmp_path), depth="filled", max_depth_m=2.5).load(ref).views
        assert filled.depth is not None
        near = truth.depth <= 2.5
        np.testing.assert_allclose(filled.depth.numpy()[near], truth.depth[near], rtol=1e-6)
        assert not filled.depth.numpy()[truth.depth > 2.5001].any()
    savemat(tmp_path / "splits.mat", {"trainNdxs": [[1], [2]], "testNdxs": [[2], [3]]})
    with pytest.raises(BenchError, match="not the official split"):
        NYU(root=str(tmp_path)).view_sets()


# Homographies


def wall_pair() -> tuple[RoomView, RoomView, Array]:
    """Two cameras that see one wall and nothing else, and the homography between them, with the
    first pixel's centre at (0, 0)."""
    k = np.array([[150.0, 0, 33], [0, 150, 22], [0, 0, 1]])
    a, b = (
        shoot(name, look(angle, (x, 0, 1.0)), k, (48, 64))
        for name, angle, x in (("1", 0.0, 0.0), ("2", 8.0, 0.2))
    )
    relative = b.camera_from_world @ a.world_from_camera
    normal = a.camera_from_world[:3, :3] @ np.array([0, 0, 1.0])
    distance = HALF[2] - 1.0
    homography = k @ (relative[:3, :3] + np.outer(relative[:3, 3], normal) / distance)
    homography = homography @ np.linalg.inv(k)
    shift = np.array([[1, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    return a, b, shift @ homography @ np.linalg.inv(shift)


def test_homography(tmp_path: Path) -> None:
    """The matrix that was read maps each pixel to where the other camera sees the same point."""
    a, b, integer = wall_pair()
    sequence, pair = tmp_path / "v_wall", tmp_path / "wall"
    for view in (a, b):
        save_image(sequence / f"{view.name}.ppm", view.image)
        save_image(pair / f"{view.name}.png", view.image)
    np.savetxt(sequence / "H_1_2", integer)
    content = {"image_a": "1.png", "image_b": "2.png", "H_b_from_a": integer.tolist()}
    (pair / "homography.json").write_text(json.dumps(content))
    dataset = HomographyPairs(root=str(tmp_path))
    refs = dataset.view_sets()
    assert [(ref.scene, ref.set_id, ref.views) for ref in refs] == [
        ("v_wall", "1-2", ("1", "2")),
        ("wall", "1-2", ("1", "2")),
    ]
    for ref in refs:
        view_set = dataset.load(ref)
        assert view_set.homographies is not None
        forward = view_set.homographies[0, 1].numpy()
        backward = view_set.homographies[1, 0].numpy()
        np.testing.assert_allclose(np.linalg.inv(forward) / np.linalg.inv(forward)[2, 2], backward)
        for found, truth in zip(view_set.views, (a, b), strict=True):
            assert (found.image.permute(1, 2, 0).numpy() == truth.image).all()
        for x, y in ((10.5, 20.5), (40.5, 30.5), (31.5, 5.5)):
            ray = np.linalg.inv(a.intrinsics) @ (x, y, 1) * a.depth[int(y), int(x)]
            point = a.world_from_camera @ [*ray, 1]
            u, v, w = b.intrinsics @ (b.camera_from_world @ point)[:3]
            mapped = forward @ (x, y, 1)
            np.testing.assert_allclose(mapped[:2] / mapped[2], (u / w, v / w), atol=1e-4)


def test_homography_mistakes(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match=r"no pair in .*hpatches"):
        HomographyPairs(root=str(tmp_path)).view_sets()
    folder = tmp_path / "v_wall"
    for name in ("1", "2"):
        save_image(folder / f"{name}.ppm", room(1)[0].image)
    for text, complaint in (("1 2 3\n4 5 6", "three rows"), ("0 0 0\n" * 3, "singular")):
        (folder / "H_1_2").write_text(text)
        dataset = HomographyPairs(root=str(tmp_path))
        with pytest.raises(BenchError, match=complaint):
            dataset.load(dataset.view_sets()[0])

"""Multi-view formats: the room written in each of them comes back the same."""

from __future__ import annotations

import json
import pickle
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.datasets._colmap import Camera, distort_thin_prism_fisheye, read_model
from bench.datasets._depth import DepthMap
from bench.datasets._names import read_names
from bench.datasets.blendedmvs import BlendedMVS, blendedmvs_split
from bench.datasets.colmap import Colmap
from bench.datasets.eth3d import ETH3D
from bench.datasets.wai import WAI
from bench.errors import BenchError
from tests.rooms import Array, RoomView, room, save_image, save_pfm, shoot
from tests.unit.room_checks import assert_same_camera, assert_same_view

NUM_VIEWS = 4


def load_all(dataset: Any) -> dict[str, Any]:
    """Views by name, over all view sets."""
    refs = dataset.view_sets()
    assert refs
    return {view.name: view for ref in refs for view in dataset.load(ref).views}


def quaternion_wxyz(rotation: Array) -> Array:
    """Unit quaternion of a rotation by less than 180 degrees."""
    w = np.sqrt(1 + np.trace(rotation)) / 2
    skew = rotation - rotation.T
    axis = np.array([skew[2, 1], skew[0, 2], skew[1, 0]]) / (4 * w)
    return np.array([w, *axis])


# COLMAP


def features(view: RoomView) -> list[tuple[float, float, float]]:
    """Pixels of a coarse lattice with the number of the 3D point they belong to."""
    rows, columns = np.mgrid[3 : view.size[0] : 7, 3 : view.size[1] : 7]
    number = int(view.name) * 1000
    return [
        (float(column + 0.5), float(row + 0.5), float(number + index))
        for index, (row, column) in enumerate(zip(rows.ravel(), columns.ravel(), strict=True))
    ]


def points(views: Sequence[RoomView]) -> dict[int, Array]:
    """World points of all features."""
    found = {}
    for view in views:
        for x, y, number in features(view):
            ray = np.linalg.inv(view.intrinsics) @ (x, y, 1)
            in_camera = ray * view.depth[int(y), int(x)]
            found[int(number)] = (view.world_from_camera @ [*in_camera, 1])[:3]
    return found


def observed(view: RoomView, views: Sequence[RoomView]) -> list[tuple[float, float, float]]:
    """Its own features, some of its neighbour's, and one that was never triangulated."""
    shared = []
    for number, point in points(views).items():
        x, y, z = view.intrinsics @ (view.camera_from_world @ [*point, 1])[:3]
        u, v = x / z, y / z
        inside = z > 0 and 0 <= u < view.size[1] and 0 <= v < view.size[0]
        if inside and number // 1000 != int(view.name):
            shared.append((float(u), float(v), float(number)))
    return [*features(view), *shared, (1.5, 1.5, -1.0)]


def write_colmap(folder: Path, views: Sequence[RoomView], binary: bool) -> None:
    model = folder / "sparse" / "0"
    model.mkdir(parents=True)
    for view in views:
        save_image(folder / "images" / f"{view.name}.png", view.image)
    if binary:
        write_binary_model(model, views)
    else:
        write_text_model(model, views)


def params(view: RoomView) -> tuple[float, ...]:
    k = view.intrinsics
    return k[0, 0], k[1, 1], k[0, 2], k[1, 2]


def write_text_model(model: Path, views: Sequence[RoomView]) -> None:
    cameras, images, cloud = ["# cameras"], ["# images"], ["# points"]
    for index, view in enumerate(views, start=1):
        numbers = " ".join(repr(float(p)) for p in params(view))
        cameras.append(f"{index} PINHOLE {view.size[1]} {view.size[0]} {numbers}")
        q, t = quaternion_wxyz(view.camera_from_world[:3, :3]), view.camera_from_world[:3, 3]
        pose = " ".join(repr(float(p)) for p in (*q, *t))
        images.append(f"{index} {pose} {index} {view.name}.png")
        images.append(" ".join(f"{x!r} {y!r} {int(n)}" for x, y, n in observed(view, views)))
    for number, point in points(views).items():
        x, y, z = (repr(float(p)) for p in point)
        cloud.append(f"{number} {x} {y} {z} 10 20 30 0.5 1 0 2 1")
    for name, lines in {"cameras": cameras, "images": images, "points3D": cloud}.items():
        (model / f"{name}.txt").write_text("\n".join(lines) + "\n")


def write_binary_model(model: Path, views: Sequence[RoomView]) -> None:
    cameras, images = struct.pack("<Q", len(views)), struct.pack("<Q", len(views))
    for index, view in enumerate(views, start=1):
        cameras += struct.pack("<iiQQ4d", index, 1, view.size[1], view.size[0], *params(view))
        q, t = quaternion_wxyz(view.camera_from_world[:3, :3]), view.camera_from_world[:3, 3]
        images += struct.pack("<i7di", index, *q, *t, index) + f"{view.name}.png".encode() + b"\0"
        seen = observed(view, views)
        images += struct.pack("<Q", len(seen))
        images += b"".join(struct.pack("<ddq", x, y, int(n)) for x, y, n in seen)
    cloud = points(views)
    stored = struct.pack("<Q", len(cloud))
    for number, point in cloud.items():
        stored += struct.pack("<Q3d3BdQ4i", number, *point, 1, 2, 3, 0.5, 2, 1, 0, 2, 1)
    (model / "cameras.bin").write_bytes(cameras)
    (model / "images.bin").write_bytes(images)
    (model / "points3D.bin").write_bytes(stored)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
def test_colmap_sparse(tmp_path: Path, binary: bool) -> None:
    views = room(NUM_VIEWS)
    write_colmap(tmp_path / "room", views, binary)
    dataset = Colmap(root=str(tmp_path), num_views=2, metric=True, min_covisibility=0.1)
    for view in load_all(dataset).values():
        truth = views[int(Path(view.name).stem)]
        assert_same_camera(view, truth)
        known = view.depth > 0
        assert len(features(truth)) <= known.sum() < known.numel() / 4
        for x, y, _ in features(truth):
            assert view.depth[int(y), int(x)] == pytest.approx(truth.depth[int(y), int(x)], rel=0.2)
    # Exactly where a view's own lattice stands and nothing nearer falls on the same pixel.
    last = load_all(Colmap(root=str(tmp_path), num_views=2, min_covisibility=0.0))["003.png"]
    own = features(views[3])
    exact = sum(
        abs(float(last.depth[int(y), int(x)]) - views[3].depth[int(y), int(x)]) < 1e-4
        for x, y, _ in own
    )
    assert exact > 0.8 * len(own)


def test_colmap_stereo_maps_and_folders(tmp_path: Path) -> None:
    views = room(NUM_VIEWS)
    for name in ("stereo", "folder"):
        write_colmap(tmp_path / name, views, binary=True)
    for view in views:
        header = f"{view.size[1]}&{view.size[0]}&1&".encode()
        path = tmp_path / "stereo" / "stereo" / "depth_maps" / f"{view.name}.png.geometric.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(header + view.depth.astype("<f4").tobytes())
        save_pfm(tmp_path / "folder" / "depth" / f"{view.name}.pfm", view.depth * 2)
    for name, unit in (("stereo", 1.0), ("folder", 0.5)):
        dataset = Colmap(root=str(tmp_path / name), depth_unit=unit, num_views=2)
        found = load_all(dataset)
        for view in found.values():
            assert_same_view(view, views[int(Path(view.name).stem)])
        (ref, *_) = dataset.view_sets()
        assert not dataset.load(ref).metric
    path.write_bytes(path.read_bytes()[:-4])
    broken = Colmap(root=str(tmp_path / "stereo"), num_views=2)
    with pytest.raises(BenchError, match="truncated"):
        load_all(broken)


def test_colmap_refuses_what_it_cannot_read(tmp_path: Path) -> None:
    write_colmap(tmp_path / "room", room(2), binary=False)
    cameras = tmp_path / "room/sparse/0/cameras.txt"
    plain = cameras.read_text()
    cameras.write_text(plain.replace("PINHOLE", "SIMPLE_RADIAL"))
    with pytest.raises(BenchError, match=r"SIMPLE_RADIAL bends rays.*image_undistorter"):
        Colmap(root=str(tmp_path), num_views=2).view_sets()
    cameras.write_text(plain.replace(" PINHOLE 64", " PINHOLE"))
    with pytest.raises(BenchError, match="malformed COLMAP model"):
        Colmap(root=str(tmp_path), num_views=2).view_sets()
    images = tmp_path / "room/sparse/0/images.txt"
    cameras.write_text(plain)
    images.write_text(images.read_text().replace("000.png", "../../../secret.png"))
    with pytest.raises(BenchError, match="leads out of"):
        Colmap(root=str(tmp_path), num_views=2).view_sets()


def test_text_and_binary_models_agree(tmp_path: Path) -> None:
    views = room(2)
    write_text_model(tmp_path, views)
    text = read_model(tmp_path)
    write_binary_model(tmp_path, views)
    binary = read_model(tmp_path)
    assert text.cameras == binary.cameras
    assert list(text.images) == list(binary.images) == ["000.png", "001.png"]
    for name, image in text.images.items():
        other = binary.images[name]
        assert image.camera_id == other.camera_id
        np.testing.assert_allclose(image.camera_from_world, other.camera_from_world)
        np.testing.assert_allclose(image.points, other.points)
        assert (image.point_ids == other.point_ids).all()
        assert (image.point_ids >= 0).all()
    assert text.points.keys() == binary.points.keys()


# BlendedMVS


def write_blendedmvs(folder: Path, views: Sequence[RoomView]) -> None:
    (folder / "cams").mkdir(parents=True)
    for index, view in enumerate(views):
        name = f"{index:08d}"
        save_image(folder / "blended_images" / f"{name}.jpg", view.image, quality=100)
        save_image(folder / "blended_images" / f"{name}_masked.jpg", view.image * 0)
        save_pfm(folder / "rendered_depth_maps" / f"{name}.pfm", view.depth)
        k = view.intrinsics.copy()
        k[:2, 2] -= 0.5
        pose, camera = (
            "\n".join(" ".join(repr(float(v)) for v in row) for row in matrix)
            for matrix in (view.camera_from_world, k)
        )
        text = f"extrinsic\n{pose}\n\nintrinsic\n{camera}\n\n0.4 0.01 128 5.0\n"
        (folder / "cams" / f"{name}_cam.txt").write_text(text)
    (folder / "cams" / "pair.txt").write_text("0\n")


def test_blendedmvs(tmp_path: Path) -> None:
    views = room(NUM_VIEWS)
    write_blendedmvs(tmp_path / "room", views)
    dataset = BlendedMVS(root=str(tmp_path), num_views=2, min_covisibility=0.1)
    for view in load_all(dataset).values():
        assert_same_view(view, views[int(view.name)], exact_image=False)
        error = view.image.permute(1, 2, 0).numpy().astype(float) - views[int(view.name)].image
        assert np.abs(error).mean() < 3
    assert not dataset.load(dataset.view_sets()[0]).metric
    (tmp_path / "room" / "cams" / "00000001_cam.txt").write_text("extrinsic 1 2 3")
    with pytest.raises(BenchError, match=r"00000001_cam.txt is not a camera file"):
        BlendedMVS(root=str(tmp_path)).view_sets()


def test_blendedmvs_split() -> None:
    assert blendedmvs_split("5bfe5ae0" + format(120, "016x")) == "test"
    assert blendedmvs_split("5bfe5ae0" + format(121, "016x")) == "train"


# ETH3D

#: fx, fy, cx, cy, k1, k2, p1, p2, k3, k4, sx1, sy1
FISHEYE = (480.0, 490.0, 260.0, 188.0, 0.08, 0.05, 4e-4, -6e-4, -0.02, 0.01, 1e-3, -2e-3)


def fisheye_depth(truth: RoomView, raw: Camera) -> DepthMap:
    """z-depth at the raw pixels: each one's ray is found by fixed-point iteration."""
    fx, fy, cx, cy = raw.params[:4]
    rows, columns = np.mgrid[: raw.size[0], : raw.size[1]] + 0.5
    x, y = (columns - cx) / fx, (rows - cy) / fy
    for _ in range(20):
        u, v = distort_thin_prism_fisheye(raw, x, y)
        x, y = x - (u - columns) / fx, y - (v - rows) / fy
    assert max(np.abs(u - columns).max(), np.abs(v - rows).max()) < 1e-6
    directions = np.stack([x, y, np.ones_like(x)], -1) @ truth.camera_from_world[:3, :3]
    origin = truth.world_from_camera[:3, 3]
    half = np.array([2.0, 1.5, 2.5])
    depth = ((np.sign(directions) * half - origin) / directions).min(-1)
    return np.asarray(depth, dtype=np.float32)


def write_eth3d(folder: Path, views: Sequence[RoomView], raw: Camera) -> None:
    for kind in ("undistorted", "jpg"):
        (folder / f"dslr_calibration_{kind}").mkdir(parents=True)
    write_text_model(folder / "dslr_calibration_undistorted", views)
    write_text_model(folder / "dslr_calibration_jpg", views)
    numbers = " ".join(map(str, raw.params))
    lines = [
        f"{i + 1} {raw.model} {raw.size[1]} {raw.size[0]} {numbers}" for i in range(len(views))
    ]
    (folder / "dslr_calibration_jpg" / "cameras.txt").write_text("\n".join(lines))
    for kind in ("undistorted", "jpg"):
        path = folder / f"dslr_calibration_{kind}" / "images.txt"
        text = path.read_text()
        for view in views:
            prefix = "dslr_images_undistorted/" if kind == "undistorted" else "dslr_images/"
            text = text.replace(f" {view.name}.png", f" {prefix}{view.name}.png")
        path.write_text(text)
    for view in views:
        save_image(folder / "images/dslr_images_undistorted" / f"{view.name}.png", view.image)
        path = folder / "ground_truth_depth" / "dslr_images" / f"{view.name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        depth = fisheye_depth(view, raw)
        depth[:20] = np.inf
        path.write_bytes(depth.astype("<f4").tobytes())


def test_eth3d(tmp_path: Path) -> None:
    """Raw maps are eight times as fine as the images, so that the nearest raw pixel is near."""
    views, raw = room(3), Camera("THIN_PRISM_FISHEYE", (384, 512), FISHEYE)
    write_eth3d(tmp_path / "room", views, raw)
    dataset = ETH3D(root=str(tmp_path), num_views=2)
    found = load_all(dataset)
    assert set(found) == {"000", "001", "002"}
    for name, view in found.items():
        truth = views[int(name)]
        assert_same_camera(view, truth)
        depth = view.depth.numpy()
        known = depth > 0
        assert 0.5 < known.mean() < 1
        # A raw pixel's centre is at most 0.71 raw pixels away: about a tenth of a pixel here.
        slope = np.hypot(*np.gradient(truth.depth))
        error = np.abs(depth - truth.depth)
        assert (error <= 0.15 * slope + 1e-3)[known].mean() > 0.98
    path = tmp_path / "room/ground_truth_depth/dslr_images/000.png"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BenchError, match="does not have 512 x 384 values"):
        load_all(ETH3D(root=str(tmp_path), num_views=2))


def test_thin_prism_fisheye_against_opencv() -> None:
    """Its fisheye part is OpenCV's, its tangential and prism parts OpenCV's on the bent rays."""
    cv2 = pytest.importorskip("cv2")
    rng = np.random.default_rng(0)
    rays = rng.uniform(-0.8, 0.8, (50, 2))
    fx, fy, cx, cy, k1, k2, p1, p2, k3, _, sx1, sy1 = FISHEYE
    matrix = np.array([[fx, 0, cx], [0, fy, cy], [0, 0, 1]])
    pure = Camera("THIN_PRISM_FISHEYE", (1, 1), (*FISHEYE[:6], 0, 0, *FISHEYE[8:10], 0, 0))
    coefficients = np.array([k1, k2, FISHEYE[8], FISHEYE[9]])
    points_3d = np.column_stack([rays, np.ones(50)])[:, None]
    zero = np.zeros(3)
    expected, _ = cv2.fisheye.projectPoints(points_3d, zero, zero, matrix, coefficients)
    found = np.column_stack(distort_thin_prism_fisheye(pure, *rays.T))
    np.testing.assert_allclose(found, expected[:, 0], atol=1e-9)

    without_k4 = Camera("THIN_PRISM_FISHEYE", (1, 1), (*FISHEYE[:9], 0, *FISHEYE[10:]))
    radius = np.linalg.norm(rays, axis=1, keepdims=True)
    bent = np.column_stack([rays * np.arctan(radius) / radius, np.ones(50)])[:, None]
    coefficients = np.array([k1, k2, p1, p2, k3, 0, 0, 0, sx1, 0, sy1, 0])
    expected, _ = cv2.projectPoints(bent, zero, zero, matrix, coefficients)
    found = np.column_stack(distort_thin_prism_fisheye(without_k4, *rays.T))
    np.testing.assert_allclose(found, expected[:, 0], atol=1e-9)


# WAI


def save_exr(path: Path, depth: Array) -> None:
    OpenEXR = pytest.importorskip("OpenEXR")
    path.parent.mkdir(parents=True, exist_ok=True)
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with OpenEXR.File(header, {"Y": depth.astype(np.float32)}) as file:
        file.write(str(path))


def write_wai(folder: Path, views: Sequence[RoomView], **changes: Any) -> None:
    """Intrinsics of the scene, overridden by those of the last frame."""
    frames = []
    for view in views:
        save_image(folder / "images" / f"{view.name}.png", view.image)
        save_exr(folder / "depth" / f"{view.name}.exr", view.depth)
        mask = np.full(view.size, 255, np.uint8)
        mask[:, :10] = 0
        save_image(folder / "moge/v0/mask/moge2" / f"{view.name}.png", mask)
        frames.append(
            {
                "frame_name": view.name,
                "file_path": f"images/{view.name}.png",
                "image": f"images/{view.name}.png",
                "depth": f"depth/{view.name}.exr",
                "moge2_mask": f"moge/v0/mask/moge2/{view.name}.png",
                "transform_matrix": view.world_from_camera.tolist(),
            }
        )
    meta = camera_keys(views[0]) | {
        "scene_name": folder.name,
        "camera_model": "PINHOLE",
        "camera_convention": "opencv",
        "scale_type": "metric",
        "shared_intrinsics": False,
        "frames": [*frames[:-1], frames[-1] | camera_keys(views[-1])],
        **changes,
    }
    (folder / "scene_meta.json").write_text(json.dumps(meta))


def camera_keys(view: RoomView) -> dict[str, float]:
    k = view.intrinsics
    height, width = view.size
    return {
        "fl_x": k[0, 0],
        "fl_y": k[1, 1],
        "cx": k[0, 2] - 0.5,
        "cy": k[1, 2] - 0.5,
        "h": height,
        "w": width,
    }


def mixed_views() -> list[RoomView]:
    """The last one is portrait, with its own camera."""
    landscape = room(NUM_VIEWS)
    k = np.array([[55.0, 0, 20], [0, 56, 40], [0, 0, 1]])
    return [*landscape[:-1], shoot("003", landscape[-1].camera_from_world, k, (64, 48))]


def chain(count: int) -> Array:
    """Only consecutive frames see each other."""
    matrix = np.eye(count) * 0.8
    matrix += 0.4 * (np.eye(count, k=1) + np.eye(count, k=-1))
    return matrix


@pytest.mark.parametrize("raw", [False, True], ids=["npy", "raw"])
def test_wai(tmp_path: Path, raw: bool) -> None:
    views = mixed_views()
    folder = tmp_path / "room"
    write_wai(folder, views)
    path = folder / "covisibility" / "v0" / "pairwise_covisibility--4x4.npy"
    path.parent.mkdir(parents=True)
    if raw:
        path.write_bytes(chain(4).astype("<f4").tobytes())
    else:
        np.save(path, chain(4).astype(np.float32))
    dataset = WAI(root=str(tmp_path), preset="eth3d", num_views=2)
    assert {frozenset(ref.views) for ref in dataset.view_sets()} == {
        frozenset({"000", "001"}),
        frozenset({"001", "002"}),
        frozenset({"002", "003"}),
    }
    found = load_all(dataset)
    assert found["003"].size == (64, 48)
    for name, view in found.items():
        assert_same_view(view, views[int(name)])
    assert dataset.load(dataset.view_sets()[0]).metric


def test_wai_masks_and_percentiles(tmp_path: Path) -> None:
    views = room(3)
    write_wai(tmp_path / "room", views, scale_type="colmap")
    options = {"root": str(tmp_path), "num_views": 2, "min_covisibility": 0.1}
    masked = WAI(preset="blendedmvs", **options)
    for name, view in load_all(masked).items():
        assert not view.depth[:, :10].any()
        truth = torch.from_numpy(views[int(name)].depth[:, 10:]).float()
        assert torch.equal(view.depth[:, 10:], truth)
    assert not masked.load(masked.view_sets()[0]).metric
    for name, view in load_all(WAI(preset="mvs_synth", **options)).items():
        truth = torch.from_numpy(views[int(name)].depth).float()
        known = view.depth > 0
        assert known.float().mean() == pytest.approx(0.95, abs=0.01)
        assert torch.equal(view.depth[known], truth[known])
        assert view.depth.max() < truth[~known].min()
    (tmp_path / "room/moge/v0/mask/moge2/000.png").unlink()
    with pytest.raises(BenchError, match=r"000.png is missing"):
        load_all(WAI(preset="blendedmvs", **options))


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"camera_model": "OPENCV_FISHEYE"}, "bends rays"),
        ({"camera_convention": "opengl"}, "camera_convention"),
        ({"fl_x": None}, "fl_x are given neither"),
        ({"frames": []}, "frames"),
    ],
)
def test_wai_mistakes(tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    write_wai(tmp_path / "room", room(2), **changes)
    with pytest.raises(BenchError, match=complaint):
        WAI(root=str(tmp_path), preset="eth3d").view_sets()


def test_wai_scene_lists(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_wai(tmp_path / "data" / name, room(2))
    lists = tmp_path / "metadata"
    for split, names in {"train": ["a"], "val": ["b"]}.items():
        (lists / split).mkdir(parents=True)
        path = lists / split / f"scannetppv2_scene_list_{split}.npy"
        np.save(path, np.array(names, dtype=object), allow_pickle=True)
    options = {"root": str(tmp_path / "data"), "preset": "scannetppv2", "num_views": 2}
    dataset = WAI(**options, metadata=str(lists), min_covisibility=0.1)
    assert {(ref.scene, ref.split) for ref in dataset.view_sets()} == {
        ("a", "train"),
        ("b", "test"),
    }
    plain = WAI(**options, min_covisibility=0.1)
    assert {(ref.scene, ref.split) for ref in plain.view_sets()} == {(n, "test") for n in "abc"}
    np.save(path, np.array(["b", "missing"]))
    with pytest.raises(BenchError, match="1 listed scenes are not in"):
        WAI(**options, metadata=str(lists)).view_sets()


class Command:
    """Unpickling this would run a program."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


def test_scene_lists_run_nothing(tmp_path: Path) -> None:
    path, trace = tmp_path / "list.npy", tmp_path / "trace"
    np.save(path, np.array([Command(trace)], dtype=object), allow_pickle=True)
    with pytest.raises(BenchError, match="not a list of names"):
        read_names(path)
    assert not trace.exists()
    for names in (np.array(["x", "yy"]), np.array(["x", "yy"], dtype=object)):
        np.save(path, names, allow_pickle=True)
        assert read_names(path) == ["x", "yy"]
    path.write_bytes(pickle.dumps(["x"]))
    with pytest.raises(BenchError, match="not a list of names"):
        read_names(path)


def test_an_unreadable_image_names_the_file(tmp_path: Path) -> None:
    write_blendedmvs(tmp_path / "room", room(2))
    image = tmp_path / "room/blended_images/00000000.jpg"
    Image.new("RGB", (64, 48)).save(image)
    image.write_bytes(image.read_bytes()[:200])
    with pytest.raises(BenchError, match=r"00000000.jpg cannot be read"):
        load_all(BlendedMVS(root=str(tmp_path), num_views=2))

"""Probe3D's protocols once more, slowly and plainly, from the files of a dataset to the numbers.

Written from the published description alone, and sharing nothing with the package but torch's and
Pillow's resampling. The model is raw patches: what a backbone would see, and where.
"""

from __future__ import annotations

import json
import math
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

Array = NDArray[Any]

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def raw_patches(image: Array, patch: int, constants: tuple[Any, Any]) -> Array:
    """Pixels per patch [rows, cols, 3 p p] of an image [H, W, 3] in bytes: normalised, then both
    sides padded with zeros unless both are whole, the smaller half first."""
    x = (image.astype(np.float32) / np.float32(255) - np.float32(constants[0])) / np.float32(
        constants[1]
    )
    height, width = image.shape[:2]
    if height % patch or width % patch:
        down, right = patch - height % patch, patch - width % patch
        around = ((down // 2, down - down // 2), (right // 2, right - right // 2), (0, 0))
        x = np.pad(x, around)
    rows, cols = x.shape[0] // patch, x.shape[1] // patch
    cells = x.reshape(rows, patch, cols, patch, 3).transpose(0, 2, 1, 3, 4)
    return cells.reshape(rows, cols, -1)


# Matching of points


@dataclass(frozen=True)
class Matched:
    """The thousand matches of a pair: distances in cm and px, and the viewpoint change."""

    centimetres: Array
    pixels: Array
    angle_deg: float


def best_thousand(first: Array, second: Array) -> tuple[Array, Array]:
    """Rows of the two sets of features: nearest by cosine, the most distinctive kept."""
    a, b = (f / np.linalg.norm(f, axis=1, keepdims=True) for f in (first, second))
    distance = 1 - a.astype(np.float64) @ b.astype(np.float64).T
    nearest = distance.argmin(1)
    two = np.sort(distance, axis=1)[:, :2].clip(1e-9)
    order = np.argsort(-(1 - two[:, 0] / two[:, 1]), kind="stable")[:1000]
    return order, nearest[order]


def matched(
    points: Sequence[Array],
    features: Sequence[Array],
    second_from_first: Array,
    camera: Array,
) -> Matched:
    a, b = best_thousand(*features)
    moved = points[0][a] @ second_from_first[:3, :3].T + second_from_first[:3, 3]
    there = points[1][b]
    flat = [(x @ camera.T)[:, :2] / x[:, 2:] for x in (moved, there)]
    cosine = (np.trace(second_from_first[:3, :3]) - 1) / 2
    return Matched(
        100 * np.linalg.norm(moved - there, axis=1),
        np.linalg.norm(flat[0] - flat[1], axis=1),
        math.degrees(math.acos(min(1, max(-1, cosine)))),
    )


def share(pairs: Iterable[Matched], unit: str, limit: float) -> float:
    """Recall over the matches of all pairs, each with as many as another."""
    recalls = [float((getattr(pair, unit) <= limit).mean()) for pair in pairs]
    return float(np.mean(recalls)) if recalls else math.nan


def by_angle(pairs: Sequence[Matched], low: float, high: float) -> list[Matched]:
    return [pair for pair in pairs if low <= pair.angle_deg < high]


# NAVI


def navi_numbers(
    root: Path, pairs: Iterable[tuple[str, ...]], patch: int
) -> tuple[dict[str, float], list[Matched]]:
    """Numbers of pairs (object, image, image), image as <collection>/<number>."""
    found = []
    for name, *images in pairs:
        views = [navi_view(root / name, image, patch) for image in images]
        points, features = zip(*[view[:2] for view in views], strict=True)
        poses, focal = [view[2] for view in views], views[1][3]
        relative = poses[1] @ np.linalg.inv(poses[0])
        found.append(matched(points, features, relative, np.diag([focal, focal, 1.0])))
    numbers = {f"recall@{t}cm": share(found, "centimetres", t) for t in (1, 2, 5)}
    numbers |= {f"recall@{t}px": share(found, "pixels", t) for t in (5, 25, 50)}
    for low, high in ((0, 30), (30, 60), (60, 90), (90, 120)):
        inside = by_angle(found, low, high)
        numbers[f"recall@2cm/{low}-{high}deg"] = share(inside, "centimetres", 2)
    return numbers, found


def navi_view(folder: Path, name: str, patch: int) -> tuple[Array, Array, Array, float]:
    """Points [N, 3] in metres, features [N, D], camera_from_object and focal length in pixels."""
    collection, number = name.split("/")
    entries = json.loads((folder / collection / "annotations.json").read_text())
    (entry,) = [e for e in entries if Path(e["filename"]).stem == number]
    image = Image.open(folder / collection / "images" / entry["filename"]).convert("RGB")
    raw = Image.open(folder / collection / "depth" / f"{number}.png")
    width, height = image.size
    larger = [int(side * 1024 / min(width, height)) for side in (width, height)]
    pixels = np.asarray(image.resize(larger, Image.Resampling.BILINEAR))
    # Pillow's nearest takes the pixel under the centre.
    stored = np.asarray(raw).astype(np.float64)
    y = ((np.arange(larger[1]) + 0.5) * height / larger[1]).astype(int)
    x = ((np.arange(larger[0]) + 0.5) * width / larger[0]).astype(int)
    stored = stored[y][:, x]
    depth = np.where(stored > 0, 655350 / np.maximum(stored, 1), 0) / 1000
    # Short side 512, then the middle, by torch's nearest.
    smaller = [int(side * 512 / 1024) for side in larger]
    y = (np.arange(smaller[1]) * larger[1] / smaller[1]).astype(int)
    x = (np.arange(smaller[0]) * larger[0] / smaller[0]).astype(int)
    top, left = round((smaller[1] - 512) / 2), round((smaller[0] - 512) / 2)
    pixels, depth = (
        v[y][:, x][top : top + 512, left : left + 512] for v in (pixels, depth)
    )  # fmt: skip
    rows, columns = np.nonzero(depth.any(1))[0], np.nonzero(depth.any(0))[0]
    low, high = (rows[0], columns[0]), (rows[-1] + 1, columns[-1] + 1)
    side = max(high[0] - low[0], high[1] - low[1])
    top, left = (
        min(max((a + b - side) // 2, 0), 512 - side) for a, b in zip(low, high, strict=True)
    )
    again = (np.arange(512) * side / 512).astype(int)
    pixels, depth = (v[top + again][:, left + again] for v in (pixels, depth))
    focal = entry["camera"]["focal_length"] * 512 / min(width, height) * 512 / side
    centre = np.array([256 - left, 256 - top]) * 512 / side
    points = np.zeros((128, 128, 3))
    for i in range(128):
        for j in range(128):
            u, v, z = 4 * j + 0.5, 4 * i + 0.5, depth[4 * i, 4 * j]
            points[i, j] = ((u - centre[0]) / focal * z, (v - centre[1]) / focal * z, z)
    planes = torch.from_numpy(raw_patches(pixels, patch, IMAGENET)).permute(2, 0, 1)[None]
    features = torch.nn.functional.interpolate(planes, (128, 128), mode="bicubic")[0]
    known = points[..., 2] > 0
    pose = np.eye(4)
    pose[:3, :3] = rotation(*entry["camera"]["q"])
    pose[:3, 3] = np.array(entry["camera"]["t"]) / 1000
    return points[known], features.permute(1, 2, 0).numpy()[known], pose, focal


def rotation(w: float, x: float, y: float, z: float) -> Array:
    """Of a unit quaternion."""
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + 2 * w * cross + 2 * cross @ cross)


# ScanNet


def scannet_numbers(root: Path, patch: int) -> tuple[dict[str, float], list[Matched]]:
    found = []
    cameras = np.load(root / "intrinsics.npz")
    for scene, take, *numbers in np.load(root / "test.npz")["name"].tolist():
        folder = root / "scannet_test_1500" / f"scene{scene:04d}_{take:02d}"
        K = cameras[folder.name].copy()
        K[:2] *= 0.25
        views = [scannet_view(folder, number, K, patch) for number in numbers]
        points, features, poses = zip(*views, strict=True)
        relative = np.linalg.inv(poses[1]) @ poses[0]
        found.append(matched(points, features, relative, K))
    numbers = {f"recall@{t}px": share(found, "pixels", t) for t in (5, 10, 20)}
    for low, high in ((0, 15), (15, 30), (30, 60), (60, 180)):
        numbers[f"recall@10px/{low}-{high}deg"] = share(by_angle(found, low, high), "pixels", 10)
    return numbers, found


def scannet_view(folder: Path, number: int, K: Array, patch: int) -> tuple[Array, Array, Array]:
    """Points [N, 3], features [N, D] and world_from_camera; K of the raster of 120 x 160."""
    image = Image.open(folder / "color" / f"{number}.jpg").convert("RGB")
    pixels = np.asarray(image.resize((640, 480), Image.Resampling.LANCZOS))
    depth = np.asarray(Image.open(folder / "depth" / f"{number}.png")).astype(np.float64) / 1000
    cells = raw_patches(pixels, patch, HALF)
    rows, cols = cells.shape[:2]
    inverse = np.linalg.inv(K)
    points, features = [], []
    for i in range(120):
        for j in range(160):
            z = depth[4 * i, 4 * j]
            if z > 0:
                points.append(inverse @ (j + 0.5, i + 0.5, 1) * z)
                where = ((j + 0.5) / 160 * cols - 0.5, (i + 0.5) / 120 * rows - 0.5)
                features.append(bilinear(cells, *where))
    pose = np.loadtxt(folder / "pose" / f"{number}.txt")
    return np.array(points), np.array(features), pose


def bilinear(cells: Array, x: float, y: float) -> Array:
    """Between cells, which are zero beyond the edges."""
    total = np.zeros(cells.shape[2])
    for i in (math.floor(y), math.floor(y) + 1):
        for j in (math.floor(x), math.floor(x) + 1):
            if 0 <= i < cells.shape[0] and 0 <= j < cells.shape[1]:
                total += (1 - abs(x - j)) * (1 - abs(y - i)) * cells[i, j]
    return total


# SPair-71k


def spair_numbers(root: Path, patch: int) -> dict[str, float]:
    """PCK@0.1 of at most 200 pairs per class: over keypoints, then over classes."""
    names = (root / "Layout" / "large" / "test.txt").read_text().split()
    pairs: dict[str, list[tuple[str, int, Array]]] = {}
    for name in names:
        stem, category = name.split(":")
        content = json.loads((root / "PairAnnotation" / "test" / f"{name}.json").read_text())
        errors = spair_errors(root, content, patch)
        pairs.setdefault(category, []).append((stem, content["viewpoint_variation"], errors))
    numbers = {}
    for key, wanted in {"": (0, 1, 2), **{f"/viewpoint-{v}": (v,) for v in (0, 1, 2)}}.items():
        classes = []
        for own in pairs.values():
            chosen = sorted(pair for pair in own if pair[1] in wanted)
            random.Random(20).shuffle(chosen)
            errors = np.concatenate([np.zeros(0), *(pair[2] for pair in chosen[:200])])
            if len(errors):
                classes.append(float((errors < 0.1).mean()))
        numbers[f"pck@0.1{key}"] = float(np.mean(classes)) if classes else math.nan
    return numbers


def spair_errors(root: Path, pair: dict[str, Any], patch: int) -> Array:
    """Errors of the keypoints that both images show, as shares of the target's box."""
    images, annotated = [], []
    for name in (pair["src_imname"], pair["trg_imname"]):
        images.append(Image.open(root / "JPEGImages" / pair["category"] / name).convert("RGB"))
        file = root / "ImageAnnotation" / pair["category"] / f"{Path(name).stem}.json"
        annotated.append(json.loads(file.read_text())["kps"])
    shared = [k for k in annotated[0] if annotated[0][k] and annotated[1][k]]
    features, keypoints = [], []
    for image, points in zip(images, annotated, strict=True):
        side = max(image.size)
        square = Image.new("RGB", (side, side), (255, 255, 255))
        square.paste(image, (0, 0))
        pixels = np.asarray(square.resize((800, 800), Image.Resampling.BICUBIC))
        features.append(raw_patches(pixels, patch, IMAGENET))
        keypoints.append([[int(c * 800 / side) for c in points[k]] for k in shared])
    left, top, right, bottom = pair["trg_bndbox"]
    scale = max(right - left, bottom - top) / max(images[1].size)
    cells = features[1] / np.linalg.norm(features[1], axis=2, keepdims=True)
    count = cells.shape[0]
    errors = []
    for (x, y), truth in zip(*keypoints, strict=True):
        # align_corners: the edges of the image are the centres of the outermost cells.
        query = bilinear(features[0], x / 800 * (count - 1), y / 800 * (count - 1))
        row, col = divmod(int((cells @ query).argmax()), count)
        predicted = np.array([col, row]) / count
        errors.append(float(np.linalg.norm(predicted - np.array(truth) / 800)) / scale)
    return np.array(errors)

"""What is wrong with a dataset on this machine: files, cameras, and whether its geometry agrees."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch

from bench.datasets._covisibility import overlap, posed_depth
from bench.datasets._images import exif_orientation
from bench.datasets._lists import duplicates, sorted_refs
from bench.datasets._sampling import thin
from bench.datasets._scene import Frame, camera_problems, read_view
from bench.errors import BenchError
from bench.types import Dataset, View, ViewSet, ViewSetRef

#: A pair of views says something about the geometry if this share of one lands in the other.
MIN_OVERLAP = 0.3

#: Real recordings agree in 94 % and more of what is not occluded; wrong conventions in under 50 %.
MIN_CONSISTENT = 0.8

#: Pixels along the long side that are compared.
SAMPLES = 160


@dataclass(frozen=True)
class Problem:
    """place: scene, view set or file. level: an error spoils numbers, a note is worth knowing."""

    place: str
    what: str
    level: Literal["error", "note"] = "error"

    def __str__(self) -> str:
        return f"{self.level}: {self.place}: {self.what}"


@runtime_checkable
class Inspectable(Protocol):
    """A dataset that can look at its files beyond the view sets."""

    def problems(self) -> Iterator[Problem]: ...


def check(dataset: Dataset, limit: int | None = None) -> list[Problem]:
    """All problems that were found; empty if the dataset can be used.

    Args:
        limit: at most this many view sets are loaded, evenly spread; None loads all.
    """
    found = list(_source_problems(dataset))
    try:
        refs = dataset.view_sets()
    except BenchError as error:
        return _unique([*found, Problem(dataset.name, str(error))])
    found += list_problems(dataset.name, refs)
    chosen = thin(len(refs), len(refs) if limit is None else limit)
    for ref in (refs[index] for index in chosen):
        place = f"{ref.scene}/{ref.set_id}"
        try:
            view_set = dataset.load(ref)
        except BenchError as error:
            found.append(Problem(place, str(error)))
        except Exception as error:
            # Whatever a reader trips over is a finding; the other view sets are still looked at.
            found.append(Problem(place, f"{type(error).__name__}: {error}"))
        else:
            found += view_set_problems(view_set, ref, dataset.provides)
    return _unique(found)


def list_problems(name: str, refs: Sequence[ViewSetRef]) -> Iterator[Problem]:
    """An empty or unsorted list, and view sets that repeat themselves."""
    if not refs:
        yield Problem(name, "the list of view sets is empty")
    if tuple(refs) != sorted_refs(refs):
        yield Problem(name, "the list of view sets is not sorted by scene and set")
    for ref, what in duplicates(refs):
        yield Problem(f"{ref.scene}/{ref.set_id}", what)


def view_set_problems(
    view_set: ViewSet, ref: ViewSetRef, provides: frozenset[str]
) -> Iterator[Problem]:
    """What is wrong inside one view set."""
    place = f"{ref.scene}/{ref.set_id}"
    if (view_set.scene, view_set.set_id, view_set.split) != (ref.scene, ref.set_id, ref.split):
        yield Problem(place, "what was loaded is another view set than the list says")
    if tuple(view.name for view in view_set.views) != ref.views:
        yield Problem(place, "the views are not those of the list")
    for view in view_set.views:
        for what in view_problems(view, provides):
            yield Problem(f"{place}: {view.name}", what)
    sizes = Counter(view.size for view in view_set.views)
    if len(sizes) > 1:
        listed = ", ".join(f"{width} x {height}" for height, width in sizes)
        yield Problem(place, f"views of different sizes: {listed}", "note")
    if "homography" in provides:
        yield from _homography_problems(place, view_set)
    if {"depth", "poses"} <= provides:
        yield from _consistency_problems(place, view_set)


def view_problems(view: View, provides: frozenset[str]) -> Iterator[str]:
    """What is wrong with one view, by itself."""
    height, width = view.size
    if view.image.dtype != torch.uint8 or view.image.shape != (3, height, width):
        yield f"the image is {view.image.dtype} {list(view.image.shape)}, not uint8 [3, H, W]"
    promised = {
        "depth": view.depth,
        "poses": view.camera_from_world,
        "keypoints": view.keypoints,
        "normals": view.normals,
        "mask": view.mask,
    }
    for name in sorted(provides & promised.keys()):
        if promised[name] is None:
            yield f"has no {name}, which the dataset promises"
    maps = {"depth": view.depth, "normals": view.normals, "mask": view.mask}
    for name, values in maps.items():
        if values is not None and values.shape[-2:] != (height, width):
            yield f"{name} is {list(values.shape)}, but the image has {width} x {height} pixels"
    if view.depth is not None:
        depth = view.depth.numpy()
        if not np.isfinite(depth).all() or (depth < 0).any():
            yield "depth has NaN, infinite or negative values; unknown depth is 0"
        elif not depth.any():
            yield "no pixel has a depth"
    yield from camera_problems(view.intrinsics, view.camera_from_world)
    if view.normals is not None:
        lengths = view.normals.norm(dim=0)
        if ((lengths - 1).abs() > 1e-2)[lengths > 0].any():
            yield "normals are not of length 1"
    if view.keypoints is not None:
        known = view.keypoints[torch.isfinite(view.keypoints).all(-1)]
        limits = torch.tensor([width, height], dtype=known.dtype)
        if ((known < 0) | (known > limits)).any():
            yield "keypoints lie outside of the image"


def frame_problems(frame: Frame, place: str) -> Iterator[Problem]:
    """Damaged files and impossible cameras of one posed image, and EXIF turns."""
    try:
        view = read_view(frame)
        turn = exif_orientation(frame.image)
    except BenchError as error:
        yield Problem(place, str(error))
        return
    if view.depth is not None and not view.depth.numpy().any():
        yield Problem(place, "no pixel has a depth")
    if turn != 1 and not frame.upright:
        what = f"EXIF orientation {turn}; the image is read in the raster that fits its camera"
        yield Problem(place, what, "note")
    assert view.intrinsics is not None
    cx, cy = float(view.intrinsics[0, 2]), float(view.intrinsics[1, 2])
    height, width = view.size
    if not (0 < cx < width and 0 < cy < height):
        yield Problem(place, f"the principal point ({cx:.1f}, {cy:.1f}) is outside", "note")


def _source_problems(dataset: Dataset) -> Iterator[Problem]:
    if isinstance(dataset, Inspectable):
        try:
            yield from dataset.problems()
        except BenchError as error:
            yield Problem(dataset.name, str(error))


def _homography_problems(place: str, view_set: ViewSet) -> Iterator[Problem]:
    for (a, b), matrix in (view_set.homographies or {}).items():
        if not torch.isfinite(matrix).all() or abs(float(torch.linalg.det(matrix))) < 1e-12:
            yield Problem(place, f"the homography from view {a} to {b} is singular")
    if not view_set.homographies:
        yield Problem(place, "has no homography, which the dataset promises")


def _consistency_problems(place: str, view_set: ViewSet) -> Iterator[Problem]:
    """Whether points seen in two views have the depth in one that the other says."""
    usable = [
        posed_depth(view)
        for view in view_set.views
        if view.depth is not None
        and not camera_problems(view.intrinsics, view.camera_from_world)
        and view.intrinsics is not None
        and view.camera_from_world is not None
    ]
    pairs = [
        overlap(a, b, step=max(1, max(a.depth.shape) // SAMPLES))
        for a, b in itertools.permutations(usable, 2)
    ]
    shares = [p.consistent_not_occluded for p in pairs if p.inside >= MIN_OVERLAP]
    known = [share for share in shares if np.isfinite(share)]
    if pairs and not known:
        yield Problem(place, "no two views overlap", "note")
    elif known and np.median(known) < MIN_CONSISTENT:
        yield Problem(
            place,
            f"depth and poses disagree: only {np.median(known):.0%} of what two views both see has "
            "the same depth in both (axes, depth unit or principal point?)",
        )


def _unique(problems: list[Problem]) -> list[Problem]:
    return list(dict.fromkeys(problems))

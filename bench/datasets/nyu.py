"""NYU Depth v2, the 1,449 labelled frames: single images with metric depth (Silberman et al.)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict
from scipy.io import loadmat

from bench.datasets import datasets
from bench.datasets._depth import clean
from bench.datasets._files import existing, find_root
from bench.datasets._lists import sorted_refs
from bench.datasets._scene import median_depth, pinhole
from bench.errors import BenchError
from bench.options import parse_options
from bench.types import Split, View, ViewSet, ViewSetRef

LABELED = "nyu_depth_v2_labeled.mat"
SPLITS_FILE = "splits.mat"

#: The toolbox's colour camera counts pixels from 1; ours has the first centre at 0.5.
INTRINSICS = pinhole(518.857901, 519.469611, 325.582449 - 0.5, 253.736166 - 0.5)

#: Every so many official training scenes, one is set aside for choosing.
VALIDATION_EVERY = 10


class NYUOptions(BaseModel):
    """Options of `nyu`.

    root: folder with the two .mat files; default $BENCH_DATA/nyu. depth: ``raw`` as measured, with
    holes, or ``filled`` in by colourisation. max_depth_m: beyond it, depth is unknown.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: str | None = None
    depth: Literal["raw", "filled"] = "raw"
    max_depth_m: float = 10.0


@datasets.register("nyu")
class NYU:
    """View sets of one view: 795 official training frames (those of one scene in ten are for
    validation) and 654 test frames."""

    Options: ClassVar[type[BaseModel]] = NYUOptions
    name: ClassVar[str] = "nyu"
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[str]] = frozenset({"depth"})
    licence: ClassVar[str] = "not stated; distributed for research"
    citation: ClassVar[str] = (
        "Silberman et al., Indoor segmentation and support inference from RGBD images, ECCV 2012"
    )
    how_to_get: ClassVar[str] = (
        "Fetch nyu_depth_v2_labeled.mat (2.8 GB) and splits.mat from cs.nyu.edu/~fergus/datasets/"
        "nyu_depth_v2.html (research use; no licence is stated) and set the option `root` to their "
        "folder, or $BENCH_DATA so that it is $BENCH_DATA/nyu. Reading needs "
        "`pip install bench3d[nyu]`."
    )

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(NYUOptions, config, "Dataset 'nyu'")

    @cached_property
    def root(self) -> Path:
        return find_root(self.options.root, self.name, self.name, self.how_to_get)

    def view_sets(self) -> Sequence[ViewSetRef]:
        return self._refs

    def load(self, ref: ViewSetRef) -> ViewSet:
        """Colour camera's frame, 640 x 480; MATLAB's column order is turned to rows."""
        (number,) = ref.views
        with self._open() as file:
            image = np.asarray(file["images"][int(number) - 1]).transpose(0, 2, 1)
            name = "rawDepths" if self.options.depth == "raw" else "depths"
            depth = clean(np.asarray(file[name][int(number) - 1]).T)
        depth[depth > self.options.max_depth_m] = 0
        view = View(
            name=number,
            image=torch.from_numpy(np.ascontiguousarray(image, dtype=np.uint8)),
            depth=torch.from_numpy(depth),
            intrinsics=torch.from_numpy(INTRINSICS.copy()),
        )
        return ViewSet(
            self.name, ref.scene, ref.set_id, ref.split, (view,), scene_scale=median_depth([view])
        )

    @cached_property
    def _refs(self) -> tuple[ViewSetRef, ...]:
        with self._open() as file:
            scenes = [
                "".join(chr(int(code)) for code in np.asarray(file[pointer]).ravel())
                for pointer in np.asarray(file["scenes"]).ravel()
            ]
        train, test = self._official_split()
        if max(*train, *test) > len(scenes):
            raise BenchError(f"{self.root / SPLITS_FILE} names more frames than {LABELED} has.")
        train_scenes = sorted({scenes[number - 1] for number in train})
        for_validation = set(train_scenes[::VALIDATION_EVERY])
        split: Split
        refs = []
        for number in (*train, *test):
            scene, name = scenes[number - 1], f"{number:04d}"
            split = "test" if number in test else "val" if scene in for_validation else "train"
            refs.append(ViewSetRef(scene, name, split, (name,)))
        return sorted_refs(refs)

    def _official_split(self) -> tuple[frozenset[int], frozenset[int]]:
        """Frame numbers, which count from 1, of the training and the test frames."""
        path = existing(self.root / SPLITS_FILE)
        try:
            stored = loadmat(path)
            train, test = (
                frozenset(int(number) for number in stored[name].ravel())
                for name in ("trainNdxs", "testNdxs")
            )
        except (ValueError, KeyError, NotImplementedError) as error:
            raise BenchError(f"{path} is not the official split: {error}.") from error
        if not train or not test or train & test or min(train | test) < 1:
            raise BenchError(f"{path} is not the official split.", self.how_to_get)
        return train, test

    def _open(self) -> Any:
        try:
            import h5py
        except ImportError as error:
            raise BenchError(
                "Reading NYU Depth v2 needs h5py.", "Run `pip install bench3d[nyu]`."
            ) from error
        path = existing(self.root / LABELED)
        try:
            return h5py.File(path, "r")
        except OSError as error:
            raise BenchError(f"{path} cannot be read: {error}.", "Fetch it anew.") from error

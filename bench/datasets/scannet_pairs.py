"""ScanNet-1500: the image pairs that SuperGlue, LoFTR and Probe3D are tested on, with depth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from bench.datasets import datasets
from bench.datasets._files import find_root, read_array
from bench.datasets._lists import sorted_refs
from bench.datasets._scene import Frame, Matrix, Scene, half_pixel_centres, read_view_set
from bench.datasets.posed_rgbd.scannet import read_frame
from bench.errors import BenchError
from bench.options import parse_options
from bench.types import ViewSet, ViewSetRef

#: The list's intrinsics are for this (height, width).
SIZE = (480, 640)
SCENES = "scannet_test_1500"


class ScanNetPairsOptions(BaseModel):
    """root: folder with test.npz, intrinsics.npz and scannet_test_1500/; default
    $BENCH_DATA/scannet_pairs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    root: str | None = None


@datasets.register("scannet_pairs")
class ScanNetPairs:
    """1,500 pairs of 100 scenes, in metres; the list comes with the data."""

    Options: ClassVar[type[BaseModel]] = ScanNetPairsOptions
    name: ClassVar[str] = "scannet_pairs"
    version: ClassVar[int] = 1
    provides: ClassVar[frozenset[str]] = frozenset({"depth", "poses"})
    licence: ClassVar[str] = "ScanNet terms of use (non-commercial research)"
    citation: ClassVar[str] = (
        "Dai et al., ScanNet: Richly-annotated 3D reconstructions of indoor scenes, CVPR 2017; "
        "pairs: Sarlin et al., SuperGlue, CVPR 2020"
    )
    how_to_get: ClassVar[str] = (
        "Agree to ScanNet's terms of use (www.scan-net.org), fetch scannet_test_1500.tar (about "
        "1 GB) by the link in github.com/zju3dv/LoFTR and test.npz and intrinsics.npz from "
        "LoFTR's assets/scannet_test_1500, put the two beside the unpacked folder and set the "
        "option `root`, or $BENCH_DATA so that it is $BENCH_DATA/scannet_pairs."
    )

    def __init__(self, **config: Any) -> None:
        self.options = parse_options(ScanNetPairsOptions, config, "Dataset 'scannet_pairs'")

    @cached_property
    def root(self) -> Path:
        return find_root(self.options.root, self.name, self.name, self.how_to_get)

    def view_sets(self) -> Sequence[ViewSetRef]:
        return self._refs

    def load(self, ref: ViewSetRef) -> ViewSet:
        """Colour is brought to 640 x 480, the depth map's size."""
        frames = {name: self._frame(ref.scene, name) for name in ref.views}
        return read_view_set(self.name, Scene(ref.scene, frames), ref)

    @cached_property
    def _refs(self) -> tuple[ViewSetRef, ...]:
        rows = read_array(self.root / "test.npz", "name")
        if rows.ndim != 2 or rows.shape[1] != 4 or rows.dtype.kind not in "iu":
            raise BenchError(f"{self.root / 'test.npz'}: 'name' is not a table of four integers.")
        refs = []
        for scene, take, a, b in rows.tolist():
            views = (str(a), str(b))
            name = f"scene{scene:04d}_{take:02d}"
            refs.append(ViewSetRef(name, f"{a:05d}-{b:05d}", "test", views))
        return sorted_refs(refs)

    def _frame(self, scene: str, number: str) -> Frame:
        folder = next(
            (path for path in (self.root / SCENES / scene, self.root / scene) if path.is_dir()),
            None,
        )
        if folder is None:
            raise BenchError(f"Scene {scene} is not in {self.root}.", self.how_to_get)
        camera: Matrix = read_array(self.root / "intrinsics.npz", scene)
        frame = read_frame(folder, number, half_pixel_centres(camera), SIZE)
        return replace(frame, name=number)

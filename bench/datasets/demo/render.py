"""Render the demo dataset: images, exact depth, cameras and view sets.

``python -m bench.datasets.demo.render [--out DIR] [--scene NAME] [--spp N] [--geometry-only]``
needs ``pip install "bench3d[render]"``. Images and depth maps that exist are kept, so an
interrupted run goes on where it stopped; delete a scene's folder to render it anew.

What is written is the general layout ``posed_rgbd``, one folder per scene::

    sets.json                     which views form the view sets
    <scene>/cameras.json
    <scene>/images/000.jpg        8-bit sRGB
    <scene>/depth/000.png         16-bit z-depth; times depth_unit_m = metres; 0 = unknown

``cameras.json`` holds ``depth_unit_m``, ``pixel_centre`` (coordinate of the first pixel's centre:
0.5), ``metric`` (true if poses and depth are metres) and ``views``; each view has ``name``,
``image``, ``depth`` (paths relative to the file), ``width``, ``height``, ``intrinsics`` (3x3,
pixels) and ``camera_from_world`` (4x4; OpenCV axes: x right, y down, z forward). ``sets.json``
holds ``version`` and ``sets``; each has ``scene``, ``split``, ``set`` and ``views`` (names).

Images are path-traced and average many rays per pixel. Depth comes from one ray through each
pixel's centre, so that it belongs to one surface also at edges.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from bench.datasets.demo.cameras import HEIGHT, PLACES, WIDTH, poses, view_sets
from bench.datasets.demo.rooms import SCENES
from bench.datasets.demo.scene import Scene
from bench.datasets.demo.tracer import glowing_scene, lit_scene, load_mitsuba, photograph, z_depth
from bench.errors import BenchError

DEPTH_UNIT_M = 1e-4
JPEG_QUALITY = 82


def write_cameras(scene: Scene, folder: Path) -> None:
    """Write ``cameras.json``."""
    world_from_camera, _ = poses(scene.orbit, scene.seed)
    views = [
        {
            "name": name,
            "image": f"images/{name}.jpg",
            "depth": f"depth/{name}.png",
            "width": WIDTH,
            "height": HEIGHT,
            "intrinsics": scene.orbit.intrinsics().tolist(),
            "camera_from_world": np.linalg.inv(pose).tolist(),
        }
        for name, pose in zip(_names(len(world_from_camera)), world_from_camera, strict=True)
    ]
    cameras = {"depth_unit_m": DEPTH_UNIT_M, "pixel_centre": 0.5, "metric": True, "views": views}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cameras.json").write_text(json.dumps(cameras, indent=1) + "\n")


def write_views(mitsuba: Any, scene: Scene, folder: Path, spp: int) -> None:
    """Write those depth maps and images that lack; no images if ``spp`` is 0."""
    world_from_camera, _ = poses(scene.orbit, scene.seed)
    meshes = scene.meshes()
    lit = lit_scene(mitsuba, meshes)
    glowing = glowing_scene(mitsuba, meshes) if spp else None
    for index, name in enumerate(_names(len(world_from_camera))):
        pose = world_from_camera[index]
        depth_file, image_file = folder / "depth" / f"{name}.png", folder / "images" / f"{name}.jpg"
        depth = z_depth(mitsuba, lit, scene.orbit, pose)
        if not depth_file.exists():
            units = np.rint(depth / DEPTH_UNIT_M).astype(np.uint16)
            _save(Image.fromarray(units), depth_file, compress_level=9)
        if spp and not image_file.exists():
            seed = 100 * scene.seed + index
            pixels = photograph(mitsuba, lit, glowing, scene.orbit, pose, depth, spp, seed)
            options = {"quality": JPEG_QUALITY, "optimize": True, "progressive": True}
            _save(Image.fromarray(pixels), image_file, **options)


def write_sets(path: Path) -> None:
    """Write ``sets.json`` for all scenes, sorted by scene and set."""
    sets = [
        {
            "scene": scene.name,
            "split": scene.split,
            "set": name,
            "views": [_names(len(PLACES))[view] for view in views],
        }
        for scene in SCENES
        for name, views in view_sets(poses(scene.orbit, scene.seed)[1]).items()
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 1, "sets": sets}, indent=1) + "\n")


def main() -> None:
    """Command line: see the module's docstring."""
    names = [scene.name for scene in SCENES]
    data = Path(__file__).parent / "data"
    parser = argparse.ArgumentParser(description="Render the demo dataset with Mitsuba 3.")
    parser.add_argument("--out", type=Path, default=data, help="folder to write to")
    parser.add_argument("--scene", choices=names, action="append", help="default: all scenes")
    parser.add_argument("--spp", type=int, default=16, help="rays per pixel of an image")
    parser.add_argument("--geometry-only", action="store_true", help="depth and cameras only")
    options = parser.parse_args()
    try:
        mitsuba = load_mitsuba()
        write_sets(options.out / "sets.json")
        for scene in SCENES:
            if scene.name in (options.scene or names):
                print(scene.name, flush=True)
                folder = options.out / scene.name
                write_cameras(scene, folder)
                write_views(mitsuba, scene, folder, 0 if options.geometry_only else options.spp)
    except BenchError as error:
        sys.exit(f"error: {error}")


def _names(count: int) -> list[str]:
    return [f"{index:03d}" for index in range(count)]


def _save(image: Image.Image, path: Path, **options: Any) -> None:
    # Renamed when complete: a file that exists is never half a file.
    path.parent.mkdir(exist_ok=True)
    partial = path.with_name(f"partial-{path.name}")
    image.save(partial, **options)
    partial.rename(path)


if __name__ == "__main__":
    main()

"""A workbench with tins, tubes and timber between brick walls."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    OAK,
    PINE,
    STEEL,
    metal,
    paint,
    wood,
)
from bench.datasets.demo.scene import Lamp, Scene, Space
from bench.datasets.demo.shapes import (
    Material,
    Mesh,
    box,
    cylinder,
    lathe,
    placed,
    ring,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = Material(t.plaster((0.52, 0.5, 0.48), 101, 0.5), 1.5)
    brick = Material(t.bricks((0.42, 0.4, 0.38), (0.85, 0.82, 0.76)), 1.2)
    pine, steel = wood(PINE, 102, 0.7), metal(STEEL, 0.25)
    rust = Material(t.tinted("gravel", (0.35, 0.16, 0.07), (0.8, 0.5, 0.3)), 0.5, "metal", 0.35)
    red, yellow = paint(0.7, 0.12, 0.1, "glossy"), paint(0.9, 0.7, 0.1, "glossy")
    top = 0.86
    slatted = Material(t.planks(*PINE, 103, rows=4), 0.5)
    meshes = [
        *f.room(space.x, space.y, space.height, floor, brick),
        *placed(
            f.table(1.5, 0.7, top, Material(t.planks(*OAK, 104, rows=4), 0.7), pine),
            (0.05, 0.1, 0),
            yaw=-6,
        ),
        *placed(box(0.42, 0.24, 0.2, red), (-0.4, 0.25, top), yaw=10),
        *placed(box(0.36, 0.2, 0.02, steel), (-0.4, 0.25, top + 0.2), yaw=10),
        *placed(cylinder(0.09, 0.16, rust), (0.0, 0.26, top)),
        *placed(cylinder(0.06, 0.22, steel), (0.15, 0.3, top)),
        *placed(
            cylinder(0.045, 0.3, metal((0.86, 0.6, 0.4), 0.2)),
            (0.38, 0.2, top + 0.045),
            pitch=90,
            yaw=30,
        ),
        *placed(ring(0.09, 0.025, yellow), (-0.05, -0.05, top), yaw=10),
        *placed(ring(0.06, 0.02, steel), (-0.02, -0.02, top + 0.05), roll=12),
        *placed(box(0.34, 0.05, 0.05, pine), (0.35, -0.12, top), yaw=25),
        *placed(box(0.3, 0.05, 0.05, pine), (0.36, -0.1, top + 0.05), yaw=-20),
        *placed(
            box(0.28, 0.2, 0.004, Material(t.photograph("text"))), (-0.35, -0.08, top), yaw=-12
        ),
        *placed(
            f.mug(Material(t.checker((0.9, 0.9, 0.9), (0.1, 0.1, 0.1), 8, 105)), steel),
            (0.6, 0.15, top),
            yaw=-30,
        ),
        *placed(f.shelf(1.3, 0.36, (0.12, 0.6, 1.08, 1.56), rust), (0.9, space.y[1] - 0.2, 0)),
        *placed(f.poster(t.photograph("rocket"), 1.0, steel), (-0.75, space.y[1], 1.05)),
        *placed(f.poster(t.photograph("clock"), 0.6, pine), (space.x[0], 0.3, 1.3), yaw=90),
        *placed(f.poster(t.photograph("camera"), 0.7, steel), (space.x[1], -0.5, 1.2), yaw=-90),
        *placed(box(0.5, 0.5, 0.45, slatted), (-1.2, -0.1, 0), yaw=18),
        *placed(box(0.4, 0.4, 0.38, slatted), (-1.2, -0.1, 0.45), yaw=-12),
        *placed(f.barrel(0.26, 0.75, rust, steel), (-1.35, 0.85, 0)),
        *placed(
            lathe(
                [(0.2, 0.0), (0.16, 0.02), (0.15, 0.3), (0.16, 0.3), (0.17, 0.02)],
                steel,
                smooth=False,
            ),
            (1.2, 0.0, 0),
        ),
        *placed(f.stool(0.18, 0.55, red, steel), (0.35, -0.75, 0)),
    ]
    for k in range(7):
        x, y, lean = rng.uniform([-1.9, 1.25, 4], [-1.3, 1.4, 14])
        tube = cylinder(
            float(rng.uniform(0.02, 0.045)),
            float(rng.uniform(1.2, 1.8)),
            (steel, rust, pine)[k % 3],
        )
        meshes += placed(tube, (x, y - 0.15, 0), roll=-float(lean))
    for level in (0.12, 0.6, 1.08):
        for x in (0.5, 0.85, 1.2):
            tin = f.barrel(
                float(rng.uniform(0.08, 0.13)),
                float(rng.uniform(0.14, 0.3)),
                (red, yellow, steel, rust)[int(rng.integers(4))],
                steel,
            )
            meshes += placed(tin, (x + float(rng.uniform(-0.05, 0.05)), space.y[1] - 0.22, level))
    return meshes


SCENE = Scene(
    name="workshop",
    split="test",
    seed=12,
    space=Space(x=(-2.2, 2.2), y=(-2.5, 1.6), height=2.6),
    furnish=furnish,
    lamps=(
        Lamp("ceiling", (2.2, 2.2, 2.2)),
        Lamp("left", (3.4, 3.4, 3.6)),
        Lamp("front", (2.4, 2.4, 2.4)),
    ),
    orbit=Orbit(target=(0.0, 0.1, 0.9), radius=(1.4, 1.85), elevation=(12, 36), span=116, fov=58),
)

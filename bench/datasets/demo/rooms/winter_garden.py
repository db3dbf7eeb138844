"""Potted plants round a mosaic table on grass and gravel."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    BOOKS,
    PINE,
    glossy,
    metal,
    paint,
)
from bench.datasets.demo.scene import Lamp, Scene, Space
from bench.datasets.demo.shapes import (
    Material,
    Mesh,
    ball,
    box,
    cylinder,
    lathe,
    placed,
    sheet,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = Material(t.tinted("gravel", (0.45, 0.4, 0.33), (0.85, 0.8, 0.7)), 0.9)
    brick = Material(t.bricks((0.45, 0.22, 0.16), (0.85, 0.6, 0.48)), 1.2)
    lawn = Material(t.tinted("grass", (0.12, 0.26, 0.06), (0.55, 0.7, 0.28)), 0.8)
    slats = Material(t.planks(*PINE, 141, rows=4), 0.5)
    clay, soil = Material(t.plaster((0.74, 0.4, 0.27), 142, 0.35), 0.4), paint(0.2, 0.14, 0.1)
    glazed = glossy(t.marble((0.2, 0.4, 0.55), (0.75, 0.85, 0.85), 143))
    zinc = metal((0.66, 0.69, 0.7), 0.3)
    leaves = [
        Material(t.tinted("grass", (0.05, 0.2, 0.06), (0.4, 0.65, 0.25))),
        Material(t.tinted("grass", (0.2, 0.3, 0.05), (0.7, 0.75, 0.3))),
        Material(t.stripes([(0.15, 0.4, 0.18), (0.75, 0.8, 0.5)], 12, 144)),
    ]
    top = 0.72
    meshes = [
        *f.room(space.x, space.y, space.height, floor, brick),
        *placed(sheet(2.0, 1.3, lawn), (0.1, -0.2, 0.006), yaw=20),
        *placed(box(1.6, 0.35, 0.06, slats), (0.2, 1.15, 0.4)),
        *placed(box(0.1, 0.3, 0.4, slats), (-0.45, 1.15, 0)),
        *placed(box(0.1, 0.3, 0.4, slats), (0.85, 1.15, 0)),
        *placed(
            f.round_table(
                0.45,
                top,
                glossy(
                    t.mosaic(
                        [(0.25, 0.45, 0.55), (0.9, 0.8, 0.55), (0.75, 0.35, 0.25)],
                        (0.85, 0.83, 0.8),
                        12,
                        145,
                    )
                ),
                zinc,
            ),
            (0.0, 0.0, 0),
        ),
        *placed(f.poster(t.photograph("hubble_deep_field"), 0.8, slats), (-1.0, space.y[1], 0.95)),
        *placed(f.poster(t.photograph("coffee"), 0.9, slats), (space.x[1], 0.1, 1.1), yaw=-90),
        *placed(f.poster(t.photograph("page"), 0.9, slats), (space.x[0], 0.1, 1.1), yaw=90),
        *placed(f.mug(glazed, paint(0.9, 0.9, 0.88)), (-0.24, -0.16, top), yaw=-100),
        *placed(f.plate(0.12, paint(0.92, 0.9, 0.85, "glossy")), (0.22, -0.14, top)),
        *placed(f.books_piled(2, BOOKS, rng), (0.2, 0.2, top)),
        *placed(f.flower_pot(0.09, clay, soil), (-0.1, 0.12, top)),
        *placed(f.foliage(0.15, 0.3, 14, leaves[1], rng), (-0.1, 0.12, top + 0.13)),
        *placed(f.chair(slats, slats), (-0.8, -0.1, 0), yaw=105),
        *placed(f.chair(slats, slats), (0.75, 0.35, 0), yaw=-60),
        *placed(
            lathe(
                [(0.13, 0.0), (0.13, 0.26), (0.1, 0.3), (0.1, 0.31), (0.09, 0.3)],
                zinc,
                smooth=False,
            ),
            (0.55, -0.6, 0),
        ),
        *placed(cylinder(0.02, 0.3, zinc), (0.66, -0.6, 0.08), pitch=40),
        *placed(
            ball(0.13, glossy(t.tinted("moon", (0.3, 0.3, 0.32), (0.85, 0.85, 0.85)))),
            (-0.35, -0.75, 0),
        ),
        *placed(box(0.45, 0.3, 0.25, slats), (1.3, -0.45, 0), yaw=-20),
    ]
    for x, y, z, radius, height, leaf, pot in (
        (-1.45, 0.75, 0.0, 0.2, 0.8, 0, clay),
        (-1.05, 1.1, 0.0, 0.15, 0.5, 2, glazed),
        (1.4, 0.85, 0.0, 0.22, 0.9, 1, glazed),
        (-0.3, 1.15, 0.46, 0.1, 0.35, 1, clay),
        (0.1, 1.15, 0.46, 0.11, 0.4, 0, zinc),
        (0.55, 1.15, 0.46, 0.1, 0.3, 2, clay),
        (-1.35, -0.45, 0.0, 0.16, 0.45, 0, glazed),
        (1.25, -0.42, 0.25, 0.1, 0.35, 2, clay),
    ):
        meshes += placed(f.flower_pot(radius, pot, soil), (x, y, z))
        meshes += placed(
            f.foliage(0.5 * height, height, 20, leaves[leaf], rng), (x, y, z + 1.5 * radius)
        )
    return meshes


SCENE = Scene(
    name="winter_garden",
    split="test",
    seed=11,
    space=Space(x=(-2.1, 2.1), y=(-2.5, 1.5), height=2.6),
    furnish=furnish,
    lamps=(Lamp("ceiling", (2.7, 2.7, 2.6)), Lamp("front", (2.6, 2.6, 2.5))),
    orbit=Orbit(
        target=(0.0, 0.05, 0.65), radius=(1.4, 1.9), elevation=(14, 38), span=110, facing=-6, fov=58
    ),
)

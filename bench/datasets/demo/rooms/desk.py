"""A close look at a desk: keyboard, screen, books and small things."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    BOOKS,
    OAK,
    STEEL,
    glossy,
    metal,
    paint,
    wood,
)
from bench.datasets.demo.scene import Lamp, Scene, Space
from bench.datasets.demo.shapes import (
    Material,
    Mesh,
    ball,
    box,
    cylinder,
    placed,
    wall,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = Material(t.fabric((0.35, 0.37, 0.42), 61), 0.3)
    walls = Material(t.plaster((0.74, 0.78, 0.8), 62), 1.2)
    top = 0.72
    grey, dark = paint(0.75, 0.76, 0.78), paint(0.12, 0.12, 0.13, "glossy", 0.2)
    cork = Material(t.terrazzo((0.72, 0.52, 0.33), [(0.5, 0.33, 0.2), (0.8, 0.62, 0.42)], 63), 0.25)
    paper, page = Material(t.photograph("page")), Material(t.photograph("text"))
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls),
        *placed(f.table(1.6, 0.8, top, wood(OAK, 64, 1.2), grey), (0, 0.25, 0)),
        *placed(wall(1.5, 0.7, cork), (0, space.y[1] - 0.012, 0.95)),
        *placed(box(1.5, 0.012, 0.02, grey), (0, space.y[1] - 0.006, 0.94)),
        *placed(
            f.poster(t.photograph("chelsea"), 0.42, paint(0.9, 0.9, 0.9), 0.02),
            (-0.45, space.y[1] - 0.012, 1.1),
        ),
        *placed(
            f.poster(t.photograph("clock"), 0.3, paint(0.2, 0.2, 0.2), 0.02),
            (0.1, space.y[1] - 0.012, 1.2),
        ),
        *placed(
            f.poster(t.photograph("colorwheel"), 0.28, paint(0.9, 0.9, 0.9), 0.02),
            (0.52, space.y[1] - 0.012, 1.15),
        ),
        *placed(box(0.5, 0.03, 0.32, dark), (-0.1, 0.45, top + 0.12), yaw=8),
        *placed(
            wall(0.47, 0.29, Material(t.photograph("rocket"))),
            (-0.0979, 0.4335, top + 0.135),
            yaw=8,
        ),
        *placed(cylinder(0.02, 0.14, dark), (-0.1, 0.46, top)),
        *placed(box(0.24, 0.18, 0.015, dark), (-0.1, 0.46, top), yaw=8),
        *placed(f.books_piled(4, BOOKS, rng), (-0.52, 0.3, top), yaw=20),
        *placed(f.books_upright(0.32, BOOKS, rng), (0.5, 0.5, top), yaw=-10),
        *placed(
            f.mug(paint(0.8, 0.25, 0.15, "glossy"), paint(0.9, 0.9, 0.88, "glossy")),
            (0.34, 0.12, top),
            yaw=60,
        ),
        *placed(
            f.picture_stand(t.photograph("astronaut"), 0.13, metal((0.8, 0.65, 0.35))),
            (-0.5, 0.06, top),
            yaw=-35,
        ),
        *placed(
            cylinder(
                0.04,
                0.1,
                Material(
                    t.mosaic(
                        [(0.8, 0.3, 0.2), (0.9, 0.8, 0.5), (0.2, 0.4, 0.5)], (0.9, 0.9, 0.9), 8, 65
                    ),
                    0.15,
                ),
            ),
            (0.24, 0.36, top),
        ),
        *placed(box(0.42, 0.14, 0.015, grey), (-0.08, 0.08, top), yaw=6),
        *placed(box(0.21, 0.297, 0.002, paper), (0.56, 0.06, top), yaw=-18),
        *placed(box(0.21, 0.297, 0.002, page), (0.53, 0.02, top + 0.002), yaw=14),
        *placed(box(0.07, 0.07, 0.07, Material(t.photograph("coffee"))), (0.14, 0.2, top), yaw=30),
        *placed(ball(0.045, metal(STEEL, 0.18)), (-0.28, 0.17, top)),
        *placed(
            box(0.09, 0.05, 0.04, glossy(t.stripes([(0.2, 0.5, 0.4), (0.95, 0.95, 0.9)], 5, 66))),
            (0.2, 0.02, top),
            yaw=-40,
        ),
        *placed(
            f.flower_pot(
                0.055, Material(t.plaster((0.72, 0.38, 0.25), 67, 0.3)), paint(0.2, 0.14, 0.1)
            ),
            (-0.35, 0.5, top),
        ),
        *placed(
            f.foliage(
                0.08,
                0.16,
                12,
                Material(t.tinted("grass", (0.08, 0.25, 0.1), (0.45, 0.7, 0.3))),
                rng,
            ),
            (-0.35, 0.5, top + 0.08),
        ),
    ]
    for k in range(5):
        pencil = cylinder(0.004, 0.19, paint(*BOOKS[k]))
        meshes += placed(
            placed(pencil, (0.005, 0, 0), pitch=9), (0.24, 0.36, top + 0.005), yaw=72.0 * k
        )
    for row in range(4):
        for column in range(12):
            key = placed(
                box(0.026, 0.026, 0.007, dark), (0.033 * (column - 5.5), 0.031 * (row - 1.5), 0.015)
            )
            meshes += placed(key, (-0.08, 0.08, top), yaw=6)
    return meshes


SCENE = Scene(
    name="desk",
    split="val",
    seed=4,
    space=Space(x=(-1.9, 1.9), y=(-2.2, 0.75), height=2.5),
    furnish=furnish,
    lamps=(
        Lamp("ceiling", (1.8, 1.8, 1.8)),
        Lamp("left", (2.9, 2.8, 2.6)),
        Lamp("front", (2.4, 2.4, 2.4)),
    ),
    orbit=Orbit(
        target=(0.0, 0.25, 0.82),
        radius=(0.75, 1.05),
        elevation=(16, 40),
        span=110,
        fov=56,
        sway=0.14,
    ),
)

"""A kitchen table before a tiled wall and a worktop."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    BOOKS,
    OAK,
    PINE,
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
    floor = Material(t.checker((0.85, 0.83, 0.78), (0.28, 0.3, 0.32), 4, 71), 1.2)
    tiled = glossy(t.tiles((0.86, 0.9, 0.88), (0.6, 0.6, 0.58), 8, 72, 0.0), 1.0, 0.12)
    walls = Material(t.plaster((0.85, 0.78, 0.6), 73), 1.4)
    worktop = glossy(
        t.terrazzo((0.3, 0.3, 0.31), [(0.6, 0.6, 0.6), (0.8, 0.78, 0.7), (0.15, 0.15, 0.16)], 74),
        0.5,
        0.2,
    )
    doors = paint(0.3, 0.42, 0.45, "glossy", 0.3)
    steel, copper = metal(STEEL, 0.2), metal((0.86, 0.52, 0.36), 0.22)
    top, back = 0.9, space.y[1] - 0.3
    green, brown = glossy(t.plain((0.12, 0.32, 0.18))), glossy(t.plain((0.35, 0.18, 0.08)))
    handle = paint(0.1, 0.1, 0.1)
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls, back=tiled),
        *placed(box(2.9, 0.58, 0.86, doors), (-0.2, back, 0)),
        *placed(box(2.96, 0.62, 0.04, worktop), (-0.2, back - 0.01, 0.86)),
        *placed(box(0.9, 0.3, 0.025, wood(PINE, 75)), (0.55, space.y[1] - 0.15, 1.45)),
        *placed(
            f.table(1.0, 0.65, top, wood(OAK, 76), paint(0.85, 0.85, 0.82)), (0.0, -0.05, 0), yaw=8
        ),
        *placed(
            box(0.4, 0.26, 0.025, Material(t.stripes([PINE[0], PINE[1], OAK[1]], 9, 77))),
            (-0.22, -0.15, top),
            yaw=25,
        ),
        *placed(f.saucepan(0.11, 0.13, steel, handle), (0.3, 0.08, top), yaw=150),
        *placed(
            f.bowl(0.13, glossy(t.dots((0.2, 0.35, 0.6), (0.92, 0.92, 0.9), 5), 0.16)),
            (0.22, -0.2, top),
        ),
        *placed(f.bottle(0.31, green, Material(t.photograph("page"))), (-0.05, 0.16, top), yaw=90),
        *placed(f.bottle(0.26, brown, Material(t.photograph("retina"))), (-0.17, 0.2, top), yaw=30),
        *placed(
            f.mug(paint(0.9, 0.75, 0.2, "glossy"), paint(0.92, 0.92, 0.9, "glossy")),
            (0.05, -0.05, top),
            yaw=-60,
        ),
        *placed(
            box(0.13, 0.07, 0.2, Material(t.photograph("coffee"))), (-0.36, 0.12, top), yaw=-30
        ),
        *placed(f.saucepan(0.13, 0.11, copper, handle), (-0.95, back, top), yaw=-120),
        *placed(cylinder(0.15, 0.25, steel), (-0.55, back + 0.03, top)),
        *placed(ball(0.025, handle), (-0.55, back + 0.03, top + 0.25)),
        *placed(
            box(0.44, 0.32, 0.28, paint(0.8, 0.8, 0.82, "metal", 0.3)), (0.9, back, top), yaw=-8
        ),
        *placed(
            wall(0.28, 0.2, glossy(t.plain((0.06, 0.06, 0.07)))),
            (0.842, back - 0.168, top + 0.04),
            yaw=-8,
        ),
        *placed(
            f.vase(0.28, glossy(t.stripes([(0.9, 0.88, 0.8), (0.25, 0.4, 0.6)], 11, 78))),
            (0.3, back + 0.05, top),
        ),
        *placed(f.books_upright(0.3, BOOKS, rng), (0.4, space.y[1] - 0.13, 1.475)),
        *placed(f.bowl(0.09, copper), (0.8, space.y[1] - 0.15, 1.475)),
        *placed(
            f.poster(t.photograph("coffee"), 0.7, paint(0.15, 0.15, 0.15)),
            (space.x[0], 0.3, 1.2),
            yaw=90,
        ),
        *placed(
            f.poster(t.photograph("coins"), 0.7, wood(PINE, 79)), (space.x[1], 0.2, 1.2), yaw=-90
        ),
        *placed(f.stool(0.17, 0.62, wood(PINE, 80), steel), (0.95, -0.35, 0)),
        *placed(f.stool(0.17, 0.62, wood(PINE, 80), steel), (-0.95, 0.0, 0), yaw=40),
    ]
    for k, x in enumerate((-1.3, -0.6, 0.1, 0.8)):
        meshes += placed(box(0.66, 0.02, 0.78, doors), (x - 0.05, back - 0.3, 0.04))
        meshes += placed(
            box(0.14, 0.02, 0.015, steel), (x - 0.05, back - 0.32, 0.7 - 0.1 * (k % 2))
        )
    for x, y, red in ((-0.3, -0.2, 0.8), (-0.21, -0.1, 0.75), (-0.16, -0.19, 0.5)):
        meshes += placed(ball(0.038, paint(red, 1.0 - red, 0.1, "glossy")), (x, y, top + 0.025))
    return meshes


SCENE = Scene(
    name="kitchen",
    split="test",
    seed=6,
    space=Space(x=(-1.9, 1.9), y=(-2.3, 1.3), height=2.5),
    furnish=furnish,
    lamps=(
        Lamp("ceiling", (1.7, 1.6, 1.5)),
        Lamp("right", (2.7, 2.7, 2.7)),
        Lamp("front", (2.4, 2.4, 2.4)),
    ),
    orbit=Orbit(
        target=(0.0, 0.1, 0.95),
        radius=(1.15, 1.55),
        elevation=(15, 38),
        span=104,
        fov=60,
        sway=0.18,
    ),
)

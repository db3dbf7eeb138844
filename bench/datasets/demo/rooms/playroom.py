"""Toys, balls and picture cubes strewn over coloured mats."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    PINE,
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
    lathe,
    pillow,
    placed,
    ring,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    bright: list[t.Colour] = [
        (0.86, 0.25, 0.2),
        (0.95, 0.75, 0.2),
        (0.2, 0.5, 0.75),
        (0.3, 0.65, 0.35),
        (0.92, 0.9, 0.85),
    ]
    floor = Material(t.mosaic(bright, (0.7, 0.7, 0.68), 4, 111), 1.6)
    walls = Material(t.dots((0.85, 0.88, 0.9), (0.65, 0.75, 0.82), 5), 1.0)
    photos = [
        Material(t.photograph(name))
        for name in ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field")
    ]
    paints = [paint(*colour, "glossy", 0.2) for colour in bright]
    pine = wood(PINE, 112)
    striped = glossy(t.stripes(bright[:3], 9, 113))
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls),
        *placed(f.poster(t.photograph("chelsea"), 1.0, paints[1]), (-0.6, space.y[1], 0.9)),
        *placed(f.poster(t.photograph("colorwheel"), 0.6, paints[2]), (0.6, space.y[1], 1.0)),
        *placed(f.poster(t.photograph("rocket"), 0.9, paints[0]), (space.x[0], 0.1, 0.9), yaw=90),
        *placed(
            f.poster(t.photograph("astronaut"), 0.7, paints[3]), (space.x[1], 0.1, 0.9), yaw=-90
        ),
        *placed(f.table(0.8, 0.55, 0.45, pine, paints[0]), (-0.15, 0.25, 0), yaw=14),
        *placed(
            lathe(
                [(0.62, 0.0), (0.0, 1.35)],
                Material(t.stripes([(0.9, 0.85, 0.75), (0.75, 0.35, 0.3)], 12, 114)),
                smooth=False,
            ),
            (1.25, 0.75, 0),
        ),
        *placed(ball(0.2, striped), (0.55, -0.45, 0), roll=60),
        *placed(
            ball(0.13, Material(t.checker((0.95, 0.95, 0.95), (0.1, 0.1, 0.1), 12, 115))),
            (-0.75, -0.5, 0),
            yaw=40,
            roll=-30,
        ),
        *placed(ball(0.1, paints[3]), (0.15, -0.75, 0)),
        *placed(f.chair(pine, paints[2]), (-1.0, 0.45, 0), yaw=80),
        *placed(f.shelf(1.0, 0.34, (0.08, 0.42, 0.76), pine), (-1.3, space.y[1] - 0.18, 0)),
        *placed(f.books_upright(0.8, bright, rng), (-1.3, space.y[1] - 0.2, 0.42)),
        *placed(
            pillow(
                0.7, 0.7, 0.4, Material(t.damask((0.3, 0.55, 0.6), (0.85, 0.9, 0.8), 116), 0.7), 0.8
            ),
            (-1.3, -0.55, 0),
        ),
        *placed(box(0.5, 0.34, 0.3, pine), (0.85, 0.05, 0), yaw=-30),
        *placed(f.books_piled(3, bright, rng), (-0.35, 0.3, 0.45)),
        *placed(ball(0.11, metal((0.9, 0.8, 0.5), 0.18)), (0.02, 0.42, 0.45)),
    ]
    for k, radius in enumerate((0.13, 0.11, 0.09, 0.07)):
        meshes += placed(ring(radius, 0.035, paints[k]), (0.05, 0.16, 0.45 + 0.065 * k))
    for k in range(9):
        x, y = 0.85 + rng.uniform(-0.17, 0.17), 0.05 + rng.uniform(-0.1, 0.1)
        cube = box(0.12, 0.12, 0.12, photos[k % 5])
        meshes += placed(cube, (x, y, 0.3 + 0.12 * (k // 4)), yaw=float(rng.uniform(0, 90)))
    for k in range(10):
        x, y = rng.uniform([-0.6, -0.95], [0.45, -0.15])
        size = float(rng.uniform(0.1, 0.16))
        meshes += placed(
            box(size, size, size, (photos + paints)[k]), (x, y, 0), yaw=float(rng.uniform(0, 90))
        )
    for level in (0.08, 0.76):
        for x in (-1.6, -1.3, -1.0):
            meshes += placed(
                box(0.22, 0.22, 0.2, photos[int(rng.integers(5))]), (x, space.y[1] - 0.2, level)
            )
    return meshes


SCENE = Scene(
    name="playroom",
    split="test",
    seed=9,
    space=Space(x=(-2.2, 2.2), y=(-2.5, 1.6), height=2.4),
    furnish=furnish,
    lamps=(Lamp("ceiling", (1.5, 1.5, 1.5)), Lamp("front", (2.6, 2.6, 2.5))),
    orbit=Orbit(target=(0.0, 0.05, 0.45), radius=(1.4, 1.9), elevation=(16, 40), span=115, fov=60),
)

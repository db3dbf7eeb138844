"""Shelves full of books round a low table."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    BOOKS,
    OAK,
    PINE,
    WALNUT,
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
    pillow,
    placed,
    sheet,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = Material(t.planks(*OAK, 31), 1.1)
    walls = Material(t.damask((0.55, 0.62, 0.58), (0.42, 0.5, 0.47), 32), 0.9)
    rug = Material(
        t.kilim([(0.6, 0.16, 0.12), (0.16, 0.2, 0.34), (0.87, 0.78, 0.58), (0.8, 0.5, 0.2)], 33)
    )
    walnut = wood(WALNUT, 34)
    levels = (0.1, 0.46, 0.82, 1.18, 1.54, 1.9)
    back = space.y[1] - 0.17
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls),
        *placed(sheet(2.1, 1.5, rug), (0.1, -0.1, 0.004), yaw=12),
        *placed(f.shelf(1.5, 0.32, levels, walnut), (-0.55, back, 0)),
        *placed(f.shelf(0.9, 0.32, levels[:4], walnut), (0.85, back, 0)),
        *placed(
            f.poster(t.photograph("retina"), 0.5, paint(0.75, 0.6, 0.3, "metal", 0.25)),
            (0.9, space.y[1], 1.5),
        ),
        *placed(f.poster(t.photograph("camera"), 0.8, walnut), (space.x[1], 0.3, 1.2), yaw=-90),
        *placed(f.poster(t.photograph("page"), 1.0, walnut), (space.x[0], 0.1, 1.3), yaw=90),
        *placed(f.table(0.9, 0.55, 0.48, walnut, walnut), (0.15, -0.25, 0), yaw=18),
        *placed(f.books_piled(4, BOOKS, rng), (0.0, -0.3, 0.48)),
        *placed(f.vase(0.26, metal((0.8, 0.62, 0.35)), belly=0.36), (0.36, -0.18, 0.48)),
        *placed(
            f.picture_stand(t.photograph("astronaut"), 0.2, wood(PINE, 35)),
            (0.2, -0.04, 0.48),
            yaw=30,
        ),
        *placed(
            box(0.68, 0.68, 0.3, Material(t.fabric((0.3, 0.38, 0.3), 36), 0.2)),
            (-1.15, 0.1, 0.08),
            yaw=35,
        ),
        *placed(
            pillow(0.7, 0.25, 0.75, Material(t.fabric((0.3, 0.38, 0.3), 36), 0.2), 0.35),
            (-1.36, 0.4, 0.2),
            yaw=35,
        ),
        *placed(
            pillow(
                0.42,
                0.16,
                0.42,
                Material(
                    t.stripes([(0.85, 0.75, 0.5), (0.5, 0.15, 0.12), (0.15, 0.25, 0.2)], 14, 37),
                    0.4,
                ),
            ),
            (-1.18, 0.14, 0.38),
            yaw=35,
            roll=-20,
        ),
        *placed(
            f.floor_lamp(
                1.6, metal((0.75, 0.6, 0.3)), Material(t.fabric((0.9, 0.8, 0.6), 38), 0.2)
            ),
            (1.35, 0.45, 0),
        ),
        *placed(ball(0.16, glossy(t.photograph("moon"))), (0.85, back, 1.18)),
        *placed(
            f.flower_pot(0.14, paint(0.2, 0.3, 0.42, "glossy"), paint(0.2, 0.14, 0.1)),
            (1.2, -0.4, 0),
        ),
        *placed(
            f.foliage(
                0.3,
                0.55,
                16,
                Material(t.tinted("grass", (0.05, 0.2, 0.08), (0.35, 0.6, 0.25))),
                rng,
            ),
            (1.2, -0.4, 0.2),
        ),
        *placed(f.stool(0.17, 0.44, wood(PINE, 39), walnut), (-0.5, -0.75, 0)),
    ]
    for level in levels[:-1]:
        width = float(rng.uniform(0.75, 1.35))
        side = float(rng.choice([-1, 1])) * (1.4 - width) / 2
        meshes += placed(f.books_upright(width, BOOKS, rng), (-0.55 + side, back - 0.03, level))
    for level in levels[:3]:
        meshes += placed(f.books_upright(0.6, BOOKS, rng), (0.75, back - 0.03, level))
    return meshes


SCENE = Scene(
    name="library",
    split="test",
    seed=7,
    space=Space(x=(-2.1, 2.1), y=(-2.6, 1.6), height=2.6),
    furnish=furnish,
    lamps=(
        Lamp("ceiling", (3.1, 2.9, 2.5)),
        Lamp("left", (4.7, 4.7, 4.9)),
        Lamp("front", (2.4, 2.4, 2.4)),
    ),
    orbit=Orbit(target=(0.0, 0.15, 0.6), radius=(1.7, 2.15), elevation=(14, 38), span=106, fov=60),
)

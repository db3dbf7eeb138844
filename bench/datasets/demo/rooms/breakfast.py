"""A laid breakfast table with chairs round it."""

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
    paint,
    wood,
)
from bench.datasets.demo.scene import Lamp, Scene, Space
from bench.datasets.demo.shapes import (
    Material,
    Mesh,
    ball,
    box,
    placed,
    sheet,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = Material(t.tiles((0.72, 0.55, 0.42), (0.4, 0.36, 0.33), 4, 11), 1.3)
    walls = Material(t.plaster((0.83, 0.8, 0.7), 12), 1.5)
    oak, pine = wood(OAK, 13), wood(PINE, 14)
    seat = Material(t.fabric((0.75, 0.3, 0.22), 15), 0.15)
    white, blue = paint(0.9, 0.9, 0.87, "glossy"), paint(0.2, 0.34, 0.6, "glossy")
    spotted = glossy(t.dots((0.92, 0.9, 0.84), (0.75, 0.2, 0.18), 6), 0.14)
    cloth = Material(t.checker((0.93, 0.92, 0.88), (0.3, 0.45, 0.62), 10, 16))
    top = 0.74
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls),
        *placed(f.round_table(0.68, top, oak, wood(WALNUT, 17)), (0, 0, 0)),
        *placed(sheet(0.62, 0.62, cloth), (0.05, 0.02, top + 0.002), yaw=24),
        *placed(
            f.vase(0.3, glossy(t.marble((0.85, 0.9, 0.9), (0.1, 0.3, 0.45), 18))), (0, 0.05, top)
        ),
        *placed(f.bowl(0.15, spotted), (0.33, 0.12, top)),
        *placed(f.plate(0.13, white), (-0.3, -0.3, top)),
        *placed(f.plate(0.13, blue), (0.22, -0.38, top)),
        *placed(f.mug(spotted, white), (-0.42, -0.02, top), yaw=200),
        *placed(f.mug(blue, white), (0.47, -0.2, top), yaw=40),
        *placed(
            f.bottle(0.3, glossy(t.plain((0.15, 0.3, 0.16))), Material(t.photograph("coffee"))),
            (-0.2, 0.32, top),
        ),
        *placed(f.books_piled(3, BOOKS, rng), (-0.38, 0.24, top), yaw=35),
        *placed(box(0.24, 0.12, 0.1, wood(PINE, 19)), (0.12, 0.42, top), yaw=-15),
        *placed(f.poster(t.photograph("coffee"), 1.1, wood(WALNUT, 20)), (-0.75, space.y[1], 1.02)),
        *placed(
            f.poster(t.photograph("chelsea"), 0.75, paint(0.15, 0.15, 0.16)),
            (0.6, space.y[1], 1.08),
        ),
        *placed(
            f.poster(t.photograph("rocket"), 0.9, wood(PINE, 21)), (space.x[0], 0.2, 1.3), yaw=90
        ),
        *placed(f.shelf(0.8, 0.32, (0.3, 0.62, 0.94), pine), (1.55, space.y[1] - 0.17, 0)),
        *placed(f.books_upright(0.66, BOOKS, rng), (1.55, space.y[1] - 0.18, 0.3)),
        *placed(f.books_upright(0.5, BOOKS, rng), (1.5, space.y[1] - 0.18, 0.62)),
        *placed(
            f.flower_pot(
                0.12, Material(t.plaster((0.7, 0.36, 0.24), 22, 0.3)), paint(0.2, 0.14, 0.1)
            ),
            (1.55, space.y[1] - 0.17, 0.94),
        ),
        *placed(
            f.foliage(
                0.22,
                0.42,
                14,
                Material(t.tinted("grass", (0.08, 0.22, 0.06), (0.4, 0.62, 0.2))),
                rng,
            ),
            (1.55, space.y[1] - 0.17, 1.1),
        ),
    ]
    for yaw, x, y in ((0, -0.1, 0.98), (90, -0.98, 0.1), (-75, 0.98, 0.25), (170, 0.2, -0.95)):
        meshes += placed(f.chair(pine, seat), (x, y, 0), yaw=yaw)
    for x, y in ((0.28, 0.12), (0.37, 0.08), (0.35, 0.18)):
        meshes += placed(ball(0.036, paint(0.85, 0.45, 0.1, "glossy")), (x, y, top + 0.025))
    return meshes


SCENE = Scene(
    name="breakfast",
    split="test",
    seed=2,
    space=Space(x=(-2.2, 2.2), y=(-2.6, 1.8), height=2.6),
    furnish=furnish,
    lamps=(
        Lamp("ceiling", (1.3, 1.3, 1.2)),
        Lamp("left", (2.6, 2.5, 2.3)),
        Lamp("front", (2.4, 2.4, 2.4)),
    ),
    orbit=Orbit(target=(0.0, 0.0, 0.78), radius=(1.35, 1.8), elevation=(13, 38), span=116, fov=58),
)

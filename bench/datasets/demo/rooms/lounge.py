"""A sofa with cushions and a coffee table."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    BOOKS,
    OAK,
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
    cylinder,
    pillow,
    placed,
    sheet,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = Material(t.planks(*WALNUT, 81), 1.2)
    walls = Material(t.plaster((0.6, 0.68, 0.72), 82), 1.6)
    rug = Material(t.stripes([(0.88, 0.84, 0.74), (0.25, 0.28, 0.35), (0.75, 0.45, 0.3)], 22, 83))
    cover = Material(t.fabric((0.62, 0.58, 0.5), 84), 0.18)
    oak = wood(OAK, 85)
    cushions = [
        Material(t.kilim([(0.8, 0.3, 0.2), (0.92, 0.85, 0.7), (0.2, 0.3, 0.45)], 86)),
        Material(t.dots((0.2, 0.38, 0.42), (0.9, 0.85, 0.7), 6)),
        Material(t.damask((0.85, 0.7, 0.3), (0.55, 0.35, 0.1), 87)),
    ]
    top = 0.42
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls),
        *placed(sheet(2.2, 1.5, rug), (0, -0.2, 0.004), yaw=-6),
        *placed(f.sofa(1.9, cover, oak), (-0.1, 0.9, 0)),
        *placed(f.table(1.0, 0.6, top, oak, metal((0.2, 0.2, 0.2), 0.3)), (0.0, -0.1, 0), yaw=-10),
        *placed(f.books_piled(3, BOOKS, rng), (-0.28, -0.15, top)),
        *placed(
            box(0.3, 0.21, 0.006, Material(t.photograph("hubble_deep_field"))),
            (0.05, -0.25, top),
            yaw=20,
        ),
        *placed(
            box(0.3, 0.21, 0.006, Material(t.photograph("chelsea"))),
            (0.1, -0.22, top + 0.006),
            yaw=-15,
        ),
        *placed(
            f.vase(0.28, glossy(t.marble((0.9, 0.9, 0.88), (0.2, 0.4, 0.4), 88)), 0.34, 0.12),
            (0.3, 0.0, top),
        ),
        *placed(
            f.foliage(
                0.12, 0.25, 9, Material(t.tinted("grass", (0.3, 0.2, 0.05), (0.85, 0.6, 0.2))), rng
            ),
            (0.3, 0.0, top + 0.2),
        ),
        *placed(
            f.mug(paint(0.85, 0.85, 0.8, "glossy"), paint(0.4, 0.2, 0.1, "glossy")),
            (-0.02, 0.08, top),
            yaw=120,
        ),
        *placed(f.bowl(0.11, metal((0.8, 0.6, 0.35), 0.2)), (-0.3, 0.1, top)),
        *placed(
            f.floor_lamp(
                1.65,
                metal((0.25, 0.25, 0.25), 0.3),
                Material(t.stripes([(0.92, 0.86, 0.7), (0.85, 0.75, 0.55)], 24, 89)),
            ),
            (-1.35, 0.95, 0),
        ),
        *placed(f.poster(t.photograph("astronaut"), 0.7, oak), (-0.6, space.y[1], 0.98)),
        *placed(
            f.poster(t.photograph("moon"), 0.6, paint(0.1, 0.1, 0.1)), (0.35, space.y[1], 1.02)
        ),
        *placed(f.poster(t.photograph("rocket"), 1.0, oak), (space.x[0], -0.3, 1.2), yaw=90),
        *placed(
            f.poster(t.photograph("coffee"), 0.9, paint(0.9, 0.9, 0.9)),
            (space.x[1], 0.0, 1.2),
            yaw=-90,
        ),
        *placed(f.shelf(0.7, 0.32, (0.3, 0.65, 1.0), oak), (1.45, space.y[1] - 0.17, 0)),
        *placed(f.books_upright(0.55, BOOKS, rng), (1.45, space.y[1] - 0.2, 0.3)),
        *placed(f.books_upright(0.4, BOOKS, rng), (1.4, space.y[1] - 0.2, 0.65)),
        *placed(ball(0.14, glossy(t.photograph("retina"))), (1.45, space.y[1] - 0.17, 1.0)),
        *placed(
            cylinder(0.24, 0.4, Material(t.fabric((0.7, 0.35, 0.25), 90), 0.2)), (-1.05, -0.15, 0)
        ),
        *placed(
            pillow(
                0.55,
                0.5,
                0.35,
                Material(t.checker((0.2, 0.25, 0.3), (0.75, 0.7, 0.6), 12, 91), 0.8),
                0.6,
            ),
            (1.0, -0.25, 0),
            yaw=25,
        ),
    ]
    for (x, y, yaw), cushion in zip(
        ((-0.75, 0.8, 12), (-0.35, 0.88, -6), (0.55, 0.82, -14)), cushions, strict=True
    ):
        meshes += placed(pillow(0.42, 0.17, 0.42, cushion), (x, y, 0.44), yaw=yaw, roll=-18)
    return meshes


SCENE = Scene(
    name="lounge",
    split="val",
    seed=8,
    space=Space(x=(-2.2, 2.2), y=(-2.6, 1.5), height=2.5),
    furnish=furnish,
    lamps=(
        Lamp("ceiling", (2.2, 2.1, 1.9)),
        Lamp("right", (3.8, 3.6, 3.2)),
        Lamp("front", (2.4, 2.4, 2.4)),
    ),
    orbit=Orbit(target=(0.0, 0.1, 0.5), radius=(1.6, 2.1), elevation=(13, 36), span=112, fov=58),
)

"""Stacked packing cases, drums and tyres between brick and concrete."""

from __future__ import annotations

from itertools import cycle

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    STEEL,
    metal,
    paint,
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
    floor = Material(t.tinted("gravel", (0.3, 0.29, 0.28), (0.66, 0.65, 0.62)), 1.0)
    brick = Material(t.bricks((0.35, 0.16, 0.11), (0.78, 0.5, 0.4)), 1.1)
    grey = Material(t.plaster((0.66, 0.67, 0.66), 41, 0.2), 1.6)
    labels = [t.photograph(name) for name in ("text", "page", "rocket", "coins")]
    cases = [Material(t.cardboard(label, 42 + k)) for k, label in enumerate(labels)]
    drum = Material(t.stripes([STEEL, (0.2, 0.35, 0.55), STEEL], 9, 47), 0.9, "metal", 0.3)
    meshes = [
        *f.room(space.x, space.y, space.height, floor, grey, back=brick),
        *placed(f.pillar(0.16, space.height, brick, grey), (-0.55, 0.55, 0)),
        *placed(f.barrel(0.28, 0.85, drum, metal(STEEL, 0.3)), (1.15, 0.75, 0), yaw=70),
        *placed(f.barrel(0.28, 0.85, drum, metal(STEEL, 0.3)), (1.62, 0.4, 0), yaw=200),
        *placed(
            f.shelf(1.2, 0.4, (0.15, 0.65, 1.15, 1.65), metal(STEEL, 0.35)),
            (-1.35, space.y[1] - 0.22, 0),
        ),
        *placed(f.poster(t.photograph("text"), 0.9, paint(0.8, 0.7, 0.1)), (0.8, space.y[1], 1.5)),
        *placed(
            f.poster(t.photograph("astronaut"), 0.7, paint(0.1, 0.1, 0.1)),
            (space.x[0], -0.4, 1.2),
            yaw=90,
        ),
        *placed(
            ring(
                0.24, 0.09, Material(t.stripes([(0.1, 0.1, 0.11), (0.22, 0.22, 0.22)], 40, 48), 0.5)
            ),
            (-0.9, -0.55, 0),
        ),
        *placed(
            ring(
                0.24, 0.09, Material(t.stripes([(0.1, 0.1, 0.11), (0.22, 0.22, 0.22)], 40, 48), 0.5)
            ),
            (-0.87, -0.52, 0.175),
            roll=4,
        ),
        *placed(
            lathe(
                [(0.17, 0.0), (0.17, 0.02), (0.11, 0.021), (0.03, 0.5), (0.0, 0.51)],
                Material(t.stripes([(0.9, 0.35, 0.08), (0.95, 0.95, 0.9)], 7, 49)),
                smooth=False,
            ),
            (0.85, -0.65, 0),
        ),
        *placed(cylinder(0.035, 1.9, paint(0.75, 0.2, 0.15, "glossy")), (0.35, 1.1, 0), roll=-12),
        *placed(cylinder(0.03, 1.7, metal(STEEL)), (0.5, 1.1, 0), roll=-14, pitch=5),
    ]
    piles = (
        (
            (0.0, 0.1, 8, (0.6, 0.45, 0.4)),
            (0.05, 0.12, -14, (0.45, 0.4, 0.3)),
            (0.0, 0.1, 22, (0.3, 0.25, 0.2)),
        ),
        ((0.55, -0.05, -25, (0.42, 0.42, 0.32)), (0.6, -0.05, 10, (0.3, 0.3, 0.22))),
        ((-0.15, -0.45, 40, (0.36, 0.3, 0.24)),),
        ((-1.15, 0.25, 15, (0.5, 0.4, 0.5)), (-1.1, 0.25, -5, (0.4, 0.3, 0.25))),
    )
    next_case = cycle(cases)
    for pile in piles:
        z = 0.0
        for x, y, yaw, (width, depth, height) in pile:
            meshes += placed(box(width, depth, height, next(next_case)), (x, y, z), yaw=yaw)
            z += height
    for level in (0.15, 0.65, 1.15):
        for x in (-1.7, -1.35, -1.0):
            width, depth, height = rng.uniform([0.2, 0.2, 0.15], [0.32, 0.32, 0.4])
            case = cases[int(rng.integers(4))]
            meshes += placed(
                box(width, depth, height, case),
                (x, space.y[1] - 0.22, level),
                yaw=float(rng.uniform(-9, 9)),
            )
    return meshes


SCENE = Scene(
    name="storeroom",
    split="val",
    seed=10,
    space=Space(x=(-2.3, 2.3), y=(-2.6, 1.7), height=2.7),
    furnish=furnish,
    lamps=(Lamp("ceiling", (2.9, 2.9, 2.9)), Lamp("front", (2.6, 2.6, 2.5))),
    orbit=Orbit(
        target=(0.1, 0.1, 0.6), radius=(1.7, 2.2), elevation=(14, 36), span=110, facing=8, fov=62
    ),
)

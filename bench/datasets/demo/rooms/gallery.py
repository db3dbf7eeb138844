"""A white gallery: framed photographs, sculptures, mirrors of metal."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    BOOKS,
    STEEL,
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
    ring,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = glossy(t.marble((0.72, 0.7, 0.68), (0.3, 0.28, 0.3), 51), 1.6, 0.2)
    white = Material(t.plaster((0.86, 0.86, 0.85), 52, 0.04), 2.0)
    black, gilt = paint(0.08, 0.08, 0.09), metal((0.85, 0.66, 0.32))
    plinth = paint(0.88, 0.88, 0.86)
    slab = Material(
        t.terrazzo((0.8, 0.78, 0.74), [(0.3, 0.3, 0.3), (0.6, 0.4, 0.3), (0.95, 0.93, 0.9)], 53),
        0.5,
    )
    return [
        *f.room(space.x, space.y, space.height, floor, white),
        *placed(f.poster(t.photograph("hubble_deep_field"), 1.3, black), (-0.7, space.y[1], 0.75)),
        *placed(f.poster(t.photograph("astronaut"), 0.8, gilt), (0.75, space.y[1], 0.95)),
        *placed(
            f.poster(t.photograph("immunohistochemistry"), 0.7, black), (1.75, space.y[1], 1.0)
        ),
        *placed(f.poster(t.photograph("rocket"), 1.2, gilt), (space.x[1], 0.3, 1.0), yaw=-90),
        *placed(f.poster(t.photograph("coffee"), 1.2, black), (space.x[0], 0.3, 1.0), yaw=90),
        *placed(f.poster(t.photograph("chelsea"), 1.0, gilt), (space.x[0], -1.3, 1.1), yaw=90),
        *placed(box(0.4, 0.4, 0.9, plinth), (-0.6, 0.3, 0), yaw=20),
        *placed(
            f.vase(
                0.5,
                glossy(t.kilim([(0.1, 0.1, 0.12), (0.75, 0.3, 0.15), (0.9, 0.7, 0.4)], 54)),
                0.32,
                0.13,
            ),
            (-0.6, 0.3, 0.9),
        ),
        *placed(box(0.45, 0.45, 0.65, slab), (0.55, 0.35, 0), yaw=-15),
        *placed(ball(0.22, metal((0.9, 0.9, 0.92), 0.16)), (0.55, 0.35, 0.65)),
        *placed(box(0.5, 0.5, 0.45, plinth), (0.05, -0.4, 0), yaw=40),
        *placed(
            pillow(0.3, 0.3, 0.45, glossy(t.marble((0.2, 0.32, 0.28), (0.8, 0.85, 0.8), 55)), 0.45),
            (0.05, -0.4, 0.45),
            yaw=10,
        ),
        *placed(box(0.36, 0.36, 1.0, slab), (1.3, -0.1, 0), yaw=30),
        *placed(
            ring(
                0.14,
                0.05,
                Material(t.stripes([(0.85, 0.75, 0.2), (0.15, 0.2, 0.5), (0.9, 0.9, 0.9)], 12, 56)),
            ),
            (1.3, -0.05, 1.19),
            roll=90,
        ),
        *placed(
            box(0.32, 0.32, 0.32, Material(t.photograph("astronaut"))), (-1.25, -0.2, 0), yaw=25
        ),
        *placed(
            box(0.32, 0.32, 0.32, Material(t.photograph("retina"))), (-1.22, -0.15, 0.32), yaw=-20
        ),
        *placed(f.table(1.2, 0.4, 0.42, wood(WALNUT, 57), metal(STEEL)), (0.2, 1.2, 0)),
        *placed(f.books_piled(3, BOOKS, rng), (0.5, 1.2, 0.42)),
        *placed(
            f.pillar(
                0.13,
                space.height,
                glossy(t.marble((0.85, 0.8, 0.72), (0.5, 0.4, 0.3), 58), 0.8),
                plinth,
            ),
            (-1.55, 0.9, 0),
        ),
    ]


SCENE = Scene(
    name="gallery",
    split="test",
    seed=5,
    space=Space(x=(-2.3, 2.3), y=(-2.6, 1.7), height=2.7),
    furnish=furnish,
    lamps=(Lamp("ceiling", (1.8, 1.8, 1.8)), Lamp("front", (2.6, 2.6, 2.5))),
    orbit=Orbit(target=(0.1, 0.2, 0.7), radius=(1.8, 2.3), elevation=(10, 32), span=110, fov=60),
)

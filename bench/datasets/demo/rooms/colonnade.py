"""Marble columns, plinths and bronze on a chequered floor."""

from __future__ import annotations

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.materials import (
    BOOKS,
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
    pillow,
    placed,
    ring,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = glossy(t.checker((0.85, 0.82, 0.76), (0.2, 0.2, 0.22), 4, 121), 1.6, 0.25)
    ochre = Material(t.damask((0.72, 0.52, 0.3), (0.6, 0.4, 0.22), 122, 4), 1.2)
    stone = Material(t.marble((0.86, 0.82, 0.75), (0.45, 0.36, 0.3), 123), 0.9)
    dark = glossy(t.marble((0.12, 0.2, 0.17), (0.7, 0.75, 0.7), 124), 0.7)
    base = Material(t.terrazzo((0.7, 0.67, 0.62), [(0.4, 0.38, 0.36), (0.9, 0.88, 0.85)], 125), 0.4)
    bronze, gilt = metal((0.6, 0.42, 0.26), 0.25), metal((0.85, 0.66, 0.32))
    meshes = [
        *f.room(space.x, space.y, space.height, floor, ochre),
        *placed(f.poster(t.photograph("hubble_deep_field"), 1.1, gilt), (0.0, space.y[1], 0.8)),
        *placed(f.poster(t.photograph("astronaut"), 0.7, gilt), (space.x[0], 0.4, 0.9), yaw=90),
        *placed(
            f.poster(t.photograph("immunohistochemistry"), 0.8, gilt),
            (space.x[1], 0.4, 0.9),
            yaw=-90,
        ),
        *placed(box(0.5, 0.5, 0.5, base), (0.0, -0.15, 0), yaw=30),
        *placed(f.vase(0.55, bronze, 0.34, 0.12), (0.0, -0.15, 0.5)),
        *placed(box(0.34, 0.34, 0.7, dark), (0.75, -0.3, 0), yaw=12),
        *placed(box(0.26, 0.26, 0.26, Material(t.photograph("camera"))), (0.75, -0.3, 0.7), yaw=40),
        *placed(box(0.34, 0.34, 0.6, dark), (-0.8, -0.25, 0), yaw=-18),
        *placed(
            ball(
                0.16,
                glossy(
                    t.mosaic(
                        [(0.2, 0.4, 0.5), (0.85, 0.7, 0.4), (0.7, 0.3, 0.2)],
                        (0.9, 0.88, 0.8),
                        10,
                        126,
                    ),
                    0.5,
                ),
            ),
            (-0.8, -0.25, 0.6),
        ),
        *placed(box(1.3, 0.4, 0.42, stone), (0.0, 1.15, 0)),
        *placed(
            pillow(
                0.4,
                0.16,
                0.4,
                Material(t.kilim([(0.5, 0.1, 0.15), (0.85, 0.7, 0.4), (0.15, 0.2, 0.35)], 127)),
            ),
            (-0.4, 1.15, 0.42),
            roll=-15,
            yaw=10,
        ),
        *placed(f.books_piled(4, BOOKS, rng), (0.35, 1.15, 0.42)),
        *placed(
            f.flower_pot(
                0.2, Material(t.plaster((0.7, 0.38, 0.25), 128, 0.3)), paint(0.2, 0.14, 0.1)
            ),
            (0.35, -0.75, 0),
        ),
        *placed(
            f.foliage(
                0.3,
                0.5,
                18,
                Material(t.tinted("grass", (0.06, 0.22, 0.08), (0.4, 0.62, 0.25))),
                rng,
            ),
            (0.35, -0.75, 0.3),
        ),
        *placed(cylinder(0.19, 0.3, stone, base), (-0.45, 0.35, 0)),
        *placed(cylinder(0.17, 0.5, stone, base), (-0.4, -0.8, 0.17), pitch=90, yaw=35),
        *placed(ring(0.22, 0.06, gilt), (0.5, 0.4, 0)),
    ]
    for x, y in ((-1.2, 0.75), (-0.6, 0.8), (0.62, 0.78), (1.25, 0.7), (-1.45, -0.1), (1.5, -0.05)):
        shaft = stone if (x + y) > 0 else dark
        meshes += placed(
            f.pillar(0.12, space.height, shaft, base), (x, y, 0), yaw=float(rng.uniform(0, 360))
        )
    return meshes


SCENE = Scene(
    name="colonnade",
    split="val",
    seed=3,
    space=Space(x=(-2.2, 2.2), y=(-2.7, 1.6), height=2.6),
    furnish=furnish,
    lamps=(Lamp("ceiling", (3.1, 3.0, 2.8)), Lamp("front", (2.6, 2.6, 2.5))),
    orbit=Orbit(target=(0.0, 0.1, 0.6), radius=(1.7, 2.2), elevation=(15, 36), span=116, fov=60),
)

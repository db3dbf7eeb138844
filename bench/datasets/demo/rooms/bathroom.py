"""A tiled bathroom: repeated tiles, glossy ceramics, blank tub."""

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
    wood,
)
from bench.datasets.demo.scene import Lamp, Scene, Space
from bench.datasets.demo.shapes import (
    Material,
    Mesh,
    ball,
    box,
    cylinder,
    lathe,
    pillow,
    placed,
    sheet,
)


def furnish(space: Space, rng: np.random.Generator) -> list[Mesh]:
    """Everything in the room but its lamps."""
    floor = Material(
        t.mosaic(
            [(0.2, 0.32, 0.4), (0.3, 0.45, 0.5), (0.8, 0.82, 0.8)], (0.75, 0.75, 0.73), 12, 131
        ),
        0.9,
    )
    tiled = glossy(t.tiles((0.75, 0.85, 0.86), (0.92, 0.92, 0.9), 6, 132, 0.03), 0.9, 0.12)
    white, chrome = paint(0.92, 0.92, 0.91, "glossy", 0.1), metal((0.85, 0.86, 0.88), 0.15)
    towel = Material(
        t.stripes([(0.9, 0.88, 0.8), (0.75, 0.35, 0.3), (0.25, 0.4, 0.5)], 15, 133), 0.35
    )
    mat = Material(t.kilim([(0.85, 0.82, 0.72), (0.3, 0.45, 0.5), (0.7, 0.4, 0.3)], 134))
    pine = wood(PINE, 135)
    top = 0.8
    meshes = [
        *f.room(space.x, space.y, space.height, floor, tiled),
        *placed(sheet(1.0, 0.7, mat), (0.05, -0.35, 0.004), yaw=-15),
        *placed(box(1.3, 0.5, 0.04, pine), (0.2, 0.95, top - 0.04)),
        *placed(box(0.4, 0.46, top - 0.04, pine), (-0.2, 0.95, 0)),
        *placed(box(0.4, 0.46, top - 0.04, pine), (0.6, 0.95, 0)),
        *placed(f.bowl(0.24, white), (0.2, 0.95, top)),
        *placed(cylinder(0.016, 0.3, chrome), (0.2, 1.18, top)),
        *placed(cylinder(0.014, 0.16, chrome), (0.2, 1.18, top + 0.29), roll=90),
        *placed(f.poster(t.photograph("moon"), 0.6, chrome), (0.2, space.y[1], 1.18)),
        *placed(f.poster(t.photograph("chelsea"), 0.7, pine), (space.x[1], 0.3, 1.2), yaw=-90),
        *placed(f.poster(t.photograph("colorwheel"), 0.5, pine), (space.x[0], -0.5, 1.3), yaw=90),
        *placed(pillow(0.75, 1.5, 0.56, white, 0.3), (-1.3, 0.45, 0)),
        *placed(box(0.62, 0.04, 0.5, towel), (-1.3, -0.34, 0.06)),
        *placed(box(0.9, 0.28, 0.03, pine), (-1.28, 0.35, 0.56)),
        *placed(
            f.bottle(0.22, glossy(t.plain((0.2, 0.45, 0.5))), Material(t.photograph("text"))),
            (-1.5, 0.35, 0.59),
        ),
        *placed(
            pillow(0.12, 0.08, 0.04, paint(0.85, 0.7, 0.6, "glossy"), 0.6),
            (-1.15, 0.33, 0.59),
            yaw=20,
        ),
        *placed(
            ball(0.07, Material(t.tinted("gravel", (0.5, 0.4, 0.15), (0.9, 0.8, 0.4)))),
            (-1.3, 0.38, 0.59),
        ),
        *placed(f.stool(0.2, 0.45, pine, chrome), (0.15, 0.0, 0)),
        *placed(
            f.vase(
                0.2, glossy(t.mosaic([(0.2, 0.4, 0.5), (0.9, 0.85, 0.7)], (0.8, 0.8, 0.8), 9, 136))
            ),
            (0.1, 0.04, 0.45),
        ),
        *placed(
            pillow(0.14, 0.1, 0.05, paint(0.5, 0.7, 0.55, "glossy"), 0.6),
            (0.24, -0.05, 0.45),
            yaw=50,
        ),
        *placed(
            lathe(
                [(0.2, 0.0), (0.24, 0.5), (0.23, 0.5), (0.19, 0.01)],
                Material(t.stripes([(0.7, 0.55, 0.35), (0.5, 0.36, 0.2)], 40, 137)),
                smooth=False,
            ),
            (1.05, 0.1, 0),
        ),
        *placed(f.shelf(0.5, 0.3, (0.2, 0.55, 0.9, 1.25), chrome), (1.35, space.y[1] - 0.17, 0)),
        *placed(
            box(0.34, 0.34, 0.34, Material(t.fabric((0.75, 0.45, 0.35), 138), 0.2)),
            (-0.55, -0.55, 0),
            yaw=30,
        ),
        *placed(f.flower_pot(0.13, white, paint(0.2, 0.14, 0.1)), (0.85, -0.6, 0)),
        *placed(
            f.foliage(
                0.22,
                0.45,
                16,
                Material(t.tinted("grass", (0.06, 0.25, 0.1), (0.45, 0.7, 0.3))),
                rng,
            ),
            (0.85, -0.6, 0.18),
        ),
    ]
    for k, level in enumerate((0.2, 0.55, 0.9)):
        meshes += placed(pillow(0.36, 0.26, 0.12, towel, 0.4), (1.35, space.y[1] - 0.17, level))
        meshes += placed(
            pillow(0.34, 0.25, 0.1, mat if k % 2 else towel, 0.4),
            (1.35, space.y[1] - 0.17, level + 0.12),
        )
    for k, x in enumerate((-0.28, -0.18, -0.08, 0.52, 0.62, 0.72)):
        glass = paint(*BOOKS[k], "glossy")
        meshes += placed(
            f.bottle(float(rng.uniform(0.14, 0.26)), glass, paint(0.9, 0.9, 0.85)), (x, 1.05, top)
        )
    return meshes


SCENE = Scene(
    name="bathroom",
    split="test",
    seed=1,
    space=Space(x=(-1.9, 1.9), y=(-2.5, 1.35), height=2.5),
    furnish=furnish,
    lamps=(Lamp("ceiling", (1.6, 1.7, 1.7)), Lamp("front", (2.4, 2.4, 2.4))),
    orbit=Orbit(
        target=(-0.1, 0.15, 0.45), radius=(1.7, 2.15), elevation=(15, 36), span=112, fov=62
    ),
)

"""The demo's rooms: what stands where, how it is lit and from where it is seen.

Lengths are metres, angles degrees, z points up. Every room is a closed box, so every pixel has a
depth. `SCENES` lists them in the order of their names' first use; the seed of a scene drives both
its clutter and its cameras.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.datasets.demo import furniture as f
from bench.datasets.demo import textures as t
from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.furniture import paint
from bench.datasets.demo.shapes import (
    Material,
    Mesh,
    Vector,
    ball,
    box,
    cylinder,
    lathe,
    pillow,
    placed,
    ring,
    sheet,
    wall,
)

BOOKS: tuple[t.Colour, ...] = (
    (0.55, 0.13, 0.12),
    (0.12, 0.22, 0.42),
    (0.9, 0.84, 0.68),
    (0.13, 0.35, 0.24),
    (0.86, 0.62, 0.15),
    (0.2, 0.18, 0.18),
    (0.45, 0.55, 0.65),
)
OAK = ((0.45, 0.28, 0.14), (0.78, 0.58, 0.36))
WALNUT = ((0.2, 0.11, 0.06), (0.46, 0.29, 0.17))
PINE = ((0.68, 0.48, 0.26), (0.92, 0.78, 0.54))
STEEL = (0.72, 0.73, 0.75)


@dataclass(frozen=True)
class Space:
    """Inner extents of a room."""

    x: tuple[float, float]
    y: tuple[float, float]
    height: float


@dataclass(frozen=True)
class Lamp:
    """A luminous panel on one side of the room: most of the ceiling, or a window in a wall."""

    side: Literal["ceiling", "left", "right", "front"]
    radiance: Vector


@dataclass(frozen=True)
class Scene:
    """One room of the demo."""

    name: str
    split: Literal["val", "test"]
    seed: int
    space: Space
    furnish: Callable[[Space, np.random.Generator], list[Mesh]]
    lamps: tuple[Lamp, ...]
    orbit: Orbit

    def meshes(self) -> list[Mesh]:
        """Everything in the room, lamps included."""
        contents = self.furnish(self.space, np.random.default_rng(self.seed))
        return contents + [mesh for lamp in self.lamps for mesh in _panel(self.space, lamp)]


def _panel(space: Space, lamp: Lamp) -> list[Mesh]:
    (x0, x1), (y0, y1), top = space.x, space.y, space.height
    glow = Material(t.plain((1, 1, 1)), radiance=lamp.radiance)
    if lamp.side == "ceiling":
        panel = sheet(0.75 * (x1 - x0), 0.75 * (y1 - y0), glow)
        return placed(panel, ((x0 + x1) / 2, (y0 + y1) / 2, top - 0.01), roll=180)
    window = wall(1.8, 1.3, glow)
    if lamp.side == "front":
        return placed(window, ((x0 + x1) / 2, y0 + 0.01, 1.0), yaw=180)
    x, yaw = (x0 + 0.01, 90.0) if lamp.side == "left" else (x1 - 0.01, -90.0)
    return placed(window, (x, y0 + 1.1, 1.0), yaw=yaw)


def _wood(tones: tuple[t.Colour, t.Colour], seed: int, repeat_m: float = 0.9) -> Material:
    return Material(t.wood(*tones, seed), repeat_m)


def _metal(colour: t.Colour, roughness: float = 0.22) -> Material:
    return paint(*colour, finish="metal", roughness=roughness)


def _glossy(texture: t.Texture, repeat_m: float | None = None, roughness: float = 0.1) -> Material:
    return Material(texture, repeat_m, "glossy", roughness)


def _breakfast(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(t.tiles((0.72, 0.55, 0.42), (0.4, 0.36, 0.33), 4, 11), 1.3)
    walls = Material(t.plaster((0.83, 0.8, 0.7), 12), 1.5)
    oak, pine = _wood(OAK, 13), _wood(PINE, 14)
    seat = Material(t.fabric((0.75, 0.3, 0.22), 15), 0.15)
    white, blue = paint(0.9, 0.9, 0.87, "glossy"), paint(0.2, 0.34, 0.6, "glossy")
    spotted = _glossy(t.dots((0.92, 0.9, 0.84), (0.75, 0.2, 0.18), 6), 0.14)
    cloth = Material(t.checker((0.93, 0.92, 0.88), (0.3, 0.45, 0.62), 10, 16))
    top = 0.74
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls),
        *placed(f.round_table(0.68, top, oak, _wood(WALNUT, 17)), (0, 0, 0)),
        *placed(sheet(0.62, 0.62, cloth), (0.05, 0.02, top + 0.002), yaw=24),
        *placed(
            f.vase(0.3, _glossy(t.marble((0.85, 0.9, 0.9), (0.1, 0.3, 0.45), 18))), (0, 0.05, top)
        ),
        *placed(f.bowl(0.15, spotted), (0.33, 0.12, top)),
        *placed(f.plate(0.13, white), (-0.3, -0.3, top)),
        *placed(f.plate(0.13, blue), (0.22, -0.38, top)),
        *placed(f.mug(spotted, white), (-0.42, -0.02, top), yaw=200),
        *placed(f.mug(blue, white), (0.47, -0.2, top), yaw=40),
        *placed(
            f.bottle(0.3, _glossy(t.plain((0.15, 0.3, 0.16))), Material(t.photograph("coffee"))),
            (-0.2, 0.32, top),
        ),
        *placed(f.books_piled(3, BOOKS, rng), (-0.38, 0.24, top), yaw=35),
        *placed(box(0.24, 0.12, 0.1, _wood(PINE, 19)), (0.12, 0.42, top), yaw=-15),
        *placed(
            f.poster(t.photograph("coffee"), 1.1, _wood(WALNUT, 20)), (-0.75, space.y[1], 1.02)
        ),
        *placed(
            f.poster(t.photograph("chelsea"), 0.75, paint(0.15, 0.15, 0.16)),
            (0.6, space.y[1], 1.08),
        ),
        *placed(
            f.poster(t.photograph("rocket"), 0.9, _wood(PINE, 21)), (space.x[0], 0.2, 1.3), yaw=90
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


def _library(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(t.planks(*OAK, 31), 1.1)
    walls = Material(t.damask((0.55, 0.62, 0.58), (0.42, 0.5, 0.47), 32), 0.9)
    rug = Material(
        t.kilim([(0.6, 0.16, 0.12), (0.16, 0.2, 0.34), (0.87, 0.78, 0.58), (0.8, 0.5, 0.2)], 33)
    )
    walnut = _wood(WALNUT, 34)
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
        *placed(f.vase(0.26, _metal((0.8, 0.62, 0.35)), belly=0.36), (0.36, -0.18, 0.48)),
        *placed(
            f.picture_stand(t.photograph("astronaut"), 0.2, _wood(PINE, 35)),
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
                1.6, _metal((0.75, 0.6, 0.3)), Material(t.fabric((0.9, 0.8, 0.6), 38), 0.2)
            ),
            (1.35, 0.45, 0),
        ),
        *placed(ball(0.16, _glossy(t.photograph("moon"))), (0.85, back, 1.18)),
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
        *placed(f.stool(0.17, 0.44, _wood(PINE, 39), walnut), (-0.5, -0.75, 0)),
    ]
    for level in levels[:-1]:
        width = float(rng.uniform(0.75, 1.35))
        side = float(rng.choice([-1, 1])) * (1.4 - width) / 2
        meshes += placed(f.books_upright(width, BOOKS, rng), (-0.55 + side, back - 0.03, level))
    for level in levels[:3]:
        meshes += placed(f.books_upright(0.6, BOOKS, rng), (0.75, back - 0.03, level))
    return meshes


def _storeroom(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(t.tinted("gravel", (0.3, 0.29, 0.28), (0.66, 0.65, 0.62)), 1.0)
    brick = Material(t.bricks((0.35, 0.16, 0.11), (0.78, 0.5, 0.4)), 1.1)
    grey = Material(t.plaster((0.66, 0.67, 0.66), 41, 0.2), 1.6)
    labels = [t.photograph(name) for name in ("text", "page", "rocket", "coins")]
    cases = [Material(t.cardboard(label, 42 + k)) for k, label in enumerate(labels)]
    drum = Material(t.stripes([STEEL, (0.2, 0.35, 0.55), STEEL], 9, 47), 0.9, "metal", 0.3)
    meshes = [
        *f.room(space.x, space.y, space.height, floor, grey, back=brick),
        *placed(f.pillar(0.16, space.height, brick, grey), (-0.55, 0.55, 0)),
        *placed(f.barrel(0.28, 0.85, drum, _metal(STEEL, 0.3)), (1.15, 0.75, 0), yaw=70),
        *placed(f.barrel(0.28, 0.85, drum, _metal(STEEL, 0.3)), (1.62, 0.4, 0), yaw=200),
        *placed(
            f.shelf(1.2, 0.4, (0.15, 0.65, 1.15, 1.65), _metal(STEEL, 0.35)),
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
        *placed(cylinder(0.03, 1.7, _metal(STEEL)), (0.5, 1.1, 0), roll=-14, pitch=5),
    ]
    stacks = [
        (0.0, 0.1, 8, (0.6, 0.45, 0.4)),
        (0.05, 0.12, -14, (0.45, 0.4, 0.3)),
        (0.0, 0.1, 22, (0.3, 0.25, 0.2)),
        (0.55, -0.05, -25, (0.42, 0.42, 0.32)),
        (0.6, -0.05, 10, (0.3, 0.3, 0.22)),
        (-0.15, -0.45, 40, (0.36, 0.3, 0.24)),
        (-1.15, 0.25, 15, (0.5, 0.4, 0.5)),
        (-1.1, 0.25, -5, (0.4, 0.3, 0.25)),
    ]
    tops: dict[int, float] = {}
    for k, (x, y, yaw, (width, depth, height)) in enumerate(stacks):
        pile = round(2 * x) + 10 * round(2 * y)
        z = tops.get(pile, 0.0)
        meshes += placed(box(width, depth, height, cases[k % 4]), (x, y, z), yaw=yaw)
        tops[pile] = z + height
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


def _gallery(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = _glossy(t.marble((0.72, 0.7, 0.68), (0.3, 0.28, 0.3), 51), 1.6, 0.2)
    white = Material(t.plaster((0.86, 0.86, 0.85), 52, 0.04), 2.0)
    black, gilt = paint(0.08, 0.08, 0.09), _metal((0.85, 0.66, 0.32))
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
                _glossy(t.kilim([(0.1, 0.1, 0.12), (0.75, 0.3, 0.15), (0.9, 0.7, 0.4)], 54)),
                0.32,
                0.13,
            ),
            (-0.6, 0.3, 0.9),
        ),
        *placed(box(0.45, 0.45, 0.65, slab), (0.55, 0.35, 0), yaw=-15),
        *placed(ball(0.22, _metal((0.9, 0.9, 0.92), 0.16)), (0.55, 0.35, 0.65)),
        *placed(box(0.5, 0.5, 0.45, plinth), (0.05, -0.4, 0), yaw=40),
        *placed(
            pillow(
                0.3, 0.3, 0.45, _glossy(t.marble((0.2, 0.32, 0.28), (0.8, 0.85, 0.8), 55)), 0.45
            ),
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
        *placed(f.table(1.2, 0.4, 0.42, _wood(WALNUT, 57), _metal(STEEL)), (0.2, 1.2, 0)),
        *placed(f.books_piled(3, BOOKS, rng), (0.5, 1.2, 0.42)),
        *placed(
            f.pillar(
                0.13,
                space.height,
                _glossy(t.marble((0.85, 0.8, 0.72), (0.5, 0.4, 0.3), 58), 0.8),
                plinth,
            ),
            (-1.55, 0.9, 0),
        ),
    ]


def _desk(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(t.fabric((0.35, 0.37, 0.42), 61), 0.3)
    walls = Material(t.plaster((0.74, 0.78, 0.8), 62), 1.2)
    top = 0.72
    grey, dark = paint(0.75, 0.76, 0.78), paint(0.12, 0.12, 0.13, "glossy", 0.2)
    cork = Material(t.terrazzo((0.72, 0.52, 0.33), [(0.5, 0.33, 0.2), (0.8, 0.62, 0.42)], 63), 0.25)
    paper, page = Material(t.photograph("page")), Material(t.photograph("text"))
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls),
        *placed(f.table(1.6, 0.8, top, _wood(OAK, 64, 1.2), grey), (0, 0.25, 0)),
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
            f.picture_stand(t.photograph("astronaut"), 0.13, _metal((0.8, 0.65, 0.35))),
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
        *placed(ball(0.045, _metal(STEEL, 0.18)), (-0.28, 0.17, top)),
        *placed(
            box(0.09, 0.05, 0.04, _glossy(t.stripes([(0.2, 0.5, 0.4), (0.95, 0.95, 0.9)], 5, 66))),
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


def _kitchen(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(t.checker((0.85, 0.83, 0.78), (0.28, 0.3, 0.32), 4, 71), 1.2)
    tiled = _glossy(t.tiles((0.86, 0.9, 0.88), (0.6, 0.6, 0.58), 8, 72, 0.0), 1.0, 0.12)
    walls = Material(t.plaster((0.85, 0.78, 0.6), 73), 1.4)
    worktop = _glossy(
        t.terrazzo((0.3, 0.3, 0.31), [(0.6, 0.6, 0.6), (0.8, 0.78, 0.7), (0.15, 0.15, 0.16)], 74),
        0.5,
        0.2,
    )
    doors = paint(0.3, 0.42, 0.45, "glossy", 0.3)
    steel, copper = _metal(STEEL, 0.2), _metal((0.86, 0.52, 0.36), 0.22)
    top, back = 0.9, space.y[1] - 0.3
    green, brown = _glossy(t.plain((0.12, 0.32, 0.18))), _glossy(t.plain((0.35, 0.18, 0.08)))
    handle = paint(0.1, 0.1, 0.1)
    meshes = [
        *f.room(space.x, space.y, space.height, floor, walls, back=tiled),
        *placed(box(2.9, 0.58, 0.86, doors), (-0.2, back, 0)),
        *placed(box(2.96, 0.62, 0.04, worktop), (-0.2, back - 0.01, 0.86)),
        *placed(box(0.9, 0.3, 0.025, _wood(PINE, 75)), (0.55, space.y[1] - 0.15, 1.45)),
        *placed(
            f.table(1.0, 0.65, top, _wood(OAK, 76), paint(0.85, 0.85, 0.82)), (0.0, -0.05, 0), yaw=8
        ),
        *placed(
            box(0.4, 0.26, 0.025, Material(t.stripes([PINE[0], PINE[1], OAK[1]], 9, 77))),
            (-0.22, -0.15, top),
            yaw=25,
        ),
        *placed(f.saucepan(0.11, 0.13, steel, handle), (0.3, 0.08, top), yaw=150),
        *placed(
            f.bowl(0.13, _glossy(t.dots((0.2, 0.35, 0.6), (0.92, 0.92, 0.9), 5), 0.16)),
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
            wall(0.28, 0.2, _glossy(t.plain((0.06, 0.06, 0.07)))),
            (0.842, back - 0.168, top + 0.04),
            yaw=-8,
        ),
        *placed(
            f.vase(0.28, _glossy(t.stripes([(0.9, 0.88, 0.8), (0.25, 0.4, 0.6)], 11, 78))),
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
            f.poster(t.photograph("coins"), 0.7, _wood(PINE, 79)), (space.x[1], 0.2, 1.2), yaw=-90
        ),
        *placed(f.stool(0.17, 0.62, _wood(PINE, 80), steel), (0.95, -0.35, 0)),
        *placed(f.stool(0.17, 0.62, _wood(PINE, 80), steel), (-0.95, 0.0, 0), yaw=40),
    ]
    for k, x in enumerate((-1.3, -0.6, 0.1, 0.8)):
        meshes += placed(box(0.66, 0.02, 0.78, doors), (x - 0.05, back - 0.3, 0.04))
        meshes += placed(
            box(0.14, 0.02, 0.015, steel), (x - 0.05, back - 0.32, 0.7 - 0.1 * (k % 2))
        )
    for x, y, red in ((-0.3, -0.2, 0.8), (-0.21, -0.1, 0.75), (-0.16, -0.19, 0.5)):
        meshes += placed(ball(0.038, paint(red, 1.0 - red, 0.1, "glossy")), (x, y, top + 0.025))
    return meshes


def _lounge(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(t.planks(*WALNUT, 81), 1.2)
    walls = Material(t.plaster((0.6, 0.68, 0.72), 82), 1.6)
    rug = Material(t.stripes([(0.88, 0.84, 0.74), (0.25, 0.28, 0.35), (0.75, 0.45, 0.3)], 22, 83))
    cover = Material(t.fabric((0.62, 0.58, 0.5), 84), 0.18)
    oak = _wood(OAK, 85)
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
        *placed(f.table(1.0, 0.6, top, oak, _metal((0.2, 0.2, 0.2), 0.3)), (0.0, -0.1, 0), yaw=-10),
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
            f.vase(0.28, _glossy(t.marble((0.9, 0.9, 0.88), (0.2, 0.4, 0.4), 88)), 0.34, 0.12),
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
        *placed(f.bowl(0.11, _metal((0.8, 0.6, 0.35), 0.2)), (-0.3, 0.1, top)),
        *placed(
            f.floor_lamp(
                1.65,
                _metal((0.25, 0.25, 0.25), 0.3),
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
        *placed(ball(0.14, _glossy(t.photograph("retina"))), (1.45, space.y[1] - 0.17, 1.0)),
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


def _workshop(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(t.plaster((0.52, 0.5, 0.48), 101, 0.5), 1.5)
    brick = Material(t.bricks((0.42, 0.4, 0.38), (0.85, 0.82, 0.76)), 1.2)
    pine, steel = _wood(PINE, 102, 0.7), _metal(STEEL, 0.25)
    rust = Material(t.tinted("gravel", (0.35, 0.16, 0.07), (0.8, 0.5, 0.3)), 0.5, "metal", 0.35)
    red, yellow = paint(0.7, 0.12, 0.1, "glossy"), paint(0.9, 0.7, 0.1, "glossy")
    top = 0.86
    slatted = Material(t.planks(*PINE, 103, rows=4), 0.5)
    meshes = [
        *f.room(space.x, space.y, space.height, floor, brick),
        *placed(
            f.table(1.5, 0.7, top, Material(t.planks(*OAK, 104, rows=4), 0.7), pine),
            (0.05, 0.1, 0),
            yaw=-6,
        ),
        *placed(box(0.42, 0.24, 0.2, red), (-0.4, 0.25, top), yaw=10),
        *placed(box(0.36, 0.2, 0.02, steel), (-0.4, 0.25, top + 0.2), yaw=10),
        *placed(cylinder(0.09, 0.16, rust), (0.0, 0.26, top)),
        *placed(cylinder(0.06, 0.22, steel), (0.15, 0.3, top)),
        *placed(
            cylinder(0.045, 0.3, _metal((0.86, 0.6, 0.4), 0.2)),
            (0.38, 0.2, top + 0.045),
            pitch=90,
            yaw=30,
        ),
        *placed(ring(0.09, 0.025, yellow), (-0.05, -0.05, top), yaw=10),
        *placed(ring(0.06, 0.02, steel), (-0.02, -0.02, top + 0.05), roll=12),
        *placed(box(0.34, 0.05, 0.05, pine), (0.35, -0.12, top), yaw=25),
        *placed(box(0.3, 0.05, 0.05, pine), (0.36, -0.1, top + 0.05), yaw=-20),
        *placed(
            box(0.28, 0.2, 0.004, Material(t.photograph("text"))), (-0.35, -0.08, top), yaw=-12
        ),
        *placed(
            f.mug(Material(t.checker((0.9, 0.9, 0.9), (0.1, 0.1, 0.1), 8, 105)), steel),
            (0.6, 0.15, top),
            yaw=-30,
        ),
        *placed(f.shelf(1.3, 0.36, (0.12, 0.6, 1.08, 1.56), rust), (0.9, space.y[1] - 0.2, 0)),
        *placed(f.poster(t.photograph("rocket"), 1.0, steel), (-0.75, space.y[1], 1.05)),
        *placed(f.poster(t.photograph("clock"), 0.6, pine), (space.x[0], 0.3, 1.3), yaw=90),
        *placed(f.poster(t.photograph("camera"), 0.7, steel), (space.x[1], -0.5, 1.2), yaw=-90),
        *placed(box(0.5, 0.5, 0.45, slatted), (-1.2, -0.1, 0), yaw=18),
        *placed(box(0.4, 0.4, 0.38, slatted), (-1.2, -0.1, 0.45), yaw=-12),
        *placed(f.barrel(0.26, 0.75, rust, steel), (-1.35, 0.85, 0)),
        *placed(
            lathe(
                [(0.2, 0.0), (0.16, 0.02), (0.15, 0.3), (0.16, 0.3), (0.17, 0.02)],
                steel,
                smooth=False,
            ),
            (1.2, 0.0, 0),
        ),
        *placed(f.stool(0.18, 0.55, red, steel), (0.35, -0.75, 0)),
    ]
    for k in range(7):
        x, y, lean = rng.uniform([-1.9, 1.25, 4], [-1.3, 1.4, 14])
        tube = cylinder(
            float(rng.uniform(0.02, 0.045)),
            float(rng.uniform(1.2, 1.8)),
            (steel, rust, pine)[k % 3],
        )
        meshes += placed(tube, (x, y - 0.15, 0), roll=-float(lean))
    for level in (0.12, 0.6, 1.08):
        for x in (0.5, 0.85, 1.2):
            tin = f.barrel(
                float(rng.uniform(0.08, 0.13)),
                float(rng.uniform(0.14, 0.3)),
                (red, yellow, steel, rust)[int(rng.integers(4))],
                steel,
            )
            meshes += placed(tin, (x + float(rng.uniform(-0.05, 0.05)), space.y[1] - 0.22, level))
    return meshes


def _playroom(space: Space, rng: np.random.Generator) -> list[Mesh]:
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
    pine = _wood(PINE, 112)
    striped = _glossy(t.stripes(bright[:3], 9, 113))
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
        *placed(ball(0.11, _metal((0.9, 0.8, 0.5), 0.18)), (0.02, 0.42, 0.45)),
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


def _colonnade(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = _glossy(t.checker((0.85, 0.82, 0.76), (0.2, 0.2, 0.22), 4, 121), 1.6, 0.25)
    ochre = Material(t.damask((0.72, 0.52, 0.3), (0.6, 0.4, 0.22), 122, 4), 1.2)
    stone = Material(t.marble((0.86, 0.82, 0.75), (0.45, 0.36, 0.3), 123), 0.9)
    dark = _glossy(t.marble((0.12, 0.2, 0.17), (0.7, 0.75, 0.7), 124), 0.7)
    base = Material(t.terrazzo((0.7, 0.67, 0.62), [(0.4, 0.38, 0.36), (0.9, 0.88, 0.85)], 125), 0.4)
    bronze, gilt = _metal((0.6, 0.42, 0.26), 0.25), _metal((0.85, 0.66, 0.32))
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
                _glossy(
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


def _bathroom(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(
        t.mosaic(
            [(0.2, 0.32, 0.4), (0.3, 0.45, 0.5), (0.8, 0.82, 0.8)], (0.75, 0.75, 0.73), 12, 131
        ),
        0.9,
    )
    tiled = _glossy(t.tiles((0.75, 0.85, 0.86), (0.92, 0.92, 0.9), 6, 132, 0.03), 0.9, 0.12)
    white, chrome = paint(0.92, 0.92, 0.91, "glossy", 0.1), _metal((0.85, 0.86, 0.88), 0.15)
    towel = Material(
        t.stripes([(0.9, 0.88, 0.8), (0.75, 0.35, 0.3), (0.25, 0.4, 0.5)], 15, 133), 0.35
    )
    mat = Material(t.kilim([(0.85, 0.82, 0.72), (0.3, 0.45, 0.5), (0.7, 0.4, 0.3)], 134))
    pine = _wood(PINE, 135)
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
            f.bottle(0.22, _glossy(t.plain((0.2, 0.45, 0.5))), Material(t.photograph("text"))),
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
                0.2, _glossy(t.mosaic([(0.2, 0.4, 0.5), (0.9, 0.85, 0.7)], (0.8, 0.8, 0.8), 9, 136))
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


def _winter_garden(space: Space, rng: np.random.Generator) -> list[Mesh]:
    floor = Material(t.tinted("gravel", (0.45, 0.4, 0.33), (0.85, 0.8, 0.7)), 0.9)
    brick = Material(t.bricks((0.45, 0.22, 0.16), (0.85, 0.6, 0.48)), 1.2)
    lawn = Material(t.tinted("grass", (0.12, 0.26, 0.06), (0.55, 0.7, 0.28)), 0.8)
    slats = Material(t.planks(*PINE, 141, rows=4), 0.5)
    clay, soil = Material(t.plaster((0.74, 0.4, 0.27), 142, 0.35), 0.4), paint(0.2, 0.14, 0.1)
    glazed = _glossy(t.marble((0.2, 0.4, 0.55), (0.75, 0.85, 0.85), 143))
    zinc = _metal((0.66, 0.69, 0.7), 0.3)
    leaves = [
        Material(t.tinted("grass", (0.05, 0.2, 0.06), (0.4, 0.65, 0.25))),
        Material(t.tinted("grass", (0.2, 0.3, 0.05), (0.7, 0.75, 0.3))),
        Material(t.stripes([(0.15, 0.4, 0.18), (0.75, 0.8, 0.5)], 12, 144)),
    ]
    top = 0.72
    meshes = [
        *f.room(space.x, space.y, space.height, floor, brick),
        *placed(sheet(2.0, 1.3, lawn), (0.1, -0.2, 0.006), yaw=20),
        *placed(box(1.6, 0.35, 0.06, slats), (0.2, 1.15, 0.4)),
        *placed(box(0.1, 0.3, 0.4, slats), (-0.45, 1.15, 0)),
        *placed(box(0.1, 0.3, 0.4, slats), (0.85, 1.15, 0)),
        *placed(
            f.round_table(
                0.45,
                top,
                _glossy(
                    t.mosaic(
                        [(0.25, 0.45, 0.55), (0.9, 0.8, 0.55), (0.75, 0.35, 0.25)],
                        (0.85, 0.83, 0.8),
                        12,
                        145,
                    )
                ),
                zinc,
            ),
            (0.0, 0.0, 0),
        ),
        *placed(f.poster(t.photograph("hubble_deep_field"), 0.8, slats), (-1.0, space.y[1], 0.95)),
        *placed(f.poster(t.photograph("coffee"), 0.9, slats), (space.x[1], 0.1, 1.1), yaw=-90),
        *placed(f.poster(t.photograph("page"), 0.9, slats), (space.x[0], 0.1, 1.1), yaw=90),
        *placed(f.mug(glazed, paint(0.9, 0.9, 0.88)), (-0.24, -0.16, top), yaw=-100),
        *placed(f.plate(0.12, paint(0.92, 0.9, 0.85, "glossy")), (0.22, -0.14, top)),
        *placed(f.books_piled(2, BOOKS, rng), (0.2, 0.2, top)),
        *placed(f.flower_pot(0.09, clay, soil), (-0.1, 0.12, top)),
        *placed(f.foliage(0.15, 0.3, 14, leaves[1], rng), (-0.1, 0.12, top + 0.13)),
        *placed(f.chair(slats, slats), (-0.8, -0.1, 0), yaw=105),
        *placed(f.chair(slats, slats), (0.75, 0.35, 0), yaw=-60),
        *placed(
            lathe(
                [(0.13, 0.0), (0.13, 0.26), (0.1, 0.3), (0.1, 0.31), (0.09, 0.3)],
                zinc,
                smooth=False,
            ),
            (0.55, -0.6, 0),
        ),
        *placed(cylinder(0.02, 0.3, zinc), (0.66, -0.6, 0.08), pitch=40),
        *placed(
            ball(0.13, _glossy(t.tinted("moon", (0.3, 0.3, 0.32), (0.85, 0.85, 0.85)))),
            (-0.35, -0.75, 0),
        ),
        *placed(box(0.45, 0.3, 0.25, slats), (1.3, -0.45, 0), yaw=-20),
    ]
    for x, y, z, radius, height, leaf, pot in (
        (-1.45, 0.75, 0.0, 0.2, 0.8, 0, clay),
        (-1.05, 1.1, 0.0, 0.15, 0.5, 2, glazed),
        (1.4, 0.85, 0.0, 0.22, 0.9, 1, glazed),
        (-0.3, 1.15, 0.46, 0.1, 0.35, 1, clay),
        (0.1, 1.15, 0.46, 0.11, 0.4, 0, zinc),
        (0.55, 1.15, 0.46, 0.1, 0.3, 2, clay),
        (-1.35, -0.45, 0.0, 0.16, 0.45, 0, glazed),
        (1.25, -0.42, 0.25, 0.1, 0.35, 2, clay),
    ):
        meshes += placed(f.flower_pot(radius, pot, soil), (x, y, z))
        meshes += placed(
            f.foliage(0.5 * height, height, 20, leaves[leaf], rng), (x, y, z + 1.5 * radius)
        )
    return meshes


SCENES: tuple[Scene, ...] = (
    Scene(
        "bathroom",
        "test",
        1,
        Space((-1.9, 1.9), (-2.5, 1.35), 2.5),
        _bathroom,
        (Lamp("ceiling", (1.1, 1.2, 1.2)), Lamp("front", (1.6, 1.6, 1.6))),
        Orbit((-0.1, 0.15, 0.45), (1.7, 2.15), (15, 36), 112, fov=62),
    ),
    Scene(
        "breakfast",
        "test",
        2,
        Space((-2.2, 2.2), (-2.6, 1.8), 2.6),
        _breakfast,
        (
            Lamp("ceiling", (1.3, 1.3, 1.2)),
            Lamp("left", (2.6, 2.5, 2.3)),
            Lamp("front", (2.4, 2.4, 2.4)),
        ),
        Orbit((0.0, 0.0, 0.78), (1.35, 1.8), (13, 38), 116, fov=58),
    ),
    Scene(
        "colonnade",
        "val",
        3,
        Space((-2.2, 2.2), (-2.7, 1.6), 2.6),
        _colonnade,
        (Lamp("ceiling", (3.1, 3.0, 2.8)), Lamp("front", (2.6, 2.6, 2.5))),
        Orbit((0.0, 0.1, 0.6), (1.7, 2.2), (15, 36), 116, fov=60),
    ),
    Scene(
        "desk",
        "val",
        4,
        Space((-1.9, 1.9), (-2.2, 0.75), 2.5),
        _desk,
        (
            Lamp("ceiling", (1.8, 1.8, 1.8)),
            Lamp("left", (2.9, 2.8, 2.6)),
            Lamp("front", (2.4, 2.4, 2.4)),
        ),
        Orbit((0.0, 0.25, 0.82), (0.75, 1.05), (16, 40), 110, fov=56, sway=0.14),
    ),
    Scene(
        "gallery",
        "test",
        5,
        Space((-2.3, 2.3), (-2.6, 1.7), 2.7),
        _gallery,
        (Lamp("ceiling", (1.8, 1.8, 1.8)), Lamp("front", (2.6, 2.6, 2.5))),
        Orbit((0.1, 0.2, 0.7), (1.8, 2.3), (10, 32), 110, fov=60),
    ),
    Scene(
        "kitchen",
        "test",
        6,
        Space((-1.9, 1.9), (-2.3, 1.3), 2.5),
        _kitchen,
        (
            Lamp("ceiling", (1.7, 1.6, 1.5)),
            Lamp("right", (2.7, 2.7, 2.7)),
            Lamp("front", (2.4, 2.4, 2.4)),
        ),
        Orbit((0.0, 0.1, 0.95), (1.15, 1.55), (15, 38), 104, fov=60, sway=0.18),
    ),
    Scene(
        "library",
        "test",
        7,
        Space((-2.1, 2.1), (-2.6, 1.6), 2.6),
        _library,
        (
            Lamp("ceiling", (3.1, 2.9, 2.5)),
            Lamp("left", (4.7, 4.7, 4.9)),
            Lamp("front", (2.4, 2.4, 2.4)),
        ),
        Orbit((0.0, 0.15, 0.6), (1.7, 2.15), (14, 38), 106, fov=60),
    ),
    Scene(
        "lounge",
        "val",
        8,
        Space((-2.2, 2.2), (-2.6, 1.5), 2.5),
        _lounge,
        (
            Lamp("ceiling", (2.2, 2.1, 1.9)),
            Lamp("right", (3.8, 3.6, 3.2)),
            Lamp("front", (2.4, 2.4, 2.4)),
        ),
        Orbit((0.0, 0.1, 0.5), (1.6, 2.1), (13, 36), 112, fov=58),
    ),
    Scene(
        "playroom",
        "test",
        9,
        Space((-2.2, 2.2), (-2.5, 1.6), 2.4),
        _playroom,
        (Lamp("ceiling", (1.5, 1.5, 1.5)), Lamp("front", (2.6, 2.6, 2.5))),
        Orbit((0.0, 0.05, 0.45), (1.4, 1.9), (16, 40), 115, fov=60),
    ),
    Scene(
        "storeroom",
        "val",
        10,
        Space((-2.3, 2.3), (-2.6, 1.7), 2.7),
        _storeroom,
        (Lamp("ceiling", (2.9, 2.9, 2.9)), Lamp("front", (2.6, 2.6, 2.5))),
        Orbit((0.1, 0.1, 0.6), (1.7, 2.2), (14, 36), 110, facing=8, fov=62),
    ),
    Scene(
        "winter_garden",
        "test",
        11,
        Space((-2.1, 2.1), (-2.5, 1.5), 2.6),
        _winter_garden,
        (Lamp("ceiling", (2.7, 2.7, 2.6)), Lamp("front", (2.6, 2.6, 2.5))),
        Orbit((0.0, 0.05, 0.65), (1.4, 1.9), (14, 38), 110, facing=-6, fov=58),
    ),
    Scene(
        "workshop",
        "test",
        12,
        Space((-2.2, 2.2), (-2.5, 1.6), 2.6),
        _workshop,
        (
            Lamp("ceiling", (2.2, 2.2, 2.2)),
            Lamp("left", (3.4, 3.4, 3.6)),
            Lamp("front", (2.4, 2.4, 2.4)),
        ),
        Orbit((0.0, 0.1, 0.9), (1.4, 1.85), (12, 36), 116, fov=58),
    ),
)

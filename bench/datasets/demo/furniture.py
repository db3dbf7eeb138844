"""Things that stand in the demo rooms, put together from `shapes`.

Lengths are metres. Each function returns meshes that stand on z = 0, centred on the z axis and
facing -y, to be moved by `shapes.placed`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.datasets.demo.materials import paint
from bench.datasets.demo.shapes import (
    Material,
    Mesh,
    box,
    cylinder,
    disc,
    lathe,
    pillow,
    placed,
    ring,
    sheet,
    wall,
)
from bench.datasets.demo.textures import Colour, Texture, book_cover


def room(
    x: tuple[float, float],
    y: tuple[float, float],
    height: float,
    floor: Material,
    walls: Material,
    back: Material | None = None,
    ceiling: Material | None = None,
) -> list[Mesh]:
    """A closed box seen from inside; ``back`` covers the wall at the largest y."""
    width, depth = x[1] - x[0], y[1] - y[0]
    centre_x, centre_y = (x[0] + x[1]) / 2, (y[0] + y[1]) / 2
    white = paint(0.9, 0.9, 0.88)
    return [
        *placed(sheet(width, depth, floor), (centre_x, centre_y, 0)),
        *placed(sheet(width, depth, ceiling or white), (centre_x, centre_y, height), roll=180),
        *placed(wall(width, height, back or walls), (centre_x, y[1], 0)),
        *placed(wall(width, height, walls), (centre_x, y[0], 0), yaw=180),
        *placed(wall(depth, height, walls), (x[0], centre_y, 0), yaw=90),
        *placed(wall(depth, height, walls), (x[1], centre_y, 0), yaw=-90),
    ]


def poster(picture: Texture, width: float, frame: Material, border: float = 0.05) -> list[Mesh]:
    """A framed picture of the given width, 3 cm thick, its back at y = 0."""
    height = width * picture.shape[0] / picture.shape[1]
    canvas = wall(width, height, Material(picture))
    return [
        *placed(box(width + 2 * border, 0.03, height + 2 * border, frame), (0, -0.015, 0)),
        *placed(canvas, (0, -0.0325, border)),
    ]


def table(width: float, depth: float, height: float, top: Material, legs: Material) -> list[Mesh]:
    """A rectangular table on four square legs."""
    x, y = width / 2 - 0.06, depth / 2 - 0.06
    return [
        *placed(box(width, depth, 0.04, top), (0, 0, height - 0.04)),
        *_at_corners(box(0.06, 0.06, height - 0.04, legs), x, y),
    ]


def round_table(radius: float, height: float, top: Material, stand: Material) -> list[Mesh]:
    """A round top on a turned foot."""
    foot = [(0.3, 0.0), (0.28, 0.04), (0.07, 0.1), (0.05, 0.3), (0.05, height - 0.1), (0.2, height)]
    return [
        *placed(cylinder(radius, 0.04, top), (0, 0, height - 0.04)),
        *lathe([(r, min(z, height - 0.04)) for r, z in foot], stand),
    ]


def chair(wood: Material, seat: Material) -> list[Mesh]:
    """A chair with a slatted back at +y; its seat is 0.46 m high."""
    slats = [
        mesh
        for z in (0.58, 0.7, 0.82)
        for mesh in placed(box(0.36, 0.02, 0.07, wood), (0, 0.19, z))
    ]
    return [
        *_at_corners(box(0.04, 0.04, 0.42, wood), 0.19, 0.19),
        *placed(box(0.43, 0.43, 0.04, seat), (0, 0, 0.42)),
        *placed(box(0.04, 0.04, 0.46, wood), (-0.19, 0.19, 0.46)),
        *placed(box(0.04, 0.04, 0.46, wood), (0.19, 0.19, 0.46)),
        *slats,
    ]


def stool(radius: float, height: float, seat: Material, legs: Material) -> list[Mesh]:
    """A round seat on three splayed legs."""
    leg = placed(cylinder(0.018, height, legs), (-radius * 1.1, 0, 0), pitch=14)
    return [
        *placed(cylinder(radius, 0.05, seat), (0, 0, height - 0.05)),
        *(mesh for turn in (30, 150, 270) for mesh in placed(leg, yaw=turn)),
    ]


def shelf(width: float, depth: float, levels: Sequence[float], wood: Material) -> list[Mesh]:
    """An open case with boards whose upper faces are at the given heights; the last is its top."""
    height = levels[-1]
    board = box(width - 0.06, depth, 0.025, wood)
    return [
        *placed(box(0.03, depth, height, wood), (-width / 2 + 0.015, 0, 0)),
        *placed(box(0.03, depth, height, wood), (width / 2 - 0.015, 0, 0)),
        *placed(box(width - 0.06, 0.015, height, wood), (0, depth / 2 - 0.0075, 0)),
        *(mesh for level in levels for mesh in placed(board, (0, 0, level - 0.025))),
    ]


def sofa(width: float, cover: Material, legs: Material) -> list[Mesh]:
    """A two-seat sofa; its seat is 0.45 m high."""
    seat = pillow(width / 2 - 0.14, 0.7, 0.2, cover, squareness=0.3)
    arm = pillow(0.24, 0.85, 0.6, cover, squareness=0.3)
    return [
        *placed(box(width - 0.2, 0.8, 0.17, cover), (0, 0, 0.1)),
        *placed(seat, (-width / 4 + 0.07, -0.06, 0.26)),
        *placed(seat, (width / 4 - 0.07, -0.06, 0.26)),
        *placed(pillow(width - 0.2, 0.24, 0.68, cover, squareness=0.35), (0, 0.32, 0.2), roll=-8),
        *placed(arm, (-width / 2 + 0.08, 0, 0.06)),
        *placed(arm, (width / 2 - 0.08, 0, 0.06)),
        *_at_corners(cylinder(0.025, 0.12, legs), width / 2 - 0.15, 0.34),
    ]


def books_upright(width: float, palette: Sequence[Colour], rng: np.random.Generator) -> list[Mesh]:
    """A row of books along x, their spines towards -y, up to 0.27 m high and 0.2 m deep."""
    meshes: list[Mesh] = []
    x = -width / 2
    while True:
        thick, tall, deep = rng.uniform([0.018, 0.19, 0.14], [0.05, 0.27, 0.2])
        if x + thick > width / 2:
            return meshes
        book = box(thick - 0.002, deep, tall, _cover(palette, rng))
        meshes += placed(book, (x + thick / 2, deep / 2 - 0.1, 0))
        x += thick


def books_piled(count: int, palette: Sequence[Colour], rng: np.random.Generator) -> list[Mesh]:
    """Books lying on each other, each turned a little."""
    meshes: list[Mesh] = []
    z = 0.0
    for _ in range(count):
        wide, deep, thick = rng.uniform([0.2, 0.14, 0.02], [0.28, 0.2, 0.05])
        book = box(wide, deep, thick, _cover(palette, rng))
        meshes += placed(book, (0, 0, z), yaw=float(rng.uniform(-25, 25)))
        z += thick
    return meshes


def picture_stand(picture: Texture, width: float, frame: Material) -> list[Mesh]:
    """A framed photograph that leans back on a table."""
    return placed(poster(picture, width, frame, border=0.02), roll=-12)


def mug(material: Material, inside: Material) -> list[Mesh]:
    """A mug 9 cm high with a handle at +x."""
    handle = placed(ring(0.026, 0.006, material, sweep_deg=180), yaw=-90)
    return [
        *lathe([(0.0, 0.002), (0.034, 0.0), (0.04, 0.006), (0.04, 0.05), (0.04, 0.09)], material),
        *lathe([(0.04, 0.09), (0.036, 0.089), (0.036, 0.05), (0.034, 0.01), (0, 0.008)], inside),
        *placed(handle, (0.038, 0.006, 0.045), roll=90),
    ]


def bowl(radius: float, material: Material) -> list[Mesh]:
    """An open bowl a little over half as high as its radius."""
    outside = [(0.35, 0.0), (0.36, 0.03), (0.7, 0.15), (0.93, 0.4), (1.0, 0.6)]
    inside = [(1.0, 0.6), (0.95, 0.59), (0.88, 0.41), (0.65, 0.18), (0.0, 0.07)]
    return [
        *lathe([(radius * r, radius * z) for r, z in outside], material),
        *lathe([(radius * r, radius * z) for r, z in inside], material),
    ]


def plate(radius: float, material: Material) -> list[Mesh]:
    """A shallow plate."""
    outline = [(0.0, 0.008), (0.62, 0.008), (0.7, 0.012), (1.0, 0.022), (0.99, 0.016), (0.6, 0.0)]
    return lathe([(radius * r, z) for r, z in outline], material)


def vase(height: float, material: Material, belly: float = 0.3, neck: float = 0.1) -> list[Mesh]:
    """A vase; ``belly`` and ``neck`` are radii as shares of the height."""
    outline = [
        (0.6 * belly, 0.0),
        (0.75 * belly, 0.08),
        (belly, 0.38),
        (0.6 * belly + 0.4 * neck, 0.68),
        (neck, 0.84),
        (1.35 * neck, 1.0),
        (1.2 * neck, 0.985),
        (0.85 * neck, 0.84),
        (0.4 * neck, 0.6),
    ]
    return lathe([(height * r, height * z) for r, z in outline], material)


def bottle(height: float, glass: Material, label: Material) -> list[Mesh]:
    """A bottle with a label round its body."""
    outline = [(0.12, 0.0), (0.13, 0.03), (0.13, 0.6), (0.11, 0.68), (0.045, 0.8), (0.045, 0.97)]
    return [
        *lathe([(height * r, height * z) for r, z in [*outline, (0.0, 1.0)]], glass),
        *placed(
            lathe([(height * 0.133, 0), (height * 0.133, height * 0.32)], label, smooth=False),
            (0, 0, height * 0.18),
        ),
    ]


def saucepan(radius: float, height: float, metal: Material, handle: Material) -> list[Mesh]:
    """An open pan with a long handle at +x."""
    inner = radius - 0.006
    return [
        *lathe([(radius - 0.02, 0), (radius, 0.02), (radius, height)], metal, smooth=False),
        *lathe([(radius, height), (inner, height), (inner, 0.02), (0, 0.02)], metal, smooth=False),
        *placed(cylinder(0.012, 0.2, handle), (radius, 0, height - 0.025), pitch=90),
    ]


def barrel(radius: float, height: float, body: Material, lid: Material) -> list[Mesh]:
    """A drum with two rolled hoops."""
    bead = 0.02
    outline = [(radius, 0.0)]
    for share in (1 / 3, 2 / 3):
        z = height * share
        outline += [(radius, z - bead), (radius + bead, z), (radius, z + bead)]
    return [
        *lathe([*outline, (radius, height)], body, smooth=False),
        *placed(disc(radius, lid), (0, 0, height)),
    ]


def floor_lamp(height: float, pole: Material, shade: Material) -> list[Mesh]:
    """A lamp with a conical shade that is open above and below."""
    return [
        *cylinder(0.14, 0.03, pole),
        *cylinder(0.014, height - 0.1, pole),
        *placed(lathe([(0.22, 0), (0.13, 0.3)], shade, smooth=False), (0, 0, height - 0.3)),
    ]


def flower_pot(radius: float, pot: Material, soil: Material) -> list[Mesh]:
    """A tapered pot with a rim, filled with soil; as high as 1.7 radii."""
    outline = [(0.7, 0.0), (0.92, 1.35), (1.0, 1.36), (1.02, 1.7), (0.92, 1.7), (0.9, 1.5)]
    return [
        *lathe([(radius * r, radius * z) for r, z in outline], pot, smooth=False),
        *placed(disc(radius * 0.9, soil), (0, 0, radius * 1.55)),
    ]


def foliage(
    radius: float, height: float, leaves: int, leaf: Material, rng: np.random.Generator
) -> list[Mesh]:
    """Pointed leaves that lean outwards from the axis."""
    meshes: list[Mesh] = []
    for index in range(leaves):
        length = height * rng.uniform(0.7, 1.1)
        lean = np.degrees(np.arctan2(radius, height)) * rng.uniform(0.1, 1.0)
        blade = pillow(0.02 * length, 0.22 * length, length, leaf, squareness=1.0, segments=24)
        turn = 360 * index / leaves + float(rng.uniform(-20, 20))
        meshes += placed(placed(blade, (0.02, 0, 0), pitch=float(lean)), yaw=turn)
    return meshes


def pillar(radius: float, height: float, shaft: Material, base: Material) -> list[Mesh]:
    """A round column on a square base."""
    side = 2.5 * radius
    return [
        *box(side, side, 0.1, base),
        *placed(cylinder(radius, height - 0.2, shaft), (0, 0, 0.1)),
        *placed(box(side, side, 0.1, base), (0, 0, height - 0.1)),
    ]


def _cover(palette: Sequence[Colour], rng: np.random.Generator) -> Material:
    colour, accent = (palette[int(k)] for k in rng.choice(len(palette), size=2, replace=False))
    return Material(book_cover(colour, accent, int(rng.integers(1 << 16))))


def _at_corners(meshes: list[Mesh], x: float, y: float) -> list[Mesh]:
    corners = [(-x, -y), (x, -y), (x, y), (-x, y)]
    return [mesh for u, v in corners for mesh in placed(meshes, (u, v, 0))]

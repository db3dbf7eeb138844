"""Pictures that cover the demo scenes: procedural patterns and scikit-image's photographs.

Every function returns sRGB uint8 ``(H, W, 3)`` and repeats seamlessly unless it says otherwise.
Colours are sRGB triples in [0, 1]. Randomness comes from the seed alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import skimage.data
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Colour = tuple[float, float, float]
Texture = NDArray[np.uint8]
FloatArray = NDArray[np.float64]

SIDE = 512


def photograph(name: str) -> Texture:
    """A photograph from the scikit-image wheel (no download); does not repeat seamlessly.

    Args:
        name: a function of ``skimage.data``, for example ``"astronaut"``.
    """
    image = np.asarray(getattr(skimage.data, name)())
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    return np.ascontiguousarray(image[..., :3], dtype=np.uint8)


def tinted(name: str, dark: Colour, light: Colour) -> Texture:
    """A photograph whose brightness, stretched to its own range, runs between two colours."""
    grey = photograph(name).mean(axis=2)
    low, high = np.percentile(grey, [1, 99])
    return _blend(dark, light, np.clip((grey - low) / (high - low), 0, 1))


def bricks(dark: Colour, light: Colour) -> Texture:
    """Scikit-image's brick wall in two colours, turned so that its courses are level."""
    return np.ascontiguousarray(np.rot90(tinted("brick", dark, light)))


def plain(colour: Colour) -> Texture:
    """One colour: a surface without texture."""
    return _blend(colour, colour, np.zeros((2, 2)))


def plaster(colour: Colour, seed: int, contrast: float = 0.12) -> Texture:
    """A faintly blotchy painted wall."""
    shade = contrast * (fractal_noise(seed, slope=1.5) - 0.5)
    return _bytes(np.asarray(colour) * (1 + shade[..., None]))


def wood(dark: Colour, light: Colour, seed: int) -> Texture:
    """Wood grain that runs along the horizontal axis of the picture."""
    grain = fractal_noise(seed, slope=1.9, stretch=14)
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * 9 * grain)
    pores = fractal_noise(seed + 1, slope=0.7, stretch=30)
    return _blend(dark, light, 0.45 * grain + 0.3 * rings + 0.25 * pores)


def planks(dark: Colour, light: Colour, seed: int, rows: int = 6) -> Texture:
    """Floorboards: shifted pieces of one grain, each of its own brightness, with dark joints."""
    rng = np.random.default_rng(seed)
    grain = wood(dark, light, seed).astype(np.float64) / 255
    height = SIDE // rows
    floor = grain.copy()
    for row in range(rows):
        shift, joint = rng.integers(0, SIDE, size=2)
        board = np.roll(grain, (int(shift), int(shift) * 3), axis=(0, 1))[:height]
        columns = (np.arange(SIDE) - joint) % SIDE
        left, right = rng.uniform(0.72, 1.15, size=2)
        board = board * np.where(columns < SIDE // 2, left, right)[:, None]
        board[:, columns % (SIDE // 2) < 3] *= 0.35
        board[:3] *= 0.35
        floor[row * height : (row + 1) * height] = board
    return _bytes(floor)


def marble(base: Colour, vein: Colour, seed: int) -> Texture:
    """Stone with sharp winding veins."""
    ridge = np.abs(2 * fractal_noise(seed, slope=2.2) - 1)
    cloud = fractal_noise(seed + 1, slope=2.5)
    return _blend(vein, base, np.clip(0.75 * ridge**0.35 + 0.35 * cloud, 0, 1))


def tiles(colour: Colour, grout: Colour, count: int, seed: int, variation: float = 0.05) -> Texture:
    """A grid of ``count`` x ``count`` tiles; ``variation`` 0 makes all of them alike."""
    shade = np.random.default_rng(seed).uniform(-variation, variation, size=(count, count))
    row, column, inside = _grid(count, border=0.05)
    body = np.asarray(colour) * (1 + shade[row, column])[..., None]
    return _bytes(np.where(inside[..., None], body, np.asarray(grout)))


def mosaic(palette: Sequence[Colour], grout: Colour, count: int, seed: int) -> Texture:
    """A grid of tiles, each of a colour drawn from the palette."""
    pick = np.random.default_rng(seed).integers(0, len(palette), size=(count, count))
    row, column, inside = _grid(count, border=0.06)
    body = np.asarray(palette)[pick[row, column]]
    return _bytes(np.where(inside[..., None], body, np.asarray(grout)))


def checker(first: Colour, second: Colour, count: int, seed: int) -> Texture:
    """A chequered board of ``count`` x ``count`` fields, slightly mottled."""
    row, column, _ = _grid(count, border=0)
    board = np.where(((row + column) % 2)[..., None], np.asarray(first), np.asarray(second))
    return _bytes(board * (0.9 + 0.2 * fractal_noise(seed, slope=1.4)[..., None]))


def stripes(palette: Sequence[Colour], count: int, seed: int) -> Texture:
    """Vertical bands of random width, each of a colour of the palette, on a woven ground."""
    rng = np.random.default_rng(seed)
    edges = np.sort(rng.uniform(0, 1, size=count - 1))
    band = np.searchsorted(edges, np.linspace(0, 1, SIDE, endpoint=False))
    colours = np.asarray(palette)[np.arange(count) % len(palette)]
    return _bytes(colours[band][None] * _threads()[..., None])


def dots(ground: Colour, dot: Colour, count: int) -> Texture:
    """Polka dots on a square lattice with every second row shifted by half a step."""
    v, u = np.mgrid[0:SIDE, 0:SIDE] / SIDE * count
    u = u + 0.5 * (np.floor(v) % 2)
    inside = (u % 1 - 0.5) ** 2 + (v % 1 - 0.5) ** 2 < 0.3**2
    return _bytes(np.where(inside[..., None], np.asarray(dot), np.asarray(ground)))


def fabric(colour: Colour, seed: int) -> Texture:
    """A coarse woven cloth of one colour."""
    mottle = 0.75 + 0.5 * fractal_noise(seed, slope=1.0)
    return _bytes(np.asarray(colour) * (mottle * _threads())[..., None])


def damask(ground: Colour, motif: Colour, seed: int, count: int = 3) -> Texture:
    """Wallpaper: one mirror-symmetric motif, repeated exactly."""
    rng = np.random.default_rng(seed)
    v, u = np.mgrid[0:SIDE, 0:SIDE] / SIDE * 2 * np.pi * count
    field = np.zeros((SIDE, SIDE))
    for _ in range(7):
        m, n = rng.integers(0, 5, size=2)
        field += rng.normal() * np.cos(m * u) * np.cos(n * v + rng.uniform(0, 2 * np.pi))
    soft = 1 / (1 + np.exp(-8 * (field - np.median(field))))
    return _blend(ground, motif, soft)


def terrazzo(ground: Colour, chips: Sequence[Colour], seed: int) -> Texture:
    """Stone chips of random size and colour in a plain ground."""
    rng = np.random.default_rng(seed)
    centres = rng.uniform(0, SIDE, size=(420, 2))
    size = rng.uniform(3, 13, size=420)
    pixels = np.argwhere(np.ones((SIDE, SIDE))) + 0.5
    distance, nearest = cKDTree(centres, boxsize=SIDE).query(pixels)
    wobble = 1 + 1.2 * (fractal_noise(seed, slope=1.6).ravel() - 0.5)
    chip = np.asarray(chips)[rng.integers(0, len(chips), size=420)[nearest]]
    flat = np.where((distance < size[nearest] * wobble)[:, None], chip, np.asarray(ground))
    return _bytes(flat.reshape(SIDE, SIDE, 3))


def kilim(palette: Sequence[Colour], seed: int) -> Texture:
    """A rug: a four-fold symmetric stepped pattern inside a border; made to be shown once."""
    rng = np.random.default_rng(seed)
    quarter = rng.integers(0, len(palette), size=(14, 14))
    quarter = np.where(np.add.outer(np.arange(14), np.arange(14)) % 5 == 0, 0, quarter)
    half = np.concatenate([quarter, quarter[:, ::-1]], axis=1)
    whole = np.pad(np.concatenate([half, half[::-1]]), 2, constant_values=1)
    whole[[0, -1]] = whole[:, [0, -1]] = 2
    picture = np.asarray(palette)[np.kron(whole, np.ones((16, 16), dtype=np.intp))]
    return _bytes(picture * (0.8 + 0.4 * fractal_noise(seed, slope=0.6)[..., None]))


def book_cover(colour: Colour, accent: Colour, seed: int) -> Texture:
    """A cloth cover with bands and rows of blocks in place of lettering; shown once a face."""
    rng = np.random.default_rng(seed)
    cover = np.tile(np.asarray(colour), (SIDE, SIDE, 1))
    for edge in rng.uniform(0.04, 0.96, size=3):
        start = int(edge * SIDE)
        cover[start : start + int(rng.integers(6, 24))] = accent
    for top in range(int(0.25 * SIDE), int(0.7 * SIDE), 44):
        letters = rng.random(24) < 0.7
        letters[[0, 1, 2, -1, -2, -3]] = False
        line = np.repeat(letters, SIDE // 24 + 1)[:SIDE]
        cover[top : top + 22, line] = accent
    return _bytes(cover * (0.9 + 0.2 * fractal_noise(seed, slope=0.8)[..., None]))


def cardboard(label: Texture, seed: int) -> Texture:
    """A packing case: brown board, a strip of tape and a printed label; shown once a face."""
    rng = np.random.default_rng(seed)
    fibre = fractal_noise(seed, slope=1.2, stretch=4)
    board = _blend((0.52, 0.38, 0.24), (0.74, 0.58, 0.4), fibre).copy()
    board[:, 236:276] = _blend((0.72, 0.62, 0.45), (0.8, 0.7, 0.52), fibre)[:, 236:276]
    height, width = 150, 190
    rows = np.linspace(0, label.shape[0] - 1, height).astype(np.intp)
    columns = np.linspace(0, label.shape[1] - 1, width).astype(np.intp)
    top, left = rng.integers(20, SIDE - height - 20), rng.integers(20, SIDE - width - 20)
    board[top : top + height, left : left + width] = label[rows[:, None], columns]
    return board


def fractal_noise(seed: int, slope: float, stretch: float = 1.0) -> FloatArray:
    """Seamless noise in [0, 1], shape ``(SIDE, SIDE)``, with amplitude ~ frequency^-slope.

    Args:
        seed: of the random generator.
        slope: larger is smoother.
        stretch: how many times longer features are along the horizontal axis.
    """
    white = np.random.default_rng(seed).normal(size=(SIDE, SIDE))
    down = np.fft.fftfreq(SIDE)[:, None]
    across = np.fft.rfftfreq(SIDE)[None]
    frequency = np.hypot(down, across * stretch)
    frequency[0, 0] = np.inf
    noise = np.fft.irfft2(np.fft.rfft2(white) * frequency**-slope, s=(SIDE, SIDE))
    low, high = np.percentile(noise, [1, 99])
    return np.asarray(np.clip((noise - low) / (high - low), 0, 1), dtype=np.float64)


def _threads() -> FloatArray:
    v, u = np.mgrid[0:SIDE, 0:SIDE] * (2 * np.pi * 64 / SIDE)
    return np.asarray(0.88 + 0.12 * np.sin(u) * np.sin(v), dtype=np.float64)


def _grid(
    count: int, border: float
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_]]:
    """Row, column of the cell of each pixel, and whether it lies inside the cell's border."""
    v, u = (np.mgrid[0:SIDE, 0:SIDE] + 0.5) / SIDE * count
    inside = (np.minimum(u % 1, 1 - u % 1) > border) & (np.minimum(v % 1, 1 - v % 1) > border)
    return v.astype(np.intp), u.astype(np.intp), inside


def _blend(first: Colour, second: Colour, amount: FloatArray) -> Texture:
    weight = amount[..., None]
    return _bytes(np.asarray(first) * (1 - weight) + np.asarray(second) * weight)


def _bytes(image: FloatArray) -> Texture:
    return np.clip(np.rint(image * 255), 0, 255).astype(np.uint8)

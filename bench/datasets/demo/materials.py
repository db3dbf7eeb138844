"""Palettes and finishes that the demo's rooms share. Colours are sRGB in [0, 1]."""

from __future__ import annotations

from bench.datasets.demo.shapes import Finish, Material
from bench.datasets.demo.textures import Colour, Texture, plain
from bench.datasets.demo.textures import wood as grain

BOOKS: tuple[Colour, ...] = (
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


def paint(
    red: float, green: float, blue: float, finish: Finish = "matte", roughness: float = 0.15
) -> Material:
    """A surface of one colour."""
    return Material(plain((red, green, blue)), None, finish, roughness)


def metal(colour: Colour, roughness: float = 0.22) -> Material:
    """Brushed metal of one colour."""
    return paint(*colour, finish="metal", roughness=roughness)


def glossy(texture: Texture, repeat_m: float | None = None, roughness: float = 0.1) -> Material:
    """A varnished picture."""
    return Material(texture, repeat_m, "glossy", roughness)


def wood(tones: tuple[Colour, Colour], seed: int, repeat_m: float = 0.9) -> Material:
    """Bare wood whose grain repeats every ``repeat_m`` metres."""
    return Material(grain(*tones, seed), repeat_m)

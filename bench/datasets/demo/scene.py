"""What a room of the demo is: its extents, what stands in it, its lamps and its cameras.

Lengths are metres, angles degrees, z points up. Every room is a closed box, so every pixel has a
depth. The seed of a scene drives both its clutter and its cameras.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from bench.datasets.demo.cameras import Orbit
from bench.datasets.demo.shapes import Material, Mesh, Vector, placed, sheet, wall
from bench.datasets.demo.textures import plain


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
    glow = Material(plain((1, 1, 1)), radiance=lamp.radiance)
    if lamp.side == "ceiling":
        panel = sheet(0.75 * (x1 - x0), 0.75 * (y1 - y0), glow)
        return placed(panel, ((x0 + x1) / 2, (y0 + y1) / 2, top - 0.01), roll=180)
    window = wall(1.8, 1.3, glow)
    if lamp.side == "front":
        return placed(window, ((x0 + x1) / 2, y0 + 0.01, 1.0), yaw=180)
    x, yaw = (x0 + 0.01, 90.0) if lamp.side == "left" else (x1 - 0.01, -90.0)
    return placed(window, (x, y0 + 1.1, 1.0), yaw=yaw)

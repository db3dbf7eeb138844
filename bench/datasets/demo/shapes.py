"""Triangle meshes with texture coordinates: the only kind of surface in the demo scenes.

Lengths are metres, angles degrees, z points up. Each shape stands on the plane z = 0, centred on
the z axis, until `placed` moves it. Everything is a mesh so that a scene's geometry is plain
numbers and the same on every renderer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from bench.datasets.demo.textures import FloatArray, Texture

IndexArray = NDArray[np.uint32]
Vector = tuple[float, float, float]

Finish = Literal["matte", "glossy", "metal"]


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        texture: sRGB picture.
        repeat_m: width in metres of one repeat of the picture; None stretches it over each face.
        finish: ``matte`` is diffuse, ``glossy`` a varnish over the picture, ``metal`` a rough
            mirror whose reflectance is the picture.
        roughness: width of the highlight (Beckmann alpha); unused by ``matte``.
        radiance: emitted linear RGB, None for a surface that is no lamp.
    """

    texture: Texture
    repeat_m: float | None = None
    finish: Finish = "matte"
    roughness: float = 0.15
    radiance: Vector | None = None


@dataclass(frozen=True)
class Mesh:
    """A textured surface.

    Attributes:
        vertices: ``(V, 3)`` in metres.
        uv: ``(V, 2)``, one unit is one repeat of the picture, v points up the picture.
        faces: ``(F, 3)`` vertex indices.
        normals: ``(V, 3)`` for smooth shading, or None for flat faces.
        material: how it looks.
    """

    vertices: FloatArray
    uv: FloatArray
    faces: IndexArray
    normals: FloatArray | None
    material: Material


def merged(meshes: Iterable[Mesh]) -> list[Mesh]:
    """The same surfaces with one mesh per material and kind of shading."""
    groups: dict[tuple[int, bool], list[Mesh]] = {}
    for mesh in meshes:
        groups.setdefault((id(mesh.material), mesh.normals is None), []).append(mesh)
    return [_joined(group) for group in groups.values()]


def placed(
    meshes: Iterable[Mesh],
    at: Vector = (0.0, 0.0, 0.0),
    yaw: float = 0.0,
    pitch: float = 0.0,
    roll: float = 0.0,
) -> list[Mesh]:
    """Turn by roll about x, then pitch about y, then yaw about z (degrees), then move."""
    turn = Rotation.from_euler("xyz", [roll, pitch, yaw], degrees=True).as_matrix()
    return [
        replace(
            mesh,
            vertices=mesh.vertices @ turn.T + np.asarray(at),
            normals=None if mesh.normals is None else mesh.normals @ turn.T,
        )
        for mesh in meshes
    ]


def box(width: float, depth: float, height: float, material: Material) -> list[Mesh]:
    """A cuboid (x, y, z extents) that shows the picture upright on its sides."""
    half_w, half_d = width / 2, depth / 2
    sides = [
        placed(wall(width, height, material), (0, -half_d, 0)),
        placed(wall(width, height, material), (0, half_d, 0), yaw=180),
        placed(wall(depth, height, material), (half_w, 0, 0), yaw=90),
        placed(wall(depth, height, material), (-half_w, 0, 0), yaw=-90),
        placed(sheet(width, depth, material), (0, 0, height)),
        placed(sheet(width, depth, material), roll=180),
    ]
    return [mesh for side in sides for mesh in side]


def sheet(width: float, depth: float, material: Material) -> list[Mesh]:
    """A horizontal rectangle that faces up; the picture's top is at +y."""
    x, y = width / 2, depth / 2
    vertices = np.array([[-x, -y, 0], [x, -y, 0], [x, y, 0], [-x, y, 0]])
    uv = _scaled(np.array([[0, 0], [1, 0], [1, 1], [0, 1]]), width, depth, material)
    faces = np.array([[0, 1, 2], [0, 2, 3]], dtype=np.uint32)
    return [Mesh(vertices, uv, faces, None, material)]


def wall(width: float, height: float, material: Material) -> list[Mesh]:
    """A vertical rectangle that faces -y, its lower edge at z = 0."""
    return placed(sheet(width, height, material), (0, 0, height / 2), roll=90)


def disc(radius: float, material: Material) -> list[Mesh]:
    """A horizontal disc that faces up, with the picture laid flat on it."""
    segments = _segments(radius)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    plane = np.concatenate([np.zeros((1, 2)), rim])
    vertices = np.concatenate([radius * plane, np.zeros((segments + 1, 1))], axis=1)
    uv = _scaled(0.5 + 0.5 * plane, 2 * radius, 2 * radius, material)
    step = np.arange(segments)
    faces = np.stack([np.zeros_like(step), 1 + step, 1 + (step + 1) % segments], axis=1)
    return [Mesh(vertices, uv, faces.astype(np.uint32), None, material)]


def cylinder(
    radius: float, height: float, material: Material, cap: Material | None = None
) -> list[Mesh]:
    """A closed upright cylinder; ``cap`` covers its ends, by default like the side."""
    end = disc(radius, cap or material)
    side = lathe([(radius, 0.0), (radius, height)], material, smooth=False)
    return [*side, *placed(end, (0, 0, height)), *placed(end, roll=180)]


def lathe(
    profile: Sequence[tuple[float, float]],
    material: Material,
    smooth: bool = True,
    sweep_deg: float = 360.0,
) -> list[Mesh]:
    """A surface of revolution about z.

    Args:
        profile: (radius, z) points along the outline.
        material: how it looks; the picture's width goes round the axis.
        smooth: draw a monotone cubic through the points instead of straight pieces.
        sweep_deg: how far the outline turns.
    """
    outline = np.asarray(profile, dtype=np.float64)
    length = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(outline, axis=0), axis=1))])
    # Short rows keep triangles from becoming slivers, on which renderers lose accuracy.
    rows = 12 * len(outline) if smooth else 2 + int(length[-1] / 0.04)
    finer = np.linspace(0, length[-1], rows)
    if smooth:
        outline = PchipInterpolator(length, outline)(finer)
    else:
        finer = np.union1d(finer, length)
        outline = np.stack([np.interp(finer, length, axis) for axis in outline.T], axis=1)
    radius, z = outline[:, :1], outline[:, 1:]
    angle = np.radians(np.linspace(0, sweep_deg, _segments(float(radius.max())) + 1))
    points = np.stack(
        [radius * np.cos(angle), radius * np.sin(angle), np.broadcast_to(z, (len(z), len(angle)))],
        axis=-1,
    )
    u, v = np.meshgrid(np.linspace(0, 1, len(angle)), finer / finer[-1])
    girth = float(np.radians(sweep_deg) * radius.max())
    uv = _scaled(np.stack([u, v], axis=-1), girth, float(finer[-1]), material)
    return [_surface(points, uv, material, closed=sweep_deg == 360)]


def ring(radius: float, tube: float, material: Material, sweep_deg: float = 360.0) -> list[Mesh]:
    """A torus round the z axis that lies on the ground, or a part of one."""
    angle = np.linspace(0, 2 * np.pi, 25)
    profile = np.stack([radius + tube * np.cos(angle), tube + tube * np.sin(angle)], axis=1)
    return lathe([(float(r), float(z)) for r, z in profile], material, False, sweep_deg)


def ball(radius: float, material: Material) -> list[Mesh]:
    """A sphere that touches the ground."""
    return pillow(2 * radius, 2 * radius, 2 * radius, material, squareness=1.0)


def pillow(
    width: float,
    depth: float,
    height: float,
    material: Material,
    squareness: float = 0.5,
    segments: int = 96,
) -> list[Mesh]:
    """A superellipsoid: 1 is an ellipsoid, towards 0 it nears a box with rounded edges."""
    longitude = np.linspace(-np.pi, np.pi, segments + 1)
    latitude = np.linspace(-np.pi / 2, np.pi / 2, segments // 2 + 1)[:, None]

    def power(value: FloatArray) -> FloatArray:
        return np.asarray(np.sign(value) * np.abs(value) ** squareness)

    across = power(np.cos(latitude))
    points = np.stack(
        [
            width / 2 * across * power(np.cos(longitude)),
            depth / 2 * across * power(np.sin(longitude)),
            np.broadcast_to(height / 2 * (1 + power(np.sin(latitude))), across.shape)
            + np.zeros_like(longitude),
        ],
        axis=-1,
    )
    u, v = np.meshgrid(np.linspace(0, 1, segments + 1), np.linspace(0, 1, len(latitude)))
    girth = np.pi / 2 * (width + depth)
    uv = _scaled(np.stack([u, v], axis=-1), girth, np.pi / 2 * height, material)
    return [_surface(points, uv, material, closed=True)]


def _segments(radius: float) -> int:
    """How many straight pieces make a circle: about 4 mm each, between 24 and 96."""
    return int(np.clip(2 * np.pi * radius / 0.004, 24, 96))


def _joined(group: list[Mesh]) -> Mesh:
    starts = np.cumsum([0] + [len(mesh.vertices) for mesh in group[:-1]]).astype(np.uint32)
    normals = [mesh.normals for mesh in group if mesh.normals is not None]
    return Mesh(
        vertices=np.concatenate([mesh.vertices for mesh in group]),
        uv=np.concatenate([mesh.uv for mesh in group]),
        faces=np.concatenate(
            [mesh.faces + start for mesh, start in zip(group, starts, strict=True)]
        ),
        normals=np.concatenate(normals) if normals else None,
        material=group[0].material,
    )


def _scaled(uv: NDArray[np.generic], width: float, height: float, material: Material) -> FloatArray:
    if material.repeat_m is None:
        return np.asarray(uv, dtype=np.float64)
    return np.asarray(uv * np.array([width, height]) / material.repeat_m, dtype=np.float64)


def _surface(points: FloatArray, uv: FloatArray, material: Material, closed: bool) -> Mesh:
    """A mesh over a grid ``(M, N, 3)`` of points; ``closed`` if the last column is the first."""
    rows, columns = points.shape[:2]
    index = np.arange(rows * columns, dtype=np.uint32).reshape(rows, columns)
    corners = [index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]]
    a, b, c, d = (corner.ravel() for corner in corners)
    faces = np.concatenate([np.stack([a, b, c], axis=1), np.stack([a, c, d], axis=1)])
    vertices = points.reshape(-1, 3)
    p, q, r = (vertices[faces[:, k]] for k in range(3))
    cross = np.cross(q - p, r - p)
    keep = np.linalg.norm(cross, axis=1) > 1e-12
    faces, cross = faces[keep], cross[keep]
    normals = np.zeros_like(vertices)
    for k in range(3):
        np.add.at(normals, faces[:, k], cross)
    if closed:
        grid = normals.reshape(points.shape)
        grid[:, 0] = grid[:, -1] = grid[:, 0] + grid[:, -1]
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = np.where(length > 0, normals / np.where(length > 0, length, 1), [0.0, 0.0, 1.0])
    return Mesh(vertices, uv.reshape(-1, 2), faces, normals, material)

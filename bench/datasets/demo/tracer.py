"""Mitsuba 3: the demo's scenes as its objects, exact depth and path-traced pictures."""

from __future__ import annotations

import importlib
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.datasets.demo.cameras import HEIGHT, WIDTH, Orbit
from bench.datasets.demo.denoise import filter_light
from bench.datasets.demo.shapes import Material, Mesh, merged
from bench.datasets.demo.textures import FloatArray, Texture
from bench.errors import BenchError

NEAR_M = 0.01
FARTHEST_M = 6.5


def load_mitsuba() -> Any:
    """Mitsuba 3 with its scalar variant, which runs on any CPU.

    Raises:
        BenchError: Mitsuba is not installed.
    """
    try:
        mitsuba = importlib.import_module("mitsuba")
    except ImportError as error:
        raise BenchError(
            "Rendering the demo dataset needs Mitsuba 3, which is not installed.",
            hint='Run: pip install "bench3d[render]"',
        ) from error
    mitsuba.set_variant("scalar_rgb")
    return mitsuba


def lit_scene(mitsuba: Any, meshes: Iterable[Mesh]) -> Any:
    """Surfaces that reflect the light of lamps, as a Mitsuba scene without a camera."""
    return _scene(mitsuba, [_lit_shape(mitsuba, mesh) for mesh in merged(meshes)])


def glowing_scene(mitsuba: Any, meshes: Iterable[Mesh]) -> Any:
    """The same surfaces, black, each giving off its own colour.

    A picture of it shows reflectance, without noise.
    """
    surfaces = merged(meshes)
    # Mitsuba's emitters have one side only, so each surface glows a second time, turned over.
    turned = [replace(mesh, faces=mesh.faces[:, ::-1]) for mesh in surfaces]
    return _scene(mitsuba, [_glowing_shape(mitsuba, mesh) for mesh in surfaces + turned])


def z_depth(mitsuba: Any, scene: Any, orbit: Orbit, world_from_camera: FloatArray) -> FloatArray:
    """Depth along the optical axis at every pixel centre, ``(HEIGHT, WIDTH)`` metres.

    Raises:
        BenchError: a ray leaves the room, or a surface is too far for the depth format.
    """
    # A stratified sampler without jitter and with one sample takes the centre of each pixel.
    sensor = _sensor(mitsuba, orbit, world_from_camera, 1, "stratified", 0, jitter=False)
    beyond_near = _rendered(mitsuba, scene, sensor, {"type": "depth"})[..., 0]
    v, u = np.mgrid[0:HEIGHT, 0:WIDTH] + 0.5
    pixel = np.stack([u, v, np.ones_like(u)], axis=-1)
    ray = pixel @ np.linalg.inv(orbit.intrinsics()).T
    # The renderer measures along the ray, from where it crosses the near plane.
    depth = NEAR_M + beyond_near / np.linalg.norm(ray, axis=-1)
    if not (beyond_near.min() > 0 and depth.max() < FARTHEST_M):
        raise BenchError(
            f"Depth from {world_from_camera[:3, 3].round(3)} runs from {depth.min():.3f} to "
            f"{depth.max():.3f} m.",
            hint=f"Every surface must be nearer than {FARTHEST_M} m, and the room closed.",
        )
    return np.asarray(depth)


def photograph(
    mitsuba: Any,
    lit: Any,
    glowing: Any,
    orbit: Orbit,
    world_from_camera: FloatArray,
    depth: FloatArray,
    spp: int,
    seed: int,
) -> Texture:
    """Path-traced sRGB picture ``(HEIGHT, WIDTH, 3)``.

    Args:
        mitsuba: the loaded module.
        lit: of `lit_scene`.
        glowing: of `glowing_scene`.
        orbit: gives the intrinsics.
        world_from_camera: ``(4, 4)``.
        depth: of `z_depth`, for this camera.
        spp: rays per pixel.
        seed: of the sampler.
    """
    # The same seed sends the same rays, so that reflectance and picture agree along edges too.
    sensor = _sensor(mitsuba, orbit, world_from_camera, spp, "multijitter", seed)
    noisy = _rendered(mitsuba, lit, sensor, {"type": "path", "max_depth": 3})
    sensor = _sensor(mitsuba, orbit, world_from_camera, spp, "multijitter", seed)
    colour = _rendered(mitsuba, glowing, sensor, {"type": "path", "max_depth": 1})
    linear = np.clip(filter_light(noisy, colour, depth), 0, 1)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.asarray(np.rint(255 * encoded), dtype=np.uint8)


def _rendered(mitsuba: Any, scene: Any, sensor: Any, integrator: dict[str, Any]) -> FloatArray:
    image = mitsuba.render(scene, sensor=sensor, integrator=mitsuba.load_dict(integrator))
    return np.array(image, dtype=np.float64)[..., :3]


def _sensor(
    mitsuba: Any,
    orbit: Orbit,
    world_from_camera: FloatArray,
    spp: int,
    sampler: str,
    seed: int,
    **options: Any,
) -> Any:
    # Mitsuba's cameras look along z like OpenCV's, but their x points left and their y up.
    to_world = world_from_camera @ np.diag([-1.0, -1.0, 1.0, 1.0])
    film = {
        "type": "hdrfilm",
        "width": WIDTH,
        "height": HEIGHT,
        "pixel_format": "rgb",
        "rfilter": {"type": "box"},
    }
    return mitsuba.load_dict(
        {
            "type": "perspective",
            "fov": orbit.fov,
            "fov_axis": "x",
            "near_clip": NEAR_M,
            "far_clip": 100.0,
            "to_world": mitsuba.ScalarTransform4f(to_world),
            "film": film,
            "sampler": {"type": sampler, "sample_count": spp, "seed": seed, **options},
        }
    )


def _scene(mitsuba: Any, shapes: list[Any]) -> Any:
    return mitsuba.load_dict(
        {"type": "scene", **{f"shape{index}": shape for index, shape in enumerate(shapes)}}
    )


def _lit_shape(mitsuba: Any, mesh: Mesh) -> Any:
    parts = {"surface": _bsdf(mitsuba, mesh.material)}
    if mesh.material.radiance is not None:
        radiance = {"type": "rgb", "value": list(mesh.material.radiance)}
        parts["lamp"] = {"type": "area", "radiance": radiance}
    return _shape(mitsuba, mesh, parts)


def _glowing_shape(mitsuba: Any, mesh: Mesh) -> Any:
    black = {"type": "diffuse", "reflectance": {"type": "rgb", "value": 0.0}}
    glow = {"type": "area", "radiance": _bitmap(mitsuba, mesh.material)}
    return _shape(mitsuba, mesh, {"surface": black, "lamp": glow})


def _shape(mitsuba: Any, mesh: Mesh, parts: dict[str, dict[str, Any]]) -> Any:
    properties = mitsuba.Properties()
    for name, part in parts.items():
        properties[name] = mitsuba.load_dict(part)
    shape = mitsuba.Mesh(
        "mesh",
        vertex_count=len(mesh.vertices),
        face_count=len(mesh.faces),
        has_vertex_normals=mesh.normals is not None,
        has_vertex_texcoords=True,
        props=properties,
    )
    values = mitsuba.traverse(shape)
    values["vertex_positions"] = mesh.vertices.ravel()
    values["vertex_texcoords"] = (mesh.uv * [1, -1]).ravel()  # Mitsuba's v points down a bitmap
    values["faces"] = mesh.faces.ravel()
    if mesh.normals is not None:
        values["vertex_normals"] = mesh.normals.ravel()
    values.update()
    return shape


def _bsdf(mitsuba: Any, material: Material) -> dict[str, Any]:
    picture = _bitmap(mitsuba, material)
    surfaces: dict[str, dict[str, Any]] = {
        "matte": {"type": "diffuse", "reflectance": picture},
        "glossy": {
            "type": "roughplastic",
            "diffuse_reflectance": picture,
            "alpha": material.roughness,
        },
        "metal": {
            "type": "roughconductor",
            "material": "none",
            "specular_reflectance": picture,
            "alpha": material.roughness,
        },
    }
    return {"type": "twosided", "surface": surfaces[material.finish]}


def _bitmap(mitsuba: Any, material: Material) -> dict[str, Any]:
    return {"type": "bitmap", "bitmap": mitsuba.Bitmap(material.texture)}

"""Take the noise out of a path-traced picture without touching its texture.

The picture is divided by the surfaces' own colour, which a renderer knows exactly; what is left,
the light, is smooth inside a surface and can be averaged over neighbours. The averaging is the
edge-avoiding a-trous wavelet of Dammertz, Sewtz, Hanika and Lensch, "Edge-Avoiding A-Trous Wavelet
Transform for fast Global Illumination Filtering" (HPG 2010).
"""

from __future__ import annotations

import numpy as np

from bench.datasets.demo.textures import FloatArray

KERNEL = np.array([1, 4, 6, 4, 1]) / 16
LEVELS = 3

# How far two pixels may differ, to 1/e of the weight, and still be averaged: in relative depth off
# the plane through the first one, in colour (sum over RGB), in log brightness.
OFF_PLANE = 0.004
COLOUR = 0.15
LOG_LIGHT = 0.35

# Keeps highlights, which black surfaces show too, from being divided by zero.
DARKEST = 0.03


def filter_light(picture: FloatArray, colour: FloatArray, depth: FloatArray) -> FloatArray:
    """Average the light over neighbours on the same surface.

    Args:
        picture: noisy linear RGB ``(H, W, 3)``.
        colour: the surfaces' reflectance ``(H, W, 3)``, of the same rays.
        depth: z-depth at the pixel centres ``(H, W)``, positive.

    Returns:
        Linear RGB ``(H, W, 3)``.
    """
    light = picture / (colour + DARKEST)
    near = 1 / depth  # linear in the image on a plane, so its slope foretells the neighbours
    slope = [_smaller_slope(near, axis) for axis in (0, 1)]
    for level in range(LEVELS):
        level_light = _box_mean(np.log(light.mean(axis=-1) + DARKEST))
        total, weights = np.zeros_like(light), np.zeros_like(depth)
        for row in range(-2, 3):
            for column in range(-2, 3):
                down, right = row * 2**level, column * 2**level
                plane = near + slope[0] * down + slope[1] * right
                misfit = (
                    np.abs(_moved(near, down, right) - plane) / (OFF_PLANE * near)
                    + np.abs(_moved(colour, down, right) - colour).sum(axis=-1) / COLOUR
                    + np.abs(_moved(level_light, down, right) - level_light) / LOG_LIGHT
                )
                weight = KERNEL[row + 2] * KERNEL[column + 2] * np.exp(-misfit)
                total += weight[..., None] * _moved(light, down, right)
                weights += weight
        light = total / weights[..., None]
    return np.asarray(light * (colour + DARKEST))


def _moved(image: FloatArray, down: int, right: int) -> FloatArray:
    """The image read ``down`` and ``right`` pixels further on; beyond the border, the border."""
    rows = np.clip(np.arange(image.shape[0]) + down, 0, image.shape[0] - 1)
    columns = np.clip(np.arange(image.shape[1]) + right, 0, image.shape[1] - 1)
    return np.asarray(np.take(np.take(image, rows, axis=0), columns, axis=1))


def _box_mean(image: FloatArray) -> FloatArray:
    steps = (-1, 0, 1)
    return np.asarray(sum(_moved(image, down, right) for down in steps for right in steps)) / 9


def _smaller_slope(image: FloatArray, axis: int) -> FloatArray:
    """The flatter one of forward and backward difference: the one that stays on the surface."""
    forward = np.diff(image, axis=axis, append=np.take(image, [-1], axis=axis))
    backward = np.diff(image, axis=axis, prepend=np.take(image, [0], axis=axis))
    inside = np.abs(forward) < np.abs(backward)
    return np.asarray(np.where(inside, forward, backward))

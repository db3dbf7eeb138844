"""View sets by a random walk over what sees what: reproducible, without duplicates.

The walk on the covisibility graph follows Map-Anything (facebookresearch/map-anything); unlike it,
nothing is drawn with replacement and nothing is replaced silently: a scene that has not enough
distinct sets gives fewer.
"""

from __future__ import annotations

import random

import numpy as np
from numpy.typing import NDArray

#: Draws for one set before the scene counts as exhausted.
ATTEMPTS = 50


def sample_view_sets(
    covisibility: NDArray[np.floating],
    num_views: int,
    count: int,
    threshold: float,
    key: str,
) -> list[tuple[int, ...]]:
    """Up to `count` different sets of `num_views` different views.

    Args:
        covisibility: [N, N], share of view i seen in view j.
        threshold: two views are neighbours if the mean of the two shares exceeds it, each
            divided by the view's own (the diagonal).
        key: text that seeds the draw (dataset, scene, seed).

    Returns:
        Indices in the order of the walk; the first is the reference view.
    """
    neighbours = _neighbours(covisibility, threshold)
    found: dict[frozenset[int], tuple[int, ...]] = {}
    for index in range(count):
        for attempt in range(ATTEMPTS):
            # random.Random(text).random() is the same on every platform and Python version.
            draw = random.Random(f"{key}/{index}/{attempt}")
            walked = _walk(neighbours, num_views, draw)
            if len(walked) == num_views and frozenset(walked) not in found:
                found[frozenset(walked)] = walked
                break
    return list(found.values())


def thin(count: int, limit: int) -> list[int]:
    """At most `limit` indices below `count`, evenly spread, first and last included."""
    if count <= limit:
        return list(range(count))
    if limit == 1:
        return [0]
    return [round(i * (count - 1) / (limit - 1)) for i in range(limit)]


def pick(candidates: list[int], draw: random.Random) -> int:
    """One of `candidates`, uniformly."""
    return candidates[int(draw.random() * len(candidates))]


def _neighbours(covisibility: NDArray[np.floating], threshold: float) -> list[list[int]]:
    shares = np.asarray(covisibility, dtype=np.float64)
    own = np.diagonal(shares)
    normalised = np.divide(shares, own[:, None], out=np.zeros_like(shares), where=own[:, None] > 0)
    near = (normalised + normalised.T) / 2 > threshold
    np.fill_diagonal(near, False)
    return [np.flatnonzero(row).tolist() for row in near]


def _walk(neighbours: list[list[int]], length: int, draw: random.Random) -> tuple[int, ...]:
    """Walk to unvisited neighbours, stepping back from dead ends; shorter where none are left."""
    if not neighbours:
        return ()
    start = pick(list(range(len(neighbours))), draw)
    visited, path = [start], [start]
    while path and len(visited) < length:
        ahead = [view for view in neighbours[path[-1]] if view not in visited]
        if ahead:
            chosen = pick(ahead, draw)
            visited.append(chosen)
            path.append(chosen)
        else:
            path.pop()
    return tuple(visited)

"""Principal components and clusters of features whose signs and order mean the same everywhere."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA

Floats = NDArray[np.float64]

#: Fewer rows than this many per component say nothing about a component.
MIN_ROWS_PER_COMPONENT = 2
_RESTARTS = 2
#: Components below this share of the variance are rounding.
_ROUNDING = 1e-12


@dataclass(frozen=True)
class Components:
    """Scores [N, k] of the first k principal components, and the variance each explains [k]."""

    scores: Floats
    explained: Floats


@dataclass(frozen=True)
class Clusters:
    """Labels [N] from 0 to k - 1, and the share of the variance between clusters."""

    labels: NDArray[np.uint8]
    explained: float


@dataclass(frozen=True)
class Undefined:
    """Why there are no components or clusters, in words for a reader."""

    reason: str


def principal_components(rows: Floats, count: int, cues: Floats) -> Components | Undefined:
    """Principal components of rows [N, D] in order of variance, signs fixed by `cues`.

    The sign of a principal component is arbitrary. It is chosen so that the scores correlate
    positively with the first of the cues [N, C] that they correlate with at all, which makes the
    signs of different backbones comparable. Components that the rows do not have, since they span
    fewer dimensions, are exactly zero.
    """
    needed = MIN_ROWS_PER_COMPONENT * count
    if len(rows) < needed:
        return Undefined(f"{len(rows)} usable patches, {needed} needed")
    if not np.ptp(rows, axis=0).any():
        return Undefined("all features are equal")
    found = min(count, rows.shape[1])
    solver = "arpack" if found < rows.shape[1] else "full"
    model = PCA(n_components=found, svd_solver=solver, random_state=0)
    scores, explained = np.zeros((len(rows), count)), np.zeros(count)
    scores[:, :found] = model.fit_transform(rows)
    explained[:found] = model.explained_variance_ratio_
    rounding = explained < _ROUNDING
    scores[:, rounding] = 0.0
    explained[rounding] = 0.0
    return Components(scores * _signs(scores, cues), explained)


def k_means(rows: Floats, count: int, cues: Floats, seed: int) -> Clusters | Undefined:
    """Clusters of unit rows [N, D], so by cosine, ordered by the mean of the first cue [N, C]."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(norms > 0, norms, 1.0)
    distinct = len(np.unique(unit, axis=0)) if len(unit) else 0
    if distinct < count:
        return Undefined(f"{distinct} different features, {count} needed")
    found = np.asarray(KMeans(count, n_init=_RESTARTS, random_state=seed).fit(unit).labels_)
    members = np.eye(count)[found]
    sizes = members.sum(0)
    rank = np.argsort(np.argsort(members.T @ cues[:, 0] / sizes, kind="stable"), kind="stable")
    # From the labels alone: the last bits of a fit's own inertia depend on the order of threads.
    means = members.T @ unit / sizes[:, None] - unit.mean(0)
    between = float((sizes * (means**2).sum(1)).sum())
    total = float(((unit - unit.mean(0)) ** 2).sum())
    return Clusters(rank[found].astype(np.uint8), between / total)


def _signs(scores: Floats, cues: Floats) -> Floats:
    centred = cues - cues.mean(0)
    spread = np.linalg.norm(centred, axis=0)
    correlation = scores.T @ centred / np.where(spread > 0, spread, 1.0)
    length = np.linalg.norm(scores, axis=0)[:, None]
    correlation /= np.where(length > 0, length, 1.0)
    noticeable = np.abs(correlation) > 0.01
    first = noticeable.argmax(axis=1)
    chosen: Floats = np.sign(np.take_along_axis(correlation, first[:, None], axis=1)[:, 0])
    return np.where(noticeable.any(axis=1), chosen, 1.0)

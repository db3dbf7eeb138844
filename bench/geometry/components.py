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


def principal_components(rows: Floats, count: int, cues: Floats) -> Components | None:
    """Principal components of rows [N, D] in order of variance, signs fixed by `cues`.

    The sign of a principal component is arbitrary. It is chosen so that the scores correlate
    positively with the first of the cues [N, C] that they correlate with at all, which makes the
    signs of different backbones comparable.

    Returns:
        None for too few rows, or rows without variance.
    """
    if len(rows) < MIN_ROWS_PER_COMPONENT * count or rows.shape[1] <= count:
        return None
    if not np.ptp(rows, axis=0).any():
        return None
    model = PCA(n_components=count, svd_solver="arpack", random_state=0)
    scores = model.fit_transform(rows)
    return Components(scores * _signs(scores, cues), np.asarray(model.explained_variance_ratio_))


def k_means(rows: Floats, count: int, cues: Floats, seed: int) -> Clusters | None:
    """Clusters of unit rows [N, D], so by cosine, ordered by the mean of the first cue [N, C].

    Returns:
        None for fewer distinct rows than clusters.
    """
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    unit = rows / np.where(norms > 0, norms, 1.0)
    if len(unit) < count or len(np.unique(unit, axis=0)) < count:
        return None
    model = KMeans(count, n_init=_RESTARTS, random_state=seed).fit(unit)
    found = np.asarray(model.labels_)
    brightness = [cues[found == label, 0].mean() for label in range(count)]
    rank = np.argsort(np.argsort(brightness, kind="stable"), kind="stable")
    total = float(((unit - unit.mean(0)) ** 2).sum())
    return Clusters(rank[found].astype(np.uint8), 1 - float(model.inertia_) / total)


def _signs(scores: Floats, cues: Floats) -> Floats:
    centred = cues - cues.mean(0)
    spread = np.linalg.norm(centred, axis=0)
    correlation = scores.T @ centred / np.where(spread > 0, spread, 1.0)
    correlation /= np.linalg.norm(scores, axis=0)[:, None]
    noticeable = np.abs(correlation) > 0.01
    first = noticeable.argmax(axis=1)
    chosen: Floats = np.sign(np.take_along_axis(correlation, first[:, None], axis=1)[:, 0])
    return np.where(noticeable.any(axis=1), chosen, 1.0)

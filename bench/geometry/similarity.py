"""Linear CKA from minibatches, unbiased (Nguyen et al. 2021; Song et al. 2012).

HSIC of two Gram matrices is the inner product of their U-centred forms (Szekely and Rizzo 2014), so
all pairs of layers of a minibatch are one matrix product.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: The unbiased estimate divides by n - 3.
MIN_ROWS = 4


def u_centred_gram(rows: Floats) -> Floats:
    """U-centred Gram matrix [n, n] of rows [n, D]; its diagonal is zero.

    a_ij - sum_j a_ij / (n - 2) - sum_i a_ij / (n - 2) + sum_ij a_ij / ((n - 1)(n - 2)) for i != j,
    of the Gram matrix without its diagonal.
    """
    n = len(rows)
    gram = rows @ rows.T
    np.fill_diagonal(gram, 0.0)
    sums = gram.sum(axis=1)
    gram -= (sums[:, None] + sums[None]) / (n - 2)
    gram += sums.sum() / ((n - 1) * (n - 2))
    np.fill_diagonal(gram, 0.0)
    return gram


def hsic(grams_a: Floats, grams_b: Floats) -> Floats:
    """Unbiased HSIC [L, M] of U-centred Gram matrices [L, n, n] and [M, n, n] of one minibatch."""
    n = grams_a.shape[-1]
    flat_a, flat_b = (grams.reshape(len(grams), -1) for grams in (grams_a, grams_b))
    product: Floats = flat_a @ flat_b.T / (n * (n - 3))
    return product


def own_hsic(grams: Floats) -> Floats:
    """Unbiased HSIC [L] of each U-centred Gram matrix [L, n, n] with itself."""
    n = grams.shape[-1]
    product: Floats = np.einsum("lij,lij->l", grams, grams) / (n * (n - 3))
    return product


def cka(cross: Floats, own_a: Floats, own_b: Floats) -> Floats:
    """CKA [L, M] from HSIC summed over minibatches: cross [L, M], own [L] and [M].

    NaN for a layer without variance. An estimate may lie slightly outside of [0, 1].
    """
    scale = np.sqrt(np.clip(own_a, 0, None))[:, None] * np.sqrt(np.clip(own_b, 0, None))[None]
    table: Floats = np.divide(cross, scale, out=np.full_like(cross, np.nan), where=scale > 0)
    return table

"""AUROC in which place in the image cannot help: same-cell controls.

A positive joins cell p of view a with cell q of view b. Its controls join the same two cells in all
other ordered pairs of views, (b, a) included, where both have points and these are more than two
voxels apart. A function of (p, q) alone is equal on a positive and on its controls, so it scores
one half.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import permutations

import torch
from torch import Tensor

from bench.geometry.correspondence import TIE
from bench.geometry.patch_pairs import are_far
from bench.geometry.voxels import VoxelPatches

#: Fewer scored positives, or a smaller share of all positives, say too little about a view set.
MIN_SCORED = 100
MIN_KEPT = 0.3
#: Cosines compared at once.
BLOCK = 2**22


@dataclass(frozen=True)
class SameCellControls:
    """Controls as a sparse table with a row per pair of cells and a column per pair of views.

    cell_pair: int64 [P], the row of each positive; row, column: int64 [Q], the place of each
    control; first, second: int64 [Q], its patches.
    """

    shape: tuple[int, int]
    cell_pair: Tensor
    row: Tensor
    column: Tensor
    first: Tensor
    second: Tensor


def same_cell_controls(patches: VoxelPatches, positives: tuple[Tensor, Tensor]) -> SameCellControls:
    """Controls of positives (first [P], second [P]); all views have the same grid."""
    cell_a, cell_b = patches.cell[positives[0]], patches.cell[positives[1]]
    num_cells = int(patches.cell.max()) + 1 if len(patches) else 1
    # (p in a, q in b) and (q in b, p in a) are one pair: the smaller cell comes first.
    pair = torch.minimum(cell_a, cell_b) * num_cells + torch.maximum(cell_a, cell_b)
    cell_pairs, cell_pair = torch.unique(pair, return_inverse=True)
    low, high = cell_pairs // num_cells, cell_pairs % num_cells

    patch_at = torch.full((patches.num_views, num_cells), -1)
    patch_at[patches.view, patches.cell] = torch.arange(len(patches))
    view_pairs = list(permutations(range(patches.num_views), 2))
    entries = [torch.empty(4, 0, dtype=torch.long)]
    for column, (a, b) in enumerate(view_pairs):
        first, second = patch_at[a, low], patch_at[b, high]
        row = ((first >= 0) & (second >= 0)).nonzero()[:, 0]
        row = row[are_far(patches, first[row], second[row])]
        entries.append(torch.stack([row, torch.full_like(row, column), first[row], second[row]]))
    row, column, first, second = torch.cat(entries, dim=1)
    return SameCellControls(
        (len(cell_pairs), len(view_pairs)), cell_pair, row, column, first, second
    )


def no_controls(num_positives: int) -> SameCellControls:
    """The table where cells of different views cannot be compared: no positive has a control."""
    nothing = torch.empty(0, dtype=torch.long)
    rows = torch.zeros(num_positives, dtype=torch.long)
    return SameCellControls((1, 0), rows, nothing, nothing, nothing, nothing)


def position_controlled(positives: Tensor, controls: Tensor, table: SameCellControls) -> Tensor:
    """Share of its controls that each positive exceeds, [P]; a tie (``TIE``) counts one half.

    positives [P], controls [Q]: cosines, NaN where unscored. NaN for an unscored positive and for
    one without a scored control.
    """
    num_pairs, num_columns = table.shape
    cosine = controls.new_full((num_pairs * num_columns,), torch.nan)
    cosine[table.row * num_columns + table.column] = controls
    cosine = cosine.view(num_pairs, num_columns)
    shares = []
    step = max(1, BLOCK // max(1, num_columns))
    for own, row in zip(
        torch.split(positives, step), torch.split(table.cell_pair, step), strict=True
    ):
        margin = own[:, None] - cosine[row]
        wins = (margin > TIE).sum(-1) + (margin.abs() <= TIE).sum(-1) / 2
        # No control, or an unscored positive, leaves 0 / 0.
        shares.append(wins.double() / margin.isfinite().sum(-1))
    return torch.cat(shares)


def mean_share(shares: Tensor) -> float:
    """Position-controlled AUROC of positives [P]: the mean of the scored ones.

    NaN with fewer than ``MIN_SCORED`` scored positives or a scored share below ``MIN_KEPT``.
    """
    scored = shares[shares.isfinite()]
    if len(scored) < max(MIN_SCORED, MIN_KEPT * len(shares)):
        return float("nan")
    return float(scored.mean())

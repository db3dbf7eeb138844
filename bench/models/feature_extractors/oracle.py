"""Random Fourier features of the true 3D point under each patch centre: the ceiling."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.geometry.cameras import world_points
from bench.geometry.grid import patch_centres
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._control import ControlOptions, control_architecture
from bench.models.feature_extractors.base import Architecture, FeatureExtractor, Role, Tokens
from bench.models.preprocessing import IDENTITY, Normalisation
from bench.types import PatchGrid, Scope, View, ViewSet

EMBED_DIM = 768
#: Length scales of the similarity, as shares of the scene scale: the coarse one keeps points of one
#: voxel alike, the fine one tells them apart.
LENGTH_SCALES = (0.05, 0.015)


@feature_extractors.register("oracle")
class Oracle(FeatureExtractor):
    """cos(w x) and sin(w x) of the world point x at each patch centre.

    The cosine similarity of two points at distance d is about the mean over the length scales l of
    exp(-d^2 / 2 l^2) (Rahimi and Recht 2007). Patches of unknown depth, and patches whose centre
    lies in the padding, are zero vectors: unscored.
    """

    Options = ControlOptions
    scope: ClassVar[Scope] = "view_set_with_geometry"
    role: ClassVar[Role] = "ceiling"
    normalisation: Normalisation = IDENTITY

    def __init__(self, **config: object) -> None:
        super().__init__(**config)
        self.model = nn.Identity()

    @classmethod
    def describe(cls, options: ControlOptions) -> Architecture:
        return control_architecture(options, EMBED_DIM)

    @classmethod
    def fingerprint(cls, options: ControlOptions) -> str:
        return f"seed={options.init_seed}"

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        raise BenchError(
            "The oracle computes features from depth and poses, not from images.",
            "Call encode_view_set(view_set).",
        )

    def encode_view_set(self, view_set: ViewSet) -> list[Tensor]:
        """Features [rows, cols, 768] per view.

        Raises:
            BenchError: depth, intrinsics or poses are missing, or the scene scale is unknown.
        """
        if not view_set.scene_scale:
            raise BenchError(
                f"{view_set.dataset}/{view_set.scene}/{view_set.set_id} has no scene scale.",
                "The oracle needs a dataset with depth.",
            )
        frequencies = self.frequencies() / view_set.scene_scale
        points = [centre_points(view, self.grid(*view.size)) for view in view_set.views]
        return [fourier_features(p, frequencies) for p in points]

    def frequencies(self) -> Tensor:
        """Angular frequencies [384, 3] in radians per scene scale."""
        generator = torch.Generator().manual_seed(self.options.init_seed)
        normal = torch.randn(EMBED_DIM // 2, 3, generator=generator, dtype=torch.float64)
        scales = torch.tensor(LENGTH_SCALES, dtype=torch.float64)
        return normal / scales.repeat_interleave(len(normal) // len(scales))[:, None]


def centre_points(view: View, grid: PatchGrid) -> Tensor:
    """World points [rows, cols, 3] (float64) of the pixels under the patch centres.

    NaN where depth is unknown or the centre lies in the padding.
    """
    if view.depth is None or view.intrinsics is None or view.camera_from_world is None:
        raise BenchError(
            f"View '{view.name}' lacks depth, intrinsics or a pose.",
            "The oracle needs a dataset with all three.",
        )
    points = world_points(view.depth, view.intrinsics, view.camera_from_world)
    x, y = patch_centres(grid).floor().long().unbind(-1)
    height, width = view.size
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    found = points[y.clamp(0, height - 1), x.clamp(0, width - 1)]
    return torch.where(inside[..., None], found, torch.nan)


def fourier_features(points: Tensor, frequencies: Tensor) -> Tensor:
    """Unit vectors [..., 2 * F] (float32) of points [..., 3]; zero vectors where a point is NaN."""
    angles = points @ frequencies.T
    features = torch.cat([angles.cos(), angles.sin()], dim=-1) / math.sqrt(len(frequencies))
    return features.nan_to_num(0.0).float()

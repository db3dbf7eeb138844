"""Track head: a feature map per frame, and the tracker that reads it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.models.vggt.dpt_head import DPTFeatures
from bench.models.vggt.options import TrackHeadOptions
from bench.models.vggt.tracker import Tracker


class TrackHead(nn.Module):
    """Tracks query points of the first frame through all frames."""

    def __init__(self, dim_in: int, patch_size: int, options: TrackHeadOptions) -> None:
        super().__init__()
        self.feature_extractor = DPTFeatures(
            dim_in,
            patch_size,
            options,
            fused_channels=options.features,
            down_ratio=options.stride,
        )
        self.tracker = Tracker(options)

    def forward(
        self,
        layers: Mapping[int, Tensor],
        num_special: int,
        image_size: tuple[int, int],
        query_points: Tensor,
    ) -> tuple[list[Tensor], Tensor, Tensor]:
        """Tracks, visibilities and confidences as in `Tracker`.

        Args:
            layers, num_special, image_size: as in `DPTFeatures.iter_features`.
            query_points: [B, N, 2], (x, y) in pixels of the first frame.
        """
        lead = next(iter(layers.values())).shape[:2]
        chunks = list(self.feature_extractor.iter_features(layers, num_special, image_size))
        maps = torch.unflatten(torch.cat(chunks), 0, lead)
        tracked: tuple[list[Tensor], Tensor, Tensor] = self.tracker(query_points, maps)
        return tracked

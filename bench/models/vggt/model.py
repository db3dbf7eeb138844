"""VGGT (Wang et al., CVPR 2025): cameras, depth, points and tracks from views of one scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.models.preprocessing import to_unit_range
from bench.models.vggt.aggregator import Aggregator
from bench.models.vggt.camera_head import CameraHead
from bench.models.vggt.checkpoint import fit_to_model, load_into, open_checkpoint
from bench.models.vggt.dpt_head import DPTHead
from bench.models.vggt.options import (
    AggregatorOptions,
    CameraHeadOptions,
    DPTFeatureOptions,
    DPTHeadOptions,
    TrackHeadOptions,
    VGGTOptions,
)
from bench.models.vggt.patch_embed import build_patch_embed, build_swapped_patch_embed
from bench.models.vggt.pose_encoding import crop_pose_encoding
from bench.models.vggt.track_head import TrackHead
from bench.options import parse_options
from bench.types import PatchGrid

Predictions = dict[str, Any]
Pyramid = TypeVar("Pyramid", bound=DPTFeatureOptions)


class VGGT(nn.Module):
    """Aggregator and heads, randomly initialised; see `from_pretrained` for the weights.

    Args:
        img_size: side in pixels of the images whose positions the patch embedding holds.
        patch_size: in pixels.
        embed_dim: width of the aggregator.
        enable_camera, enable_depth: heads, on unless switched off.
        enable_point, enable_track: heads, off unless switched on.
        patch_embed_config: ``{model_id: feature_extractor/<name>, model_config: {...}}`` puts that
            backbone in place of DINOv2, which is then never built. It normalises its own images.
        aggregator_config: see `AggregatorOptions`.
        camera_head_config: see `CameraHeadOptions`.
        depth_head_config, point_head_config: see `DPTHeadOptions`.
        track_head_config: see `TrackHeadOptions`.

    Raises:
        BenchError: unknown or inconsistent options, a backbone that does not fit.
    """

    camera_head: CameraHead | None
    depth_head: DPTHead | None
    point_head: DPTHead | None
    track_head: TrackHead | None

    def __init__(self, **config: Any) -> None:
        super().__init__()
        options = parse_options(VGGTOptions, config, "VGGT")
        aggregator = parse_options(
            AggregatorOptions, options.aggregator_config or {}, "VGGT aggregator_config"
        )
        self.patch_size = options.patch_size
        self.embed_dim = options.embed_dim
        self.img_size = options.img_size
        if options.patch_embed_config is not None:
            patch_embed = build_swapped_patch_embed(
                options.patch_embed_config,
                patch_size=options.patch_size,
                embed_dim=options.embed_dim,
            )
        else:
            patch_embed = build_patch_embed(
                aggregator.patch_embed,
                img_size=options.img_size,
                patch_size=options.patch_size,
                embed_dim=options.embed_dim,
                gradient_checkpointing=aggregator.gradient_checkpointing,
            )
        self.aggregator = Aggregator(
            aggregator,
            patch_embed=patch_embed,
            patch_size=options.patch_size,
            embed_dim=options.embed_dim,
        )
        width = 2 * options.embed_dim
        self.camera_head = self.depth_head = self.point_head = self.track_head = None
        if options.enable_camera:
            camera = parse_options(
                CameraHeadOptions, options.camera_head_config or {}, "VGGT camera_head_config"
            )
            self.camera_head = CameraHead(width, camera)
        if options.enable_depth:
            given = {"activation": "exp", **(options.depth_head_config or {})}
            dense = _parse_pyramid(DPTHeadOptions, given, "depth", aggregator.depth)
            self.depth_head = DPTHead(width, options.patch_size, dense, value_channels=1)
        if options.enable_point:
            given = {"activation": "inv_log", **(options.point_head_config or {})}
            dense = _parse_pyramid(DPTHeadOptions, given, "point", aggregator.depth)
            self.point_head = DPTHead(width, options.patch_size, dense, value_channels=3)
        if options.enable_track:
            track = _parse_pyramid(
                TrackHeadOptions, options.track_head_config or {}, "track", aggregator.depth
            )
            self.track_head = TrackHead(width, options.patch_size, track)

    @classmethod
    def from_pretrained(cls, source: str | Path, **config: Any) -> VGGT:
        """VGGT with weights, in evaluation mode.

        The heads are those that the file holds; ``enable_<head>=False`` leaves one out. Apart from
        that every key must be there, expected and of the right shape.

        Args:
            source: a hub repository such as ``facebook/VGGT-1B``, or a local folder, ``.pt``,
                ``.pth`` or ``.safetensors`` file.
            config: options of `VGGT`; they take precedence over a ``config.json`` beside the
                weights.

        Raises:
            BenchError: no such weights, or weights that do not fit.
        """
        checkpoint = open_checkpoint(source)
        options = {**checkpoint.config, **checkpoint.enabled_heads, **config}
        if options.get("patch_embed_config") is None:
            # The weights take the place of these tensors, so that none is ever initialised.
            with torch.device("meta"):
                model = cls(**options)
        else:
            model = cls(**options)
        load_into(model, fit_to_model(checkpoint.state, model), str(source))
        return model.eval()

    def forward(self, images: Tensor, query_points: Tensor | None = None) -> Predictions:
        """Predictions for views of one scene, or of several.

        The aggregator runs in the caller's autocast, the heads in float32. Sides that are not
        multiples of the patch are padded inside; predictions are those of the images as given.

        Args:
            images: [S, 3, H, W] or [B, S, 3, H, W], RGB floats in [0, 1] or uint8.
            query_points: [N, 2] or [B, N, 2], (x, y) in pixels of the first frame.

        Returns:
            - pose_enc [B, S, 9], pose_enc_list (one per iteration): see `pose_encoding`
            - depth [B, S, H, W, 1], depth_conf [B, S, H, W]
            - world_points [B, S, H, W, 3] in the first camera's frame, world_points_conf
              [B, S, H, W]
            - with query_points: track [B, S, N, 2] in pixels, vis and conf [B, S, N]
            - in evaluation mode: images [B, S, 3, H, W]
        """
        images, query_points = self._check_inputs(images, query_points)
        grid = self.aggregator.grid(images)
        layers = self.aggregator(images, self._layers_needed(query_points is not None))
        with torch.autocast(device_type=images.device.type, enabled=False):
            predictions = self._run_heads(layers, grid, query_points)
        if not self.training:
            predictions["images"] = images
        return predictions

    def _check_inputs(
        self, images: Tensor, query_points: Tensor | None
    ) -> tuple[Tensor, Tensor | None]:
        images = to_unit_range(images)
        if images.ndim == 4:
            images = images[None]
        if query_points is None:
            return images, None
        if self.track_head is None:
            raise BenchError(
                "Query points were given to a VGGT without a track head.",
                "Build it with enable_track=True.",
            )
        if query_points.ndim == 2:
            query_points = query_points[None]
        if query_points.ndim != 3 or query_points.shape[::2] != (len(images), 2):
            raise BenchError(
                f"Query points {list(query_points.shape)} do not go with images "
                f"{list(images.shape)}.",
                "Pass (x, y) per point: [N, 2] for one sequence, [B, N, 2] for several.",
            )
        return images, query_points

    def _layers_needed(self, has_queries: bool) -> set[int]:
        """Aggregator layers that the heads which will run read."""
        needed: set[int] = set()
        if self.camera_head is not None:
            needed.add(self.aggregator.options.depth - 1)
        for head in (self.depth_head, self.point_head):
            if head is not None:
                needed.update(head.options.intermediate_layer_idx)
        if self.track_head is not None and has_queries:
            needed.update(self.track_head.feature_extractor.options.intermediate_layer_idx)
        return needed

    def _run_heads(
        self, layers: Mapping[int, Tensor], grid: PatchGrid, query_points: Tensor | None
    ) -> Predictions:
        padded = (grid.rows * grid.stride, grid.cols * grid.stride)
        size = (grid.image_height, grid.image_width)
        rows = slice(grid.pad_top, grid.pad_top + grid.image_height)
        cols = slice(grid.pad_left, grid.pad_left + grid.image_width)
        num_special = self.aggregator.num_special
        predictions: Predictions = {}
        if self.camera_head is not None:
            encodings = self.camera_head(layers[self.aggregator.options.depth - 1][:, :, 0])
            if padded != size:
                encodings = [crop_pose_encoding(e, padded, size) for e in encodings]
            predictions["pose_enc"] = encodings[-1]
            predictions["pose_enc_list"] = encodings
        for head, name in ((self.depth_head, "depth"), (self.point_head, "world_points")):
            if head is not None:
                values, confidence = head(layers, num_special, padded)
                predictions[name] = values[:, :, rows, cols]
                predictions[f"{name}_conf"] = confidence[:, :, rows, cols]
        if self.track_head is not None and query_points is not None:
            offset = query_points.new_tensor([grid.pad_left, grid.pad_top])
            tracks, visibility, confidence = self.track_head(
                layers, num_special, padded, query_points + offset
            )
            predictions["track"] = tracks[-1] - offset
            predictions["vis"] = visibility
            predictions["conf"] = confidence
        return predictions


def _parse_pyramid(kind: type[Pyramid], given: Mapping[str, Any], head: str, depth: int) -> Pyramid:
    """Options of a head that reads aggregator layers, which must exist."""
    where = f"VGGT {head}_head_config"
    options = parse_options(kind, given, where)
    if max(options.intermediate_layer_idx) >= depth:
        raise BenchError(
            f"{where}: intermediate_layer_idx {list(options.intermediate_layer_idx)} does not fit "
            f"an aggregator of depth {depth}.",
            f"Choose four layers from 0 to {depth - 1}.",
        )
    return options

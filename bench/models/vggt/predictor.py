"""Full VGGT as a row of a suite: predictions instead of features."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from bench.models.described import Architecture, Described
from bench.models.feature_extractors.base import seeded
from bench.models.sources import Source
from bench.models.vggt.attention_matches import recorded
from bench.models.vggt.checkpoint import stored_config
from bench.models.vggt.model import VGGT
from bench.models.vggt.options import AggregatorOptions, VGGTOptions
from bench.models.vggt.pose_encoding import cameras_from_pose_encoding
from bench.models.vggt.unproject import unproject_depth
from bench.options import parse_options
from bench.types import Scope

HUB_ID = "facebook/VGGT-1B"
#: Options of the row that are not options of the network.
OF_THE_ROW = frozenset(
    {"checkpoint_path", "pretrained", "init_seed", "layers", "attention_matches"}
)
HEADS = ("enable_camera", "enable_depth", "enable_point", "enable_track")


class VGGTPredictorOptions(VGGTOptions):
    """Options of VGGT, and where its weights come from.

    checkpoint_path: folder, .pt, .pth or .safetensors. pretrained: VGGT-1B from the hub. Neither:
    random initialisation. init_seed: of that initialisation. Only the heads that are switched on
    are built. layers: none; predictions are the output. attention_matches: also say where each
    head's attention is strongest (for the task ``epipolar_attention``), at about the cost of the
    attention itself.
    """

    checkpoint_path: str | None = None
    pretrained: bool = False
    init_seed: int = 0
    layers: None = None
    attention_matches: bool = False


class VGGTPredictor(Described, nn.Module):
    """Cameras, depth and points of a view set (Wang et al., CVPR 2025)."""

    Options = VGGTPredictorOptions
    scope: ClassVar[Scope] = "view_set"
    offers: ClassVar[frozenset[str]] = frozenset({"predictions"})

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.options: VGGTPredictorOptions = self.parse(config)
        self.architecture = self.describe(self.options)
        self.layer_names = self.architecture.layer_names
        own = _of_the_network(self.options)
        if self.options.checkpoint_path is not None:
            self.model = VGGT.from_pretrained(self.options.checkpoint_path, **own)
        elif self.options.pretrained:
            self.model = VGGT.from_pretrained(HUB_ID, **own)
        else:
            with seeded(self.options.init_seed):
                self.model = VGGT(**own)

    @classmethod
    def describe(cls, options: Any) -> Architecture:
        """The names are of the aggregator's layers; what is predicted has no layer."""
        path = options.checkpoint_path
        given = {**(stored_config(path) if path else {}), **_of_the_network(options)}
        network = parse_options(VGGTOptions, given, cls.__name__)
        aggregator = parse_options(
            AggregatorOptions, network.aggregator_config or {}, "VGGT aggregator_config"
        )
        patch = network.patch_size
        return Architecture(
            aggregator.layer_names, patch, network.embed_dim, network.img_size, patch
        )

    @classmethod
    def source(cls, options: Any) -> Source:
        return Source("hub", HUB_ID)

    def predict(self, images: Tensor) -> dict[str, Any]:
        """Predictions for images [B, S, 3, H, W] in [0, 1].

        Returns:
            What `VGGT.forward` gives and, of the heads that are there, in the same world frame
            (the first camera's, up to the error of its predicted pose) and unit:

            - camera_from_world [B, S, 4, 4], intrinsics [B, S, 3, 3] in pixels of the images
            - world_points_from_depth [B, S, H, W, 3]: the depth at the pixels' centres, (0.5, 0.5)
              in the first pixel, unprojected through the predicted cameras
            - with the option of that name, attention_matches: see `attention_matches.recorded`
        """
        predictions: dict[str, Any]
        if self.options.attention_matches:
            with recorded(self.model.aggregator, images) as matches:
                predictions = self.model(images)
            predictions["attention_matches"] = torch.stack(matches, dim=2)
        else:
            predictions = self.model(images)
        if "pose_enc" not in predictions:
            return predictions
        # Cameras and points need more digits than the caller's autocast would leave them.
        with torch.autocast(device_type=images.device.type, enabled=False):
            height, width = images.shape[-2:]
            camera_from_world, intrinsics = cameras_from_pose_encoding(
                predictions["pose_enc"].float(), (height, width)
            )
            last_row = camera_from_world.new_tensor([0.0, 0.0, 0.0, 1.0])
            last_row = last_row.expand(*camera_from_world.shape[:-2], 1, 4)
            predictions["camera_from_world"] = torch.cat([camera_from_world, last_row], dim=-2)
            predictions["intrinsics"] = intrinsics
            if "depth" in predictions:
                predictions["world_points_from_depth"] = unproject_depth(
                    predictions["depth"][..., 0].float(), camera_from_world, intrinsics
                )
        return predictions


def _of_the_network(options: VGGTPredictorOptions) -> dict[str, Any]:
    """Options for `VGGT`. All that is left at its default, but for the heads, is for a checkpoint's
    config.json to say."""
    own = options.model_dump(exclude=set(OF_THE_ROW), exclude_defaults=True)
    return {**own, **{name: getattr(options, name) for name in HEADS}}

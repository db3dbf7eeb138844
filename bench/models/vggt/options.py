"""Options of VGGT and its parts, checked where they come in (YAML, JSON, keyword arguments)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, PositiveFloat, PositiveInt, model_validator

Attention = Literal["frame", "global"]
PatchEmbedName = Literal[
    "dinov2_vits14_reg", "dinov2_vitb14_reg", "dinov2_vitl14_reg", "dinov2_vitg2_reg", "conv"
]
Activation = Literal[
    "exp", "inv_log", "xy_inv_log", "norm_exp", "norm", "relu", "sigmoid", "linear"
]
ConfidenceActivation = Literal["expp1", "expp0", "sigmoid"]
LayerIndex = Annotated[int, Field(ge=0)]
FourLayers = tuple[LayerIndex, LayerIndex, LayerIndex, LayerIndex]
#: A quarter of the channels each for the sines and cosines of x and of y, also after halving.
Channels = Annotated[int, Field(gt=0, multiple_of=8)]
FourChannels = tuple[Channels, Channels, Channels, Channels]


class VGGTOptions(BaseModel, extra="forbid", frozen=True):
    """Options of the whole model.

    img_size: pixels of the side at which the position table is stored. patch_size: pixels of a
    patch's side. embed_dim: channels of the aggregator. enable_camera, enable_depth, enable_point,
    enable_track: whether this head is built. patch_embed_config: a feature extractor in place of
    the patch embedding, as {model_id: feature_extractor/<name>, model_config: {...}}.
    aggregator_config, camera_head_config, depth_head_config, point_head_config, track_head_config:
    options of this part where they differ from VGGT-1B's.
    """

    img_size: PositiveInt = 518
    patch_size: PositiveInt = 14
    embed_dim: PositiveInt = 1024
    enable_camera: bool = True
    enable_depth: bool = True
    enable_point: bool = False
    enable_track: bool = False
    patch_embed_config: dict[str, Any] | None = None
    aggregator_config: dict[str, Any] | None = None
    camera_head_config: dict[str, Any] | None = None
    depth_head_config: dict[str, Any] | None = None
    point_head_config: dict[str, Any] | None = None
    track_head_config: dict[str, Any] | None = None


class AggregatorOptions(BaseModel, extra="forbid", frozen=True):
    """Alternating attention.

    depth: frame blocks, and as many global blocks. aa_order: which comes first. aa_block_size:
    blocks of one kind in a row. rope_freq: base of the rotary frequencies. init_values: start of
    the LayerScale. patch_embed: unused where a feature extractor is swapped in.
    gradient_checkpointing: recompute the blocks in the backward pass (training mode only).
    freeze_patch_embed: the patch embedding takes no gradients and stays in evaluation mode.
    """

    depth: PositiveInt = 24
    num_heads: PositiveInt = 16
    mlp_ratio: PositiveFloat = 4.0
    num_register_tokens: Annotated[int, Field(ge=0)] = 4
    aa_order: tuple[Attention, Attention] = ("frame", "global")
    aa_block_size: PositiveInt = 1
    qk_norm: bool = True
    rope_freq: PositiveFloat = 100.0
    init_values: float = 0.01
    patch_embed: PatchEmbedName = "dinov2_vitl14_reg"
    gradient_checkpointing: bool = False
    freeze_patch_embed: bool = False

    @model_validator(mode="after")
    def _consistent(self) -> AggregatorOptions:
        if self.aa_order[0] == self.aa_order[1]:
            raise ValueError("aa_order must hold both 'frame' and 'global'")
        if self.depth % self.aa_block_size:
            raise ValueError(
                f"depth {self.depth} is not a multiple of aa_block_size {self.aa_block_size}"
            )
        return self

    @property
    def schedule(self) -> tuple[tuple[Attention, int], ...]:
        """Kind and index of every block in network order."""
        size = self.aa_block_size
        return tuple(
            (kind, index)
            for first in range(0, self.depth, size)
            for kind in self.aa_order
            for index in range(first, first + size)
        )

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names that ``Aggregator.iter_layers`` yields, in network order."""
        return ("patch_embed", *(f"{kind}_{index}" for kind, index in self.schedule))


class CameraHeadOptions(BaseModel, extra="forbid", frozen=True):
    """num_iterations: refinement steps."""

    trunk_depth: PositiveInt = 4
    num_heads: PositiveInt = 16
    mlp_ratio: PositiveFloat = 4.0
    init_values: float = 0.01
    num_iterations: PositiveInt = 4


class DPTFeatureOptions(BaseModel, extra="forbid", frozen=True):
    """The convolutional pyramid.

    features: channels of the fused maps. out_channels: of the four levels, fine to coarse.
    intermediate_layer_idx: aggregator layers of the four levels. pos_embed: add an embedding of
    the place in the image. frames_chunk_size: frames that are decoded at a time; it changes
    memory, not numbers.
    """

    features: Channels = 256
    out_channels: FourChannels = (256, 512, 1024, 1024)
    intermediate_layer_idx: FourLayers = (4, 11, 17, 23)
    pos_embed: bool = True
    frames_chunk_size: PositiveInt = 2


class DPTHeadOptions(DPTFeatureOptions):
    """A pyramid that ends in a value and a confidence per pixel."""

    activation: Activation
    conf_activation: ConfidenceActivation = "expp1"


class TrackHeadOptions(DPTFeatureOptions):
    """A pyramid that feeds the tracker.

    iters: refinement steps. stride: pixels per cell of the feature map. corr_levels, corr_radius:
    of the correlation pyramid, the radius in cells. hidden_size, depth, num_heads,
    num_virtual_tracks: of the tracker's transformer.
    """

    features: Channels = 128
    pos_embed: bool = False
    iters: PositiveInt = 4
    stride: PositiveInt = 2
    corr_levels: PositiveInt = 7
    corr_radius: PositiveInt = 4
    hidden_size: PositiveInt = 384
    depth: PositiveInt = 6
    num_heads: PositiveInt = 8
    num_virtual_tracks: PositiveInt = 64

    @model_validator(mode="after")
    def _consistent(self) -> TrackHeadOptions:
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of num_heads {self.num_heads}"
            )
        return self

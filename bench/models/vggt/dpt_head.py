"""Dense prediction heads (DPT, Ranftl et al. 2021) as VGGT builds them.

Maps are decoded a few frames at a time: at 518 pixels one frame's full-resolution maps take more
memory than all the tokens that are kept of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from bench.models.vggt.activations import ACTIVATIONS, CONFIDENCE_ACTIVATIONS
from bench.models.vggt.options import DPTFeatureOptions, DPTHeadOptions

#: Weight of the position embedding, and the base of its frequencies.
POSITION_WEIGHT = 0.1
POSITION_BASE = 100.0
HIDDEN_CHANNELS = 32


class ResidualConvUnit(nn.Module):
    """relu(x) + conv2(relu(conv1(relu(x)))).

    The textbook form skips with x itself. The published weights were trained with a rectifier that
    works in place, which also rectifies the skipped input.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(features, features, kernel_size=3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        rectified = relu(x)
        update: Tensor = self.conv2(relu(self.conv1(rectified)))
        return rectified + update


class FusionBlock(nn.Module):
    """Adds a finer level to the coarser result, and brings the sum to a given size."""

    def __init__(self, features: int, *, has_skip: bool) -> None:
        super().__init__()
        self.out_conv = nn.Conv2d(features, features, kernel_size=1)
        if has_skip:
            self.resConfUnit1 = ResidualConvUnit(features)
        self.resConfUnit2 = ResidualConvUnit(features)

    def forward(self, x: Tensor, skip: Tensor | None, size: tuple[int, int]) -> Tensor:
        if skip is not None:
            x = x + self.resConfUnit1(skip)
        x = resize(self.resConfUnit2(x), size)
        out: Tensor = self.out_conv(x)
        return out


class Scratch(nn.Module):
    """Fuses four levels, fine to coarse, into one map at twice the finest level's size.

    Args:
        fused_channels: of the result.
        output_channels: of the prediction per pixel; None if the fused map is the result.
    """

    def __init__(
        self,
        out_channels: tuple[int, int, int, int],
        features: int,
        fused_channels: int,
        output_channels: int | None,
    ) -> None:
        super().__init__()

        def lateral(channels: int) -> nn.Conv2d:
            return nn.Conv2d(channels, features, kernel_size=3, padding=1, bias=False)

        self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn = map(lateral, out_channels)
        self.refinenet1 = FusionBlock(features, has_skip=True)
        self.refinenet2 = FusionBlock(features, has_skip=True)
        self.refinenet3 = FusionBlock(features, has_skip=True)
        self.refinenet4 = FusionBlock(features, has_skip=False)
        self.output_conv1 = nn.Conv2d(features, fused_channels, kernel_size=3, padding=1)
        if output_channels is not None:
            self.output_conv2 = nn.Sequential(
                nn.Conv2d(fused_channels, HIDDEN_CHANNELS, kernel_size=3, padding=1),
                nn.ReLU(),
                nn.Conv2d(HIDDEN_CHANNELS, output_channels, kernel_size=1),
            )

    def forward(self, levels: list[Tensor]) -> Tensor:
        fine, second, third, coarse = (
            lateral(level)
            for lateral, level in zip(
                (self.layer1_rn, self.layer2_rn, self.layer3_rn, self.layer4_rn),
                levels,
                strict=True,
            )
        )
        x = self.refinenet4(coarse, None, spatial_size(third))
        x = self.refinenet3(x, third, spatial_size(second))
        x = self.refinenet2(x, second, spatial_size(fine))
        rows, cols = spatial_size(fine)
        x = self.refinenet1(x, fine, (2 * rows, 2 * cols))
        fused: Tensor = self.output_conv1(x)
        return fused


class DPTFeatures(nn.Module):
    """Four aggregator layers to one feature map per frame.

    Args:
        dim_in: channels of the aggregator's tokens.
        down_ratio: image pixels per cell of the map.
        fused_channels, output_channels: see `Scratch`.
    """

    def __init__(
        self,
        dim_in: int,
        patch_size: int,
        options: DPTFeatureOptions,
        *,
        fused_channels: int,
        down_ratio: int = 1,
        output_channels: int | None = None,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.options = options
        self.down_ratio = down_ratio
        first, second, _, last = options.out_channels
        self.norm = nn.LayerNorm(dim_in)
        self.projects = nn.ModuleList(
            nn.Conv2d(dim_in, channels, kernel_size=1) for channels in options.out_channels
        )
        self.resize_layers = nn.ModuleList(
            [
                nn.ConvTranspose2d(first, first, kernel_size=4, stride=4),
                nn.ConvTranspose2d(second, second, kernel_size=2, stride=2),
                nn.Identity(),
                nn.Conv2d(last, last, kernel_size=3, stride=2, padding=1),
            ]
        )
        self.scratch = Scratch(
            options.out_channels, options.features, fused_channels, output_channels
        )

    def iter_features(
        self, layers: Mapping[int, Tensor], num_special: int, image_size: tuple[int, int]
    ) -> Iterator[Tensor]:
        """Feature maps [n, fused_channels, H / down_ratio, W / down_ratio], n frames at a time.

        Args:
            layers: at least ``intermediate_layer_idx`` of `Aggregator.forward`, [B, S, T, dim_in].
            num_special: leading tokens of a frame that are not patches.
            image_size: (height, width) in pixels, multiples of the patch.
        """
        levels = [
            layers[index][:, :, num_special:].flatten(0, 1)
            for index in self.options.intermediate_layer_idx
        ]
        size = self.options.frames_chunk_size
        for chunk in zip(*(torch.split(level, size) for level in levels), strict=True):
            yield self._decode(chunk, image_size)

    def _decode(self, levels: tuple[Tensor, ...], image_size: tuple[int, int]) -> Tensor:
        rows, cols = (side // self.patch_size for side in image_size)
        aspect = image_size[1] / image_size[0]
        maps = []
        for tokens, project, resize_layer in zip(
            levels, self.projects, self.resize_layers, strict=True
        ):
            x = project(torch.unflatten(self.norm(tokens).transpose(1, 2), 2, (rows, cols)))
            if self.options.pos_embed:
                add_position_embedding(x, aspect)
            maps.append(resize_layer(x))
        x = self.scratch(maps)
        height, width = (side // self.down_ratio for side in image_size)
        x = resize(x, (height, width))
        if self.options.pos_embed:
            add_position_embedding(x, aspect)
        return x


class DPTHead(DPTFeatures):
    """A value and a confidence per pixel.

    Args:
        value_channels: of the value: 1 for depth, 3 for points.
    """

    def __init__(
        self, dim_in: int, patch_size: int, options: DPTHeadOptions, *, value_channels: int
    ) -> None:
        super().__init__(
            dim_in,
            patch_size,
            options,
            fused_channels=options.features // 2,
            output_channels=value_channels + 1,
        )
        self.activation = ACTIVATIONS[options.activation]
        self.conf_activation = CONFIDENCE_ACTIVATIONS[options.conf_activation]

    def forward(
        self, layers: Mapping[int, Tensor], num_special: int, image_size: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        """Values [B, S, H, W, value_channels] and confidences [B, S, H, W].

        Arguments as in `iter_features`.
        """
        lead = layers[self.options.intermediate_layer_idx[0]].shape[:2]
        raw = torch.cat(
            [
                self.scratch.output_conv2(features)
                for features in self.iter_features(layers, num_special, image_size)
            ]
        )
        raw = torch.unflatten(raw.permute(0, 2, 3, 1), 0, lead)
        return self.activation(raw[..., :-1]), self.conf_activation(raw[..., -1])


def resize(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Bilinear, corner pixels on corner pixels."""
    return interpolate(maps, size=size, mode="bilinear", align_corners=True)


def spatial_size(maps: Tensor) -> tuple[int, int]:
    return maps.shape[-2], maps.shape[-1]


def add_position_embedding(maps: Tensor, aspect: float) -> None:
    """Add sines and cosines of the place in the image to maps [n, C, h, w], in place.

    The image spans a rectangle of the given aspect (width / height) inside the unit circle; the
    first half of the channels encodes x, the second y. They depend on one axis each, so that the
    full [C, h, w] embedding, as large as a frame's map, never exists.
    """
    half = maps.shape[1] // 2
    height, width = spatial_size(maps)
    diagonal = (aspect**2 + 1) ** 0.5
    x = POSITION_WEIGHT * _sines(width, aspect / diagonal, half).to(maps)
    y = POSITION_WEIGHT * _sines(height, 1 / diagonal, half).to(maps)
    maps[:, :half] += x[:, None, :]
    maps[:, half:] += y[:, :, None]


def _sines(count: int, span: float, channels: int) -> Tensor:
    """Embedding [channels, count] of the centres of `count` equal cells of [-span, span]."""
    edge = span * (count - 1) / count
    place = torch.linspace(-edge, edge, count, dtype=torch.float64)
    exponents = torch.arange(channels // 2, dtype=torch.float64) / (channels // 2)
    angles = place * POSITION_BASE ** -exponents[:, None]
    return torch.cat([angles.sin(), angles.cos()])

"""XFeat's dense descriptors, a small convolutional network trained for matching."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.nn.functional import instance_norm, interpolate, normalize

from bench.models.checkpoints import load_strictly
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._weights import wanted_weights
from bench.models.feature_extractors.base import (
    Architecture,
    ExtractorOptions,
    FeatureExtractor,
    Tokens,
    seeded,
)
from bench.models.manifest import published_source
from bench.models.preprocessing import IDENTITY, Normalisation, pad_to_grid
from bench.models.sources import Source
from bench.types import OUTPUT_LAYER

STRIDE = 8
#: Three more halvings than the descriptors have.
MULTIPLE = 32
EMBED_DIM = 64
#: Long side of the training images.
NATIVE = 800
#: Parts of the published file that find keypoints and refine matches.
OTHER_PARTS = ("heatmap_head.", "keypoint_head.", "fine_matcher.")


@feature_extractors.register("xfeat")
class XFeat(FeatureExtractor):
    """XFeat (Potje et al. 2024): 64-dimensional unit descriptors on a grid of 8 pixels.

    Every image is turned grey and brought to zero mean and unit variance before it is padded.
    """

    version: ClassVar[int] = 1
    normalisation: Normalisation = IDENTITY

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        weights = wanted_weights(self.options, self.source(self.options))
        with seeded(self.options.init_seed):
            self.model = XFeatNetwork().eval()
        if weights is not None:
            state = {k: v for k, v in weights.state.items() if not k.startswith(OTHER_PARTS)}
            load_strictly(self.model, state, weights.name)

    @classmethod
    def describe(cls, options: ExtractorOptions) -> Architecture:
        return Architecture((), STRIDE, EMBED_DIM, NATIVE, MULTIPLE)

    @classmethod
    def source(cls, options: ExtractorOptions) -> Source | None:
        return published_source("feature_extractor/xfeat", options.model_dump())

    def prepare_images(self, images: Tensor) -> Tensor:
        """Grey, standardised and padded [N, 1, H, W]."""
        height, width = images.shape[-2:]
        grey = self.normalised(images).mean(dim=1, keepdim=True)
        if self.options.preprocess_images:
            grey = instance_norm(grey)
        return pad_to_grid(grey, self.grid(height, width))

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        descriptors = normalize(self.model(images), dim=1)
        yield OUTPUT_LAYER, Tokens(descriptors.flatten(2).transpose(1, 2))


class XFeatNetwork(nn.Module):
    """The descriptor branch: maps [N, 64, H / 8, W / 8] of images [N, 1, H, W]."""

    def __init__(self) -> None:
        super().__init__()
        self.skip1 = nn.Sequential(nn.AvgPool2d(4), nn.Conv2d(1, 24, 1))
        self.block1 = nn.Sequential(
            ConvUnit(1, 4), ConvUnit(4, 8, stride=2), ConvUnit(8, 8), ConvUnit(8, 24, stride=2)
        )
        self.block2 = nn.Sequential(ConvUnit(24, 24), ConvUnit(24, 24))
        self.block3 = nn.Sequential(
            ConvUnit(24, 64, stride=2), ConvUnit(64, 64), ConvUnit(64, 64, kernel=1)
        )
        self.block4 = nn.Sequential(ConvUnit(64, 64, stride=2), ConvUnit(64, 64), ConvUnit(64, 64))
        self.block5 = nn.Sequential(
            ConvUnit(64, 128, stride=2),
            ConvUnit(128, 128),
            ConvUnit(128, 128),
            ConvUnit(128, 64, kernel=1),
        )
        self.block_fusion = nn.Sequential(ConvUnit(64, 64), ConvUnit(64, 64), nn.Conv2d(64, 64, 1))

    def forward(self, images: Tensor) -> Tensor:
        eighth = self.block3(self.block2(self.block1(images) + self.skip1(images)))
        sixteenth = self.block4(eighth)
        thirty_second = self.block5(sixteenth)
        size = eighth.shape[-2:]
        fused: Tensor = self.block_fusion(
            eighth
            + interpolate(sixteenth, size=size, mode="bilinear")
            + interpolate(thirty_second, size=size, mode="bilinear")
        )
        return fused


class ConvUnit(nn.Module):
    """Convolution, batch norm without learned scale, ReLU."""

    def __init__(self, dim_in: int, dim_out: int, *, kernel: int = 3, stride: int = 1) -> None:
        super().__init__()
        self.layer = nn.Sequential(
            nn.Conv2d(dim_in, dim_out, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(dim_out, affine=False),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer(x)
        return out

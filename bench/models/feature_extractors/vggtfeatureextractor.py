"""Intermediate tokens of VGGT's aggregator, which sees all views of a scene at once."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import field_validator, model_validator
from torch import Tensor

from bench.errors import BenchError
from bench.models.checkpoints import resolve_path
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors.base import (
    Architecture,
    ExtractorOptions,
    FeatureExtractor,
    Tokens,
    resolve_layers,
    seeded,
)
from bench.models.manifest import published_source
from bench.models.preprocessing import to_unit_range
from bench.models.sources import Source
from bench.models.vggt import VGGT, Aggregator
from bench.models.vggt.options import AggregatorOptions, VGGTOptions
from bench.options import parse_options
from bench.types import OUTPUT_LAYER, Scope

LayerType = Literal["patch_embed", "frame", "global", "all"]
NO_HEADS = {f"enable_{head}": False for head in ("camera", "depth", "point", "track")}
#: Layer names of the study, with the index of the step and the index inside the step.
STUDY_NAME = re.compile(r"aggregator_(frame|global)-(\d+)-(\d+)")


class VGGTExtractorOptions(ExtractorOptions):
    """vggt_config: options of VGGT; without a checkpoint_path its weights are random. Neither of
    them: VGGT-1B. layer_types: which layers can be asked for; the last of them is the output.
    norm: aggregator layers have no final norm."""

    vggt_config: dict[str, Any] | None = None
    layer_types: tuple[LayerType, ...] = ("all",)
    norm: Literal["final", "none"] = "none"

    @model_validator(mode="before")
    @classmethod
    def _from_study(cls, given: Any) -> Any:
        """The study's layer names in ours, and random weights for a configuration by itself."""
        if not isinstance(given, Mapping):
            return given
        options = dict(given)
        config = options.get("vggt_config")
        if config is not None and options.get("checkpoint_path") is None:
            if options.get("pretrained"):
                raise ValueError("a vggt_config has no published weights; give a checkpoint_path")
            options["pretrained"] = False
        if isinstance(options.get("layers"), (list, tuple)):
            size = ((config or {}).get("aggregator_config") or {}).get("aa_block_size", 1)
            options["layers"] = [_own_name(layer, size) for layer in options["layers"]]
        return options

    @field_validator("norm")
    @classmethod
    def _never_normed(cls, value: str) -> str:
        if value != "none":
            raise ValueError("aggregator layers have no final norm")
        return value


@feature_extractors.register("vggtfeatureextractor")
class VGGTFeatureExtractor(FeatureExtractor):
    """VGGT (Wang et al. 2025): patch tokens of the aggregator's layers, special tokens left out.

    Layers in network order: ``patch_embed`` (after DINOv2's final norm), then ``frame_<i>`` and
    ``global_<i>``, raw values of the residual stream. The first view of a sequence is special.
    """

    Options = VGGTExtractorOptions
    options: VGGTExtractorOptions
    version: ClassVar[int] = 1
    scope: ClassVar[Scope] = "view_set"
    model: Aggregator

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        options = self.options
        own = {**(options.vggt_config or {}), **NO_HEADS}
        source = self.source(options)
        if options.checkpoint_path is not None:
            vggt = VGGT.from_pretrained(options.checkpoint_path, **own)
        elif options.pretrained and source is not None:
            vggt = VGGT.from_pretrained(source.address, **own)
        else:
            with seeded(options.init_seed):
                vggt = VGGT(**own)
        self.model = vggt.aggregator.eval()

    @classmethod
    def describe(cls, options: VGGTExtractorOptions) -> Architecture:
        vggt = parse_options(VGGTOptions, vggt_config(options), "vggt_config")
        aggregator = parse_options(
            AggregatorOptions, vggt.aggregator_config or {}, "vggt_config.aggregator_config"
        )
        names = tuple(
            name
            for name in aggregator.layer_names
            if "all" in options.layer_types or name.rstrip("_0123456789") in options.layer_types
        )
        if not names:
            raise BenchError(
                "layer_types is empty.", "Choose from patch_embed, frame, global, all."
            )
        patch = vggt.patch_size
        return Architecture(names, patch, vggt.embed_dim, vggt.img_size, patch)

    @classmethod
    def source(cls, options: VGGTExtractorOptions) -> Source | None:
        return published_source("feature_extractor/vggtfeatureextractor", options.model_dump())

    def as_sequences(self, images: Tensor) -> Tensor:
        """[S, 3, H, W] is one sequence."""
        return images[None]

    def iter_layers(
        self, images: Tensor, layers: Sequence[str] | None = None
    ) -> Iterator[tuple[str, Tokens]]:
        """Tokens [B, S, P, D] of each layer for sequences [B, S, 3, H, W], as they are computed.

        Nothing is computed beyond the last layer asked for.
        """
        wanted = resolve_layers(list(layers), self.layer_names) if layers else self.layers
        if self.options.preprocess_images and self.options.normalisation == "own":
            images = to_unit_range(images)
        else:
            # The aggregator normalises; what was normalised before must not be normalised twice.
            images = self.normalised(images)
            mean = images.new_tensor(self.normalisation.mean).view(3, 1, 1)
            std = images.new_tensor(self.normalisation.std).view(3, 1, 1)
            images = images * std + mean
        output = self.layer_names[-1]
        stop = output if OUTPUT_LAYER in wanted else wanted[-1]
        for name, patches in self.model.iter_layers(images):
            if name in wanted:
                yield name, Tokens(patches)
            if name == output and OUTPUT_LAYER in wanted:
                yield OUTPUT_LAYER, Tokens(patches)
            if name == stop:
                return

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        raise BenchError("VGGT sees sequences, not single images.", "Call iter_layers.")


def vggt_config(options: VGGTExtractorOptions) -> dict[str, Any]:
    """VGGT's options; a folder's ``config.json`` comes before ``vggt_config``."""
    stored: dict[str, Any] = {}
    if options.checkpoint_path is not None:
        path: Path = resolve_path(options.checkpoint_path) / "config.json"
        if path.is_file():
            stored = json.loads(path.read_text(encoding="utf-8"))
    return {**stored, **(options.vggt_config or {})}


def _own_name(layer: object, block_size: int) -> object:
    """The study's ``aggregator_frame-<step>-<i>`` as ``frame_<step * block_size + i>``."""
    found = STUDY_NAME.fullmatch(layer) if isinstance(layer, str) else None
    if found is None:
        return layer
    kind, step, index = found.groups()
    return f"{kind}_{int(step) * block_size + int(index)}"

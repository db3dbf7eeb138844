"""Any timm backbone by name, plain or hierarchical."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from inspect import signature
from typing import Any, ClassVar

import timm
import torch
from pydantic import Field
from torch import Tensor, nn

from bench.errors import BenchError
from bench.models.checkpoints import check_keys
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._weights import LoadedWeights, wanted_weights
from bench.models.feature_extractors.base import (
    Architecture,
    ExtractorOptions,
    FeatureExtractor,
    Tokens,
    block_names,
    seeded,
)
from bench.models.preprocessing import Normalisation
from bench.models.sources import Source
from bench.types import OUTPUT_LAYER

#: How timm's families are told to take images of any size.
ANY_SIZE: dict[str, Any] = {"dynamic_img_size": True, "strict_img_size": False}


class TimmOptions(ExtractorOptions):
    """name: as in timm.list_models(), with the tag of the weights if there are several."""

    name: str = Field(examples=["vit_base_patch14_dinov2.lvd142m"])


@dataclass(frozen=True)
class Build:
    """What a model's name stands for. arguments: that make it take images of any size."""

    architecture: Architecture
    arguments: dict[str, Any]


@feature_extractors.register("timm")
class TimmBackbone(FeatureExtractor):
    """A timm model without its head. Layers are ``block_<i>``, or ``stage_<i>`` where strides vary.

    Pixel constants and pre-training size are those of the model's pretrained configuration. A stage
    has a stride and a width of its own; timm applies the final norm to blocks, and to the last
    stage alone. Cells lie where a model that cuts the image into patches has them; in networks
    whose convolutions overlap, receptive fields are centred up to half a cell up and to the left.
    """

    Options = TimmOptions
    options: TimmOptions
    version: ClassVar[int] = 1

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        name = self.options.name
        settings = settings_of(name)
        self.normalisation = Normalisation(tuple(settings.mean), tuple(settings.std))
        weights = wanted_weights(self.options, self.source(self.options))
        overlay = strict_loading(weights, settings) if weights is not None else None
        try:
            with seeded(self.options.init_seed):
                model = timm.create_model(
                    name,
                    pretrained=weights is not None,
                    pretrained_cfg_overlay=overlay,
                    num_classes=0,
                    **build_of(name).arguments,
                )
        except RuntimeError as error:
            where = name if weights is None else weights.name
            raise BenchError(
                f"{where} does not fit timm's {name} ({' '.join(str(error).split())[:400]}).",
                "Check that name and checkpoint belong together.",
            ) from error
        self.model = model.eval()
        if weights is not None:
            check_positions(self.model, weights)

    @classmethod
    def describe(cls, options: TimmOptions) -> Architecture:
        return build_of(options.name).architecture

    @classmethod
    def source(cls, options: TimmOptions) -> Source | None:
        repository = settings_of(options.name).hf_hub_id
        return Source("hub", repository) if repository else None

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        names = [name for name in layers if name != OUTPUT_LAYER]
        try:
            last, intermediates = self._forward(images, names, OUTPUT_LAYER in layers)
        except AssertionError as error:
            raise BenchError(
                f"timm's {self.options.name} refuses {images.shape[-1]} x {images.shape[-2]} "
                f"pixels ({error}).",
                f"It may take {self.img_size} x {self.img_size} pixels only, or no final norm "
                "(norm: none).",
            ) from error
        for name, (maps, before) in zip(names, intermediates, strict=True):
            yield name, self._tokens(name, maps.flatten(2).transpose(1, 2), before, images)
        if last is not None:
            yield OUTPUT_LAYER, self._output(last, images)

    def _forward(
        self, images: Tensor, names: Sequence[str], with_output: bool
    ) -> tuple[Tensor | None, list[tuple[Tensor, Tensor | None]]]:
        """timm's final output if wanted, and maps [N, D, H, W] with prefix tokens per layer."""
        model: Any = self.model
        if not names:
            return model.forward_features(images), []
        known = signature(model.forward_intermediates).parameters
        prefixed = "return_prefix_tokens" in known and getattr(model, "num_prefix_tokens", 0) > 0
        found = model.forward_intermediates(
            images,
            indices=[self.layer_names.index(name) for name in names],
            norm=self.options.norm == "final",
            output_fmt="NCHW",
            intermediates_only=not with_output,
            stop_early=not with_output,
            **({"return_prefix_tokens": True} if prefixed else {}),
        )
        last, intermediates = found if with_output else (None, found)
        return last, [value if prefixed else (value, None) for value in intermediates]

    def _output(self, last: Tensor, images: Tensor) -> Tokens:
        """Tokens of timm's final output: [N, T, D], [N, D, H, W] or [N, H, W, D]."""
        prefix = getattr(self.model, "num_prefix_tokens", 0)
        if last.ndim == 3:
            before = last[:, :prefix] if prefix else None
            return self._tokens(OUTPUT_LAYER, last[:, prefix:], before, images)
        channels_last = str(getattr(self.model, "output_fmt", "NCHW")).endswith("NHWC")
        patches = last.flatten(1, 2) if channels_last else last.flatten(2).transpose(1, 2)
        return self._tokens(OUTPUT_LAYER, patches, None, images)

    def _tokens(self, layer: str, patches: Tensor, before: Tensor | None, images: Tensor) -> Tokens:
        grid = self.grid(images.shape[-2], images.shape[-1], layer)
        if patches.shape[1] != grid.rows * grid.cols:
            raise BenchError(
                f"{self.options.name}: {layer} has {patches.shape[1]} tokens instead of "
                f"{grid.rows} x {grid.cols}.",
                "This model does not keep a regular grid; choose another layer or model.",
            )
        if before is None:
            return Tokens(patches)
        has_cls = getattr(self.model, "cls_token", None) is not None
        every = torch.cat([before, patches], dim=1)
        return Tokens(patches, cls=before[:, 0] if has_cls else None, every=every)


def settings_of(name: str) -> Any:
    """timm's pretrained configuration of a model: pixel constants, size, hub repository.

    Raises:
        BenchError: a name that timm does not have.
    """
    try:
        settings = timm.get_pretrained_cfg(name, allow_unregistered=False)
    except RuntimeError as error:
        known = [*timm.list_models(), *timm.list_pretrained()]
        close = get_close_matches(name, known, n=3)
        raise BenchError(
            f"timm {timm.__version__} has no '{name}'.",
            f"Did you mean {' or '.join(close)}?" if close else "See timm.list_models().",
        ) from error
    return settings


def strict_loading(weights: LoadedWeights, settings: Any) -> dict[str, Any]:
    """Settings under which timm loads these tensors, and refuses others.

    timm stops minding missing tensors as soon as a model has another number of classes than its
    weights, so both are said to have none, and the head is taken off here.
    """
    heads = settings.classifier or ()
    prefixes = tuple(f"{head}." for head in ([heads] if isinstance(heads, str) else heads))
    state = {k: v for k, v in weights.state.items() if not k.startswith(prefixes)}
    return {"state_dict": state, "source": "timm", "num_classes": 0}


def check_positions(model: nn.Module, weights: LoadedWeights) -> None:
    """BenchError for positions of another grid, which timm would resample without a word."""
    own, given = getattr(model, "pos_embed", None), weights.state.get("pos_embed")
    if isinstance(own, Tensor) and given is not None and own.shape != given.shape:
        shapes = f"pos_embed {tuple(given.shape)} instead of {tuple(own.shape)}"
        check_keys(weights.name, mis_shaped=[shapes])


@cache
def build_of(name: str) -> Build:
    """Geometry of a model, from an instance without memory where timm can make one."""
    settings_of(name)
    for device in (torch.device("meta"), nullcontext()):
        try:
            with device:
                model: Any = timm.create_model(name, num_classes=0)
        except (NotImplementedError, RuntimeError):
            continue
        known = signature(type(model)).parameters
        arguments = {key: value for key, value in ANY_SIZE.items() if key in known}
        return Build(architecture_of(name, model), arguments)
    raise BenchError(f"timm's {name} cannot be built.", "Choose another model.")


def architecture_of(name: str, model: Any) -> Architecture:
    """Layers, strides and widths from timm's own table of the model's features."""
    info = getattr(model, "feature_info", None)
    if not info or not hasattr(model, "forward_intermediates"):
        raise BenchError(
            f"timm's {name} does not give intermediate features.", "Choose another model."
        )
    strides = tuple(int(entry["reduction"]) for entry in info)
    dims = tuple(int(entry["num_chs"]) for entry in info)
    plain = len(set(strides)) == 1
    names = block_names(len(info)) if plain else tuple(f"stage_{i}" for i in range(len(info)))
    native = settings_of(name).input_size[-1]
    return Architecture(
        names,
        stride=strides[-1],
        embed_dim=int(model.num_features),
        native_size=native,
        pad_multiple=max(strides),
        layer_strides=() if plain else strides,
        layer_dims=() if len(set(dims)) == 1 else dims,
    )

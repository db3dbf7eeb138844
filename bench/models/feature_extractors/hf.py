"""Any transformers vision backbone by hub id or local folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from pathlib import Path
from typing import Any, ClassVar

import torch
from huggingface_hub import hf_hub_download
from pydantic import Field
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from bench.errors import BenchError
from bench.models.checkpoints import check_keys
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors._blocks import (
    last_hidden_state,
    module_list,
    recorded,
    split_prefix,
)
from bench.models.feature_extractors._weights import LoadedWeights, wanted_weights
from bench.models.feature_extractors.base import (
    Architecture,
    ExtractorOptions,
    FeatureExtractor,
    Tokens,
    block_names,
    seeded,
)
from bench.models.preprocessing import IDENTITY, Normalisation
from bench.models.sources import Source, hub_commit
from bench.types import OUTPUT_LAYER

#: What transformers' families call the norm after the last block.
FINAL_NORMS = ("layernorm", "post_layernorm", "norm", "layer_norm", "final_layernorm", "ln_post")
#: What they call a class token.
CLASS_TOKENS = ("cls_token", "class_embedding", "class_token")


class HFOptions(ExtractorOptions):
    """name: hub id, or a local folder with config.json and weights. mean, std: pixel constants per
    channel, for a model whose folder has no preprocessor_config.json."""

    name: str = Field(examples=["facebook/dinov2-base"])
    mean: tuple[float, float, float] | None = None
    std: tuple[float, float, float] | None = None


@feature_extractors.register("hf")
class HFBackbone(FeatureExtractor):
    """The vision part of a transformers model.

    Layers are ``block_<i>``, or ``stage_<i>`` with strides and widths of their own, and without a
    final norm, where resolution falls inside the network. Position embeddings are resampled as the
    library does it.
    """

    Options = HFOptions
    options: HFOptions
    version: ClassVar[int] = 1

    def __init__(self, **config: Any) -> None:
        super().__init__(**config)
        settings = vision_config(self.options.name)
        if settings.model_type == "vit_mae":
            raise BenchError(
                "transformers' MAE shuffles the patches.", "Use feature_extractor/mae."
            )
        self.normalisation = pixel_constants(self.options)
        weights = wanted_weights(with_folder(self.options), self.source(self.options))
        with seeded(self.options.init_seed):
            model = new_model(settings)
        if weights is not None:
            model = load(type(model), settings, weights)
        self.model = model.eval()

    @classmethod
    def describe(cls, options: HFOptions) -> Architecture | None:
        try:
            return cls.describe_or_raise(options)
        except BenchError:
            if Path(options.name).is_dir():
                raise
            return None

    @classmethod
    def describe_or_raise(cls, options: HFOptions) -> Architecture:
        config = vision_config(options.name)
        return (
            hierarchical_architecture(config)
            if is_hierarchical(config)
            else plain_architecture(config)
        )

    @classmethod
    def fingerprint(cls, options: HFOptions) -> str | None:
        return super().fingerprint(with_folder(options))

    @classmethod
    def source(cls, options: HFOptions) -> Source | None:
        return Source("hub", options.name)

    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        encode = self._stages if self.architecture.layer_strides else self._blocks
        for name, tokens in encode(images, layers):
            grid = self.grid(images.shape[-2], images.shape[-1], name)
            prefix = tokens.shape[1] - grid.rows * grid.cols
            if prefix < 0:
                raise BenchError(
                    f"{self.options.name}: {name} has {tokens.shape[1]} tokens for "
                    f"{grid.rows} x {grid.cols} patches.",
                    "This model drops or merges patches; choose another layer or model.",
                )
            yield name, split_prefix(tokens, prefix, has_cls=has_class_token(self.model))

    def _blocks(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        """All tokens [N, T, D] of each layer."""
        norm = final_norm(self.model)
        if norm is None and self.options.norm == "final":
            raise BenchError(f"{self.options.name} has no final norm.", "Use norm: none.")
        modules = module_list(self.model, len(self.layer_names))
        blocks = dict(zip(self.layer_names, modules, strict=True))
        with recorded(blocks) as outputs:
            last = last_hidden_state(self.model, images, **any_size(self.model))
        if norm is not None and last is outputs[self.layer_names[-1]]:
            # Some families (CLIP) normalise only the token that they pool.
            last = norm(last)
        for name in layers:
            if name == OUTPUT_LAYER:
                yield name, last
            else:
                tokens = outputs.pop(name)
                yield name, norm(tokens) if norm and self.options.norm == "final" else tokens

    def _stages(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
        """Tokens [N, P, D] of each stage."""
        last, maps = stage_maps(self.model, images)
        for name in layers:
            found = last if name == OUTPUT_LAYER else maps[self.layer_names.index(name)]
            yield name, found.flatten(2).transpose(1, 2) if found.ndim == 4 else found


def vision_config(name: str) -> Any:
    """Configuration of the model, or of the vision part of a model of images and text.

    Raises:
        BenchError: no such model, or the hub is out of reach.
    """
    try:
        config = AutoConfig.from_pretrained(name, local_files_only=not _on_hub(name))
    except Exception as error:
        raise BenchError(
            f"The configuration of '{name}' cannot be had ({type(error).__name__}).",
            "Connect to the internet once, or give a local folder with config.json as name.",
        ) from error
    return getattr(config, "vision_config", config)


def _on_hub(name: str) -> bool:
    """Whether the hub can be asked; the library itself would retry for half a minute."""
    return not Path(name).is_dir() and hub_commit(name) is not None


def pixel_constants(options: HFOptions) -> Normalisation:
    """Mean and standard deviation from the options, else from the model's own preprocessor.

    transformers' defaults for a missing preprocessor are wrong for many models, so there are none
    here.
    """
    if options.mean is not None and options.std is not None:
        return Normalisation(options.mean, options.std)
    found = _preprocessor(options.name)
    if found.get("do_normalize") is False:
        return IDENTITY
    if "image_mean" not in found or "image_std" not in found:
        raise BenchError(
            f"'{options.name}' has no preprocessor_config.json with image_mean and image_std.",
            "Give mean: [r, g, b] and std: [r, g, b].",
        )
    return Normalisation(tuple(found["image_mean"]), tuple(found["image_std"]))


def _preprocessor(name: str) -> dict[str, Any]:
    """The model's preprocessor_config.json; empty where it has none."""
    local = Path(name) / "preprocessor_config.json"
    try:
        path = local if Path(name).is_dir() else Path(hf_hub_download(name, local.name))
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def new_model(config: Any) -> nn.Module:
    """The library's model for a configuration, randomly initialised."""
    build: Any = AutoModel.from_config
    model: nn.Module = build(config)
    return model


def is_hierarchical(config: Any) -> bool:
    """Whether resolution falls inside the network."""
    return hasattr(config, "depths") or hasattr(config, "hidden_sizes")


def plain_architecture(config: Any) -> Architecture:
    """Geometry of a model whose tokens keep their number, from its configuration alone."""
    try:
        depth, dim = int(config.num_hidden_layers), int(config.hidden_size)
        patch, native = one_side(config.patch_size), one_side(config.image_size)
    except (AttributeError, TypeError) as error:
        raise BenchError(
            f"'{config.model_type}' is no vision backbone that can be described ({error}).",
            "Choose a vision transformer or a hierarchical vision model.",
        ) from error
    return Architecture(block_names(depth), patch, dim, native, patch)


def hierarchical_architecture(config: Any) -> Architecture:
    """Geometry of a model with stages, from a forward pass without memory."""
    native = one_side(getattr(config, "image_size", 224))
    with torch.device("meta"), torch.no_grad():
        model = new_model(config).eval()
        last, maps = stage_maps(model, torch.empty(1, 3, native, native))
    strides = tuple(native // stage.shape[-1] for stage in maps)
    dims = tuple(stage.shape[1] for stage in maps)
    return Architecture(
        tuple(f"stage_{i}" for i in range(len(maps))),
        stride=strides[-1],
        embed_dim=last.shape[-1] if last.ndim == 3 else last.shape[1],
        native_size=native,
        pad_multiple=max(strides),
        layer_strides=strides,
        layer_dims=dims,
    )


def stage_maps(model: nn.Module, images: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The final output ([N, P, D] or [N, D, H, W]), and maps [N, D, H, W] of every stage."""
    with leaving_no_hooks(model):
        found = model(images, output_hidden_states=True)
    maps = found.get("reshaped_hidden_states") or found.hidden_states
    widths = [hidden.shape[-1] for hidden in found.hidden_states]
    channels_last = found.hidden_states[0].ndim == 3 and all(
        stage.shape[-1] == width for stage, width in zip(maps, widths, strict=True)
    )
    if channels_last:
        maps = [stage.permute(0, 3, 1, 2) for stage in maps]
    return found.last_hidden_state, list(maps)


@contextmanager
def leaving_no_hooks(model: nn.Module) -> Iterator[None]:
    """transformers leaves hooks in a model that gave its stages, and hooks cannot be pickled."""
    before = [(module, module._forward_hooks.copy()) for module in model.modules()]
    try:
        yield
    finally:
        for module, hooks in before:
            module._forward_hooks = hooks
            vars(module).pop("_output_capturing_hooks_installed", None)


def one_side(size: int | Sequence[int]) -> int:
    """The side of a square given as one number or as two."""
    return int(size) if isinstance(size, int) else int(size[0])


def any_size(model: nn.Module) -> dict[str, bool]:
    """The argument by which a family resamples its position embeddings, if it needs one."""
    known = signature(model.forward).parameters
    return {"interpolate_pos_encoding": True} if "interpolate_pos_encoding" in known else {}


def final_norm(model: nn.Module) -> nn.Module | None:
    """The norm after the last block."""
    for path, _ in model.named_modules():
        *parents, name = path.split(".")
        if name in FINAL_NORMS and not any(parent.isdigit() for parent in parents):
            return model.get_submodule(path)
    return None


def has_class_token(model: nn.Module) -> bool:
    """Whether the tokens before the patches begin with a class token."""
    return any(path.rpartition(".")[2] in CLASS_TOKENS for path, _ in model.named_parameters())


def load(kind: Any, config: Any, weights: LoadedWeights) -> nn.Module:
    """A model of class `kind` through transformers' own loading, which knows its old names.

    Raises:
        BenchError: a tensor is missing or of another shape. Heads and text towers may be left over.
    """
    model, report = kind.from_pretrained(
        None,
        config=config,
        state_dict=weights.state,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        dtype=torch.float32,
    )
    check_keys(
        weights.name,
        missing=(key for key in report["missing_keys"] if "pooler" not in key),
        mis_shaped=(str(key[0]) for key in report["mismatched_keys"]),
    )
    loaded: nn.Module = model
    return loaded


def with_folder(options: HFOptions) -> HFOptions:
    """A local folder given as name is also the checkpoint."""
    local = options.pretrained and options.checkpoint_path is None and Path(options.name).is_dir()
    return options.model_copy(update={"checkpoint_path": options.name}) if local else options

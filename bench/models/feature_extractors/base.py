"""What every frozen backbone offers, and the one place where images meet it.

A family implements ``describe`` (from its options alone, without building anything), ``__init__``
and ``encode``. Everything else is shared: input range, normalisation, padding, leading dimensions,
output schema.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Self

import torch
from pydantic import BaseModel, ConfigDict, model_validator
from torch import Tensor, nn

from bench.errors import BenchError
from bench.models.described import Architecture, Described, Role
from bench.models.preprocessing import (
    HALF,
    IMAGENET,
    Normalisation,
    pad_to_grid,
    padded_grid,
    to_unit_range,
)
from bench.registry import suggestion
from bench.types import OUTPUT_LAYER, PatchGrid, Scope, ViewSet

__all__ = [
    "Architecture", "ExtractorOptions", "FeatureExtractor", "Layers", "Role", "Tokens",
    "block_names", "resolve_layers", "seeded", "validate_output_schema",
]  # fmt: skip

Layers = list[int | str] | Literal["all", "quarters"]

#: Constants that a suite can put in the place of a model's own.
NAMED: Mapping[str, Normalisation] = {"imagenet": IMAGENET, "half": HALF}


class ExtractorOptions(BaseModel):
    """Options common to all extractors.

    checkpoint_path: .pt, .pth, .safetensors, .onnx, a local transformers folder, or
    ``package://<package>/<path>``; with one, no network is touched. preprocess_images: False if the
    images come already normalised. normalisation: the model's ``own`` pixel constants, or those
    that a published protocol gives every model (``imagenet``; ``half``: mean and deviation 0.5).
    pretrained: False gives the architecture's random initialisation. init_seed: of that
    initialisation. layers: integers (negative allowed), names, ``all`` or ``quarters``; None gives
    the final output. norm: whether the final norm is applied to intermediate layers.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    checkpoint_path: str | None = None
    preprocess_images: bool = True
    normalisation: Literal["own", "imagenet", "half"] = "own"
    pretrained: bool = True
    layers: Layers | None = None
    norm: Literal["final", "none"] = "final"
    init_seed: int = 0

    @model_validator(mode="after")
    def _normalised_once(self) -> Self:
        if self.normalisation != "own" and not self.preprocess_images:
            raise ValueError(
                f"normalisation: {self.normalisation} has no effect on images that come already "
                "normalised (preprocess_images: false)"
            )
        return self


@dataclass(frozen=True)
class Tokens:
    """Tokens of one layer for N images.

    patches: [N, P, D] in raster order; cls: [N, D] where the model has one; every: all tokens
    [N, T, D], prefix tokens included (None: the patches are all there are).
    """

    patches: Tensor
    cls: Tensor | None = None
    every: Tensor | None = None


def block_names(depth: int) -> tuple[str, ...]:
    """``block_0`` ... ``block_<depth - 1>``."""
    return tuple(f"block_{i}" for i in range(depth))


def resolve_layers(wanted: Layers | None, names: Sequence[str]) -> tuple[str, ...]:
    """Layer names in network order for a request of a suite; None means the final output.

    ``quarters`` are n/4-1, n/2-1, 3n/4-1 and n-1 (Probe3D's Block0 to Block3).

    Raises:
        BenchError: a layer that the model does not have.
    """
    if wanted is None:
        return (OUTPUT_LAYER,)
    known = [*names, OUTPUT_LAYER]
    count = len(names)
    if not count:
        if wanted in ("all", "quarters"):
            return (OUTPUT_LAYER,)
    elif wanted == "all":
        return tuple(names)
    elif wanted == "quarters":
        indices = (count // 4 - 1, count // 2 - 1, 3 * count // 4 - 1, count - 1)
        return tuple(names[i] for i in sorted({max(i, 0) for i in indices}))
    assert not isinstance(wanted, str)
    chosen = set()
    for layer in wanted:
        if isinstance(layer, int):
            if not -count <= layer < count:
                raise BenchError(
                    f"Layer {layer} does not exist.", f"This model has layers 0 to {count - 1}."
                )
            chosen.add(names[layer])
        elif layer in known:
            chosen.add(layer)
        else:
            raise BenchError(f"Layer '{layer}' does not exist.", suggestion(layer, known))
    return tuple(name for name in known if name in chosen)


class FeatureExtractor(Described, nn.Module, ABC):
    """A frozen backbone.

    Attributes:
        model: the network; a state dict of the backbone lives under ``model.``.
        patch_size, embed_dim, img_size: of the pre-trained model, in pixels where it applies.
        layer_names: intermediate layers that can be asked for.
        layers: names of the layers that ``forward_features`` returns.
    """

    Options: ClassVar[type[BaseModel]] = ExtractorOptions
    scope: ClassVar[Scope] = "image"
    normalisation: Normalisation = IMAGENET

    model: nn.Module

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.options = self.parse(config)
        self.architecture = self.describe_or_raise(self.options)
        self.patch_size = self.architecture.stride
        self.embed_dim = self.architecture.embed_dim
        self.img_size = self.architecture.native_size
        self.layer_names = self.architecture.layer_names
        self.layers = resolve_layers(self.options.layers, self.layer_names)

    # Features

    @abstractmethod
    def encode(self, images: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tokens]]:
        """Tokens of `layers` in network order for normalised, padded images [N, 3, H, W].

        `layers` may name ``output``, the tokens after the final norm, which comes last.
        """

    def grid(self, height: int, width: int, layer: str = OUTPUT_LAYER) -> PatchGrid:
        """Where the patch tokens of `layer` lie in an image of this size."""
        a = self.architecture
        return padded_grid(height, width, a.stride_of(layer), a.pad_multiple)

    def prepare_images(self, images: Tensor) -> Tensor:
        """Range, normalisation, then padding, of [N, 3, H, W]."""
        return pad_to_grid(self.normalised(images), self.grid(*images.shape[-2:]))

    def normalised(self, images: Tensor) -> Tensor:
        """Floats less the mean, by the deviation, of the options' pixel constants."""
        images = to_unit_range(images)
        if not self.options.preprocess_images:
            return images
        constants = NAMED.get(self.options.normalisation, self.normalisation)
        mean = images.new_tensor(constants.mean).view(3, 1, 1)
        std = images.new_tensor(constants.std).view(3, 1, 1)
        return (images - mean) / std

    def iter_layers(
        self, images: Tensor, layers: Sequence[str] | None = None
    ) -> Iterator[tuple[str, Tokens]]:
        """Tokens of each layer, one at a time, for images [B, S, 3, H, W].

        The tokens keep both leading dimensions: patches [B, S, P, D], cls [B, S, D].
        """
        if images.ndim != 5 or images.shape[2] != 3:
            raise BenchError(f"Expected images [B, S, 3, H, W], got {list(images.shape)}.")
        lead = images.shape[:2]
        prepared = self.prepare_images(images.flatten(0, 1))
        wanted = resolve_layers(list(layers), self.layer_names) if layers else self.layers
        for name, tokens in self.encode(prepared, wanted):
            yield name, restore_leading(tokens, lead)

    def forward_features(self, images: Tensor, unflatten_patches: bool = False) -> dict[str, Any]:
        """Features of images [B, 3, H, W] or [B, S, 3, H, W]: RGB floats in [0, 1], or uint8.

        Returns:
            Without ``layers``, single schema: ``x_norm`` [.., T, D], ``x_norm_clstoken`` [.., D]
            where the model has one, ``x_norm_patchtokens`` [.., P, D] or [.., rows, cols, D].
            With ``layers``, multi schema: a dict per layer name with the patch tokens, and the
            class token where there is one. Leading dimensions are those of the input.
        """
        if images.ndim not in (4, 5) or images.shape[-3] != 3:
            raise BenchError(
                f"Expected images [B, 3, H, W] or [B, S, 3, H, W], got {list(images.shape)}."
            )
        batched = images if images.ndim == 5 else self.as_sequences(images)
        height, width = images.shape[-2:]
        found: dict[str, dict[str, Tensor]] = {}
        for name, tokens in self.iter_layers(batched, self.layers):
            shaped = restore_leading(flatten_leading(tokens), images.shape[:-3])
            grid = self.grid(height, width, name) if unflatten_patches else None
            found[name] = named_tokens(shaped, grid)
            if self.options.layers is None:
                every = shaped.patches if shaped.every is None else shaped.every
                return {"x_norm": every, **found[name]}
        return found

    def as_sequences(self, images: Tensor) -> Tensor:
        """[B, 3, H, W] as [B, S, 3, H, W]: one view each. Joint models take one sequence."""
        return images[:, None]

    def forward(self, images: Tensor) -> dict[str, Any]:
        return self.forward_features(images)

    def encode_view_set(self, view_set: ViewSet) -> list[Tensor]:
        """Features [rows, cols, D] per view from geometry; only for ``view_set_with_geometry``."""
        raise BenchError(f"{type(self).__name__} computes features from images, not from geometry.")


def flatten_leading(tokens: Tokens) -> Tokens:
    """[B, S, ...] -> [B * S, ...] on every member."""
    return _on_every_member(tokens, lambda t: t.flatten(0, 1))


def restore_leading(tokens: Tokens, lead: Sequence[int]) -> Tokens:
    """[N, ...] -> [*lead, ...] on every member."""
    return _on_every_member(tokens, lambda t: t.reshape(*lead, *t.shape[1:]))


def _on_every_member(tokens: Tokens, change: Callable[[Tensor], Tensor]) -> Tokens:
    return Tokens(
        patches=change(tokens.patches),
        cls=None if tokens.cls is None else change(tokens.cls),
        every=None if tokens.every is None else change(tokens.every),
    )


def named_tokens(tokens: Tokens, grid: PatchGrid | None) -> dict[str, Tensor]:
    """Published names; patches as [.., rows, cols, D] when a grid is given."""
    patches = tokens.patches
    if grid is not None:
        patches = patches.reshape(*patches.shape[:-2], *grid.shape, patches.shape[-1])
    named = {"x_norm_patchtokens": patches}
    if tokens.cls is not None:
        named["x_norm_clstoken"] = tokens.cls
    return named


def validate_output_schema(output: Mapping[str, Any]) -> Literal["single", "multi"]:
    """Which of the two schemas an output of ``forward_features`` has.

    Raises:
        BenchError: neither; the message names what is wrong.
    """
    single = {"x_norm", "x_norm_clstoken", "x_norm_patchtokens"}
    if "x_norm_patchtokens" in output:
        extra = output.keys() - single
        if extra or "x_norm" not in output:
            raise BenchError(
                f"Not the single schema: keys {sorted(output)}.", f"Expected {sorted(single)}."
            )
        bad = [key for key, value in output.items() if not isinstance(value, Tensor)]
        if bad:
            raise BenchError(f"{bad} are not tensors.", "Leave out what the model does not have.")
        return "single"
    if not output:
        raise BenchError("An empty output has no schema.")
    for layer, tokens in output.items():
        if (
            not isinstance(tokens, Mapping)
            or "x_norm_patchtokens" not in tokens
            or tokens.keys() - {"x_norm_patchtokens", "x_norm_clstoken"}
            or not all(isinstance(value, Tensor) for value in tokens.values())
        ):
            raise BenchError(
                f"Layer '{layer}' is not a dict with x_norm_patchtokens.",
                "Expected {layer: {'x_norm_patchtokens': tensor}}.",
            )
    return "multi"


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random initialisation inside depends on `seed` alone; the global state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield

"""Published weights by name: ``external/checkpoints.yaml``, checked and searchable.

Imports no tensor or model library, so that ``bench list models`` stays quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from bench.errors import BenchError
from bench.models.sources import Source, local_weights
from bench.options import describe_validation


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())


class Figures(_Entry):
    """patch: stride in pixels; dim: width of a token; blocks: intermediate layers."""

    patch: int
    dim: int
    blocks: int
    parameters: int


class Weights(_Entry):
    """One set of weights.

    config: the options that choose it. hub, url, package: where it is, exactly one of them.
    bytes, sha256: of the file, where they have been measured.
    """

    name: str
    config: dict[str, Any] = Field(default_factory=dict, alias="model_config")
    hub: str | None = None
    url: str | None = None
    package: str | None = None
    bytes: int | None = None
    sha256: str | None = None
    licence: str | None = None
    architecture: Figures

    @model_validator(mode="after")
    def _one_place(self) -> Weights:
        if sum(place is not None for place in (self.hub, self.url, self.package)) != 1:
            raise ValueError(f"{self.name}: give exactly one of hub, url and package")
        return self

    @property
    def source(self) -> Source:
        if self.hub is not None:
            return Source("hub", self.hub, self.sha256)
        if self.url is not None:
            return Source("url", self.url, self.sha256)
        assert self.package is not None
        return Source("package", self.package, self.sha256)


class Family(_Entry):
    """All weights of one model id. native_size: side of the pre-training images in pixels."""

    model_id: str
    licence: str
    citation: str
    native_size: int | None
    weights: tuple[Weights, ...]


class Manifest(_Entry):
    """The whole file."""

    families: tuple[Family, ...]


@cache
def manifest() -> Manifest:
    """The manifest of this checkout, or the one shipped with the wheel.

    Raises:
        BenchError: the file is absent or malformed.
    """
    package = Path(__file__).resolve().parents[1]
    places = (package.parent / "external", package / "_shipped" / "external")
    for place in places:
        path = place / "checkpoints.yaml"
        if path.is_file():
            try:
                return Manifest.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
            except ValidationError as error:
                text = describe_validation(error, Manifest)
                raise BenchError(f"{path}: {text}", "Repair the file.") from error
    raise BenchError("checkpoints.yaml is not installed.", "Reinstall bench3d.")


def published_source(model_id: str, options: Mapping[str, Any]) -> Source | None:
    """Where the pretrained weights for these options are; None if there are none."""
    for family in manifest().families:
        if family.model_id != model_id:
            continue
        for weights in family.weights:
            chosen = weights.config.items()
            if all(key in options and options[key] == value for key, value in chosen):
                return weights.source
    return None


def source_at(address: str) -> Source | None:
    """The published source with this address, with its digest where that is known."""
    for family in manifest().families:
        for weights in family.weights:
            if weights.source.address == address:
                return weights.source
    return None


def weights_rows() -> list[dict[str, Any]]:
    """One row per set of weights, for people; ``here``: usable without a network."""
    return [
        {
            "name": weights.name,
            "model_id": family.model_id,
            "options": ", ".join(f"{k}: {_plain(v)}" for k, v in weights.config.items()),
            "patch": weights.architecture.patch,
            "dim": weights.architecture.dim,
            "blocks": weights.architecture.blocks,
            "parameters": f"{weights.architecture.parameters / 1e6:.1f} M",
            "native": family.native_size,
            "here": local_weights(weights.source) is not None,
            "licence": weights.licence or family.licence,
            "source": weights.source.address,
        }
        for family in manifest().families
        for weights in family.weights
    ]


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)

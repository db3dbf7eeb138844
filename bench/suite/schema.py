"""The form of a suite file."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from bench.types import Resolution


class Entry(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, protected_namespaces=(), populate_by_name=True
    )


def _printable(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("must be printable text")
    return text


Text = Annotated[str, Field(max_length=200), AfterValidator(_printable)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=100)]


Layers = list[int | str] | Literal["all", "quarters"]


class ResolutionEntry(Entry):
    """``{patches: N}`` or ``{pixels: P}``; ``native`` and ``padded`` are plain words."""

    patches: int | None = Field(None, ge=1, le=1000)
    pixels: int | None = Field(None, ge=1, le=20000)

    @model_validator(mode="after")
    def _one_of(self) -> ResolutionEntry:
        if (self.patches is None) == (self.pixels is None):
            raise ValueError("say either {patches: N}, {pixels: P}, native or padded")
        return self


ResolutionRule = Literal["native", "padded"] | ResolutionEntry


def resolution_of(rule: ResolutionRule) -> Resolution:
    """The value behind a suite's ``resolution``."""
    if isinstance(rule, str):
        return Resolution(rule)
    if rule.patches is not None:
        return Resolution("patches", rule.patches)
    assert rule.pixels is not None
    return Resolution("pixels", rule.pixels)


class Defaults(Entry):
    """What entries that say nothing get.

    resolution: fair input size. layers: of models. num_views: of datasets that sample their view
    sets. precision: of the forward pass (auto: bfloat16 autocast on CUDA, float32 elsewhere).
    storage: of the features that are scored and cached.
    """

    resolution: ResolutionRule = ResolutionEntry(patches=37)
    layers: Layers | None = None
    num_views: int | None = Field(None, ge=1, le=1000)
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    storage: Literal["float16", "float32"] = "float16"


class ModelEntry(Entry):
    """A row of the table. `extends` names a preset whose fields this entry overrides."""

    model_id: Text
    label: Text
    config: dict[str, Any] = Field(default_factory=dict, alias="model_config")
    layers: Layers | None = None
    norm: Literal["final", "none"] = "final"
    cache_layers: bool = False


class DatasetEntry(Entry):
    """`resolution` overrides the suite's default for this dataset."""

    name: Text
    label: Text | None = None
    root: Text | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    resolution: ResolutionRule | None = None

    @property
    def title(self) -> str:
        return self.label or self.name


class TaskEntry(Entry):
    """`datasets` restricts the task to some of the suite's datasets, by label."""

    name: Text
    label: Text | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    datasets: list[str] | None = None

    @property
    def title(self) -> str:
        return self.label or self.name


class TableEntry(Entry):
    """One table of the leaderboard: which metrics of which task."""

    title: Text
    task: Text
    metrics: list[Text] = Field(min_length=1)
    note: str | None = None


class Suite(Entry):
    """A whole suite."""

    name: Identifier
    version: int = Field(1, ge=1)
    description: str = ""
    seed: int = Field(0, ge=0, lt=2**31)
    defaults: Defaults = Defaults()
    models: list[ModelEntry] = Field(min_length=1)
    datasets: list[DatasetEntry] = Field(min_length=1)
    tasks: list[TaskEntry] = Field(min_length=1)
    tables: list[TableEntry] = Field(default_factory=list)

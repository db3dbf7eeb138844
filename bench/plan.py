"""From a suite to the ordered list of cells, without building a model.

A cell is model x layer x dataset x task: the unit that is stored, resumed and compared. Its key is
the hash of everything that can change a score, and of nothing else.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel

from bench.datasets import datasets
from bench.datasets._lists import list_hash
from bench.errors import BenchError
from bench.models import get_model_class
from bench.models.described import Described
from bench.models.feature_extractors.base import Layers, resolve_layers
from bench.results import GROUP_LAYER
from bench.suite import DatasetEntry, ModelEntry, Suite, TaskEntry, resolution_of
from bench.tasks import tasks
from bench.types import Dataset, Resolution, Task, ViewSetRef

#: Options that say where something lies, not what it is; the content is hashed instead.
PLACES = frozenset({"checkpoint_path", "root", "sets", "metadata"})


@dataclass(frozen=True)
class ModelPlan:
    """A model before it is built. error: why its cells cannot run."""

    label: str
    model_id: str
    kind: type[Described]
    options: Any
    layers: tuple[str, ...]
    layer_names: tuple[str, ...]
    role: Literal["backbone", "floor", "ceiling"]
    stride: int | None
    cache_layers: bool = False
    fingerprint: str | None = None
    error: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether weights and layers are identified; otherwise they are once it is loaded."""
        return self.fingerprint is not None and self.stride is not None

    def identity(self) -> dict[str, Any]:
        """What of the model can change a score."""
        config = _plain(self.options, leave_out=PLACES | {"layers", "norm"})
        return {"id": self.model_id, "version": self.kind.version, "config": config}


@dataclass(frozen=True)
class DatasetPlan:
    """A dataset and the view sets of it that are scored. error: why its cells cannot run."""

    label: str
    name: str
    resolution: Resolution
    dataset: Dataset | None
    refs: tuple[ViewSetRef, ...] = ()
    list_hash: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    limit: int | None = None
    error: str | None = None

    def identity(self) -> dict[str, Any]:
        """What of the dataset can change a score."""
        assert self.dataset is not None
        options = getattr(self.dataset, "options", None)
        return {
            "name": self.name,
            "version": self.dataset.version,
            "options": _plain(options, PLACES) if options is not None else dict(self.options),
            "list": self.list_hash,
            "limit": self.limit,
            "resolution": self.resolution.rule,
        }


@dataclass(frozen=True)
class TaskPlan:
    """A task of the suite."""

    label: str
    name: str
    kind: type[Task]
    config: Mapping[str, Any]
    datasets: tuple[str, ...] | None

    def build(self) -> Task:
        return self.kind(**self.config)

    @cached_property
    def example(self) -> Task:
        """An instance that is asked for its metrics and options only."""
        return self.build()

    def identity(self) -> dict[str, Any]:
        options = getattr(self.example, "options", None)
        config = _plain(options, frozenset()) if options is not None else dict(self.config)
        return {"name": self.name, "version": self.kind.version, "options": config}


@dataclass(frozen=True)
class Cell:
    """One unit of work. `layers` has one name unless the task wants a group of layers."""

    model: ModelPlan
    layers: tuple[str, ...]
    dataset: DatasetPlan
    task: TaskPlan
    storage: str
    precision: str
    seed: int

    @property
    def layer(self) -> str:
        """Layer shown in tables."""
        return self.layers[0] if self.task.kind.layers == "each" else GROUP_LAYER

    @property
    def error(self) -> str | None:
        return self.model.error or self.dataset.error

    @property
    def name(self) -> str:
        """Readable identity inside a suite."""
        return " | ".join((self.model.label, self.dataset.label, self.task.label, self.layer))

    @property
    def key(self) -> str | None:
        """Hash of everything that can change a score; None while the model is not yet known."""
        return self._digest if self.model.is_known and self.error is None else None

    @cached_property
    def _digest(self) -> str:
        norm = getattr(self.model.options, "norm", None)
        parts = {
            "model": {**self.model.identity(), "weights": self.model.fingerprint, "norm": norm},
            "layers": list(self.layers),
            "dataset": self.dataset.identity(),
            "task": self.task.identity(),
            "storage": self.storage,
            "precision": self.precision,
            "seed": self.seed,
        }
        return digest(parts)

    @property
    def folder(self) -> str:
        """Folder of the cell below ``cells/``: readable, and new whenever the key is."""
        suffix = "unusable" if self.error is not None else self._digest[:12]
        if self.error is None and self.key is None:
            suffix = f"pending-{suffix}"
        parts = (self.model.label, self.dataset.label, self.task.label)
        return "/".join([*(slug(part) for part in parts), f"{slug(self.layer)}-{suffix}"])


@dataclass(frozen=True)
class Plan:
    """All cells of a suite, in the order in which they run."""

    suite: Suite
    cells: tuple[Cell, ...]
    models: tuple[ModelPlan, ...]
    datasets: tuple[DatasetPlan, ...]
    tasks: tuple[TaskPlan, ...]

    def groups(self, cells: Iterable[Cell]) -> Iterator[tuple[ModelPlan, DatasetPlan, list[Cell]]]:
        """Cells that share forward passes: those of one model and dataset."""
        wanted = set(map(id, cells))
        for model in self.models:
            for dataset in self.datasets:
                found = [
                    cell
                    for cell in self.cells
                    if id(cell) in wanted and cell.model is model and cell.dataset is dataset
                ]
                if found:
                    yield model, dataset, found


@dataclass(frozen=True)
class Selection:
    """Which cells of a plan to run. Names match labels exactly or as a part, ignoring case."""

    models: Sequence[str] = ()
    datasets: Sequence[str] = ()
    tasks: Sequence[str] = ()
    shard: tuple[int, int] = (1, 1)

    def choose(self, plan: Plan) -> list[Cell]:
        """Selected cells.

        What shares a forward pass (model and dataset) is dealt to the shards in turn, so that no
        shard computes a feature that another one computes too.

        Raises:
            BenchError: a name that matches nothing.
        """
        named = (
            ("model", self.models, {cell.model.label for cell in plan.cells}),
            ("dataset", self.datasets, {cell.dataset.label for cell in plan.cells}),
            ("task", self.tasks, {cell.task.label for cell in plan.cells}),
        )
        allowed = {}
        for kind, wanted, labels in named:
            allowed[kind] = _matching(kind, wanted, labels)
        chosen = [
            cell
            for cell in plan.cells
            if cell.model.label in allowed["model"]
            and cell.dataset.label in allowed["dataset"]
            and cell.task.label in allowed["task"]
        ]
        index, count = self.shard
        groups = list(dict.fromkeys((c.model.label, c.dataset.label) for c in chosen))
        own = set(groups[index - 1 :: count])
        return [cell for cell in chosen if (cell.model.label, cell.dataset.label) in own]


def make_plan(suite: Suite, *, precision: str, limit: int | None = None) -> Plan:
    """The cells of a suite.

    Args:
        precision: of the forward pass, resolved for the device (never ``auto``).
        limit: at most this many view sets of each split of each dataset.
    """
    models = tuple(plan_model(entry, suite) for entry in suite.models)
    dataset_plans = tuple(plan_dataset(entry, suite, limit) for entry in suite.datasets)
    task_plans = tuple(plan_task(entry) for entry in suite.tasks)
    cells = [
        Cell(model, layers, dataset, task, suite.defaults.storage, precision, suite.seed)
        for model in models
        for dataset in dataset_plans
        for task in task_plans
        if task.datasets is None or dataset.label in task.datasets
        for layers in (
            [model.layers] if task.kind.layers == "group" else [(n,) for n in model.layers]
        )
    ]
    return Plan(suite, tuple(cells), models, dataset_plans, task_plans)


def plan_model(entry: ModelEntry, suite: Suite) -> ModelPlan:
    """A model of the suite; problems with its weights are kept as the plan's error."""
    kind = get_model_class(entry.model_id)
    options = kind.parse(model_options(entry, suite.defaults.layers))
    plan = ModelPlan(
        label=entry.label,
        model_id=entry.model_id,
        kind=kind,
        options=options,
        layers=(),
        layer_names=(),
        role=kind.role_of(options),
        stride=None,
        cache_layers=entry.cache_layers,
    )
    try:
        plan = replace(plan, fingerprint=kind.fingerprint(options))
        architecture = kind.describe(options)
    except BenchError as error:
        return replace(plan, layers=_unresolved(options), error=str(error))
    if architecture is None:
        return replace(plan, layers=_unresolved(options))
    names = architecture.layer_names
    return replace(
        plan,
        layers=resolve_layers(options.layers, names),
        layer_names=names,
        stride=architecture.stride,
    )


def model_options(entry: ModelEntry, layers: Layers | None = None) -> dict[str, Any]:
    """model_config with the entry's own `layers` (else the suite's) and `norm`."""
    config = dict(entry.config)
    chosen = entry.layers if entry.layers is not None else config.get("layers", layers)
    if chosen is not None:
        config["layers"] = chosen
    if "norm" in entry.model_fields_set:
        config["norm"] = entry.norm
    return config


def plan_dataset(entry: DatasetEntry, suite: Suite, limit: int | None) -> DatasetPlan:
    """A dataset of the suite; absent data is kept as the plan's error."""
    rule = entry.resolution if entry.resolution is not None else suite.defaults.resolution
    plan = DatasetPlan(entry.title, entry.name, resolution_of(rule), None, limit=limit)
    try:
        options = dataset_options(entry, suite)
        plan = replace(plan, options=options)
        dataset = datasets.get(entry.name)(**options)
        refs = limited(dataset.view_sets(), limit)
        if not refs:
            raise BenchError(f"Dataset '{entry.title}' has no view sets.", dataset.how_to_get)
    except BenchError as error:
        return replace(plan, error=str(error))
    except Exception as error:
        # A reader that trips over a damaged file fails its own cells, not the run.
        return replace(plan, error=f"{entry.title}: {type(error).__name__}: {error}")
    return replace(plan, dataset=dataset, refs=refs, list_hash=list_hash(dataset))


def dataset_options(entry: DatasetEntry, suite: Suite) -> dict[str, Any]:
    """params, with `root` and the suite's `num_views` where the dataset takes them."""
    config = dict(entry.params)
    known = datasets.get(entry.name).Options.model_fields
    if entry.root is not None:
        config["root"] = entry.root
    if suite.defaults.num_views is not None and "num_views" in known:
        config.setdefault("num_views", suite.defaults.num_views)
    return config


def plan_task(entry: TaskEntry) -> TaskPlan:
    """A task of the suite."""
    chosen = None if entry.datasets is None else tuple(entry.datasets)
    return TaskPlan(entry.title, entry.name, tasks.get(entry.name), dict(entry.params), chosen)


def limited(refs: Iterable[ViewSetRef], limit: int | None) -> tuple[ViewSetRef, ...]:
    """The first `limit` view sets of each split, in order."""
    seen: dict[str, int] = {}
    kept = []
    for ref in refs:
        seen[ref.split] = seen.get(ref.split, 0) + 1
        if limit is None or seen[ref.split] <= limit:
            kept.append(ref)
    return tuple(kept)


def digest(value: object) -> str:
    """sha256 of canonical JSON."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def slug(text: str) -> str:
    """A file name for a label; labels that differ get names that differ."""
    plain = re.sub(r"[^A-Za-z0-9_.]+", "-", text).strip("-.")[:60]
    return plain if plain == text else f"{plain or 'x'}-{digest(text)[:6]}"


def _unresolved(options: Any) -> tuple[str, ...]:
    """One placeholder for the layers of a model whose depth is known only after loading."""
    wanted = options.layers
    if isinstance(wanted, list):
        return (", ".join(map(str, wanted)),)
    return (wanted,) if isinstance(wanted, str) else resolve_layers(None, ())


def _plain(options: BaseModel, leave_out: frozenset[str]) -> dict[str, Any]:
    return {k: v for k, v in options.model_dump(mode="json").items() if k not in leave_out}


def _matching(kind: str, wanted: Sequence[str], labels: set[str]) -> set[str]:
    found: set[str] = set()
    for word in wanted:
        exact = {label for label in labels if label == word}
        close = exact or {label for label in labels if word.lower() in label.lower()}
        if not close:
            known = ", ".join(sorted(labels))
            raise BenchError(f"No {kind} of this suite matches '{word}'.", f"It has: {known}.")
        found |= close
    return found if wanted else labels

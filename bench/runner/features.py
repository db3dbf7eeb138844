"""Features of view sets: one forward pass for all wanted layers, or the cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from bench.errors import BenchError
from bench.models.described import BuiltModel
from bench.plan import ModelPlan, digest
from bench.runner.cache import FeatureStore
from bench.types import FeatureMap, PatchGrid, View, ViewSet

STORAGE = {"float16": torch.float16, "float32": torch.float32}
AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
Maps = list[FeatureMap]
#: (view set, view) in a batch -> patches [rows, cols, D], class token [D] if there is one, grid.
Rows = dict[tuple[int, int], tuple[Tensor, Tensor | None, PatchGrid]]


def resolve_precision(
    precision: Literal["auto", "float32", "bfloat16", "float16"], device: str
) -> str:
    """``auto`` is bfloat16 autocast on CUDA and float32 elsewhere."""
    if precision != "auto":
        return precision
    return "bfloat16" if device.startswith("cuda") else "float32"


@dataclass(frozen=True)
class Unit:
    """Views that go through the model together: one view, or all views of a set (joint models).

    view_set: place in the batch; views: places in the view set, all of one size.
    """

    view_set: int
    views: range


@dataclass
class FeatureSource:
    """Features, or predictions, of one model.

    Attributes:
        store: where features are read if they are there; None reads and writes nothing.
        write: whether what is computed is stored as well.
        forward_passes: view sets that went through the model, for the run's report.
        cache_hits: view sets that did not have to.
        forward_seconds, forward_views: time inside the model, and how many views it was for.
    """

    extractor: Any
    plan: ModelPlan
    device: str
    precision: str
    storage: str
    store: FeatureStore | None = None
    write: bool = False
    forward_passes: int = 0
    cache_hits: int = 0
    forward_seconds: float = 0.0
    forward_views: int = 0

    @property
    def forward_ms(self) -> float | None:
        """Mean time per view in milliseconds; None if nothing was computed."""
        return 1000 * self.forward_seconds / self.forward_views if self.forward_views else None

    def layers(
        self, view_sets: Sequence[ViewSet], wanted: Sequence[str]
    ) -> Iterator[tuple[str, Maps]]:
        """For each wanted layer, in network order, one feature map per view set.

        Only one layer is held at a time when all images have one size.

        Raises:
            BenchError: a joint model was given views of several sizes.
        """
        keys = self._keys(view_sets, wanted)
        for position, layer in enumerate(wanted):
            maps = self._from_store(view_sets, layer, keys[layer]) if keys else None
            if maps is None:
                yield from self._computed(view_sets, wanted[position:], keys)
                return
            yield layer, maps
        self.cache_hits += len(view_sets)

    def _computed(
        self, view_sets: Sequence[ViewSet], wanted: Sequence[str], keys: Mapping[str, list[str]]
    ) -> Iterator[tuple[str, Maps]]:
        for layer, maps in self._stepwise(self._forward(view_sets, wanted)):
            if self.write and keys:
                self._keep(view_sets, maps, keys[layer])
            yield layer, maps
        self.forward_passes += len(view_sets)
        self.forward_views += sum(map(len, view_sets))

    def _stepwise(self, layers: Iterator[tuple[str, Maps]]) -> Iterator[tuple[str, Maps]]:
        """The same, timed, with autocast on while the model computes and off while tasks score."""
        while True:
            started = time.perf_counter()
            with torch.no_grad(), self._autocast():
                found = next(layers, None)
            if self.device.startswith("cuda"):
                torch.cuda.synchronize(self.device)
            self.forward_seconds += time.perf_counter() - started
            if found is None:
                return
            yield found

    def predictions(self, view_sets: Sequence[ViewSet]) -> list[dict[str, Any]]:
        """Per view set, what a full model says of it: tensors [S, ...] without batch dimension.

        Raises:
            BenchError: views of several sizes.
        """
        found = []
        with torch.no_grad(), self._autocast():
            for view_set in view_sets:
                self._need_one_size(view_set)
                images = self._on_device(view_set.views)
                started = time.perf_counter()
                said = self.extractor.predict(images[None])
                self.forward_seconds += time.perf_counter() - started
                self.forward_views += len(view_set)
                self.forward_passes += 1
                tensors = {k: v[0].float() for k, v in said.items() if isinstance(v, Tensor)}
                found.append(tensors)
        return found

    def _need_one_size(self, view_set: ViewSet) -> None:
        count = len({view.size for view in view_set.views})
        if count > 1:
            raise BenchError(
                f"{self.plan.label} sees all views at once and needs them in one size; "
                f"{view_set.scene}/{view_set.set_id} has {count} sizes.",
                "Choose view sets of equal aspect.",
            )

    def _autocast(self) -> AbstractContextManager[object]:
        dtype = AUTOCAST[self.precision]
        if dtype is None:
            return nullcontext()
        return torch.autocast(self.device.split(":")[0], dtype=dtype)

    # Forward pass

    def _forward(
        self, view_sets: Sequence[ViewSet], wanted: Sequence[str]
    ) -> Iterator[tuple[str, Maps]]:
        """One pass for all views of one size; layer by layer where that is all."""
        if self.extractor.scope == "view_set_with_geometry":
            yield wanted[0], [self._from_geometry(view_set, wanted[0]) for view_set in view_sets]
            return
        passes = [self._pass(view_sets, units, wanted) for units in self._by_size(view_sets)]
        if len(passes) == 1:
            for layer, rows in passes[0]:
                yield layer, _assembled(view_sets, layer, rows)
            return
        found: dict[str, Rows] = {layer: {} for layer in wanted}
        for one in passes:
            for layer, rows in one:
                found[layer].update(rows)
        for layer, rows in found.items():
            yield layer, _assembled(view_sets, layer, rows)

    def _units(self, view_sets: Sequence[ViewSet]) -> list[Unit]:
        joint = self.extractor.scope == "view_set"
        return [
            Unit(number, views)
            for number, view_set in enumerate(view_sets)
            for views in (
                [range(len(view_set))] if joint else [range(i, i + 1) for i in range(len(view_set))]
            )
        ]

    def _by_size(self, view_sets: Sequence[ViewSet]) -> list[list[Unit]]:
        groups: dict[tuple[int, ...], list[Unit]] = {}
        for unit in self._units(view_sets):
            view_set = view_sets[unit.view_set]
            if len(unit.views) > 1:
                self._need_one_size(view_set)
            size = view_set.views[unit.views[0]].size
            groups.setdefault((len(unit.views), *size), []).append(unit)
        return list(groups.values())

    def _pass(
        self, view_sets: Sequence[ViewSet], units: Sequence[Unit], wanted: Sequence[str]
    ) -> Iterator[tuple[str, Rows]]:
        places = [(unit.view_set, i) for unit in units for i in unit.views]
        views = [view_sets[number].views[i] for number, i in places]
        flat = self._on_device(views)
        images = flat.reshape(len(units), -1, *flat.shape[1:])
        for layer, tokens in self.extractor.iter_layers(images, wanted):
            grid = self.extractor.grid(*views[0].size, layer)
            stored = self._stored(tokens.patches).flatten(0, 1)
            patches = stored.reshape(-1, *grid.shape, stored.shape[-1])
            cls = None if tokens.cls is None else self._stored(tokens.cls).flatten(0, 1)
            yield (
                layer,
                {
                    place: (patches[n], None if cls is None else cls[n], grid)
                    for n, place in enumerate(places)
                },
            )

    def _from_geometry(self, view_set: ViewSet, layer: str) -> FeatureMap:
        tokens = self.extractor.encode_view_set(view_set)
        grids = tuple(self.extractor.grid(*view.size, layer) for view in view_set.views)
        return FeatureMap(layer, tuple(self._stored(t.to(self.device)) for t in tokens), grids)

    def _stored(self, tokens: Tensor) -> Tensor:
        """Cast to the storage precision before scoring, so that cold and warm runs agree.

        Contiguous as well: the order of a sum, and with it the last bit, follows the layout.
        """
        dtype = STORAGE[self.storage]
        largest = torch.finfo(dtype).max
        return tokens.float().clamp(-largest, largest).to(dtype).contiguous()

    def _on_device(self, views: Sequence[View]) -> Tensor:
        """uint8 crosses the bus, a quarter of the bytes; floats are made on the device."""
        images = torch.stack([view.image for view in views])
        if self.device.startswith("cuda"):
            images = images.pin_memory().to(self.device, non_blocking=True)
        return images.float() / 255

    # Cache

    def _keys(self, view_sets: Sequence[ViewSet], wanted: Sequence[str]) -> dict[str, list[str]]:
        """Per layer, the key of each unit's entry.

        Empty where nothing can be read or written, so that no image is hashed in vain.
        """
        if self.store is None or self.extractor.scope == "view_set_with_geometry":
            return {}
        if not self.write and not self.store.knows(self._model_key):
            return {}
        contents = [
            [image_hash(view_sets[unit.view_set].views[i].image) for i in unit.views]
            for unit in self._units(view_sets)
        ]
        return {
            layer: [f"{self._model_key}/{digest([layer, content])}" for content in contents]
            for layer in wanted
        }

    @cached_property
    def _model_key(self) -> str:
        parts = {
            **self.plan.identity(),
            "weights": self.plan.fingerprint,
            "precision": self.precision,
            "storage": self.storage,
            "norm": getattr(self.plan.options, "norm", None),
        }
        return digest(parts)[:32]

    def _from_store(
        self, view_sets: Sequence[ViewSet], layer: str, keys: Sequence[str]
    ) -> Maps | None:
        """One layer of a batch, or None if an entry is missing or damaged."""
        assert self.store is not None
        if not all(map(self.store.has, keys)):
            return None
        rows: Rows = {}
        for unit, key in zip(self._units(view_sets), keys, strict=True):
            entry = self.store.read(key)
            if entry is None:
                return None
            on_device = {name: tensor.to(self.device) for name, tensor in entry.items()}
            for position, i in enumerate(unit.views):
                grid = self.extractor.grid(*view_sets[unit.view_set].views[i].size, layer)
                cls = on_device["cls"][position] if "cls" in on_device else None
                rows[unit.view_set, i] = (on_device["patches"][position], cls, grid)
        return _assembled(view_sets, layer, rows)

    def _keep(self, view_sets: Sequence[ViewSet], maps: Maps, keys: Sequence[str]) -> None:
        assert self.store is not None
        for unit, key in zip(self._units(view_sets), keys, strict=True):
            if self.store.has(key):
                continue
            own = maps[unit.view_set]
            entry = {"patches": torch.stack([own.tokens[i] for i in unit.views])}
            if own.cls_tokens is not None:
                entry["cls"] = torch.stack([own.cls_tokens[i] for i in unit.views])
            self.store.write(key, entry)


def _assembled(view_sets: Sequence[ViewSet], layer: str, rows: Rows) -> Maps:
    """One feature map per view set from the tokens of single views."""
    maps = []
    for number, view_set in enumerate(view_sets):
        own = [rows[number, i] for i in range(len(view_set))]
        cls = tuple(token for _, token, _ in own if token is not None)
        tokens, grids = tuple(patches for patches, _, _ in own), tuple(grid for _, _, grid in own)
        maps.append(FeatureMap(layer, tokens, grids, cls or None))
    return maps


def image_hash(image: Tensor) -> str:
    """Identity of an image's pixels."""
    header = str(tuple(image.shape)).encode()
    state = hashlib.sha256(header)
    state.update(image.contiguous().numpy().data)
    return state.hexdigest()


def weights_fingerprint(extractor: BuiltModel) -> str:
    """Identity of a loaded model: by its source where that is known, else by its tensors."""
    known: str | None = type(extractor).fingerprint(extractor.options)
    if known is not None:
        return known
    state = hashlib.sha256()
    for name, tensor in sorted(extractor.state_dict().items()):
        state.update(name.encode())
        state.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return f"tensors:{state.hexdigest()}"

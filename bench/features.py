"""Features of view sets: one forward pass for all wanted layers, or the cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from bench.cache import FeatureStore
from bench.errors import BenchError
from bench.models.described import BuiltModel
from bench.models.feature_extractors.base import Tokens
from bench.plan import ModelPlan, digest
from bench.types import FeatureMap, PatchGrid, View, ViewSet

STORAGE = {"float16": torch.float16, "float32": torch.float32}
AUTOCAST = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
Maps = list[FeatureMap]


def resolve_precision(
    precision: Literal["auto", "float32", "bfloat16", "float16"], device: str
) -> str:
    """``auto`` is bfloat16 autocast on CUDA and float32 elsewhere."""
    if precision != "auto":
        return precision
    return "bfloat16" if device.startswith("cuda") else "float32"


@dataclass
class FeatureSource:
    """Features, or predictions, of one model.

    Attributes:
        read, write: whether the store is consulted and filled.
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
    read: bool = False
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
        geometric = self.extractor.scope == "view_set_with_geometry"
        keys = [] if geometric or self.store is None else self._keys(view_sets, wanted)
        if self.read and keys and all(self._has(key) for row in keys for key in row):
            cached = self._from_store(view_sets, wanted, keys)
            if cached is not None:
                self.cache_hits += len(view_sets)
                yield from cached
                return
        self.forward_passes += len(view_sets)
        self.forward_views += sum(map(len, view_sets))
        with torch.no_grad(), self._autocast():
            for name, maps in self._timed(self._compute(view_sets, wanted)):
                if self.write and keys:
                    self._keep(maps, keys[list(wanted).index(name)])
                yield name, maps

    def _timed(self, layers: Iterator[tuple[str, Maps]]) -> Iterator[tuple[str, Maps]]:
        """The same, with the time that each layer took added up."""
        while True:
            started = time.perf_counter()
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
                if len({view.size for view in view_set.views}) > 1:
                    raise self._needs_one_size(view_set)
                images = self._on_device(view_set.views)
                started = time.perf_counter()
                said = self.extractor.predict(images[None])
                self.forward_seconds += time.perf_counter() - started
                self.forward_views += len(view_set)
                self.forward_passes += 1
                tensors = {k: v[0].float() for k, v in said.items() if isinstance(v, Tensor)}
                found.append(tensors)
        return found

    def _needs_one_size(self, view_set: ViewSet) -> BenchError:
        count = len({view.size for view in view_set.views})
        return BenchError(
            f"{self.plan.label} sees all views at once and needs them in one size; "
            f"{view_set.scene}/{view_set.set_id} has {count} sizes.",
            "Choose view sets of equal aspect.",
        )

    def _autocast(self) -> AbstractContextManager[object]:
        dtype = AUTOCAST[self.precision]
        if dtype is None:
            return nullcontext()
        return torch.autocast(self.device.split(":")[0], dtype=dtype)

    def _compute(
        self, view_sets: Sequence[ViewSet], wanted: Sequence[str]
    ) -> Iterator[tuple[str, Maps]]:
        if self.extractor.scope == "view_set_with_geometry":
            yield wanted[0], [self._from_geometry(view_set, wanted[0]) for view_set in view_sets]
            return
        sizes = {(len(vs), *(view.size for view in vs.views)) for vs in view_sets}
        heights_and_widths = {view.size for vs in view_sets for view in vs.views}
        if len(heights_and_widths) == 1 and len(sizes) == 1:
            images = self._on_device([view for vs in view_sets for view in vs.views])
            stacked = images.reshape(len(view_sets), -1, *images.shape[1:])
            for name, tokens in self.extractor.iter_layers(stacked, wanted):
                yield name, [self._map(name, tokens, b, vs) for b, vs in enumerate(view_sets)]
            return
        found: dict[str, Maps] = {name: [] for name in wanted}
        for view_set in view_sets:
            for name, feature_map in self._mixed_sizes(view_set, wanted).items():
                found[name].append(feature_map)
        yield from found.items()

    def _from_geometry(self, view_set: ViewSet, layer: str) -> FeatureMap:
        tokens = self.extractor.encode_view_set(view_set)
        grids = tuple(self.extractor.grid(*view.size, layer) for view in view_set.views)
        return FeatureMap(layer, tuple(self._stored(t.to(self.device)) for t in tokens), grids)

    def _mixed_sizes(self, view_set: ViewSet, wanted: Sequence[str]) -> dict[str, FeatureMap]:
        """Views of one set that differ in size: one forward pass per size."""
        sizes = sorted({view.size for view in view_set.views})
        if self.extractor.scope == "view_set" and len(sizes) > 1:
            raise self._needs_one_size(view_set)
        per_layer: dict[str, dict[int, tuple[Tensor, Tensor | None, PatchGrid]]] = {}
        for size in sizes:
            members = [i for i, view in enumerate(view_set.views) if view.size == size]
            images = self._on_device([view_set.views[i] for i in members])[None]
            for name, tokens in self.extractor.iter_layers(images, wanted):
                grid = self.extractor.grid(*size, name)
                for position, index in enumerate(members):
                    patches = tokens.patches[0, position].reshape(*grid.shape, -1)
                    cls = None if tokens.cls is None else self._stored(tokens.cls[0, position])
                    per_layer.setdefault(name, {})[index] = (self._stored(patches), cls, grid)
        maps = {}
        for name, rows in per_layer.items():
            ordered = [rows[i] for i in range(len(view_set))]
            cls_tokens = [cls for _, cls, _ in ordered if cls is not None]
            maps[name] = FeatureMap(
                name,
                tuple(patches for patches, _, _ in ordered),
                tuple(grid for _, _, grid in ordered),
                tuple(cls_tokens) or None,
            )
        return maps

    def _map(self, name: str, tokens: Tokens, index: int, view_set: ViewSet) -> FeatureMap:
        grid = self.extractor.grid(*view_set.views[0].size, name)
        patches = self._stored(tokens.patches[index]).reshape(len(view_set), *grid.shape, -1)
        cls = None if tokens.cls is None else tuple(self._stored(tokens.cls[index]))
        return FeatureMap(name, tuple(patches), (grid,) * len(view_set), cls)

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

    def _keys(self, view_sets: Sequence[ViewSet], wanted: Sequence[str]) -> list[list[str]]:
        """Per layer, the keys of all entries: one per view, or one per set for joint models."""
        joint = self.extractor.scope == "view_set"
        model = {
            **self.plan.identity(),
            "weights": self.plan.fingerprint,
            "precision": self.precision,
            "storage": self.storage,
            "norm": getattr(self.plan.options, "norm", None),
        }
        hashes = [[image_hash(view.image) for view in vs.views] for vs in view_sets]
        contents: list[object] = list(hashes) if joint else [h for row in hashes for h in row]
        base = digest(model)
        return [[digest([base, layer, content]) for content in contents] for layer in wanted]

    def _has(self, key: str) -> bool:
        return self.store is not None and self.store.has(key)

    def _from_store(
        self, view_sets: Sequence[ViewSet], wanted: Sequence[str], keys: list[list[str]]
    ) -> Iterator[tuple[str, Maps]] | None:
        """All layers of the batch, or None as soon as one entry turns out damaged."""
        assert self.store is not None
        joint = self.extractor.scope == "view_set"
        found: dict[str, list[list[dict[str, Tensor]]]] = {}
        for layer, row in zip(wanted, keys, strict=True):
            entries = []
            for key in row:
                entry = self.store.read(key)
                if entry is None:
                    return None
                entries.append(entry)
            remaining = iter(entries)
            found[layer] = [
                [_view_of(entry, i) for entry in [next(remaining)] for i in range(len(vs))]
                if joint
                else [_view_of(next(remaining), 0) for _ in vs.views]
                for vs in view_sets
            ]
        return self._assembled(view_sets, found)

    def _assembled(
        self, view_sets: Sequence[ViewSet], found: dict[str, list[list[dict[str, Tensor]]]]
    ) -> Iterator[tuple[str, Maps]]:
        for layer, sets in found.items():
            maps = []
            for view_set, views in zip(view_sets, sets, strict=True):
                grids = tuple(self.extractor.grid(*view.size, layer) for view in view_set.views)
                tokens = tuple(entry["patches"].to(self.device) for entry in views)
                cls = tuple(entry["cls"].to(self.device) for entry in views if "cls" in entry)
                maps.append(FeatureMap(layer, tokens, grids, cls or None))
            yield layer, maps

    def _keep(self, maps: Maps, keys: list[str]) -> None:
        assert self.store is not None
        remaining = iter(keys)
        for feature_map in maps:
            if self.extractor.scope == "view_set":
                stacked = {"patches": torch.stack(feature_map.tokens)}
                if feature_map.cls_tokens is not None:
                    stacked["cls"] = torch.stack(feature_map.cls_tokens)
                self.store.write(next(remaining), stacked)
                continue
            for index, tokens in enumerate(feature_map.tokens):
                own = {"patches": tokens[None]}
                if feature_map.cls_tokens is not None:
                    own["cls"] = feature_map.cls_tokens[index][None]
                key = next(remaining)
                if not self.store.has(key):
                    self.store.write(key, own)


def _view_of(entry: dict[str, Tensor], index: int) -> dict[str, Tensor]:
    return {name: tensor[index] for name, tensor in entry.items()}


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

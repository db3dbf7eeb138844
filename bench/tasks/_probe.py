"""What the trained probes share: options, samples, training, and scores per view set."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors.torch import save_file
from torch import Tensor

from bench.errors import BenchError
from bench.probes.heads import Probe, build_head
from bench.probes.objectives import Objective
from bench.probes.samples import Sample, SampleKey, SampleStore
from bench.probes.training import History, Training, train
from bench.types import ItemScore, Metric, Split, TaskContext, TaskItem, View, ViewSet

Preset = Literal["linear", "dpt-64", "dpt-512"]
Scores = Mapping[str, float]
TargetOf = Callable[[View, ViewSet], Tensor]


@dataclass(frozen=True)
class Size:
    """width: channels of a DPT, None for a linear layer; bins: of the depth; training: defaults."""

    width: int | None
    bins: int
    training: Training


#: ``dpt-512`` is the size of Probe3D's head; ``dpt-64`` trains in minutes on a laptop.
SIZES: Mapping[Preset, Size] = {
    "linear": Size(None, 256, Training(steps=600, batch_size=8, learning_rate=1e-3)),
    "dpt-64": Size(64, 64, Training(steps=300, batch_size=4, learning_rate=5e-4)),
    "dpt-512": Size(512, 256, Training(steps=4000, batch_size=8, learning_rate=5e-4)),
}


class ProbeOptions(BaseModel):
    """Options common to the trained probes.

    train_split: view sets to train on. held_out: what stops the training early, view sets of the
    split ``val`` or the last `held_out_share` of the training ``scenes`` (of the views, if there is
    one scene). A dataset without training scenes can train on ``val`` and hold out ``scenes`` of
    it. Scores are of the split ``test`` alone. steps, batch_size, learning_rate: None takes the
    preset's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    preset: Preset = "linear"
    train_split: Literal["train", "val"] = "train"
    held_out: Literal["val", "scenes"] = "val"
    held_out_share: float = Field(0.2, gt=0, lt=1)
    steps: int | None = Field(None, ge=1)
    batch_size: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)

    @model_validator(mode="after")
    def _disjoint(self) -> ProbeOptions:
        if self.train_split == self.held_out:
            raise ValueError("train_split val needs held_out scenes: one view set serves one end")
        return self

    @property
    def size(self) -> Size:
        return SIZES[self.preset]

    @property
    def training(self) -> Training:
        own = self.size.training
        return Training(
            steps=self.steps or own.steps,
            batch_size=self.batch_size or own.batch_size,
            learning_rate=self.learning_rate or own.learning_rate,
        )


@dataclass
class ProbeState:
    """Samples seen so far. seen: training views, which may be part of several view sets."""

    context: TaskContext
    store: SampleStore = field(default_factory=SampleStore)
    seen: set[tuple[str, str]] = field(default_factory=set)


COUNTS = (
    Metric("num_views", "Views scored", "", None),
    Metric("num_unscored_views", "Views without a target or without finite features", "", None),
)


def collect(state: ProbeState, item: TaskItem, options: ProbeOptions, target_of: TargetOf) -> None:
    """Keep the views of a view set that are trained, stopped or scored on.

    Raises:
        BenchError: the layers have different grids.
    """
    view_set, maps = item.view_set, list(item.features.values())
    if any(feature_map.grids != maps[0].grids for feature_map in maps):
        raise BenchError("A probe needs layers of one grid.", "Choose other layers.")
    used = {"test", options.train_split, options.held_out}
    if view_set.split not in used:
        return
    for i, view in enumerate(view_set.views):
        name = (view_set.scene, view.name)
        if view_set.split != "test" and name in state.seen:
            continue
        state.seen.add(name)
        sample = Sample(tuple(m.tokens[i] for m in maps), target_of(view, view_set))
        finite = all(bool(torch.isfinite(tokens).all()) for tokens in sample.tokens)
        key = SampleKey(
            view_set.scene,
            view_set.set_id,
            view_set.split,
            view.name,
            maps[0].grids[i],
            usable=finite and bool(sample.known.any()),
        )
        state.store.add(key, sample)


def split_samples(
    keys: Sequence[SampleKey], options: ProbeOptions
) -> tuple[list[int], list[int], list[int]]:
    """Usable samples to train on and to hold out, and all samples to score.

    Raises:
        BenchError: the dataset has nothing to train on, or nothing to hold out.
    """
    test = [i for i, key in enumerate(keys) if key.split == "test"]
    pool = [i for i, key in enumerate(keys) if key.split == options.train_split]
    if options.held_out == "val":
        held_out = [i for i, key in enumerate(keys) if key.split == "val"]
    else:
        held_out = _last_scenes(keys, pool, options.held_out_share)
        pool = [i for i in pool if i not in set(held_out)]
    for name, indices in ((options.train_split, pool), (options.held_out, held_out)):
        if not indices:
            raise BenchError(
                f"No view sets to train a probe on, or to stop it by ({name}).",
                "Set the task's train_split and held_out to what the dataset has; a dataset with "
                "val and test scenes takes {train_split: val, held_out: scenes}.",
            )
    return (
        [i for i in pool if keys[i].usable],
        [i for i in held_out if keys[i].usable],
        test,
    )


def _last_scenes(keys: Sequence[SampleKey], pool: Sequence[int], share: float) -> list[int]:
    scenes = list(dict.fromkeys(keys[i].scene for i in pool))
    if len(scenes) < 2:
        return list(pool[len(pool) - max(1, round(share * len(pool))) :]) if len(pool) > 1 else []
    last = set(scenes[-max(1, round(share * len(scenes))) :])
    return [i for i in pool if keys[i].scene in last]


def train_probe(
    state: ProbeState,
    options: ProbeOptions,
    objective: Objective,
    train_on: Sequence[int],
    held_out: Sequence[int],
) -> Probe | None:
    """A trained probe, whose weights and history lie in the artifacts.

    Returns:
        None where no usable sample is left to train on or to hold out, or the loss is never finite.
    """
    if not train_on or not held_out:
        return None
    context = state.context
    tokens, _, _ = state.store.batch([train_on[0]])
    dims = [layer.shape[1] for layer in tokens]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        head = build_head(dims, options.size.width, objective.outputs, objective.start)
    probe = Probe(dims, head, objective.read).to(context.device)
    history = train(
        probe, objective.loss, state.store, train_on, held_out, options.training, context.seed
    )
    if history.best is None:
        return None
    _save(context, probe, history)
    return probe


def _save(context: TaskContext, probe: Probe, history: History) -> None:
    context.artifacts.mkdir(parents=True, exist_ok=True)
    weights = {name: value.cpu().contiguous() for name, value in probe.state_dict().items()}
    save_file(weights, context.artifacts / "probe.safetensors")
    record = {
        "layers": list(context.layers),
        "best_step": history.best,
        "held_out_loss": {str(step): loss for step, loss in history.held_out.items()},
    }
    text = json.dumps(record, indent=1) + "\n"
    (context.artifacts / "training.json").write_text(text, encoding="utf-8", newline="\n")


@torch.no_grad()
def score_views(
    state: ProbeState,
    probe: Probe | None,
    test: Sequence[int],
    metrics: Sequence[Metric],
    score: Callable[[Tensor, Sample], Scores],
) -> list[ItemScore]:
    """Mean over the views of each view set.

    Args:
        score: scores of a prediction [C, H, W] for a sample; missing keys are NaN.
    """
    rows: dict[tuple[str, str, Split], list[Scores]] = {}
    for index in test:
        key = state.store.keys[index]
        own = rows.setdefault((key.scene, key.set_id, key.split), [])
        if probe is None or not key.usable:
            own.append({})
            continue
        device = probe.mean.device
        tokens, _, _ = state.store.batch([index])
        predicted = probe([t.to(device) for t in tokens], key.grid)[0].cpu()
        own.append(score(predicted, state.store.load(index)))
    state.store.close()
    return [
        ItemScore(scene, set_id, split, _mean(views, metrics))
        for (scene, set_id, split), views in rows.items()
    ]


def _mean(views: Sequence[Scores], metrics: Sequence[Metric]) -> dict[str, float]:
    scored = [view for view in views if view]
    values = {}
    for metric in metrics:
        known = [view[metric.key] for view in scored if metric.key in view]
        values[metric.key] = sum(known) / len(known) if known else math.nan
    values["num_views"] = float(len(scored))
    values["num_unscored_views"] = float(len(views) - len(scored))
    return values

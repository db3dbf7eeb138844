"""What the trained probes share: options, samples, training, and scores per view set."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, model_validator
from safetensors.torch import save
from torch import Tensor

from bench.atomic import write_bytes, write_json
from bench.errors import BenchError
from bench.probes.heads import Probe, build_head
from bench.probes.objectives import Objective
from bench.probes.samples import Sample, SampleKey, Samples, windows
from bench.probes.training import Training, train
from bench.types import ItemScore, Metric, TaskContext, TaskItem, View, ViewSet, ViewSetRef

Preset = Literal["linear", "dpt-64", "dpt-512"]
Scores = Mapping[str, float]
TargetOf = Callable[[View, ViewSet], Tensor]


@dataclass(frozen=True)
class Size:
    """A head and its training. width: channels of a DPT, None for a linear layer; bins: of the
    depth; steps: at most, or None for Probe3D's 10 epochs."""

    width: int | None
    bins: int
    steps: int | None
    batch_size: int
    learning_rate: float


EPOCHS = 10
#: ``dpt-512`` is trained as in Probe3D's code; ``dpt-64`` takes minutes on a laptop.
SIZES: Mapping[Preset, Size] = {
    "linear": Size(None, 256, steps=200, batch_size=8, learning_rate=1e-3),
    "dpt-64": Size(64, 64, steps=120, batch_size=4, learning_rate=1e-3),
    "dpt-512": Size(512, 256, steps=None, batch_size=8, learning_rate=5e-4),
}


class ProbeOptions(BaseModel):
    """Options common to the trained probes.

    preset: the head, ``linear`` or a DPT of so many channels. train_split: view sets to train on.
    held_out: what stops the training early, view sets of the split ``val`` or the last of the
    training ``scenes`` (of the views, if there is one scene). A dataset without training scenes can
    train on ``val`` and hold out ``scenes`` of it. Scores are of the split ``test`` alone.
    held_out_share: of the training scenes. steps, batch_size, learning_rate: None takes the
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

    def training(self, num_samples: int) -> Training:
        """How a probe is trained on so many samples."""
        own = self.size
        batch_size = self.batch_size or own.batch_size
        return Training(
            steps=self.steps or own.steps or math.ceil(EPOCHS * num_samples / batch_size),
            batch_size=batch_size,
            learning_rate=self.learning_rate or own.learning_rate,
        )


@dataclass
class ProbeState:
    """Keys of the samples seen so far. seen: training views, which may be part of several sets."""

    context: TaskContext
    samples: Samples
    keys: list[SampleKey] = field(default_factory=list)
    seen: set[tuple[str, str]] = field(default_factory=set)


COUNTS = (
    Metric("num_views", "Views scored", "", None),
    Metric("num_unscored_views", "Views without a target or without finite features", "", None),
)


def start(context: TaskContext, task: str, target_of: TargetOf) -> ProbeState:
    """A state without samples."""

    def sample_of(item: TaskItem, i: int) -> Sample:
        tokens = tuple(feature_map.tokens[i].cpu() for feature_map in item.features.values())
        return Sample(tokens, target_of(item.view_set.views[i], item.view_set))

    label = f"{context.model} on {context.dataset}: {task}"
    return ProbeState(context, Samples(context.reread, sample_of, label))


def collect(
    state: ProbeState,
    item: TaskItem,
    options: ProbeOptions,
    typical: Callable[[Sample], tuple[float, ...]],
) -> None:
    """Note the views of a view set that are trained, stopped or scored on; features are read again.

    Raises:
        BenchError: the layers have different grids.
    """
    view_set, maps = item.view_set, list(item.features.values())
    if any(feature_map.grids != maps[0].grids for feature_map in maps):
        raise BenchError("A probe needs layers of one grid.", "Choose other layers.")
    used = {"test", options.train_split, options.held_out}
    if view_set.split not in used:
        return
    names = tuple(view.name for view in view_set.views)
    ref = ViewSetRef(view_set.scene, view_set.set_id, view_set.split, names)
    for i, name in enumerate(names):
        if view_set.split != "test" and (view_set.scene, name) in state.seen:
            continue
        state.seen.add((view_set.scene, name))
        sample = state.samples.sample_of(item, i)
        finite = all(bool(torch.isfinite(tokens).all()) for tokens in sample.tokens)
        usable = finite and bool(sample.known.any())
        own = typical(sample) if usable else ()
        state.keys.append(SampleKey(ref, i, maps[0].grids[i], usable, sample.size_bytes, own))


def split_samples(
    keys: Sequence[SampleKey], options: ProbeOptions
) -> tuple[list[SampleKey], list[SampleKey], list[SampleKey]]:
    """Usable samples to train on and to hold out, and all samples to score.

    Raises:
        BenchError: the dataset has nothing to train on, or nothing to hold out.
    """
    test = [key for key in keys if key.view_set.split == "test"]
    pool = [key for key in keys if key.view_set.split == options.train_split]
    if options.held_out == "val":
        held_out = [key for key in keys if key.view_set.split == "val"]
    else:
        pool, held_out = _without_last_scenes(pool, options.held_out_share)
    for name, found in ((options.train_split, pool), (options.held_out, held_out)):
        if not found:
            raise BenchError(
                f"No view sets to train a probe on, or to stop it by ({name}).",
                "Set the task's train_split and held_out to what the dataset has; a dataset with "
                "val and test scenes takes {train_split: val, held_out: scenes}.",
            )
    return (
        [key for key in pool if key.usable],
        [key for key in held_out if key.usable],
        test,
    )


def _without_last_scenes(
    pool: Sequence[SampleKey], share: float
) -> tuple[list[SampleKey], list[SampleKey]]:
    """The samples of the first scenes and those of the last; views where there is one scene."""
    scenes = list(dict.fromkeys(key.view_set.scene for key in pool))
    if len(scenes) > 1:
        last = set(scenes[-max(1, round(share * len(scenes))) :])
        return (
            [key for key in pool if key.view_set.scene not in last],
            [key for key in pool if key.view_set.scene in last],
        )
    count = max(1, round(share * len(pool))) if len(pool) > 1 else 0
    return list(pool[: len(pool) - count]), list(pool[len(pool) - count :])


def train_probe(
    state: ProbeState,
    options: ProbeOptions,
    objective: Objective,
    train_on: Sequence[SampleKey],
    held_out: Sequence[SampleKey],
) -> Probe | None:
    """A trained probe, whose weights and history lie in the artifacts.

    Returns:
        None where no usable sample is left to train on or to hold out, or the loss is never finite.
    """
    if not train_on or not held_out:
        return None
    context = state.context
    state.samples.hold(next(windows(train_on)))
    dims = [layer.shape[-1] for layer in state.samples.load(train_on[0]).tokens]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(context.seed)
        head = build_head(dims, options.size.width, objective.outputs, objective.start)
    probe = Probe(dims, head, objective.read).to(context.device)
    training = options.training(len(train_on))
    history = train(
        probe, objective.loss, state.samples, train_on, held_out, training, context.seed
    )
    if history.best is None:
        return None
    weights = {name: value.cpu().contiguous() for name, value in probe.state_dict().items()}
    write_bytes(context.artifacts / "probe.safetensors", save(weights))
    record = {
        "preset": options.preset,
        "layers": list(context.layers),
        "dims": dims,
        "outputs": objective.outputs,
        "training": asdict(training),
        "train_views": len(train_on),
        "held_out_views": len(held_out),
        "best_step": history.best,
        "held_out_loss": list(history.held_out.items()),
    }
    write_json(context.artifacts / "training.json", record)
    return probe


@torch.no_grad()
def score_views(
    state: ProbeState,
    probe: Probe | None,
    test: Sequence[SampleKey],
    metrics: Sequence[Metric],
    score: Callable[[Tensor, Sample], Scores],
) -> list[ItemScore]:
    """Mean over the views of each view set.

    Args:
        score: scores of a prediction [C, H, W] for a sample; missing keys are NaN.
    """

    def one_view(key: SampleKey, trained: Probe) -> Scores:
        tokens, _, _ = state.samples.batch([key])
        predicted = trained([t.to(trained.mean.device) for t in tokens], key.grid)[0].cpu()
        return score(predicted, state.samples.load(key))

    rows: dict[ViewSetRef, list[Scores]] = {}
    for window in windows(test):
        if probe is not None:
            state.samples.hold([key for key in window if key.usable])
        for key in window:
            own = rows.setdefault(key.view_set, [])
            own.append({} if probe is None or not key.usable else one_view(key, probe))
    return [
        ItemScore(ref.scene, ref.set_id, ref.split, _mean(views, metrics))
        for ref, views in rows.items()
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

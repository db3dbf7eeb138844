"""Trained probes: formulas, heads, training, and the tasks between oracle and noise."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from bench.errors import BenchError
from bench.geometry.grid import patch_centres, split_into_patches
from bench.models.preprocessing import padded_grid
from bench.probes.heads import DPTHead, LinearHead, Probe
from bench.probes.samples import HELD_BYTES, Sample, SampleKey, Samples, windows
from bench.probes.training import (
    History,
    Training,
    endless_batches,
    same_grid_batches,
    standardise,
)
from bench.tasks._probe import ProbeOptions, split_samples
from bench.tasks.depth_probe import DepthProbe
from bench.tasks.normal_probe import NormalProbe
from bench.types import FeatureMap, ItemScore, PatchGrid, Split, TaskItem, View, ViewSet, ViewSetRef
from tests.unit.sphere_scene import camera_at, context, grids_of, view_of


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Many small steps: several threads would mostly wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Heads


@pytest.mark.parametrize("patch", [14, 16, 32])
def test_predictions_lie_over_their_pixels(patch: int) -> None:
    """A head that passes the patch centre through predicts each pixel's own place."""
    grid = padded_grid(100, 150, patch, patch)
    tokens = patch_centres(grid).float().permute(2, 0, 1)[None]
    probe = Probe([2], LinearHead([2], 2), lambda x: x)
    linear: Any = probe.head
    with torch.no_grad():
        linear.last.weight.copy_(torch.eye(2)[..., None, None])
        linear.last.bias.zero_()
        found = probe([tokens], grid)[0]
    assert found.shape == (2, 100, 150)
    x = torch.arange(150) + 0.5
    inside = (x > patch) & (x < 150 - patch)
    torch.testing.assert_close(found[0, 50][inside], x[inside])
    y = torch.arange(100) + 0.5
    inside = (y > patch) & (y < 100 - patch)
    torch.testing.assert_close(found[1, :, 75][inside], y[inside])


@pytest.mark.parametrize("levels", [1, 4])
def test_dpt_uses_every_level(levels: int) -> None:
    torch.manual_seed(0)
    head = DPTHead([6] * levels, 8, 3)
    tokens = [torch.randn(1, 6, 3, 4, requires_grad=True) for _ in range(levels)]
    found = head(tokens)
    assert found.shape == (1, 3, 24, 32)
    found.sum().backward()
    assert all(t.grad is not None and float(t.grad.abs().sum()) > 0 for t in tokens)


# Samples and training


@dataclass
class Library:
    """View sets of random samples, of which it counts how often each is read."""

    grids: Sequence[PatchGrid]
    views: int = 1
    dims: tuple[int, ...] = (3, 2)
    read: list[str] = field(default_factory=list)

    def keys(self) -> list[SampleKey]:
        names = tuple(map(str, range(self.views)))
        return [
            SampleKey(ViewSetRef(f"{s}", "0", "train", names), i, grid, True, self.size_bytes(s))
            for s, grid in enumerate(self.grids)
            for i in range(self.views)
        ]

    def size_bytes(self, scene: int) -> int:
        return self.sample(scene, 0).size_bytes

    def sample(self, scene: int, view: int) -> Sample:
        grid = self.grids[scene]
        generator = torch.Generator().manual_seed(100 * scene + view)
        tokens = tuple(5 + 3 * torch.randn(*grid.shape, d, generator=generator) for d in self.dims)
        target = torch.rand(1, grid.image_height, grid.image_width, generator=generator)
        return Sample(tokens, target)

    def samples(self, held_bytes: int = HELD_BYTES) -> Samples:
        def reread(refs: Sequence[ViewSetRef]) -> Iterator[TaskItem]:
            for ref in refs:
                self.read.append(ref.scene)
                yield TaskItem(ViewSet("library", ref.scene, "0", "train", ()))

        def sample_of(item: TaskItem, view: int) -> Sample:
            return self.sample(int(item.view_set.scene), view)

        return Samples(reread, sample_of, held_bytes=held_bytes)


def test_standardising_agrees_with_scikit_learn() -> None:
    grids = [PatchGrid(4, 5, 2, 8, 10), PatchGrid(3, 3, 2, 6, 6)]
    library = Library(grids)
    rows = np.concatenate(
        [torch.cat(library.sample(i, 0).tokens, -1).flatten(0, 1).numpy() for i in range(2)]
    )
    probe = Probe([3, 2], nn.Identity(), lambda x: x)
    standardise(probe, library.samples(), library.keys())
    reference = StandardScaler().fit(rows)
    np.testing.assert_allclose(probe.mean, reference.mean_, rtol=1e-5)
    np.testing.assert_allclose(probe.scale, reference.scale_, rtol=1e-5)


def test_batches_are_shuffled_and_of_one_grid() -> None:
    small, large = PatchGrid(2, 2, 2, 4, 4), PatchGrid(3, 2, 2, 6, 4)
    library = Library([small, large] * 5 + [small])
    keys = library.keys()
    epoch = list(same_grid_batches(keys, 4))
    assert all(len({key.grid for key in batch}) == 1 for batch in epoch)
    endless = endless_batches(library.samples(), keys, 4, seed=0)
    first, second = ([next(endless) for _ in epoch] for _ in range(2))
    for seen in (epoch, first, second):
        assert Counter(key for batch in seen for key in batch) == Counter(keys)
    assert first != second
    again = endless_batches(library.samples(), keys, 4, seed=0)
    assert [next(again) for _ in epoch] == first


def test_memory_is_bounded_and_each_view_set_read_once_an_epoch() -> None:
    library = Library([PatchGrid(2, 2, 2, 4, 4)] * 30, views=3)
    keys, size = library.keys(), 3 * library.size_bytes(0)
    samples = library.samples(held_bytes=10 * size)
    endless = endless_batches(samples, keys, 4, seed=0, window_bytes=5 * size)
    seen: list[SampleKey] = []
    while len(seen) < len(keys):
        batch = next(endless)
        tokens, target, known = samples.batch(batch)
        assert torch.equal(tokens[0][0].permute(1, 2, 0), library_tokens(library, batch[0]))
        assert len(target) == len(known) == len(batch)
        assert len(samples._held) <= 30 and samples._size_bytes <= 10 * size
        seen += batch
    assert Counter(seen) == Counter(keys)
    assert Counter(library.read) == Counter(key.view_set.scene for key in keys[::3])


def library_tokens(library: Library, key: SampleKey) -> Tensor:
    return library.sample(int(key.view_set.scene), key.view).tokens[0]


def test_what_fits_is_read_once_for_all_epochs() -> None:
    library = Library([PatchGrid(2, 2, 2, 4, 4)] * 6, views=2)
    samples = library.samples()
    endless = endless_batches(samples, library.keys(), 4, seed=0)
    for _ in range(30):
        samples.batch(next(endless))
    assert sorted(library.read) == list("012345")


@given(st.lists(st.integers(1, 40), max_size=12), st.integers(1, 100))
def test_windows_part_the_keys_and_fit(sizes: list[int], bound: int) -> None:
    grid = PatchGrid(1, 1, 1, 1, 1)
    keys = [
        SampleKey(ViewSetRef(f"{s}", "0", "train", ("a", "b")), i, grid, True, size)
        for s, size in enumerate(sizes)
        for i in range(2)
    ]
    found = list(windows(keys, bound))
    assert [key for window in found for key in window] == keys
    for window in found:
        assert len(window) == 2 or sum(key.size_bytes for key in window) <= bound


def test_schedule_warms_up_and_falls_to_zero() -> None:
    training = Training(steps=100, batch_size=1, learning_rate=2.0)
    rates = [training.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(2 / 15) and max(rates) == rates[15] == pytest.approx(2.0)
    assert rates[15:] == sorted(rates[15:], reverse=True) and rates[-1] < 0.01


@pytest.mark.parametrize("steps", [1, 7, 24, 25, 600, 30_000])
def test_looks_are_few_and_the_last_step_is_one(steps: int) -> None:
    training = Training(steps=steps, batch_size=1, learning_rate=1.0)
    looks = [step for step in range(1, steps + 1) if training.is_look(step)]
    assert (looks[-1] == steps and min(steps, 12) <= len(looks) <= 25) or steps < 12
    assert len(looks) >= min(steps, 7)


def test_the_full_head_is_trained_for_ten_epochs() -> None:
    assert ProbeOptions(preset="dpt-512").training(24_231).steps == 30_289
    assert ProbeOptions(preset="dpt-512", steps=5).training(24_231).steps == 5
    assert ProbeOptions().training(10) == ProbeOptions().training(10_000)


def test_the_best_look_counts() -> None:
    history = History({10: 3.0, 20: 1.0, 30: math.nan, 40: 1.0})
    assert history.best == 20 and history.looks_since_best == 2
    assert History({10: math.nan}).best is None


def keys_of(*scenes: tuple[str, Split]) -> list[SampleKey]:
    grid = PatchGrid(1, 1, 1, 1, 1)
    return [
        SampleKey(ViewSetRef(scene, str(i), split, ("a",)), 0, grid, True)
        for i, (scene, split) in enumerate(scenes)
    ]


def test_samples_are_split_by_scene() -> None:
    def places(keys: list[SampleKey], options: ProbeOptions) -> list[list[int]]:
        return [[keys.index(key) for key in part] for part in split_samples(keys, options)]

    demo = keys_of(("a", "val"), ("a", "val"), ("b", "val"), ("c", "test"))
    options = ProbeOptions(train_split="val", held_out="scenes")
    assert places(demo, options) == [[0, 1], [2], [3]]
    val: tuple[str, Split] = ("a", "val")
    one = keys_of(val, val, val, val, val, ("c", "test"))
    assert places(one, options) == [[0, 1, 2, 3], [4], [5]]
    official = keys_of(("a", "train"), ("b", "val"), ("c", "test"))
    assert places(official, ProbeOptions()) == [[0], [1], [2]]
    for keys, wrong in ((demo, ProbeOptions()), (one[-2:], options), (one[-1:], options)):
        with pytest.raises(BenchError, match="train_split"):
            split_samples(keys, wrong)
    with pytest.raises(BenchError, match="one view set"):
        DepthProbe(train_split="val")


# Tasks


def view_sets() -> list[tuple[ViewSet, Split]]:
    """Four scenes to train on, one to stop by and one to score, at different distances."""
    found = []
    for number, distance in enumerate((1.4, 2.6, 2.0, 3.0, 1.7, 2.3)):
        views = tuple(
            view_of(camera_at(angle + 7 * number, distance), 56, 70, f"{angle}")
            for angle in (-25, 0, 30)
        )
        split: Split = "test" if number == 5 else "val" if number == 4 else "train"
        found.append((ViewSet("spheres", f"s{number}", "0", split, views, True, distance), split))
    return found


def depth_tokens(view: View, grid: PatchGrid) -> Tensor:
    """Soft bins of the patch's mean depth."""
    assert view.depth is not None
    depth = split_into_patches(view.depth, grid, 0.0).mean(-1)
    return torch.exp(-(((depth[..., None] - torch.linspace(0.5, 5, 40)) / 0.1) ** 2))


def normal_tokens(view: View, grid: PatchGrid) -> Tensor:
    """The patch's mean normal."""
    assert view.normals is not None
    return split_into_patches(view.normals.permute(1, 2, 0), grid, 0.0).mean(2)


Kind = Literal["oracle", "noise", "broken"]


def run(task: DepthProbe | NormalProbe, kind: Kind, folder: Path) -> ItemScore:
    generator = torch.Generator().manual_seed(0)
    items: dict[str, TaskItem] = {}
    for view_set, _ in view_sets():
        grids = grids_of(view_set, 7)
        true_tokens = depth_tokens if isinstance(task, DepthProbe) else normal_tokens
        tokens = [true_tokens(v, g) for v, g in zip(view_set.views, grids, strict=True)]
        if kind != "oracle":
            tokens = [torch.randn(t.shape, generator=generator) for t in tokens]
        if kind == "broken":
            tokens[0] = torch.full_like(tokens[0], math.nan)
        layers = {n: FeatureMap(n, tuple(tokens), grids) for n in ("block_0", "block_1")}
        items[view_set.scene] = TaskItem(view_set, layers)
    (score,) = finish(task, items, folder)
    assert score.scene == "s5" and score.split == "test"
    assert set(score.values) == {metric.key for metric in task.metrics}
    return score


def finish(
    task: DepthProbe | NormalProbe, items: dict[str, TaskItem], folder: Path
) -> list[ItemScore]:
    """What a task says of items by scene, which it is shown, and shown again when it asks."""
    given = context(folder, tuple(next(iter(items.values())).features))
    state = task.prepare(replace(given, reread=lambda refs: (items[ref.scene] for ref in refs)))
    for item in items.values():
        task.update(state, item)
    return task.finish(state)


def test_depth_between_oracle_and_noise(tmp_path: Path) -> None:
    task = DepthProbe(steps=150, learning_rate=0.03, max_depth=6)
    oracle = run(task, "oracle", tmp_path / "oracle").values
    noise = run(task, "noise", tmp_path / "noise").values
    assert oracle["delta1"] > 0.9 and oracle["rmse_m"] < 0.5 * oracle["constant_rmse_m"]
    assert oracle["affine_rmse_m"] <= oracle["rmse_m"] + 1e-6
    assert oracle["num_views"] == 3 and oracle["num_unscored_views"] == 0
    assert noise["constant_rmse_m"] == oracle["constant_rmse_m"] > 0.5
    assert noise["rmse_m"] > 0.75 * noise["constant_rmse_m"]
    weights = load_file(tmp_path / "oracle" / "probe.safetensors")
    assert weights["head.last.weight"].shape == (256, 80, 1, 1)
    record = json.loads((tmp_path / "oracle" / "training.json").read_text())
    losses = dict(record["held_out_loss"])
    assert losses[record["best_step"]] == min(losses.values())


def test_normals_between_oracle_and_noise(tmp_path: Path) -> None:
    task = NormalProbe(steps=100, learning_rate=0.03)
    oracle = run(task, "oracle", tmp_path / "oracle").values
    noise = run(task, "noise", tmp_path / "noise").values
    assert oracle["within_22.5deg"] > 0.9 and oracle["median_deg"] < 8
    assert noise["mean_deg"] > 0.8 * noise["constant_mean_deg"]
    assert oracle["mean_deg"] < 0.5 * noise["mean_deg"]


def test_dpt_learns_and_is_repeatable(tmp_path: Path) -> None:
    task = DepthProbe(preset="dpt-64", steps=8, batch_size=2, learning_rate=3e-3, max_depth=6)
    values = [run(task, "oracle", tmp_path / name).values for name in ("one", "two")]
    assert values[0] == values[1] and values[0]["rmse_m"] < 1.5 * values[0]["constant_rmse_m"]
    files = [tmp_path / name / "probe.safetensors" for name in ("one", "two")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_relative_depth_has_no_unit(tmp_path: Path) -> None:
    task = DepthProbe(target="relative", steps=60, learning_rate=0.02)
    values = run(task, "oracle", tmp_path).values
    assert "rmse" in values and "rmse_m" not in values and 0 < values["rmse"] < 1


def test_broken_views_are_left_out_and_counted(tmp_path: Path) -> None:
    values = run(NormalProbe(steps=5), "broken", tmp_path).values
    assert values["num_views"] == 2 and values["num_unscored_views"] == 1
    assert math.isfinite(values["mean_deg"])


def test_nothing_usable_is_nan_not_a_crash(tmp_path: Path) -> None:
    task = DepthProbe(steps=5)
    items = {}
    for view_set, _ in view_sets():
        grids = grids_of(view_set, 7)
        tokens = tuple(torch.full((*g.shape, 4), math.nan) for g in grids)
        items[view_set.scene] = TaskItem(view_set, {"a": FeatureMap("a", tokens, grids)})
    (score,) = finish(task, items, tmp_path)
    assert math.isnan(score.values["delta1"]) and score.values["num_unscored_views"] == 3
    assert not (tmp_path / "probe.safetensors").exists()


def test_metric_depth_needs_metres(tmp_path: Path) -> None:
    view_set = ViewSet(**{**vars(view_sets()[0][0]), "metric": False})
    grids = grids_of(view_set, 7)
    tokens = tuple(torch.zeros(*g.shape, 4) for g in grids)
    task = DepthProbe()
    with pytest.raises(BenchError, match="relative"):
        task.update(
            task.prepare(context(tmp_path)),
            TaskItem(view_set, {"a": FeatureMap("a", tokens, grids)}),
        )

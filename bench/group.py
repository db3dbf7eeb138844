"""The cells of one model and one dataset: every forward pass feeds all of them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from tqdm import tqdm

from bench.cache import FeatureStore
from bench.cell_run import CellRun, record
from bench.errors import BenchError
from bench.features import FeatureSource, weights_fingerprint
from bench.journal import Journal
from bench.loading import load_view_set, prefetch
from bench.models.described import BuiltModel
from bench.models.feature_extractors.base import resolve_layers
from bench.plan import Cell, DatasetPlan, ModelPlan, digest
from bench.results import CELLS, is_done, write_cell
from bench.settings import Outcome, Settings
from bench.suite import Suite
from bench.types import ItemScore, Memo, TaskContext, TaskItem, ViewSet, ViewSetRef

#: A cell whose data is more broken than this fails instead of averaging what is left.
MAX_BROKEN_SHARE = 0.05
SPLIT_ORDER = {"train": 0, "val": 1, "test": 2}


@dataclass
class GroupRun:
    """The cells of one model and one dataset: they share every forward pass."""

    suite: Suite
    out: Path
    settings: Settings
    outcome: Outcome
    store: FeatureStore | None
    model: ModelPlan
    dataset: DatasetPlan

    def compute(self, cells: Sequence[Cell], extractor: BuiltModel | BenchError) -> dict[str, str]:
        """Run the cells; returns folders that became known only after loading the model."""
        if self.dataset.error is not None:
            extractor = BenchError(self.dataset.error)
        if isinstance(extractor, BenchError):
            for cell in cells:
                self._fail(cell, extractor)
            return {}
        resolved: dict[str, str] = {}
        if self.model.fingerprint is None:
            cells = list(self._resolve(cells, extractor))
            resolved = {cell.name: cell.folder for cell in cells}
            done = [c for c in cells if is_done(self.out / CELLS / c.folder, c.key)]
            if not self.settings.force:
                self.outcome.skipped += len(done)
                cells = [cell for cell in cells if cell not in done]
        if cells:
            self._run(list(cells), extractor)
        return resolved

    def _resolve(self, cells: Sequence[Cell], extractor: BuiltModel) -> Iterator[Cell]:
        """Cells with the weights' identity, and with layers if only the built model knows them."""
        self.model = replace(
            self.model,
            fingerprint=weights_fingerprint(extractor),
            layers=resolve_layers(extractor.options.layers, extractor.layer_names),
            layer_names=extractor.layer_names,
            stride=extractor.architecture.stride,
        )
        seen = set()
        for cell in cells:
            if cell.task.kind.layers == "group":
                yield replace(cell, model=self.model, layers=self.model.layers)
                continue
            for layer in (
                resolve_layers(list(cell.layers), extractor.layer_names)
                if (cell.layers[0] not in ("all", "quarters"))
                else self.model.layers
            ):
                if (cell.task.label, layer) not in seen:
                    seen.add((cell.task.label, layer))
                    yield replace(cell, model=self.model, layers=(layer,))

    def _run(self, cells: list[Cell], extractor: BuiltModel) -> None:
        started = time.perf_counter()
        key = digest(sorted(str(cell.key) for cell in cells))[:16]
        journal = Journal(self.out / CELLS / "journal" / self._journal_name())
        runs = self._prepare(cells, journal)
        refs = sorted(self._refs(runs), key=lambda ref: SPLIT_ORDER[ref.split])
        size = self.settings.batch
        batches = [refs[i : i + size] for i in range(0, len(refs), size)]
        wanted = [
            index
            for index, batch in enumerate(batches)
            if any(run.wants(index, batch) for run in runs)
        ]
        source = self._source(extractor, runs)
        assert self.dataset.dataset is not None
        dataset, stride = self.dataset.dataset, extractor.architecture.stride

        def load(ref: ViewSetRef) -> ViewSet:
            return load_view_set(dataset, ref, self.dataset.resolution, stride)

        stream = prefetch([batches[i] for i in wanted], load, self.settings.workers)
        label = f"{self.model.label} on {self.dataset.label}"
        for index, loaded in zip(
            wanted, tqdm(stream, label, len(wanted), disable=None, leave=False), strict=True
        ):
            skipped = {
                f"{ref.scene}/{ref.set_id}": str(item)
                for ref, item in zip(batches[index], loaded, strict=True)
                if isinstance(item, BenchError)
            }
            good = [item for item in loaded if isinstance(item, ViewSet)]
            active = [run for run in runs if run.wants(index, batches[index])]
            if good and active:
                skipped.update(self._batch(index, good, active, source, runs))
            fresh = {str(r.cell.key): r.scores.setdefault(index, []) for r in active if r in runs}
            journal.add(index, fresh, skipped)
        for run in list(runs):
            self._finish(run, journal, len(refs), source)
        journal.close()
        self.outcome.forward_passes += source.forward_passes
        self.outcome.cache_hits += source.cache_hits
        self.outcome.seconds[f"{label} ({key[:6]})"] = time.perf_counter() - started

    def _journal_name(self) -> str:
        return digest([self.model.label, self.dataset.label])[:16]

    def _prepare(self, cells: Sequence[Cell], journal: Journal) -> list[CellRun]:
        runs = []
        for cell in cells:
            context = TaskContext(
                model=cell.model.label,
                layers=cell.layers,
                dataset=cell.dataset.label,
                seed=cell.seed,
                device=self.settings.device,
                artifacts=self.out / CELLS / cell.folder / "artifacts",
            )
            try:
                task = cell.task.build()
                run = CellRun(cell, task, task.prepare(context), {})
            except Exception as error:
                self._fail(cell, error)
                continue
            if run.stateless and not self.settings.force:
                run.scores.update(journal.of(str(cell.key)))
            runs.append(run)
        return runs

    def _refs(self, runs: Sequence[CellRun]) -> list[ViewSetRef]:
        splits = {split for run in runs for split in run.task.splits}
        return [ref for ref in self.dataset.refs if ref.split in splits]

    def _source(self, extractor: BuiltModel, runs: Sequence[CellRun]) -> FeatureSource:
        mode = self.settings.cache
        again = self.model.cache_layers
        return FeatureSource(
            extractor=extractor,
            plan=self.model,
            device=self.settings.device,
            precision=runs[0].cell.precision if runs else "float32",
            storage=self.suite.defaults.storage,
            store=self.store,
            read=mode != "off",
            write=mode == "on" or (mode == "auto" and again),
        )

    def _batch(
        self,
        index: int,
        view_sets: list[ViewSet],
        active: list[CellRun],
        source: FeatureSource,
        runs: list[CellRun],
    ) -> dict[str, str]:
        """Features and scores of one batch; failing cells leave `runs`. Returns skipped sets."""
        try:
            self._score_batch(index, view_sets, active, source, runs)
        except torch.OutOfMemoryError as error:
            # A collecting task that already saw part of this batch cannot see it again.
            seen = [run for run in active if not run.stateless and index in run.scores]
            self._fail_all(seen, runs, BenchError("out of memory in the middle of a batch"), error)
            for run in active:
                run.scores.pop(index, None)
            torch.cuda.empty_cache()
            if len(view_sets) == 1:
                size = " x ".join(map(str, view_sets[0].views[0].size))
                text = f"out of memory with one set of {len(view_sets[0])} views of {size} pixels"
                self._fail_all(
                    active, runs, BenchError(text, "Choose a smaller resolution."), error
                )
                return {}
            half = len(view_sets) // 2
            parts: list[dict[str, list[ItemScore]]] = []
            skipped: dict[str, str] = {}
            for part in (view_sets[:half], view_sets[half:]):
                live = [run for run in active if run in runs]
                skipped.update(self._batch(index, part, live, source, runs))
                parts.append({str(run.cell.key): run.scores.pop(index, []) for run in live})
            for run in active:
                key = str(run.cell.key)
                run.scores[index] = [score for part in parts for score in part.get(key, [])]
            return skipped
        except BenchError as error:
            for run in active:
                run.scores.pop(index, None)
            if len(view_sets) == 1:
                return {f"{view_sets[0].scene}/{view_sets[0].set_id}": str(error)}
            return self._one_by_one(index, view_sets, active, source, runs)
        except Exception as error:
            self._fail_all(active, runs, error, error)
        return {}

    def _one_by_one(
        self,
        index: int,
        view_sets: list[ViewSet],
        active: list[CellRun],
        source: FeatureSource,
        runs: list[CellRun],
    ) -> dict[str, str]:
        """A batch in which one view set cannot be used: find it, and score the others."""
        skipped: dict[str, str] = {}
        kept: dict[str, list[ItemScore]] = {}
        for view_set in view_sets:
            live = [run for run in active if run in runs]
            skipped.update(self._batch(index, [view_set], live, source, runs))
            for run in live:
                kept.setdefault(str(run.cell.key), []).extend(run.scores.pop(index, []))
        for run in active:
            run.scores[index] = kept.get(str(run.cell.key), [])
        return skipped

    def _score_batch(
        self,
        index: int,
        view_sets: list[ViewSet],
        active: list[CellRun],
        source: FeatureSource,
        runs: list[CellRun],
    ) -> None:
        memos = [Memo() for _ in view_sets]
        if "predictions" in self.model.kind.offers:
            for view_set, memo, said in zip(
                view_sets, memos, source.predictions(view_sets), strict=True
            ):
                for run in active:
                    item = TaskItem(view_set, predictions=said, memo=memo)
                    self._score(index, run, item, runs)
            return
        wanted = {layer for run in active for layer in run.cell.layers}
        names = resolve_layers(sorted(wanted), self.model.layer_names)
        grouped = [run for run in active if run.task.layers == "group"]
        collected: list[dict[str, Any]] = [{} for _ in view_sets]
        for layer, maps in source.layers(view_sets, names):
            singles = [r for r in active if r.task.layers == "each" and r.cell.layers == (layer,)]
            for position, view_set in enumerate(view_sets):
                item = TaskItem(view_set, {layer: maps[position]}, memo=memos[position])
                for run in singles:
                    self._score(index, run, item, runs)
                if grouped:
                    collected[position][layer] = maps[position]
        for position, view_set in enumerate(view_sets):
            for run in grouped:
                features = {layer: collected[position][layer] for layer in run.cell.layers}
                item = TaskItem(view_set, features, memo=memos[position])
                self._score(index, run, item, runs)

    def _score(self, index: int, run: CellRun, item: TaskItem, runs: list[CellRun]) -> None:
        if run not in runs or item.view_set.split not in run.task.splits:
            return
        started = time.perf_counter()
        rows = run.scores.setdefault(index, [])
        try:
            if run.stateless:
                rows.extend(run.task.score(run.state, item))
            else:
                run.task.update(run.state, item)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            runs.remove(run)
            self._fail(run.cell, error)
        run.seconds += time.perf_counter() - started

    def _finish(self, run: CellRun, journal: Journal, count: int, source: FeatureSource) -> None:
        broken = dict(journal.skipped)
        if count and len(broken) > MAX_BROKEN_SHARE * count:
            first = next(iter(broken.items()))
            self._fail(
                run.cell,
                BenchError(
                    f"{len(broken)} of {count} view sets are unusable; {first[0]}: {first[1]}",
                    "Run `bench data check` on the dataset.",
                ),
            )
            return
        started = time.perf_counter()
        try:
            scores = [score for batch in sorted(run.scores) for score in run.scores[batch]]
            if not run.stateless:
                scores.extend(run.task.finish(run.state))
        except Exception as error:
            self._fail(run.cell, error)
            return
        run.seconds += time.perf_counter() - started
        result = record(
            run.cell,
            self.suite.name,
            status="done",
            skipped=broken,
            seconds=run.seconds,
            parameters=sum(p.numel() for p in source.extractor.parameters()),
            forward_ms=source.forward_ms,
        )
        write_cell(self.out / CELLS / run.cell.folder, result, scores)
        self.outcome.done += 1

    def _fail_all(
        self, active: Sequence[CellRun], runs: list[CellRun], error: Exception, cause: Exception
    ) -> None:
        error.__cause__ = error.__cause__ or (cause if cause is not error else None)
        for run in active:
            if run in runs:
                runs.remove(run)
                self._fail(run.cell, error)

    def _fail(self, cell: Cell, error: Exception) -> None:
        """Record a failed cell: one line for the user, the traceback for the maintainer."""
        expected = isinstance(error, BenchError)
        text = str(error) if expected else f"{type(error).__name__}: {error}"
        trace = (
            None
            if expected and error.__cause__ is None
            else "".join(traceback.format_exception(error))
        )
        self.outcome.failed += 1
        self.outcome.failures[cell.name] = text
        folder = self.out / CELLS / cell.folder
        if is_done(folder, cell.key):
            return
        write_cell(
            folder, record(cell, self.suite.name, status="failed", error=text, traceback=trace), []
        )

"""The cells of one model and one dataset: every forward pass feeds all of them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from bench.errors import BenchError
from bench.models.described import BuiltModel
from bench.plan import Cell, DatasetPlan, ModelPlan, digest
from bench.results import CELLS, JOURNAL, is_done, is_stored, write_cell
from bench.runner.batch import BatchScorer
from bench.runner.cache import FeatureStore
from bench.runner.cell_run import CellRun, identity, record
from bench.runner.features import FeatureSource
from bench.runner.journal import Journal, drop
from bench.runner.keeping import keeping, reads_again
from bench.runner.loading import load_view_set, prefetch
from bench.runner.reread import Rereading
from bench.runner.settings import Outcome, Settings
from bench.suite import Suite
from bench.types import TaskContext, ViewSet, ViewSetRef, reread_nothing

#: A cell whose data is more broken than this fails instead of averaging what is left.
MAX_BROKEN_SHARE = 0.05
SPLITS = ("train", "val", "test")


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
    broken: dict[str, str] = field(default_factory=dict)
    too_large: set[int] = field(default_factory=set)

    def compute(self, cells: Sequence[Cell], extractor: BuiltModel) -> None:
        """Run the cells with the loaded model; failing ones are recorded and leave the others."""
        started = time.perf_counter()
        name = digest([self.model.label, self.dataset.label])[:16]
        journal = Journal(self.out / CELLS / JOURNAL / name)
        source = self._source(cells, extractor)
        runs = self._prepare(cells, journal, source)
        scorer = BatchScorer(self.model, source, self._fail_run, self.too_large)
        self._score_all(runs, scorer, journal)
        for run in runs:
            if not run.failed:
                self._finish(run, source)
        self._forget(cells, journal)
        self.outcome.forward_passes += source.forward_passes
        self.outcome.cache_hits += source.cache_hits
        label = f"{self.model.label} on {self.dataset.label}"
        for size in sorted(self.too_large, reverse=True):
            self.outcome.problems.append(
                f"{label}: {size} view sets at once did not fit into memory and were halved; "
                f"--batch-size {size // 2} saves the attempt"
            )
        self.outcome.seconds[label] = time.perf_counter() - started

    def fail(self, cell: Cell, error: Exception) -> None:
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

    def fail_all(self, cells: Sequence[Cell], error: Exception) -> None:
        """Record cells that fail for one reason."""
        for cell in cells:
            self.fail(cell, error)

    def _forget(self, cells: Sequence[Cell], journal: Journal) -> None:
        """Drop the progress of these cells, but nothing that another cell still needs."""
        over = {cell.folder for cell in cells}
        drop(journal.folder, lambda cell: cell in over or is_stored(self.out, cell))

    def _prepare(
        self, cells: Sequence[Cell], journal: Journal, source: FeatureSource
    ) -> list[CellRun]:
        if self.settings.force:
            self._forget(cells, journal)
        progress = {} if self.settings.force else journal.read()
        runs = []
        for cell in cells:
            context = TaskContext(
                model=cell.model.label,
                layers=cell.layers,
                dataset=cell.dataset.label,
                seed=cell.seed,
                device=self.settings.device,
                artifacts=self.out / CELLS / cell.folder / "artifacts",
                reread=self._reread(cell, source) if reads_again(cell) else reread_nothing,
            )
            try:
                task = cell.task.build()
                run = CellRun(cell, task, task.prepare(context))
            except Exception as error:
                self.fail(cell, error)
                continue
            if run.stateless:
                run.scores.update(progress.get(cell.folder, {}))
            runs.append(run)
        return runs

    def _reread(self, cell: Cell, source: FeatureSource) -> Rereading:
        return Rereading(
            source,
            self._load,
            cell.layers,
            self.settings.batch,
            self.settings.workers,
            self.too_large,
        )

    def _load(self, ref: ViewSetRef) -> ViewSet:
        assert self.dataset.dataset is not None and self.model.stride is not None
        return load_view_set(self.dataset.dataset, ref, self.dataset.resolution, self.model.stride)

    def _batches(self) -> list[list[ViewSetRef]]:
        """All view sets of the dataset: the batches do not depend on which cells are pending."""
        size = self.settings.batch
        found = []
        for split in SPLITS:
            refs = [ref for ref in self.dataset.refs if ref.split == split]
            found += [refs[start : start + size] for start in range(0, len(refs), size)]
        return found

    def _score_all(self, runs: Sequence[CellRun], scorer: BatchScorer, journal: Journal) -> None:
        batches = [
            batch
            for batch in self._batches()
            if any(run.wants(ref) for run in runs for ref in batch)
        ]
        label = f"{self.model.label} on {self.dataset.label}"
        stream = prefetch(batches, self._load, self.settings.workers)
        for batch, loaded in zip(
            batches, tqdm(stream, label, len(batches), disable=None, leave=False), strict=True
        ):
            for ref, item in zip(batch, loaded, strict=True):
                if isinstance(item, BenchError):
                    self.broken[identity(ref)] = str(item)
            good = [item for item in loaded if isinstance(item, ViewSet)]
            if good:
                self.broken.update(scorer.score(good, runs))
            names = [identity(ref) for ref in batch]
            journal.add(
                {
                    run.cell.folder: {n: run.scores[n] for n in names if n in run.scores}
                    for run in runs
                    if run.stateless and not run.failed
                }
            )

    def _source(self, cells: Sequence[Cell], extractor: BuiltModel) -> FeatureSource:
        return FeatureSource(
            extractor=extractor,
            plan=self.model,
            device=self.settings.device,
            precision=cells[0].precision,
            storage=cells[0].storage,
            store=self.store,
            write=keeping(cells, self.settings).keep,
        )

    def _finish(self, run: CellRun, source: FeatureSource) -> None:
        refs = [ref for ref in self.dataset.refs if ref.split in run.task.splits]
        skipped = {
            f"{ref.scene}/{ref.set_id}": self.broken[identity(ref)]
            for ref in refs
            if identity(ref) in self.broken
        }
        try:
            _refuse_ruins(skipped, len(refs), run.task.splits)
            scores = run.finish(refs)
        except Exception as error:
            self.fail(run.cell, error)
            return
        result = record(
            run.cell,
            self.suite.name,
            status="done",
            skipped=skipped,
            seconds=run.seconds,
            parameters=sum(p.numel() for p in source.extractor.parameters()),
            forward_ms=source.forward_ms,
        )
        write_cell(self.out / CELLS / run.cell.folder, result, scores)
        self.outcome.done += 1

    def _fail_run(self, run: CellRun, error: Exception) -> None:
        run.failed = True
        self.fail(run.cell, error)


def _refuse_ruins(skipped: Mapping[str, str], count: int, splits: Sequence[str]) -> None:
    """Raises BenchError if a cell has no view sets, or too many that cannot be used."""
    if not count:
        raise BenchError(f"The dataset has no view sets of split {' or '.join(splits)}.")
    if len(skipped) > MAX_BROKEN_SHARE * count:
        first, reason = next(iter(skipped.items()))
        raise BenchError(
            f"{len(skipped)} of {count} view sets are unusable; {first}: {reason}",
            "Run `bench data check` on the dataset.",
        )

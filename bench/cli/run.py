"""``run`` and ``check``."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.codes import EXIT_FAILED
from bench.errors import BenchError

SuiteName = Annotated[str, typer.Argument(help="A suite file, or the name of one that is shipped.")]
Names = Annotated[list[str] | None, typer.Option(help="Only these (label or part of it).")]


def run(
    suite: SuiteName,
    model: Names = None,
    dataset: Names = None,
    task: Names = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="View sets per dataset and split.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None,
        typer.Option(help="Of the forward pass; the default is the suite's."),
    ] = None,
    cache: Annotated[
        Literal["auto", "off", "read", "on"], typer.Option(help="Feature cache.")
    ] = "auto",
    cache_gb: Annotated[float, typer.Option(min=0, help="Cap of the feature cache.")] = 20.0,
    out: Annotated[Path | None, typer.Option(help="Run folder; results/<suite>.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Compute finished cells again.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan, run nothing.")] = False,
    offline: Annotated[bool, typer.Option("--offline", help="Make no network call.")] = False,
    shard: Annotated[str, typer.Option(help="i/n: this share of the cells.")] = "1/1",
    workers: Annotated[int, typer.Option(min=1, help="Threads that decode images.")] = 2,
    batch_size: Annotated[int | None, typer.Option(min=1, help="View sets per forward.")] = None,
    compile: Annotated[bool, typer.Option("--compile", help="torch.compile the models.")] = False,
) -> None:
    """Compute a suite and write its leaderboard."""
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    from bench import provenance
    from bench.api import prepare
    from bench.atomic import write_json
    from bench.plan import Selection
    from bench.publish import publish
    from bench.runner.loop import Settings, run_plan

    plan, chosen = prepare(suite, device=device, precision=precision, limit=limit)
    folder = out or Path("results") / plan.suite.name
    selection = Selection(model or (), dataset or (), task or (), _shard(shard))
    settings = Settings(
        chosen, cache, force, workers, batch_size, compile, cache_bytes=int(cache_gb * 1e9)
    )
    cells = selection.choose(plan)
    if dry_run:
        from bench.describe import plan_lines

        typer.echo("\n".join(plan_lines(plan, cells, folder, settings)))
        return
    if not cells:
        typer.echo("Nothing to compute: the other shards have all cells.")
        return
    record = provenance.record(chosen)
    started = time.perf_counter()
    outcome = run_plan(plan, folder, settings, selection)
    published = publish(folder)
    seconds = time.perf_counter() - started
    write_json(
        folder / "run.json",
        {**record, "seconds": round(seconds, 3), "outcome": outcome.__dict__},
    )
    typer.echo(f"\n{published.text}")
    for problem in outcome.problems:
        typer.echo(f"note: {problem}", err=True)
    for name, reason in outcome.failures.items():
        typer.echo(f"failed: {name}: {reason}", err=True)
    typer.echo(
        f"{outcome.done} cells computed, {outcome.skipped} already done, {outcome.failed} failed; "
        f"forward passes: {outcome.forward_passes}, from cache: {outcome.cache_hits}; "
        f"{seconds:.1f} s"
    )
    if outcome.done + outcome.failed == 0:
        typer.echo("Nothing to compute: every cell was done under the same key.")
    typer.echo(f"Leaderboard: {folder / 'leaderboard.md'}   figures: {folder / 'figures'}")
    typer.echo(f"As one page: bench report {folder} --open")
    if outcome.failed:
        raise typer.Exit(EXIT_FAILED)


def check(suite: SuiteName) -> None:
    """Check a suite: every mistake at once, nothing is run."""
    from bench.api import prepare
    from bench.describe import warnings

    plan, _ = prepare(suite, device="cpu")
    for line in warnings(plan):
        typer.echo(f"note: {line}", err=True)
    typer.echo(f"{suite}: good; {len(plan.cells)} cells.")


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if index.isdigit() and count.isdigit() and 1 <= int(index) <= int(count):
        return int(index), int(count)
    raise BenchError(f"--shard {text} is not a share.", "Write i/n with 1 <= i <= n, as in 2/4.")

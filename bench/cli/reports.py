"""``report``, ``leaderboard`` and ``compare``: what came of runs."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli.codes import EXIT_FAILED
from bench.errors import BenchError

RunFolders = Annotated[list[Path], typer.Argument(help="Run folders, as results/correspondence.")]


PAGE = Path("BENCHMARKS.md")
RESULTS = Path("results")


def report(
    runs: Annotated[
        list[Path] | None, typer.Argument(help="Run folders, as results/correspondence.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="File; report.html in the run folder.")] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 if published files are stale.")
    ] = False,
    reference: Annotated[
        str | None,
        typer.Option(help="Model that gives feature maps their colours; the first of the run."),
    ] = None,
    open_page: Annotated[bool, typer.Option("--open", help="Show the page in a browser.")] = False,
) -> None:
    """Write leaderboard, figures and one self-contained HTML page of a run.

    Tables between markers in BENCHMARKS.md are brought up to date with it. ``--check`` alone looks
    at BENCHMARKS.md, with runs at their published files too.
    """
    from bench.atomic import write_text
    from bench.generated import is_stale, refresh
    from bench.publish import publish, stale_files
    from bench.web_report import page

    if check:
        stale = [path for run in runs or [] for path in stale_files(run)]
        if PAGE.is_file() and is_stale(PAGE, RESULTS):
            stale.append(PAGE)
        for path in stale:
            typer.echo(f"stale: {path}; run `bench report` on the run again", err=True)
        if stale:
            raise typer.Exit(EXIT_FAILED)
        typer.echo("Nothing is stale.")
        return
    if not runs:
        raise BenchError("No run folder given.", "For example: bench report results/correspondence")
    figures = [path for run in runs for path in publish(run, reference).files]
    if PAGE.is_file():
        refresh(PAGE, RESULTS)
    target = out or runs[0] / "report.html"
    write_text(target, page(runs, figures))
    address = target.resolve().as_uri()
    if open_page:
        webbrowser.open(address)
    typer.echo(f"Report: {target}\nIn a browser: {address}")


def leaderboard(
    runs: RunFolders,
    form: Annotated[
        Literal["text", "markdown", "csv", "latex", "html", "json"], typer.Option("--format")
    ] = "text",
    out: Annotated[Path | None, typer.Option(help="File; standard output if not given.")] = None,
) -> None:
    """One table of several runs; refuses what was not measured the same way."""
    from bench.atomic import write_text
    from bench.publish import merged_leaderboard

    text = merged_leaderboard(runs, form)
    if out is None:
        typer.echo(text)
    else:
        write_text(out, text)
        typer.echo(f"Leaderboard: {out}")


def compare(
    model_a: Annotated[str, typer.Argument(help="A model's label.")],
    model_b: Annotated[str, typer.Argument(help="Another model's label.")],
    run: Annotated[
        list[Path] | None, typer.Option(help="Run folder(s); default: the newest below results/.")
    ] = None,
    task: Annotated[str | None, typer.Option(help="Default: the run's first task.")] = None,
    metric: Annotated[str | None, typer.Option(help="Default: the task's headline.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for a forest plot.")] = None,
) -> None:
    """Is the difference between two models real? Paired over scenes, in plain words."""
    from bench.publish import comparison

    runs = run or [_newest()]
    found = comparison(runs, (model_a, model_b), task, metric, out)
    typer.echo(f"{', '.join(map(str, runs))}: {found['task'].iloc[0]}, {found['metric'].iloc[0]}")
    for verdict in found["verdict"]:
        typer.echo(verdict)


def _newest() -> Path:
    plans = sorted(Path("results").glob("*/cells/plan.json"), key=lambda p: p.stat().st_mtime)
    if not plans:
        raise BenchError("No run folder below results/.", "Name one with --run.")
    return plans[-1].parents[1]

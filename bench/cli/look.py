"""``list``, ``show`` and ``doctor``: what there is."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer

from bench.cli.codes import EXIT_FAILED


def list_(
    what: Annotated[
        Literal["all", "models", "datasets", "tasks", "suites"], typer.Argument()
    ] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="Machine-readable.")] = False,
) -> None:
    """Models, datasets, tasks and suites."""
    from bench.listing import listing, listing_text

    sections = listing(what)
    typer.echo(json.dumps(sections, indent=1) if as_json else listing_text(sections))


def show(
    name: Annotated[str, typer.Argument(help="For example feature_extractor/dinov2.")],
) -> None:
    """Options, facts and an example entry of a model, dataset, task or suite."""
    from bench.show import describe

    typer.echo(describe(name))


def doctor() -> None:
    """What is installed, which devices there are, and which weights are at hand."""
    from bench.doctor import report

    lines, healthy = report()
    typer.echo("\n".join(lines))
    if not healthy:
        raise typer.Exit(EXIT_FAILED)

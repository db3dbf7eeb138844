"""``data``: is a dataset here, and whole?"""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from bench.cli.codes import EXIT_FAILED
from bench.errors import BenchError

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Datasets on this machine.")


@app.callback()
def _data() -> None:
    """Keeps ``check`` a sub-command although it is the only one."""


@app.command()
def check(
    name: Annotated[str, typer.Argument(help="A dataset; see `bench list datasets`.")],
    root: Annotated[str | None, typer.Option(help="Folder of the data; else BENCH_DATA.")] = None,
    params: Annotated[str, typer.Option(help="Further options of the dataset, as JSON.")] = "{}",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Check only this many view sets.")
    ] = None,
) -> None:
    """Verify a copy of a dataset, or say how to obtain one."""
    from bench.datasets import datasets
    from bench.datasets._check import check as find_problems

    kind = datasets.get(name)
    try:
        options: Any = json.loads(params)
    except ValueError as error:
        raise BenchError(f"--params is not JSON: {error}.") from error
    if not isinstance(options, dict):
        raise BenchError("--params is not a JSON object.", 'Write for example {"num_views": 4}.')
    if root is not None:
        options["root"] = root
    dataset = kind(**options)
    try:
        refs = dataset.view_sets()
    except BenchError as error:
        terms = f"Licence: {kind.licence}. Citation: {kind.citation}."
        raise BenchError(error.what, f"{error.hint or ''} {terms}".strip()) from error
    problems = find_problems(dataset, limit)
    for problem in problems:
        typer.echo(str(problem))
    errors = [problem for problem in problems if problem.level == "error"]
    scenes = len({ref.scene for ref in refs})
    typer.echo(
        f"{name}: {scenes} scenes, {len(refs)} view sets, {len(errors)} errors, "
        f"{len(problems) - len(errors)} notes. Licence: {kind.licence}"
    )
    if errors:
        raise typer.Exit(EXIT_FAILED)

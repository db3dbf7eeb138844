"""``cache``: the features kept on disk."""

from __future__ import annotations

from typing import Annotated

import typer

from bench.cli.codes import EXIT_FAILED

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Features kept on disk.")


@app.command()
def ls() -> None:
    """Where the cache is, and how large."""
    from bench.runner.cache import DEFAULT_CAP_BYTES, FeatureStore

    store = FeatureStore()
    sizes = [entry.size_bytes for entry in store.entries()]
    typer.echo(
        f"{store.folder}: {len(sizes)} entries, {sum(sizes) / 1e9:.3f} GB "
        f"of {DEFAULT_CAP_BYTES / 1e9:.0f} GB"
    )


@app.command()
def prune(
    keep_gb: Annotated[float, typer.Option(min=0, help="Size to shrink to, in GB.")] = 0.0,
) -> None:
    """Remove the least recently used entries; all of them unless a size is given."""
    from bench.runner.cache import FeatureStore

    removed = FeatureStore().prune(int(keep_gb * 1e9))
    typer.echo(f"removed {removed / 1e9:.3f} GB")


@app.command()
def verify() -> None:
    """Read every entry; damaged ones are removed."""
    from bench.runner.cache import FeatureStore

    store = FeatureStore()
    count = sum(1 for _ in store.entries())
    problems = store.verify()
    for problem in problems:
        typer.echo(problem)
    typer.echo(f"{count} entries read, {len(problems)} damaged and removed")
    if problems:
        raise typer.Exit(EXIT_FAILED)

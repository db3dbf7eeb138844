"""The command line. Thin: every command is a few calls of the library."""

from __future__ import annotations

import os
import sys
from typing import Any

import typer

from bench.cli import cache, data, look, reports, run
from bench.cli.codes import EXIT_INTERRUPTED, EXIT_USAGE
from bench.errors import BenchError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="How much 3D does a frozen vision backbone know?",
)
app.command()(run.run)
app.command()(run.check)
app.command("list")(look.list_)
app.command()(look.show)
app.command()(reports.report)
app.command()(reports.leaderboard)
app.command()(reports.compare)
app.add_typer(data.app, name="data")
app.add_typer(cache.app, name="cache")
app.command()(look.doctor)


def main(arguments: list[str] | None = None) -> None:
    """Entry point: user mistakes end in one message and a documented exit code."""
    try:
        code: Any = app(args=arguments, standalone_mode=False)
    except BenchError as error:
        typer.echo(f"error: {error.what}", err=True)
        if error.hint:
            typer.echo(f"       {error.hint}", err=True)
        sys.exit(EXIT_USAGE)
    except (KeyboardInterrupt, typer.Abort):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:
        # Whoever read the output has seen enough; nothing is left to be flushed at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    except OSError as error:
        typer.echo(f"error: {error}", err=True)
        typer.echo("       What was finished is kept. Run the same command to go on.", err=True)
        sys.exit(EXIT_USAGE)
    except Exception as error:
        # Usage errors of typer; their class lives in click or in typer, depending on its version.
        show_usage = getattr(error, "show", None)
        if show_usage is None:
            raise
        show_usage()
        sys.exit(EXIT_USAGE)
    if code == EXIT_INTERRUPTED:
        text = "Interrupted; what was finished is kept. Run the same command to go on."
        typer.echo(text, err=True)
    sys.exit(code if isinstance(code, int) else 0)

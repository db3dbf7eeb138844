"""Processes that run `bench` on the synthetic dataset and task, forked from one that imported it.

A process can be told to kill itself before its n-th operation on files below a folder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
#: Audit events of what changes files; ``open`` comes before reading as well.
OPERATIONS = {"open", "os.rename", "os.remove", "os.mkdir", "os.utime"}


@dataclass(frozen=True)
class Ended:
    """code: exit code, negative for a signal. operations: on files below the watched folder."""

    code: int
    printed: str
    operations: int


@dataclass(frozen=True)
class Process:
    """One `bench` command under way."""

    pid: int
    log: Path
    parent: Forge

    def wait(self) -> Ended:
        code = int(self.parent.ask({"wait": self.pid})["code"])
        count = self.log.with_suffix(".count")
        operations = int(count.read_text()) if count.exists() else 0
        return Ended(code, self.log.read_text(), operations)

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGKILL)


@dataclass
class Forge:
    """Starts `bench` commands. folder: for what they print."""

    process: subprocess.Popen[str]
    folder: Path
    count: int = 0

    def start(self, *words: str | Path, watch: Path | None = None, die_at: int = 0) -> Process:
        """Args: watch: folder whose file operations count; die_at: number of the last one."""
        self.count += 1
        log = self.folder / f"{self.count}.log"
        log.touch()
        order = {
            "words": [str(word) for word in words],
            "log": str(log),
            "watch": str(watch or ""),
            "die_at": die_at,
        }
        return Process(int(self.ask(order)["pid"]), log, self)

    def run(self, *words: str | Path, watch: Path | None = None, die_at: int = 0) -> Ended:
        return self.start(*words, watch=watch, die_at=die_at).wait()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def forge(folder: Path) -> Iterator[Forge]:
    """A process from which `bench` commands are forked; `folder` has their output and cache."""
    folder.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "BENCH_CACHE": str(folder / "cache"), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", __name__],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    )
    with process:
        yield Forge(process, folder)
        process.kill()


def serve() -> None:
    """Fork a process per line of standard input."""
    import torch

    from bench.datasets import datasets
    from bench.runner import loop  # noqa: F401  What every child needs is imported once.
    from bench.tasks import tasks
    from tests.synthetic import Brightness, MeanOfMeans, Slab

    torch.set_num_threads(1)
    datasets._registered["slab"] = Slab
    tasks._registered["brightness"] = Brightness
    tasks._registered["mean_of_means"] = MeanOfMeans
    for line in sys.stdin:
        order = json.loads(line)
        if "wait" in order:
            _, status = os.waitpid(order["wait"], 0)
            answer = {"code": os.waitstatus_to_exitcode(status)}
        else:
            pid = os.fork()
            if pid == 0:
                child(order)
            answer = {"pid": pid}
        print(json.dumps(answer), flush=True)


def child(order: dict[str, Any]) -> None:
    """Run one command and never return."""
    from bench.cli import main

    log = Path(order["log"])
    handle = os.open(log, os.O_WRONLY)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    operations = 0

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal operations
        if event in OPERATIONS and str(arguments[0]).startswith(order["watch"]):
            operations += 1
            if operations == order["die_at"]:
                os.kill(os.getpid(), signal.SIGKILL)

    if order["watch"]:
        sys.addaudithook(count)
    code = 99
    try:
        main(order["words"])
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        log.with_suffix(".count").write_text(str(operations))
        os._exit(code)


if __name__ == "__main__":
    serve()

"""``python -m tests.perf`` prints the table of measures; with a CUDA device, its rows as well."""

from __future__ import annotations

import os
import sys
import tempfile

import torch

from tests.perf.table import lines


def main() -> None:
    devices = ("cpu", "cuda") if torch.cuda.is_available() else ("cpu",)
    with tempfile.TemporaryDirectory() as cache:
        os.environ["BENCH_CACHE"] = cache
        for line in lines(devices, lambda what: print(f"measuring: {what}", file=sys.stderr)):
            print(line, flush=True)


if __name__ == "__main__":
    main()

"""A backbone of another distribution: one file and an entry point."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd

BACKBONE = '''\
"""The example of CONTRIBUTING.md, as a plug-in."""

from torch import nn

from bench.models.feature_extractors.base import (
    Architecture, ExtractorOptions, FeatureExtractor, Tokens, seeded,
)
from bench.types import OUTPUT_LAYER


class LinearOptions(ExtractorOptions):
    width: int = 64


class Linear(FeatureExtractor):
    """One strided convolution."""

    Options = LinearOptions

    def __init__(self, **config):
        super().__init__(**config)
        with seeded(self.options.init_seed):
            self.model = nn.Conv2d(3, self.embed_dim, self.patch_size, self.patch_size)

    @classmethod
    def describe(cls, options):
        return Architecture((), 16, options.width, 224, 16)

    def encode(self, images, layers):
        yield OUTPUT_LAYER, Tokens(self.model(images).flatten(2).transpose(1, 2))
'''

SUITE = """\
name: plugged
models:
  - label: linear
    model_id: feature_extractor/linear
    model_config: {width: 32, pretrained: false}
datasets: [{name: motorcycle}]
tasks: [{name: multiview_correspondence}]
"""


def test_a_plugin_is_listed_and_runs(tmp_path: Path) -> None:
    site = tmp_path / "site"
    package = site / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "linear.py").write_text(BACKBONE)
    info = site / "my_package-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-package\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[bench.plugins]\nfeature_extractor/linear = my_package.linear:Linear\n"
    )
    suite = tmp_path / "suite.yaml"
    suite.write_text(SUITE)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), *sys.path])}

    def bench(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "bench", *words],
            capture_output=True, text=True, check=False, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "feature_extractor/linear" in bench("list", "models")
    out = tmp_path / "run"
    bench("run", str(suite), "--out", str(out))
    board = pd.read_csv(out / "leaderboard.csv")
    assert set(board["model"]) == {"linear"}
    assert board[board["metric"] == "auroc"]["value"].between(0.4, 1).all()

"""Malformed suites, each in its own way: one clear error with exit code 2, nothing is run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.check import load_suite
from bench.cli import main
from bench.errors import BenchError
from bench.suite import SuiteError

GOOD = """\
name: good
models:
  - {label: RGB, model_id: feature_extractor/rgb}
datasets:
  - {name: slab}
tasks:
  - {name: brightness}
tables:
  - {title: All, task: brightness, metrics: [mean]}
"""


def put(**changes: str) -> str:
    """The good suite with some of its top-level values replaced, or added."""
    parts = {
        "name": "good",
        "models": "[{label: RGB, model_id: feature_extractor/rgb}]",
        "datasets": "[{name: slab}]",
        "tasks": "[{name: brightness}]",
    }
    return "".join(f"{key}: {value}\n" for key, value in (parts | changes).items())


def model(entry: str) -> str:
    """The good suite with these fields for its model, besides label and id."""
    return put(models=f"[{{label: RGB, model_id: feature_extractor/rgb, {entry}}}]")


#: What is wrong -> the file, and a piece of the message that says so.
CASES: dict[str, tuple[str | bytes, str]] = {
    # Not YAML, or not YAML of a usable form.
    "an empty file": ("", "a suite is a mapping"),
    "comments only": ("# nothing\n", "a suite is a mapping"),
    "a list": ("- a\n- b\n", "a suite is a mapping"),
    "a sentence": ("run everything please\n", "a suite is a mapping"),
    "a number": ("12\n", "a suite is a mapping"),
    "an open bracket": ("name: [\n", "not valid YAML"),
    "an open quote": ('name: "good\nmodels: []\n', "not valid YAML"),
    "tabs": ("name: good\nmodels:\n\t- {label: A}\n", "not valid YAML"),
    "another YAML": ("%YAML 9.9\n---\nname: good\n", "not valid YAML"),
    "two documents": (GOOD + "---\n" + GOOD, "not valid YAML"),
    "bytes that are no text": (b"\xff\xfe\x00name", "not UTF-8"),
    "UTF-16": (GOOD.encode("utf-16"), "not UTF-8"),
    "a zero byte": (b"name: a\x00b\n", "not valid YAML"),
    "a megabyte": (GOOD + "#" * 1_000_001, "larger than"),
    "a deep nest": ("a: " + "[" * 50_000, "nested too deeply"),
    "a deep nest of lines": ("".join(" " * i + "a:\n" for i in range(600)), "nested too deeply"),
    "aliases": ("a: &x [1]\nb: [*x, *x]\n", "aliases"),
    "an alias to itself": ("a: &x [*x]\n", "aliases"),
    "a merged mapping": (put(defaults="{<<: {num_views: 2}}"), "keys must be plain words"),
    "a Python object": ("name: !!python/object/apply:os.system ['true']\n", "has no place"),
    "a Python name": ("name: !!python/name:os.system\n", "has no place"),
    "a tag of their own": ("name: !suite good\n", "has no place"),
    "a date": (put(name="2020-01-01"), "has no place"),
    "binary data": (put(name="!!binary aGVsbG8="), "has no place"),
    "a set": (put(models="!!set {a, b}"), "has no place"),
    "a false bool": (put(version="!!bool perhaps"), "not valid YAML"),
    "an integer of no digits": (put(version='!!int ""'), "not valid YAML"),
    "an integer of letters": (put(version="!!int one"), "not valid YAML"),
    "a map that is none": (put(defaults="!!map text"), "not valid YAML"),
    "keys that are numbers": ("1: a\n" + GOOD, "keys must be plain words"),
    "keys that are lists": ("? [a, b]\n: c\n" + GOOD, "keys must be plain words"),
    "the same key twice": (GOOD + "name: again\n", "stands here twice"),
    # Numbers.
    "an endless integer": (put(version="1" * 5_000), "number"),
    "an endless hexadecimal": (put(version="0x" + "f" * 5_000), "number"),
    "base sixty": (put(version="1" + ":59" * 50_000), "a number of 150001 characters"),
    "a seed below zero": (put(seed="-1"), "greater than or equal to 0"),
    "a seed beyond 31 bits": (put(seed=str(2**31)), "less than 2147483648"),
    "version zero": (put(version="0"), "greater than or equal to 1"),
    "a half version": (put(version="1.5"), "version"),
    "a resolution that is no number": (
        put(defaults="{resolution: {patches: .nan}}"), "resolution"
    ),
    "an endless resolution": (put(defaults="{resolution: {pixels: .inf}}"), "resolution"),
    "a resolution of a million patches": (
        put(defaults="{resolution: {patches: 1000000}}"), "less than or equal to 1000"
    ),
    "two resolutions": (
        put(defaults="{resolution: {patches: 3, pixels: 9}}"), "say either {patches: N}"
    ),
    "no view": (put(defaults="{num_views: 0}"), "greater than or equal to 1"),
    # Words.
    "an unknown resolution": (put(defaults="{resolution: huge}"), "resolution"),
    "an unknown precision": (put(defaults="{precision: float8}"), "precision"),
    "an unknown default": (put(defaults="{view: 4}"), "unknown key 'view'"),
    "an unknown section": (put(model="[]"), "Did you mean 'models'?"),
    "a name that climbs": (put(name="../../elsewhere"), "name"),
    "a name that is a path": (put(name="/tmp/x"), "name"),
    "a hidden name": (put(name=".hidden"), "name"),
    "a name of blanks": (put(name='" "'), "name"),
    "an endless name": (put(name="a" * 101), "at most 100 characters"),
    "a lone surrogate": (put(description='"\\ud800"'), "control characters"),
    "a description that is a list": (put(description="[a]"), "description"),
    # Models.
    "no models": (put(models="[]"), "at least 1 item"),
    "models that are nothing": (put(models=""), "models"),
    "models that are a mapping": (put(models="{label: A}"), "models"),
    "a model that is a word": (put(models="[rgb]"), "models.0"),
    "a model that is a list": (put(models="[[rgb]]"), "models.0"),
    "a model without id": (put(models="[{label: A}]"), "'model_id' is missing"),
    "an id that is a number": (put(models="[{label: A, model_id: 3}]"), "model_id"),
    "an unknown model": (put(models="[{model_id: feature_extractor/rbg}]"), "Did you mean 'rgb'?"),
    "a model of no kind": (put(models="[{model_id: rgb}]"), "Unknown model id 'rgb'"),
    "a model that climbs": (
        put(models="[{model_id: feature_extractor/../vggt/model}]"), "Unknown feature_extractor"
    ),
    "a private module": (
        put(models="[{model_id: feature_extractor/_control}]"), "Unknown feature_extractor"
    ),
    "a module with a dot": (
        put(models="[{model_id: feature_extractor/base.os}]"), "Unknown feature_extractor"
    ),
    "a label that moves the cursor": (
        put(models='[{label: "\\x1b[2J", model_id: vggt}]'), "control characters"
    ),
    "a label of two lines": (put(models='[{label: "a\\nb", model_id: vggt}]'), "printable"),
    "an endless label": (put(models=f"[{{label: {'a' * 201}, model_id: vggt}}]"), "200 characters"),
    "one label twice": (
        put(models="[{label: A, model_id: feature_extractor/rgb}, "
            "{label: A, model_id: feature_extractor/noise}]"), "two models are called 'A'"
    ),
    "an unknown option": (model("model_config: {patch_sise: 3}"), "Did you mean 'patch_size'?"),
    "an option of another type": (model("model_config: {patch_size: wide}"), "patch_size"),
    "a patch of no pixel": (model("model_config: {patch_size: 0}"), "patch_size"),
    "a config that is a list": (model("model_config: [1]"), "model_config"),
    "the model itself as an option": (model("model_config: {self: 1}"), "unknown option 'self'"),
    "an unknown layer": (model("layers: [3]"), "Layer 3 does not exist"),
    "a layer that is a mapping": (model("layers: [{a: 1}]"), "layers"),
    "layers of an unknown rule": (model("layers: most"), "layers"),
    "an unknown norm": (model("norm: batch"), "norm"),
    "an unknown field": (model("leyers: all"), "unknown key 'leyers'"),
    # Includes and presets.
    "an include that climbs": (put(include="[../secret.yaml]"), "outside of the suite's folder"),
    "an absolute include": (put(include="[/etc/passwd]"), "outside of the suite's folder"),
    "an include that is gone": (put(include="[gone.yaml]"), "'gone.yaml' is no file"),
    "an include of a folder": (put(include="[.]"), "'.' is no file"),
    "an include with a zero byte": (put(include='["a\\0b"]'), "control characters"),
    "an endless include": (put(include=f"[{'a' * 5_000}]"), "aaa' is no file"),
    "an include that leads to itself": (put(include="[loop.yaml]"), "'loop.yaml' is no file"),
    "an include without models": (put(include="[empty.yaml]"), "has no list of models"),
    "an include that is a word": (put(include="models.yaml"), "include is a list of files"),
    "an include that is broken": (put(include="[broken.yaml]"), "broken.yaml:2: not valid YAML"),
    "a preset that does not exist": (model("extends: no-such-preset"), "no preset"),
    "a preset that is a list": (model("extends: [a]"), "no preset"),
    "a preset that is a mapping": (model("extends: {a: 1}"), "no preset"),
    # Datasets.
    "no datasets": (put(datasets="[]"), "at least 1 item"),
    "an unknown dataset": (put(datasets="[{name: slap}]"), "Did you mean 'slab'?"),
    "a private dataset": (put(datasets="[{name: _files}]"), "Unknown dataset '_files'"),
    "a dataset that climbs": (put(datasets="[{name: ../tasks/pca}]"), "Unknown dataset"),
    "an unknown parameter": (put(datasets="[{name: slab, params: {sets: 3}}]"), "'sets'"),
    "a parameter of another type": (
        put(datasets="[{name: slab, params: {num_sets: many}}]"), "num_sets"
    ),
    "the dataset itself as a parameter": (
        put(datasets="[{name: slab, params: {self: 1}}]"), "unknown option 'self'"
    ),
    "a root that is a number": (put(datasets="[{name: colmap, root: 3}]"), "root"),
    "one dataset twice": (put(datasets="[{name: slab}, {name: slab}]"), "two datasets are called"),
    # Tasks and tables.
    "no tasks": (put(tasks="[]"), "at least 1 item"),
    "an unknown task": (put(tasks="[{name: lightness}]"), "Did you mean 'brightness'?"),
    "a task that needs more": (
        put(tasks="[{name: semantic_matching}]"), "needs keypoints, which dataset 'slab' does not"
    ),
    "a task that needs another model": (
        put(models="[{model_id: vggt}]"), "needs features; model 'vggt' gives predictions"
    ),
    "a parameter out of range": (
        put(tasks="[{name: brightness, params: {scale: loud}}]"), "scale"
    ),
    "the task itself as a parameter": (
        put(tasks="[{name: brightness, params: {self: 1}}]"), "unknown option 'self'"
    ),
    "parameters that are a list": (put(tasks="[{name: brightness, params: [1]}]"), "params"),
    "a dataset of another suite": (
        put(tasks="[{name: brightness, datasets: [slap]}]"), "Did you mean 'slab'?"
    ),
    "datasets that are a word": (put(tasks="[{name: brightness, datasets: slab}]"), "datasets"),
    "a table of no task": (
        put(tables="[{title: T, task: dark, metrics: [mean]}]"), "no task 'dark'"
    ),
    "a table of an unknown metric": (
        put(tables="[{title: T, task: brightness, metrics: [meen]}]"), "Did you mean 'mean'?"
    ),
    "a table of nothing": (
        put(tables="[{title: T, task: brightness, metrics: []}]"), "at least 1 item"
    ),
}  # fmt: skip


def link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def test_there_are_more_than_fifty() -> None:
    assert len(CASES) >= 50
    assert len({content for content, _ in CASES.values()}) == len(CASES)


@pytest.mark.parametrize("case", CASES)
def test_one_clear_error(
    case: str, tmp_path: Path, synthetic: None, capsys: pytest.CaptureFixture[str]
) -> None:
    content, text = CASES[case]
    path = tmp_path / "suites" / "suite.yaml"
    path.parent.mkdir()
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (path.parent / "broken.yaml").write_text("models: [\n")
    (path.parent / "empty.yaml").write_text("models: {}\n")
    link_to_itself(path.parent / "loop.yaml")
    (tmp_path / "secret.yaml").write_text("models: []\n")
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert text in str(caught.value)
    assert all(len(str(mistake)) < 2000 for mistake in caught.value.mistakes)
    with pytest.raises(SystemExit) as ended:
        main(["run", str(path), "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert text in message and "nothing was run" in message and "Traceback" not in message
    assert not (tmp_path / "run").exists()


def test_the_good_suite_is_good(tmp_path: Path, synthetic: None) -> None:
    """The cases above fail for what they change, not for what they share."""
    path = tmp_path / "suite.yaml"
    for content in (GOOD, put(), model("layers: [output]"), "\ufeff" + GOOD):
        path.write_text(content)
        assert load_suite(path).name == "good"


PLACES: dict[str, Callable[[Path], object]] = {
    "nothing": lambda path: None,
    "a folder": lambda path: path.mkdir(),
    "a link to itself": link_to_itself,
    "a link to nowhere": lambda path: path.symlink_to(path.with_name("nowhere")),
}


@pytest.mark.parametrize("case", PLACES)
def test_places_without_a_suite(
    case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "suite.yaml"
    PLACES[case](path)
    with pytest.raises(SystemExit) as ended:
        main(["check", str(path)])
    assert ended.value.code == 2
    assert "No suite at" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["a" * 5_000, "a\0b", "", "~nobody/x", "\ud800"])
def test_names_that_no_file_can_have(name: str) -> None:
    from bench.suite import find_suite

    with pytest.raises(BenchError, match="No suite at"):
        find_suite(name)

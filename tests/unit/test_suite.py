"""Suites: every mistake at once, each with its line and a suggestion."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.check import load_suite
from bench.errors import BenchError
from bench.suite import SuiteError, find_suite, shipped_suites
from tests.conftest import SUITE


def mistakes_of(path: Path) -> list[tuple[int, str]]:
    with pytest.raises(SuiteError) as caught:
        load_suite(path)
    assert all(mistake.file == str(path) for mistake in caught.value.mistakes)
    return [(mistake.line, mistake.text) for mistake in caught.value.mistakes]


def test_all_mistakes_at_once_with_lines(tmp_path: Path, synthetic: None) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(
        "name: bad\n"
        "models:\n"
        "  - {label: A, model_id: feature_extractor/rbg}\n"
        "  - label: B\n"
        "    model_id: feature_extractor/rgb\n"
        "    model_config: {patch_sise: 14}\n"
        "  - label: C\n"
        "    model_id: feature_extractor/rgb\n"
        "    layers: [3]\n"
        "  - {label: D, model_id: feature_extractor/rgb, leyers: all}\n"
        "datasets:\n"
        "  - {name: slap}\n"
        "  - {name: slab}\n"
        "tasks:\n"
        "  - {name: brightness, params: {scale: loud}}\n"
        "  - {name: brightness, label: good}\n"
        "tables:\n"
        "  - {title: T, task: good, metrics: [meen]}\n"
        "  - {title: U, task: goot, metrics: [mean]}\n"
    )
    found = mistakes_of(path)
    expected = {
        3: "Did you mean 'rgb'?",
        6: "unknown option 'patch_sise'. Did you mean 'patch_size'?",
        9: "Layer 3 does not exist.",
        10: "unknown key 'leyers'",
        12: "Unknown dataset 'slap'. Did you mean 'slab'?",
        15: "scale",
        18: "has no metric 'meen'. Did you mean 'mean'?",
        19: "no task 'goot' in this suite. Did you mean 'good'?",
    }
    assert sorted({line for line, _ in found}) == sorted(expected)
    for line, text in expected.items():
        assert any(text in message for number, message in found if number == line), (line, found)


def test_unmet_needs_name_both(
    tmp_path: Path, synthetic: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.synthetic import Slab

    monkeypatch.setattr(Slab, "provides", frozenset({"poses"}))
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE)
    ((_, text),) = mistakes_of(path)
    assert "'brightness' needs depth" in text and "'slab'" in text


@pytest.mark.parametrize(
    ("content", "line", "text"),
    [
        ("name: [", 1, "not valid YAML"),
        ("a: 1\nb: {\n", 3, "not valid YAML"),
        ("- just\n- a list\n", 1, "a suite is a mapping"),
        ("", 1, "a suite is a mapping"),
        ("name: !!python/object/apply:os.system ['true']\n", 1, "has no place in a suite"),
        ("name: 2020-01-01\n", 1, "has no place in a suite"),
        ("a: &x 1\nb: *x\n", 2, "aliases"),
    ],
)
def test_unusable_files(tmp_path: Path, content: str, line: int, text: str) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(content)
    found = mistakes_of(path)
    assert found[0][0] == line and text in found[0][1]


def test_binary_and_missing_files(tmp_path: Path) -> None:
    path = tmp_path / "suite.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    assert "not UTF-8" in mistakes_of(path)[0][1]
    with pytest.raises(BenchError, match="Did you mean 'correspondence'"):
        find_suite("corespondence")


def test_duplicate_keys_and_labels(tmp_path: Path, synthetic: None) -> None:
    path = tmp_path / "suite.yaml"
    path.write_text(SUITE.replace("label: noise", "label: RGB") + "name: again\n")
    found = mistakes_of(path)
    assert any("key 'name' stands here twice" in text for _, text in found)
    assert any("two models are called 'RGB'" in text for _, text in found)


def test_presets_are_extended(tmp_path: Path, synthetic: None) -> None:
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "own.yaml").write_text(
        "models:\n"
        "  - {preset: small-rgb, label: small, model_id: feature_extractor/rgb,"
        " model_config: {patch_size: 7, preprocess_images: true}}\n"
    )
    path = tmp_path / "suite.yaml"
    path.write_text(
        SUITE.replace(
            "models:\n",
            "include: [models/own.yaml]\nmodels:\n"
            "  - {extends: small-rgb, label: big, model_config: {patch_size: 28}}\n",
        )
    )
    suite = load_suite(path)
    assert [model.label for model in suite.models] == ["big", "RGB", "noise", "small"]
    assert suite.models[0].config == {"patch_size": 28, "preprocess_images": True}


def test_includes_stay_in_their_folder(tmp_path: Path, synthetic: None) -> None:
    folder = tmp_path / "suites"
    folder.mkdir()
    (tmp_path / "secret.yaml").write_text("models: []\n")
    path = folder / "suite.yaml"
    path.write_text("include: [../secret.yaml, gone.yaml]\n" + SUITE)
    found = mistakes_of(path)
    assert [text for _, text in found] == [
        "'../secret.yaml' lies outside of the suite's folder",
        "'gone.yaml' is no file beside the suite",
    ]


@pytest.mark.parametrize("name", sorted(shipped_suites()))
def test_shipped_suites_have_no_mistakes(name: str) -> None:
    assert load_suite(shipped_suites()[name]).name == name

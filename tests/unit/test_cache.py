"""Features on disk: checked when read, pruned by last use, never in the way of a run."""

from __future__ import annotations

import errno
import os
import shutil
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from bench.atomic import ABANDONED_SECONDS
from bench.check import load_suite
from bench.cli import main
from bench.models.feature_extractors import feature_extractors
from bench.models.feature_extractors.rgb import RGB
from bench.plan import Selection, make_plan
from bench.results import load_results
from bench.runner import features
from bench.runner.cache import RESERVE_BYTES, FeatureStore
from bench.runner.keeping import keeping
from bench.runner.loop import Outcome, Settings, run_plan
from tests.unit.test_oom import TwoLayers


def tokens(seed: int = 0, rows: int = 4) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {
        "patches": torch.randn(1, rows, 4, 8, generator=generator).half(),
        "cls": torch.randn(1, 8, generator=generator).half(),
    }


def same(found: dict[str, torch.Tensor] | None, expected: dict[str, torch.Tensor]) -> bool:
    return found is not None and all(torch.equal(found[k], v) for k, v in expected.items())


@pytest.fixture
def store(tmp_path: Path) -> FeatureStore:
    return FeatureStore(tmp_path / "features")


def run(suite: Path, out: Path, **options: Any) -> Outcome:
    plan = make_plan(load_suite(suite), precision="float32")
    return run_plan(plan, out, Settings(**options), Selection())


def test_round_trip(store: FeatureStore) -> None:
    store.write("model/a", tokens())
    assert store.has("model/a") and store.knows("model") and not store.knows("other")
    assert same(store.read("model/a"), tokens())
    assert store.read("model/b") is None and store.problems == []


@pytest.mark.parametrize("change", ["moved", "another type", "no checksum", "text"])
def test_entries_that_are_not_what_they_claim(store: FeatureStore, change: str) -> None:
    from safetensors.torch import save_file

    store.write("model/a", tokens())
    path = store.path("model/b")
    if change == "moved":
        shutil.copy(store.path("model/a"), path)
    elif change == "another type":
        save_file({"patches": torch.ones(2, dtype=torch.bfloat16)}, path, {"checksum": "0" * 32})
    elif change == "no checksum":
        save_file(tokens(), path)
    else:
        path.write_text("not a tensor")
    assert store.read("model/b") is None
    assert len(store.problems) == 1 and "damaged" in store.problems[0]
    assert not path.exists(), "a damaged entry is not met twice"
    assert store.has("model/a")


def test_a_cache_that_cannot_be_changed_is_read_all_the_same(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder that a group shares: neither the time of use nor a damaged entry can be changed."""

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    store.write("model/a", tokens())
    store.write("model/b", tokens())
    store.path("model/b").write_bytes(b"")
    monkeypatch.setattr("bench.runner.cache.utime", refused)
    monkeypatch.setattr(Path, "unlink", refused)
    assert same(store.read("model/a"), tokens())
    assert store.read("model/b") is None
    assert store.prune(0) == 0


def fill(store: FeatureStore, count: int) -> int:
    """Entries 0 .. count - 1, the first used longest ago; returns the bytes of one."""
    for i in range(count):
        store.write(f"model/{i}", tokens(i))
        os.utime(store.path(f"model/{i}"), (1000.0 + i, 1000.0 + i))
    return store.path("model/0").stat().st_size


def test_least_recently_used_entries_go_first(store: FeatureStore) -> None:
    size = fill(store, 5)
    store.read("model/0")
    assert store.prune(3 * size) == 2 * size
    assert [i for i in range(5) if store.has(f"model/{i}")] == [0, 3, 4]
    assert store.prune(3 * size) == 0
    assert store.prune(0) == 3 * size


def test_writing_keeps_below_the_cap(tmp_path: Path) -> None:
    size = fill(FeatureStore(tmp_path / "probe"), 1)
    store = FeatureStore(tmp_path / "features", cap_bytes=40 * size)
    for i in range(100):
        store.write(f"model/{i}", tokens(i))
        assert sum(entry.size_bytes for entry in store.entries()) <= store.cap_bytes
    assert store.has("model/99") and not store.has("model/0")


def test_what_killed_processes_left_is_swept(store: FeatureStore) -> None:
    store.write("model/a", tokens())
    old, fresh = (store.folder / "model" / f".{name}.tmp" for name in ("old", "fresh"))
    old.write_bytes(b"half")
    fresh.write_bytes(b"half of what another process is writing")
    long_ago = time.time() - ABANDONED_SECONDS - 1
    os.utime(old, (long_ago, long_ago))
    store.prune()
    assert not old.exists() and fresh.exists() and store.has("model/a")


def test_stores_that_write_read_and_prune_at_once(tmp_path: Path) -> None:
    """What comes out is whole or absent, and nobody trips over what another one removed."""
    size = fill(FeatureStore(tmp_path / "probe"), 1)
    folder, failures = tmp_path / "features", []

    def work(seed: int) -> None:
        store = FeatureStore(folder, cap_bytes=20 * size)
        try:
            for step in range(150):
                i = (step * (7 + seed)) % 40
                store.write(f"model/{i}", tokens(i))
                found = store.read(f"model/{(i + 3) % 40}")
                if found is not None and not same(found, tokens((i + 3) % 40)):
                    failures.append("another entry was read")
                if step % 10 == 0:
                    store.prune(10 * size)
            failures.extend(store.problems)
        except Exception as error:
            failures.append(repr(error))

    workers = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert sum(1 for _ in folder.rglob("*.tmp")) == 0


def test_a_full_disk_ends_caching_and_not_the_run(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, content: bytes, durable: bool = True) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    run(tiny_suite, tmp_path / "well")
    monkeypatch.setattr("bench.runner.cache.write_bytes", full)
    outcome = run(tiny_suite, tmp_path / "full", cache="on")
    assert (outcome.done, outcome.failed) == (2, 0)
    (problem,) = outcome.problems
    assert "no longer cached" in problem and "the disk is full" in problem
    assert load_results(tmp_path / "full").equals(load_results(tmp_path / "well"))


def test_the_cache_leaves_room_for_results(
    store: FeatureStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = RESERVE_BYTES + 100

    monkeypatch.setattr("bench.runner.cache.shutil.disk_usage", lambda _: Usage)
    store.write("model/a", tokens())
    assert not store.has("model/a") and "the disk is full" in store.problems[0]


def test_results_that_cannot_be_written_end_in_one_message(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    def full(folder: Path, result: object, scores: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(folder))

    with monkeypatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("bench.runner.group.write_cell", full)
        main(["run", str(tiny_suite), "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "No space left on device" in message and "Traceback" not in message
    assert run(tiny_suite, tmp_path / "run").forward_passes == 4, "the first model's are kept"


@pytest.fixture
def two_layers(tiny_suite: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A suite of one model with two layers."""
    monkeypatch.setitem(feature_extractors._registered, "two", TwoLayers)
    lines = [line for line in tiny_suite.read_text().splitlines() if "noise" not in line]
    text = "\n".join(lines).replace("feature_extractor/rgb", "feature_extractor/two")
    tiny_suite.write_text(text.replace("model_config: {patch_size: 14}", "layers: all"))
    return tiny_suite


def test_only_missing_layers_are_computed(
    two_layers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(two_layers, tmp_path / "cold", cache="on")
    entries = sorted(FeatureStore().folder.rglob("*.safetensors"))
    assert len(entries) == 4 * 2 * 2
    asked: list[list[str]] = []
    original = TwoLayers.encode

    def encode(self: TwoLayers, images: torch.Tensor, layers: Any) -> Any:
        asked.append(list(layers))
        return original(self, images, layers)

    monkeypatch.setattr(TwoLayers, "encode", encode)
    entries[0].unlink()
    outcome = run(two_layers, tmp_path / "warm", cache="on")
    assert (outcome.forward_passes, outcome.cache_hits) == (1, 3)
    assert len(asked) == 1 and asked[0] in (["first", "second"], ["second"])
    assert load_results(tmp_path / "warm").equals(load_results(tmp_path / "cold"))


def test_the_plan_knows_the_bytes(two_layers: Path, tmp_path: Path) -> None:
    plan = make_plan(load_suite(two_layers), precision="float32")
    kept = keeping(plan.cells, Settings(cache="on"))
    assert kept.keep and kept.size_bytes == 2 * 4 * 2 * (4 * 6 * 588) * 2
    run(two_layers, tmp_path / "run", cache="on")
    header = 300
    on_disk = [entry.size_bytes for entry in FeatureStore().entries()]
    assert kept.size_bytes <= sum(on_disk) <= kept.size_bytes + header * len(on_disk)


@pytest.mark.parametrize(
    ("options", "cache_layers", "keep", "reason"),
    [
        ({}, False, False, "nothing reads them again"),
        ({}, True, True, "the suite says cache_layers"),
        ({"cache": "on"}, False, True, "--cache on"),
        ({"cache": "read"}, True, False, "--cache read"),
        ({"cache": "off"}, True, False, "--cache off"),
        ({"cache_bytes": 1000}, True, False, "cache_layers, but the cache holds 1e-06 GB"),
    ],
)
def test_what_is_kept_and_why(
    tiny_suite: Path, options: dict[str, Any], cache_layers: bool, keep: bool, reason: str
) -> None:
    text = tiny_suite.read_text()
    if cache_layers:
        text = text.replace("{label: RGB,", "{label: RGB, cache_layers: true,")
    tiny_suite.write_text(text)
    plan = make_plan(load_suite(tiny_suite), precision="float32")
    kept = keeping(plan.cells[:1], Settings(**options))
    assert kept.keep == keep and reason in kept.reason


def test_dry_run_states_bytes_and_reasons(
    tiny_suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", str(tiny_suite), "--out", str(tmp_path / "run"), "--dry-run"]
    for more, text in (
        (
            [],
            "about 0.000226 GB, not kept: one pass feeds every task, and nothing reads them again",
        ),
        (["--cache", "on"], "features: about 0.000226 GB, kept in the cache: --cache on"),
        (["--cache", "on", "--cache-gb", "0"], "not kept: --cache on, but the cache holds 0 GB"),
    ):
        with pytest.raises(SystemExit):
            main([*words, *more])
        assert text in capsys.readouterr().out


def test_no_image_is_hashed_in_vain(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hashed(image: torch.Tensor) -> str:
        raise AssertionError("an image was hashed")

    monkeypatch.setattr(features, "image_hash", hashed)
    assert run(tiny_suite, tmp_path / "run").failures == {}


def test_a_later_run_reads_what_was_kept(
    tiny_suite: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(tiny_suite, tmp_path / "cold", cache="on")
    monkeypatch.setattr(RGB, "encode", lambda *_: pytest.fail("was computed again"))
    for mode in ("auto", "read", "on"):
        outcome = run(tiny_suite, tmp_path / mode, cache=mode)
        assert (outcome.forward_passes, outcome.cache_hits) == (0, 8)


def test_ls_verify_and_prune(
    tiny_suite: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*words: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as ended:
            main(["cache", *words])
        return int(ended.value.code or 0), capsys.readouterr().out

    run(tiny_suite, tmp_path / "run", cache="on")
    assert "16 entries" in command("ls")[1]
    code, text = command("verify")
    assert code == 0 and "16 entries read, 0 damaged" in text
    damaged = next(FeatureStore().folder.rglob("*.safetensors"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    code, text = command("verify")
    assert code == 1 and "1 damaged and removed" in text and damaged.stem[:12] in text
    assert command("prune")[0] == 0
    assert "0 entries" in command("ls")[1]

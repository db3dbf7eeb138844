"""VGGT's weight files: found, read, brought to this model's names, loaded."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bench.errors import BenchError
from bench.models.checkpoints import (
    PACKAGE_SCHEME,
    SUFFIXES,
    check_keys,
    load_strictly,
    read_state_dict,
    resolve_path,
)

HEADS = ("camera", "depth", "point", "track")
WEIGHT_FILES = ("model.safetensors", "model.pt")
CONFIG_FILE = "config.json"
SWAPPED_PREFIX = "aggregator.patch_embed.model."
#: Pixel constants that training runs with a swapped backbone stored, one of them misspelt.
STORED_CONSTANTS = ("aggregator.patch_embed.processor.", "aggregator.patch_embed.proecessor.")


@dataclass(frozen=True)
class Checkpoint:
    """Tensors by name, and options of the model where the source has them."""

    state: dict[str, Tensor]
    config: dict[str, Any]

    @property
    def enabled_heads(self) -> dict[str, bool]:
        """``enable_<head>`` for each head: whether its weights are here."""
        return {
            f"enable_{head}": any(key.startswith(f"{head}_head.") for key in self.state)
            for head in HEADS
        }


def open_checkpoint(source: str | Path) -> Checkpoint:
    """Read a local file or folder, or a hub repository ``owner/name``.

    Raises:
        BenchError: nothing there, or nothing that holds weights.
    """
    name = str(source)
    local = Path(name).expanduser()
    is_local = name.startswith(PACKAGE_SCHEME) or local.exists() or local.suffix in SUFFIXES
    if not is_local and name.count("/") == 1 and not name.startswith((".", "~", "/")):
        return _open_files(_hub_file(name, WEIGHT_FILES), _hub_file(name, (CONFIG_FILE,)), name)
    path = resolve_path(name)
    if path.is_file():
        return _open_files(path, None, name)
    weights = _first_existing(path, WEIGHT_FILES)
    return _open_files(weights, _first_existing(path, (CONFIG_FILE,)), name)


def fit_to_model(state: Mapping[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """The tensors under the names `model` uses, without those it has no place for on purpose.

    Left out: heads that are switched off, and the pixel constants of a swapped backbone, which
    knows its own. A transformers backbone may carry the names of transformers 4.

    Raises:
        BenchError: a swapped backbone whose weights do not fit.
    """
    off = tuple(f"{head}_head." for head in HEADS if getattr(model, f"{head}_head") is None)
    kept = {k: v for k, v in state.items() if not k.startswith((*off, *STORED_CONSTANTS))}
    backbone = getattr(model.get_submodule("aggregator.patch_embed"), "model", None)
    swapped = {
        key.removeprefix(SWAPPED_PREFIX): value
        for key, value in kept.items()
        if key.startswith(SWAPPED_PREFIX)
    }
    if not isinstance(backbone, nn.Module) or swapped.keys() == backbone.state_dict().keys():
        return kept
    others = {k: v for k, v in kept.items() if not k.startswith(SWAPPED_PREFIX)}
    renamed = _rename_transformers(swapped, backbone)
    return others | {SWAPPED_PREFIX + key: value for key, value in renamed.items()}


def load_into(model: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load `state` into `model` strictly; a model on the meta device is brought to the CPU."""
    if any(parameter.is_meta for parameter in model.parameters()):
        model.to_empty(device="cpu")
    load_strictly(model, state, source)


def _open_files(weights: Path | None, config: Path | None, source: str) -> Checkpoint:
    if weights is None:
        raise BenchError(
            f"{source} holds no VGGT weights.", f"Expected one of {', '.join(WEIGHT_FILES)}."
        )
    state = read_state_dict(weights)
    if config is None:
        return Checkpoint(state, {})
    try:
        found = json.loads(config.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchError(
            f"{CONFIG_FILE} of {source} is not JSON ({error}).", "Repair or remove it."
        ) from error
    if not isinstance(found, dict):
        raise BenchError(
            f"{CONFIG_FILE} of {source} holds no options.", "Expected an object of VGGT's options."
        )
    return Checkpoint(state, found)


def _first_existing(folder: Path, names: tuple[str, ...]) -> Path | None:
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _hub_file(repository: str, names: tuple[str, ...]) -> Path | None:
    """The first of `names` that the hub repository has, from the cache where it is there.

    Raises:
        BenchError: no such repository, or the hub is out of reach.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import LocalEntryNotFoundError, RemoteEntryNotFoundError

    for name in names:
        try:
            return Path(hf_hub_download(repository, name))
        except RemoteEntryNotFoundError:
            continue
        except LocalEntryNotFoundError as error:
            raise BenchError(
                f"{repository} is not in the local cache, and the model hub cannot be reached.",
                "Go online, or name a local folder or file.",
            ) from error
        except Exception as error:
            raise BenchError(
                f"{repository} cannot be had from the model hub ({type(error).__name__}).",
                "Check the name and your access, or name a local folder or file.",
            ) from error
    return None


def _rename_transformers(state: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Weights of a transformers backbone under the installed version's names.

    The renaming is part of transformers' own loading only, so the weights take that way.
    """
    from transformers import PreTrainedModel

    if not isinstance(backbone, PreTrainedModel):
        return state
    load: Callable[..., Any] = type(backbone).from_pretrained
    loaded, report = load(
        None,
        config=backbone.config,
        state_dict=state,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
    )
    check_keys(
        f"The checkpoint's {SWAPPED_PREFIX}*",
        missing=report["missing_keys"],
        unexpected=report["unexpected_keys"],
        mis_shaped=(str(key[0]) for key in report["mismatched_keys"]),
    )
    renamed: dict[str, Tensor] = loaded.state_dict()
    return renamed

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
    SUFFIXES,
    check_keys,
    load_strictly,
    read_state_dict,
    resolve_path,
)
from bench.models.sources import Source, obtain

HEADS = ("camera", "depth", "point", "track")
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

    A local folder may hold a ``config.json`` with options of the model.

    Raises:
        BenchError: nothing there, or nothing that holds weights.
    """
    name = str(source)
    if _is_hub_repository(name):
        return Checkpoint(read_state_dict(obtain(Source("hub", name))), {})
    return Checkpoint(read_state_dict(resolve_path(name)), stored_config(source))


def stored_config(source: str | Path) -> dict[str, Any]:
    """Options of the model that a local folder holds in its ``config.json``; empty without one."""
    if _is_hub_repository(str(source)):
        return {}
    path = resolve_path(str(source)) / CONFIG_FILE
    return _read_config(path) if path.is_file() else {}


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


def _is_hub_repository(name: str) -> bool:
    """Whether a name is ``owner/name``, and not a file or folder here."""
    path = Path(name).expanduser()
    if path.exists() or path.suffix in SUFFIXES or path.is_absolute():
        return False
    return name.count("/") == 1 and not name.startswith(".")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BenchError(f"{path} is not JSON ({error}).", "Repair or remove it.") from error
    if not isinstance(found, dict):
        raise BenchError(f"{path} holds no options.", "Expected an object of VGGT's options.")
    return found


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

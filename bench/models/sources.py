"""Where published weights come from, whether they are at hand, and how they are fetched.

Imports no tensor library, so that ``bench list models`` stays quick.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from bench.errors import BenchError
from bench.models.checkpoints import (
    INDEX_SUFFIX,
    WEIGHT_FILES,
    cache_root,
    fingerprint_file,
    resolve_path,
    shards,
)

HINT = (
    "Connect to the internet once, or give a local file as checkpoint_path, or use pretrained: "
    "false for random weights."
)


@dataclass(frozen=True)
class Source:
    """One set of weights.

    address: a hub repository ``owner/name``, a URL, or ``package://<package>/<path>``.
    sha256: of the file, where it is known; checked on use.
    """

    kind: Literal["hub", "url", "package"]
    address: str
    sha256: str | None = None


def local_weights(source: Source) -> Path | None:
    """The weight file (or the index of its shards) on this machine; no network is used."""
    if source.kind == "hub":
        return _in_hub_cache(source.address)
    if source.kind == "url":
        path = _download_path(source.address)
        return path if path.is_file() else None
    try:
        return resolve_path(source.address)
    except BenchError:
        return None


def obtain(source: Source) -> Path:
    """The weight file on this machine, fetched if need be.

    Raises:
        BenchError: out of reach, or other bytes than those that were published.
    """
    if source.kind == "hub":
        return _from_hub(source.address)
    if source.kind == "url":
        return check_bytes(_downloaded(source.address), source)
    return check_bytes(resolve_path(source.address), source)


def identity(source: Source) -> str | None:
    """Identity of the weights, as far as it is known before they are loaded.

    A hub repository is identified by its commit, any other file by its sha256.
    """
    if source.kind == "hub":
        commit = hub_commit(source.address)
        return f"hub:{source.address}@{commit}" if commit else None
    path = local_weights(source)
    digest = source.sha256 if path is None else fingerprint_file(path)
    return f"file:{digest}" if digest else None


def hub_commit(repository: str) -> str | None:
    """Commit of a hub repository in the local cache, else on the hub; None if out of reach."""
    from huggingface_hub import HfApi

    path = _in_hub_cache(repository)
    if path is not None:
        return path.as_posix().partition("/snapshots/")[2].partition("/")[0]
    if os.environ.get("HF_HUB_OFFLINE") == "1":
        return None
    try:
        return HfApi().model_info(repository, timeout=5).sha
    except Exception:
        return None


def check_bytes(path: Path, source: Source) -> Path:
    """`path` itself, if its bytes are the published ones."""
    if source.sha256 is not None and fingerprint_file(path) != source.sha256:
        raise BenchError(
            f"{source.address}: the file's sha256 is not the published one.",
            "The file is damaged, or of another version; remove it and fetch it again.",
        )
    return path


def _in_hub_cache(repository: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    for name in WEIGHT_FILES:
        found = try_to_load_from_cache(repository, name)
        if isinstance(found, str):
            path = Path(found)
            return path if all((path.parent / shard).exists() for shard in _shards(path)) else None
    return None


def _from_hub(repository: str) -> Path:
    """The cached file if there is one, so that a run never changes weights by itself."""
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError

    cached = _in_hub_cache(repository)
    if cached is not None:
        return cached
    if hub_commit(repository) is None:
        # Asked first, because a download retries for half a minute.
        raise BenchError(
            f"{repository} is not in the local cache, and the model hub does not give it out.", HINT
        )
    try:
        for name in WEIGHT_FILES:
            try:
                path = Path(hf_hub_download(repository, name))
            except EntryNotFoundError:
                continue
            for shard in _shards(path):
                hf_hub_download(repository, shard)
            return path
    except Exception as error:
        raise BenchError(
            f"{repository} cannot be had from the model hub ({type(error).__name__}).", HINT
        ) from error
    raise BenchError(f"{repository} holds none of {', '.join(WEIGHT_FILES)}.", HINT)


def _shards(path: Path) -> list[str]:
    """Names of the files that an index refers to; none for a plain weight file."""
    return shards(path) if path.name.endswith(INDEX_SUFFIX) else []


def _download_path(url: str) -> Path:
    return cache_root() / "weights" / url.rpartition("/")[2]


def _downloaded(url: str) -> Path:
    path = _download_path(url)
    if not path.is_file():
        from torch.hub import download_url_to_file

        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            download_url_to_file(url, str(path), progress=False)
        except Exception as error:
            raise BenchError(f"{url} cannot be fetched ({type(error).__name__}).", HINT) from error
    return path

"""One backbone, many state-dict layouts: authors' own, timm, transformers old and new.

Every tensor has a canonical name, in which queries, keys and values are separate and blocks are
called ``blocks.<i>``. A layout says how other names map to it; the same table reads a file of any
origin and fills a model of any library, whatever names its installed version uses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.errors import BenchError
from bench.models.checkpoints import check_keys, load_strictly

#: Wrappers that training scripts and other libraries put around a backbone.
WRAPPERS = ("module.", "_orig_mod.", "model.", "backbone.")


@dataclass(frozen=True)
class Layout:
    """Names of one architecture.

    aliases: module path or tensor name, with ``#`` for a block's index, to one or several
    canonical names; with several, the tensor is their concatenation along its first dimension.
    wrappers: prefixes that are taken off. ignored: prefixes of tensors that features do not use.
    """

    aliases: Mapping[str, tuple[str, ...]]
    wrappers: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()

    def names(self, key: str) -> tuple[str, ...]:
        """Canonical names of one tensor; none if it is ignored."""
        stripped = self._unwrapped(key)
        if stripped.startswith(self.ignored):
            return ()
        index = "".join(re.findall(r"\.(\d+)(?:\.|$)", stripped)[:1])
        pattern = re.sub(r"\.\d+(?=\.|$)", ".#", stripped, count=1)
        for head, tail in _splits(pattern):
            if head in self.aliases:
                return tuple(_at(name, index) + tail for name in self.aliases[head])
        return (stripped,)

    def _unwrapped(self, key: str) -> str:
        for wrapper in (*WRAPPERS, *self.wrappers):
            if key.startswith(wrapper):
                return self._unwrapped(key.removeprefix(wrapper))
        return key


def canonical_state(state: Mapping[str, Tensor], layout: Layout) -> dict[str, Tensor]:
    """The tensors of a file under their canonical names."""
    found: dict[str, Tensor] = {}
    for key, value in state.items():
        names = layout.names(key)
        if len(names) == 1:
            found[names[0]] = value
        elif names:
            found.update(zip(names, _parts(key, value, len(names)), strict=True))
    return found


def _parts(key: str, value: Tensor, count: int) -> tuple[Tensor, ...]:
    if value.ndim == 0 or len(value) % count:
        raise BenchError(
            f"Tensor '{key}' of shape {tuple(value.shape)} does not hold {count} equal parts.",
            "Check that backbone and checkpoint belong together.",
        )
    return value.chunk(count)


def load_canonical(
    module: nn.Module, state: Mapping[str, Tensor], layout: Layout, source: str
) -> None:
    """Fill `module` from canonical tensors; every tensor must be there, expected and of its shape.

    Leading dimensions of size one do not count (CLIP's class token has none).

    Raises:
        BenchError: the canonical names of what is missing, unexpected or of another shape.
    """
    own = module.state_dict()
    wanted = {key: layout.names(key) for key in own}
    needed = {name for names in wanted.values() for name in names}
    check_keys(source, missing=needed - state.keys(), unexpected=state.keys() - needed)
    filled: dict[str, Tensor] = {}
    for key, value in own.items():
        parts = [state[name] for name in wanted[key]]
        if not parts:
            filled[key] = value
            continue
        if len({part.shape[1:] for part in parts}) > 1 or (len(parts) > 1 and parts[0].ndim == 0):
            raise BenchError(f"{source}: {', '.join(wanted[key])} do not fit together.")
        whole = parts[0] if len(parts) == 1 else torch.cat(parts)
        same = _core_shape(whole) == _core_shape(value)
        filled[key] = whole.reshape(value.shape) if same else whole
    load_strictly(module, filled, source)


def _core_shape(tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    while shape and shape[0] == 1:
        shape = shape[1:]
    return shape


def _splits(path: str) -> Iterator[tuple[str, str]]:
    """(head, tail) of a dotted path, the longest head first; tails begin with a dot."""
    parts = path.split(".")
    for count in range(len(parts), 0, -1):
        yield ".".join(parts[:count]), "".join(f".{part}" for part in parts[count:])


def _at(name: str, index: str) -> str:
    return name.replace("#", index)

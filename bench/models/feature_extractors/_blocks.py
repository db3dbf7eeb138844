"""Tokens of a library's transformer: its own forward pass, recorded block by block."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

from bench.models.feature_extractors.base import Tokens
from bench.types import OUTPUT_LAYER


@contextmanager
def recorded(modules: Mapping[str, nn.Module]) -> Iterator[dict[str, Tensor]]:
    """Outputs of `modules` by name, of every call while the context is open."""
    outputs: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
            outputs[name] = output[0] if isinstance(output, tuple) else output

        return hook

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield outputs
    finally:
        for handle in handles:
            handle.remove()


def encode_blocks(
    forward: Callable[[], Tensor],
    blocks: Mapping[str, nn.Module],
    layers: Sequence[str],
    *,
    norm: nn.Module | None,
    prefix: int,
) -> Iterator[tuple[str, Tokens]]:
    """Tokens of `layers`.

    Args:
        forward: runs the model; gives all tokens [N, T, D] after the final norm.
        blocks: modules by layer name, each giving all tokens.
        norm: applied to the blocks' tokens; None leaves them as they are.
        prefix: tokens before the patches; the first of them is the class token.
    """
    with recorded({name: blocks[name] for name in layers if name != OUTPUT_LAYER}) as outputs:
        last = forward()
    for name in layers:
        if name == OUTPUT_LAYER:
            yield name, split_prefix(last, prefix)
        else:
            tokens = outputs.pop(name)
            yield name, split_prefix(norm(tokens) if norm is not None else tokens, prefix)


def split_prefix(tokens: Tensor, prefix: int, *, has_cls: bool = True) -> Tokens:
    """Class token (the first, if there is one), patches, and all of [N, prefix + P, D]."""
    cls = tokens[:, 0] if prefix and has_cls else None
    return Tokens(patches=tokens[:, prefix:], cls=cls, every=tokens)


def last_hidden_state(model: nn.Module, images: Tensor, **more: object) -> Tensor:
    """All tokens [N, T, D] that a transformers model gives out."""
    tokens: Tensor = model(images, **more).last_hidden_state
    return tokens


def module_list(model: nn.Module, count: int) -> nn.ModuleList:
    """The list of a transformers model's `count` blocks, whatever this version calls it."""
    lists = (module for module in model.modules() if isinstance(module, nn.ModuleList))
    return next(blocks for blocks in lists if len(blocks) == count)


def module_named(model: nn.Module, name: str) -> nn.Module:
    """The submodule whose last name is `name`, however deep this version keeps it."""
    paths = (path for path, _ in model.named_modules() if path.rpartition(".")[2] == name)
    return model.get_submodule(next(paths))

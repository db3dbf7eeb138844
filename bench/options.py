"""Options of models, datasets and tasks: one validation, one style of message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bench.errors import BenchError
from bench.registry import suggestion

M = TypeVar("M", bound=BaseModel)


def parse_options(model: type[M], config: Mapping[str, Any], owner: str) -> M:
    """Validated options.

    Args:
        owner: what the options belong to, for the message; for example ``Dataset 'demo'`` or the
            path of a file.

    Raises:
        BenchError: one error that lists every mistake.
    """
    try:
        return model.model_validate(dict(config))
    except ValidationError as error:
        raise BenchError(f"{owner}: {describe_validation(error, model)}") from error


def describe_validation(error: ValidationError, model: type[BaseModel]) -> str:
    """Every mistake of a validation in one line, with a suggestion for unknown options."""
    parts = []
    for mistake in error.errors():
        place = ".".join(str(part) for part in mistake["loc"])
        if mistake["type"] == "extra_forbidden":
            known = model.model_fields
            advice = suggestion(place, known) if known else "It takes no options."
            parts.append(f"unknown option '{place}'. {advice}")
        elif mistake["type"] == "missing":
            parts.append(f"'{place}' is missing")
        else:
            prefix = f"{place}: " if place else ""
            parts.append(f"{prefix}{mistake['msg']} (got {_shortened(mistake['input'])})")
    return "; ".join(parts)


def _shortened(value: object, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}..."

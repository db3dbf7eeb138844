"""Everything registered says what its options mean, and shows an entry that works."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from bench.datasets import datasets
from bench.models import get_model_class, model_ids
from bench.show import describe, meanings
from bench.tasks import tasks

NAMES = [*model_ids(), *datasets.names(), *tasks.names()]


def options_of(name: str) -> type[BaseModel]:
    if name in model_ids():
        found: type[BaseModel] = get_model_class(name).Options
    elif name in datasets.names():
        found = datasets.get(name).Options
    else:
        found = tasks.get(name).Options
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_option_is_explained(name: str) -> None:
    options = options_of(name)
    assert not options.model_fields.keys() - meanings(options).keys()


@pytest.mark.parametrize("name", NAMES)
def test_the_entry_it_shows_is_valid(name: str) -> None:
    _, _, text = describe(name).rpartition("In a suite:\n")
    ((section, (entry,)),) = yaml.safe_load(text).items()
    config: dict[str, Any] = entry.get("model_config", {})
    options_of(name).model_validate(config)
    assert section == "models" or entry == {"name": name}

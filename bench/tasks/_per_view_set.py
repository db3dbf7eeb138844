"""What tasks share that score every view set by itself."""

from __future__ import annotations

from typing import ClassVar

from bench.types import ItemScore, TaskContext, TaskItem, TaskScope


class PerViewSet:
    """The half of the task protocol that is for collecting, with nothing to collect."""

    scope: ClassVar[TaskScope] = "view_set"

    def prepare(self, context: TaskContext) -> TaskContext:
        return context

    def update(self, state: TaskContext, item: TaskItem) -> None:
        """Every view set is scored by itself."""

    def finish(self, state: TaskContext) -> list[ItemScore]:
        return []

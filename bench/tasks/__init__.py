"""Probing tasks. One module each; the file's name is the name."""

from __future__ import annotations

from bench.registry import Registry
from bench.types import Task

tasks: Registry[type[Task]] = Registry("task", "bench.tasks")

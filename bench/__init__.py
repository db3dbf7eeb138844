"""bench: how much 3D does a frozen vision backbone know?"""

from __future__ import annotations

from typing import Any

__version__ = "0.1.0"
__all__ = ["BenchError", "__version__", "get_model_from_model_id", "load_results", "run_suite"]

_HOMES = {
    "BenchError": "bench.errors",
    "get_model_from_model_id": "bench.models",
    "load_results": "bench.results",
    "run_suite": "bench.api",
}


def __getattr__(name: str) -> Any:
    """Public names are imported on first use, so that ``import bench`` needs no torch."""
    if name not in _HOMES:
        raise AttributeError(f"module 'bench' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

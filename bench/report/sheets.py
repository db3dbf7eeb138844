"""Pictures that a run's figures hold as PNG, small enough for a page."""

from __future__ import annotations

import io
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

#: Kinds of pictures, by the first word of their file names, and what they show.
KINDS = {
    "pca": "Principal components of the features as red, green and blue",
    "kmeans": "Clusters of the features",
    "matches": "Matches between two views, by their error",
    "cka": "Similarity of layers (linear CKA)",
}
#: Size on the page: all figures alike, and the widest a screen wide.
SCALE, MAX_WIDTH = 0.74, 1000
#: Bytes of all pictures together; base64 adds a third.
BUDGET = 6_000_000
_CONTACT_SHEET = re.compile(r"(?:.*_)?contact_sheet(?:_\d+)*")
_NAME = re.compile(rf"({'|'.join(KINDS)})_(.+)")


@dataclass(frozen=True)
class Sheet:
    """A picture. name: of its scene or models, or that of a contact sheet, which is an overview
    of scenes; data: WebP; size: width and height in pixels."""

    dataset: str
    kind: str
    name: str
    is_overview: bool
    data: bytes
    size: tuple[int, int]


def read_sheets(paths: Iterable[Path], budget: int = BUDGET) -> tuple[list[Sheet], list[Path]]:
    """Pictures among a run's published files: contact sheets first, then the first scene of each
    dataset and kind, then the second, so that a small budget leaves some of each.

    Args:
        paths: files; those that are no picture of a dataset's scenes are ignored.
        budget: what would take more bytes in all is left out.
    Returns:
        The pictures, and the files of those that were left out.
    """
    turns: Counter[tuple[Path, str, bool]] = Counter()
    found = []
    for path in paths:
        match = _NAME.fullmatch(path.stem)
        if match is None or path.suffix != ".png" or path.parent.name == "figures":
            continue
        is_single = _CONTACT_SHEET.fullmatch(match[2]) is None
        own = path.parent, match[1], is_single
        found.append((is_single, turns[own], path, match[1], _readable(match[2])))
        turns[own] += 1
    found.sort(key=lambda entry: entry[:2])
    sheets: list[Sheet] = []
    left_out: list[Path] = []
    for is_single, _, path, kind, name in found:
        if left_out:
            left_out.append(path)
            continue
        data, size = _small(path)
        budget -= len(data)
        if budget < 0:
            left_out.append(path)
        else:
            sheets.append(Sheet(path.parent.name, kind, name, not is_single, data, size))
    return sheets, left_out


def _readable(stem: str) -> str:
    """Without the hashes that keep file names apart."""
    return re.sub(r"-[0-9a-f]{6}(?=_|$)", "", stem).replace("_", " ")


def _small(path: Path) -> tuple[bytes, tuple[int, int]]:
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    scale = min(SCALE, MAX_WIDTH / picture.width)
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    picture = picture.resize(size, Image.Resampling.LANCZOS)
    return webp(picture), picture.size


def webp(picture: Image.Image) -> bytes:
    """A picture for a page: a tenth of the bytes of PNG."""
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=76, method=4)
    return buffer.getvalue()

"""Pictures in rows and columns, placed in whole pixels, with names in the margins.

Nothing is left to a layout solver: its rounding depends on where objects lie in memory, so that
equal figures would differ in single pixels. Whole pixels also keep the edges of patches sharp.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from bench.atomic import write_bytes
from bench.plots.figure import DARK, GREY, WIDTH_INCHES, short, styled

DPI = 200
WIDTH = int(WIDTH_INCHES * DPI)
#: A printed page without its caption.
MAX_HEIGHT = int(8.75 * DPI)
#: Of a line of text in a margin.
SLOT = 26
GAP = 5
FONT_SIZE = 6.5
_LETTERS_PER_INCH = 17.5


class RowName(NamedTuple):
    """Whose pictures these are; the layer is '' where a model has only one."""

    model: str
    layer: str = ""


@dataclass(frozen=True)
class PictureGrid:
    """Where pictures lie, in pixels from the top left corner of a figure at ``DPI``.

    lefts: of the columns; tops: of the rows; width: of a column; heights: of the rows.
    """

    figure: Figure
    lefts: tuple[int, ...]
    tops: tuple[int, ...]
    width: int
    heights: tuple[int, ...]

    def axis(self, row: int, column: int, aspect: float) -> Any:
        """Axes of a picture of this height by width, as large as its cell allows, centred."""
        width = min(self.width, round(self.heights[row] / aspect))
        height = min(self.heights[row], round(width * aspect))
        left = self.lefts[column] + (self.width - width) // 2
        top = self.tops[row] + (self.heights[row] - height) // 2
        axis = self.figure.add_axes(self._box(left, top, width, height))
        axis.set_axis_off()
        return axis

    def blank(self, row: int, column: int, aspect: float, reason: str) -> None:
        """A pale panel that says why there is no picture."""
        axis = self.axis(row, column, aspect)
        axis.set_axis_on()
        axis.set(facecolor="#f2f2f2", xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        letters = max(6, int(self.width / DPI * _LETTERS_PER_INCH))
        text = "\n".join(_folded(reason, letters, 4))
        axis.text(0.5, 0.5, text, transform=axis.transAxes, ha="center", va="center",
                  fontsize=FONT_SIZE, color=GREY)  # fmt: skip

    def name_rows(self, names: Sequence[RowName]) -> None:
        """Names left of the rows: a model once for all its layers."""
        for model, first, last in _groups(names):
            top, bottom = self.tops[first], self.tops[last] + self.heights[last]
            if first == last and not names[first].layer:
                self._text(model, self.lefts[0] - SLOT, (top + bottom) / 2, bottom - top, 2, 90)
                continue
            x = self.lefts[0] - 2 * SLOT
            self._text(model, x + SLOT / 2 - 4, (top + bottom) / 2, bottom - top, 1, 90)
            if first != last:
                self._line((x + SLOT, x + SLOT), (top + 3, bottom - 3))
            for row in range(first, last + 1):
                middle = self.tops[row] + self.heights[row] / 2
                x_layer = self.lefts[0] - SLOT / 2
                self._text(names[row].layer, x_layer, middle, self.heights[row], 1, 90)

    def name_columns(self, names: Sequence[RowName]) -> None:
        """Names above the columns: a model once for all its layers."""
        bottom = self.tops[0]
        for model, first, last in _groups(names):
            left, right = self.lefts[first], self.lefts[last] + self.width
            if first == last and not names[first].layer:
                self._text(model, (left + right) / 2, bottom - SLOT, right - left, 2, 0)
                continue
            self._text(model, (left + right) / 2, bottom - 1.5 * SLOT - 3, right - left, 1, 0)
            if first != last:
                self._line((left + 3, right - 3), (bottom - SLOT - 1, bottom - SLOT - 1))
            for column in range(first, last + 1):
                middle = self.lefts[column] + self.width / 2
                self._text(names[column].layer, middle, bottom - SLOT / 2, self.width, 1, 0)

    def _text(
        self, text: str, x: float, y: float, room: float, lines: int, rotation: float
    ) -> None:
        parts = _folded(text, max(4, int(room / DPI * _LETTERS_PER_INCH)), lines)
        width, height = self._size
        self.figure.text(
            x / width, 1 - y / height, "\n".join(parts), rotation=rotation, ha="center",
            va="center", multialignment="center", fontsize=FONT_SIZE, linespacing=1.05,
        )  # fmt: skip

    def _line(self, x: tuple[float, float], y: tuple[float, float]) -> None:
        width, height = self._size
        self.figure.add_artist(
            Line2D([v / width for v in x], [1 - v / height for v in y], color=DARK, linewidth=0.5)
        )

    def _box(
        self, left: int, top: int, width: int, height: int
    ) -> tuple[float, float, float, float]:
        across, down = self._size
        return left / across, 1 - (top + height) / down, width / across, height / down

    @property
    def _size(self) -> tuple[int, int]:
        width, height = self.figure.get_size_inches() * DPI
        return round(width), round(height)


def picture_grid(
    aspects: Sequence[float],
    columns: int,
    left: int = 0,
    top: int = 0,
    head: int = 0,
    bottom: int = 0,
    gap: int = GAP,
    max_height: int | None = MAX_HEIGHT,
) -> PictureGrid:
    """An empty figure for rows of pictures of these heights by width, as wide as a text column.

    Args:
        left, top, bottom: margins in pixels; head: above each row; gap: between pictures.
        max_height: of the figure in pixels, which then is narrower.
    """
    width = (WIDTH - left - gap * (columns - 1)) // columns
    between = top + bottom + head * len(aspects) + gap * (len(aspects) - 1)
    if max_height is not None:
        width = max(1, min(width, int((max_height - between) / sum(aspects))))
    heights = tuple(max(1, round(width * aspect)) for aspect in aspects)
    tops = tuple(top + head * (i + 1) + gap * i + sum(heights[:i]) for i in range(len(heights)))
    size = left + columns * width + gap * (columns - 1), between + sum(heights)
    figure = Figure(figsize=(size[0] / DPI, size[1] / DPI), dpi=DPI)
    figure.set_layout_engine("none")
    lefts = tuple(left + i * (width + gap) for i in range(columns))
    return PictureGrid(figure, lefts, tops, width, heights)


@styled
def write_png(figure: Figure, path: Path, colours: int | None = None) -> Path:
    """Write a figure so that equal figures give equal bytes.

    Args:
        colours: of a palette, for figures that hold few; a third of the bytes.
    """
    canvas: Any = FigureCanvasAgg(figure)
    with warnings.catch_warnings(), BytesIO() as file:
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        canvas.draw()
        picture = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
        if colours is not None:
            picture = picture.quantize(colours, dither=Image.Dither.NONE)
        picture.save(file, "PNG", dpi=(DPI, DPI))
        # Not forced onto the disk: figures can be drawn again.
        write_bytes(path, file.getvalue(), durable=False)
    return path


def _groups(names: Sequence[RowName]) -> list[tuple[str, int, int]]:
    """Model, first and last row of each run of rows of one model."""
    found = []
    for model, run in groupby(range(len(names)), key=lambda i: names[i].model):
        rows = list(run)
        found.append((model, rows[0], rows[-1]))
    return found


def _folded(text: str, letters: int, lines: int) -> list[str]:
    """A label in at most so many lines of so many letters; what is too long loses its middle."""
    line = short(text, letters * lines)
    parts = [""]
    for word in re.findall(r"[^ _/-]*[ _/-]?", line):
        if parts[-1] and len(parts[-1] + word.rstrip()) > letters:
            parts.append("")
        parts[-1] += word
    if len(parts) > lines or max(map(len, parts)) > letters + 1:
        parts = [line[start : start + letters] for start in range(0, len(line), letters)]
    return [part.strip() for part in parts]

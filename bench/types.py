"""Values and protocols shared by models, datasets, tasks and the runner.

torch is imported for type checking only, so that ``import bench`` stays light.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, TypeVar, runtime_checkable

if TYPE_CHECKING:
    from pydantic import BaseModel
    from torch import Tensor

T = TypeVar("T")

Scope = Literal["image", "view_set", "view_set_with_geometry"]
#: ``view_set``: scored one by one. ``scene``: collected, and answered at the end. ``dataset``: the
#: same, and read again at the end, as training does.
TaskScope = Literal["view_set", "scene", "dataset"]
Need = Literal[
    "features", "predictions", "depth", "poses", "keypoints", "homography", "normals", "mask"
]
Split = Literal["train", "val", "test"]

#: Name of the only layer of an extractor that was not asked for intermediate layers.
OUTPUT_LAYER = "output"


@dataclass(frozen=True)
class Resolution:
    """How a source image is brought to a model's input size (DESIGN: fair input size).

    ``patches``: the long side gets ``value`` patches, whatever the patch size is.
    ``pixels``: the same with ``floor(value / stride)`` patches.
    ``native``: no resize, top-left crop to a multiple of the stride; ``value`` is 0.
    ``padded``: no resize and no crop; the model pads to whole patches; ``value`` is 0.
    """

    kind: Literal["patches", "pixels", "native", "padded"]
    value: int = 0

    @property
    def rule(self) -> str:
        """Short text for keys and captions, for example ``patches=37``."""
        return f"{self.kind}={self.value}" if self.value else self.kind


@dataclass(frozen=True)
class PatchGrid:
    """Where the cells of a feature map lie in the image that was handed to the model.

    Cell (r, c) covers pixels ``[c * stride - pad_left, (c + 1) * stride - pad_left)`` in x and
    likewise in y; padding is what the model added around the image.
    """

    rows: int
    cols: int
    stride: int
    image_height: int
    image_width: int
    pad_top: int = 0
    pad_left: int = 0

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.cols


@dataclass(frozen=True)
class View:
    """One image of a scene and what is known about it.

    Shapes: image uint8 [3, H, W] RGB; depth float32 [H, W], z-depth in the set's unit, 0 = unknown;
    intrinsics float64 [3, 3] in pixels, centre of the first pixel at (0.5, 0.5);
    camera_from_world float64 [4, 4], OpenCV axes; keypoints float64 [K, 2] (x, y) pixels, NaN where
    not visible; normals float32 [3, H, W], unit, in camera axes, 0 = unknown; mask bool [H, W],
    True on the foreground.
    """

    name: str
    image: Tensor
    depth: Tensor | None = None
    intrinsics: Tensor | None = None
    camera_from_world: Tensor | None = None
    keypoints: Tensor | None = None
    normals: Tensor | None = None
    mask: Tensor | None = None

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return int(self.image.shape[-2]), int(self.image.shape[-1])


@dataclass(frozen=True)
class ViewSetRef:
    """One line of a dataset's published list: which views of which scene are scored together."""

    scene: str
    set_id: str
    split: Split
    views: tuple[str, ...]


@dataclass(frozen=True)
class ViewSet:
    """S views of one scene: the item that is scored.

    Attributes:
        metric: depth, translations and scale are in metres; else in arbitrary scene units.
        scene_scale: median valid z-depth over the views' source pixels, None without depth.
            Taken before any resizing, so that it is the same number for every model.
        homographies: float64 [3, 3] per ordered pair (a, b) of view indices, ``pixel_b = H
            pixel_a`` in homogeneous pixel coordinates.
        extras: what one dataset alone knows (for example object boxes of SPair-71k).
    """

    dataset: str
    scene: str
    set_id: str
    split: Split
    views: tuple[View, ...]
    metric: bool = True
    scene_scale: float | None = None
    homographies: Mapping[tuple[int, int], Tensor] | None = None
    extras: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.views)


@dataclass(frozen=True)
class FeatureMap:
    """Patch tokens of one layer for one view set.

    tokens: per view [rows, cols, D] in the storage precision (float16 unless the suite says
    otherwise); grids: per view, where the cells lie. cls_tokens: per view [D], where the model has
    them.
    """

    layer: str
    tokens: tuple[Tensor, ...]
    grids: tuple[PatchGrid, ...]
    cls_tokens: tuple[Tensor, ...] | None = None

    @property
    def same_grid(self) -> bool:
        """Whether all views have the same grid."""
        return all(grid == self.grids[0] for grid in self.grids)


class Memo:
    """Values shared by every layer and every task while one view set is being scored.

    Geometry such as voxel indices depends on the view set and the grid alone; it is computed at
    the first request and dropped with the view set.
    """

    def __init__(self) -> None:
        self._values: dict[object, Any] = {}

    def get(self, key: object, compute: Callable[[], T]) -> T:
        if key not in self._values:
            self._values[key] = compute()
        value: T = self._values[key]
        return value


@dataclass(frozen=True)
class TaskItem:
    """What a task sees of one view set: geometry, and features of one layer or of several."""

    view_set: ViewSet
    features: Mapping[str, FeatureMap] = field(default_factory=dict)
    predictions: Mapping[str, Tensor] | None = None
    memo: Memo = field(default_factory=Memo)

    @property
    def feature_map(self) -> FeatureMap:
        """The only feature map of a task with ``layers = "each"``."""
        (only,) = self.features.values()
        return only


@dataclass(frozen=True)
class Metric:
    """One reported number.

    Attributes:
        key: name in every table, with its threshold and unit, for example ``recall@2cm``.
        unit: '' for a pure number.
        higher_is_better: None for counts and other numbers without a direction.
        chance: value of uninformative features where it is known.
        headline: shown first, and used to choose layers on validation scenes.
        mean_over: what a reported number is the mean over: ``scenes``, of the means inside each, or
            all ``view_sets`` alike, as some published numbers are.
    """

    key: str
    description: str
    unit: str = ""
    higher_is_better: bool | None = True
    chance: float | None = None
    headline: bool = False
    mean_over: Literal["scenes", "view_sets"] = "scenes"


@dataclass(frozen=True)
class ItemScore:
    """Scores of one view set (or scene, or dataset); NaN means unscored and is counted.

    layer is None where the score belongs to the cell's own layer.
    """

    scene: str
    set_id: str
    split: Split
    values: Mapping[str, float]
    layer: str | None = None


#: View sets once more, in order, with the features they came with: from the cache where they were
#: kept, else through the model again. Raises BenchError where one cannot be read any more.
Reread = Callable[[Sequence[ViewSetRef]], Iterator[TaskItem]]


def reread_nothing(view_sets: Sequence[ViewSetRef]) -> Iterator[TaskItem]:
    """For tasks that see each view set once.

    Raises:
        RuntimeError: always; features are kept for tasks of scope ``dataset`` only.
    """
    raise RuntimeError("Only a task of scope 'dataset' may read view sets again.")


@dataclass(frozen=True)
class TaskContext:
    """What a task knows before the first item of a cell.

    artifacts: folder for figures, sketches and probe weights; device: torch device name; reread:
    gives a task of scope ``dataset`` view sets again, with its own layers, whenever it wants.
    """

    model: str
    layers: tuple[str, ...]
    dataset: str
    seed: int
    device: str
    artifacts: Path
    reread: Reread = reread_nothing


@runtime_checkable
class Task(Protocol):
    """A probing task. ``score`` is called for each view set of tasks with ``scope = "view_set"``;
    other scopes collect with ``update`` and answer in ``finish``."""

    Options: ClassVar[type[BaseModel]]
    name: ClassVar[str]
    version: ClassVar[int]
    needs: ClassVar[frozenset[str]]
    scope: ClassVar[TaskScope]
    layers: ClassVar[Literal["each", "group"]]
    splits: ClassVar[tuple[Split, ...]]

    @property
    def metrics(self) -> tuple[Metric, ...]: ...
    def prepare(self, context: TaskContext) -> Any: ...
    def update(self, state: Any, item: TaskItem) -> None: ...
    def score(self, state: Any, item: TaskItem) -> list[ItemScore]: ...
    def finish(self, state: Any) -> list[ItemScore]: ...


@runtime_checkable
class Dataset(Protocol):
    """An ordered, reproducible list of view sets."""

    Options: ClassVar[type[BaseModel]]
    name: ClassVar[str]
    version: ClassVar[int]
    provides: ClassVar[frozenset[str]]
    licence: ClassVar[str]
    citation: ClassVar[str]
    how_to_get: ClassVar[str]

    def view_sets(self) -> Sequence[ViewSetRef]: ...
    def load(self, ref: ViewSetRef) -> ViewSet: ...

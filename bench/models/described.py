"""What is known of a model before it is built: options, architecture, identity of its weights."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel

from bench.errors import BenchError
from bench.models.checkpoints import fingerprint_file, resolve_path
from bench.models.sources import Source, identity
from bench.options import parse_options
from bench.types import Scope

Role = Literal["backbone", "floor", "ceiling"]

#: Options that do not change a random initialisation.
NOT_ARCHITECTURE = frozenset(
    {"checkpoint_path", "preprocess_images", "normalisation", "pretrained", "layers", "norm"}
)


@dataclass(frozen=True)
class Architecture:
    """What is known of a model before it is built.

    layer_names: intermediate layers in network order. stride: pixels from one patch token to the
    next. pad_multiple: sides are padded to multiples of it. native_size: side in pixels of the
    pre-training images. layer_strides, layer_dims: of the intermediate layers of a hierarchical
    model; empty where every layer has the stride and width of the output.
    """

    layer_names: tuple[str, ...]
    stride: int
    embed_dim: int
    native_size: int
    pad_multiple: int
    layer_strides: tuple[int, ...] = ()
    layer_dims: tuple[int, ...] = ()

    def stride_of(self, layer: str) -> int:
        """Pixels from one token of `layer` to the next."""
        return self._of(layer, self.layer_strides, self.stride)

    def dim_of(self, layer: str) -> int:
        """Width of the tokens of `layer`."""
        return self._of(layer, self.layer_dims, self.embed_dim)

    def _of(self, layer: str, values: tuple[int, ...], output: int) -> int:
        own = dict(zip(self.layer_names, values, strict=False))
        return own.get(layer, output)


class Described:
    """A model that a plan can name without building it.

    Its options have `checkpoint_path`, `pretrained` and `init_seed`.
    """

    Options: ClassVar[type[BaseModel]]
    #: Raised whenever the numbers of an unchanged checkpoint change.
    version: ClassVar[int] = 1
    scope: ClassVar[Scope]
    role: ClassVar[Role] = "backbone"
    #: What tasks can ask of it.
    offers: ClassVar[frozenset[str]] = frozenset({"features"})

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> Any:
        """Validated options; BenchError lists every mistake at once."""
        return parse_options(cls.Options, config, cls.__name__)

    @classmethod
    @abstractmethod
    def describe(cls, options: Any) -> Architecture | None:
        """The architecture, or None where it can be known only after loading."""

    @classmethod
    def describe_or_raise(cls, options: Any) -> Architecture:
        """Like ``describe``; families that know their architecture late override this."""
        architecture = cls.describe(options)
        if architecture is None:
            raise BenchError(f"{cls.__name__}: the architecture cannot be determined.")
        return architecture

    @classmethod
    def fingerprint(cls, options: Any) -> str | None:
        """Identity of the weights without building the model; None while it cannot be known.

        A file: sha256 of its bytes. A hub model: repository and resolved commit. A random
        initialisation: its architecture and seed, and the extractor's version. Weights that are
        out of reach before loading have an identity afterwards.
        """
        if options.checkpoint_path is not None:
            return f"file:{fingerprint_file(resolve_path(options.checkpoint_path))}"
        if not options.pretrained:
            config = options.model_dump_json(exclude=NOT_ARCHITECTURE)
            return f"random:{cls.__name__}:v{cls.version}:{config}"
        source = cls.source(options)
        return identity(source) if source else None

    @classmethod
    def role_of(cls, options: Any) -> Role:
        """Whether a configuration is a contender or a control; random weights are a floor."""
        random = not options.pretrained and options.checkpoint_path is None
        return "floor" if random and cls.role == "backbone" else cls.role

    @classmethod
    def source(cls, options: Any) -> Source | None:
        """Where the pretrained weights are; None for models without any."""
        return None


#: A built model of the plan: a FeatureExtractor, or a predictor of whole scenes.
BuiltModel = Any

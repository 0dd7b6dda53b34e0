"""A frozen base as it was asked for: backbone, weights, input size, cuts; and the recipe it makes.

Resolving one reads names and files only, once per command; what follows is handed the base. The
model itself is built, by Keras, on `build`.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backbones.backbone import BackboneSpec, GivenGraph
from pipeline.backbones.cuts import OF_TOKENS, Cut
from pipeline.backbones.engines import (
    ReadNetwork,
    check_engine,
    chosen_precision,
    prefer_engine,
)
from pipeline.backbones.engines.precision import (
    BFLOAT16,
    FLOAT32,
    MIXED,
    is_quantised,
)
from pipeline.backbones.given import FoundBase, find_base
from pipeline.backbones.given_files import GRAPHS, refuse_graph
from pipeline.backbones.weight_formats import TORCH, stored_as
from pipeline.backbones.weights import WeightsSource, resolve_weights
from pipeline.config import RUNS, FeaturesConfig
from pipeline.errors import InputError, WeightsError
from pipeline.features.inputs import Input, parse_inputs
from pipeline.features.store import Recipe
from pipeline.features.store.folders import holds
from pipeline.images import DecodeRecipe, ViewRecipe
from pipeline.images.own import note_own
from pipeline.system.startup import import_keras

if TYPE_CHECKING:
    import keras

MOST_CUTS = 600
"""What a shard may hold, see `pipeline.features.store.dense`."""
CLEAN = {"policy": "clean"}


@dataclass(frozen=True)
class FrozenBase:
    """Everything that is needed to turn pictures into features, the same way every time.

    Args:
        spec: The backbone with its arguments.
        weights: Where the weights come from, as the user said it.
        source: The same, found and digested.
        cuts: Layers whose outputs are kept, with their poolings.
        decoding: How a picture becomes an array (size, size, 3).
        precision: Arithmetic of the base; ``int8`` alone until a quantised model is chosen.
        with_top: Whether the weights are those with the top; some cut may need them.
        dtype: Stored type of the features.
        view: How augmented views are made; None is the base for the pictures as they are.
        beside: Folder of a run's head, beside which its quantised model lies; None for no run's.
    """

    spec: BackboneSpec
    weights: str
    source: WeightsSource
    cuts: tuple[Cut, ...]
    decoding: DecodeRecipe
    precision: str
    with_top: bool
    dtype: str = "float32"
    view: ViewRecipe | None = None
    beside: Path | None = field(default=None, compare=False)

    @property
    def recipe(self) -> Recipe:
        """The recipe of this base's features."""
        return Recipe(
            backbone=str(self.spec),
            weights=self.source.digest,
            cuts=tuple((cut.layer, cut.pooling) for cut in self.cuts),
            image_size=self.decoding.size,
            preprocessing=self.spec.backbone.preprocessing,
            decoding=self.decoding.to_dict(),
            view=CLEAN if self.view is None else self.view.to_dict(),
            dtype=self.dtype,
            precision=self.precision,
        )

    @property
    def name(self) -> str:
        """The base and its cuts, readable."""
        return f"{self.spec}-{'+'.join(self.layers)}"

    @property
    def identity(self) -> dict[str, Any]:
        """What decides the numbers of the model itself, whichever cuts are asked for."""
        return {
            "kind": "features",
            "backbone": str(self.spec),
            "weights": self.source.digest,
            "image_size": self.decoding.size,
            "preprocessing": self.spec.backbone.preprocessing,
            # In bfloat16 the same model is run.
            "precision": FLOAT32 if self.precision == BFLOAT16 else self.precision,
        }

    @property
    def outputs(self) -> tuple[str, ...]:
        """Name of the model's outputs, cut by cut."""
        return tuple(f"{cut.layer}/{cut.pooling}" for cut in self.cuts)

    @property
    def in_float(self) -> "FrozenBase":
        """The same base in float32."""
        return replace(self, precision=FLOAT32)

    def with_cuts(self, cuts: Sequence[Cut]) -> "FrozenBase":
        """Return the same base with other cuts."""
        return replace(self, cuts=tuple(cuts))

    def viewed(self, view: ViewRecipe) -> "FrozenBase":
        """Return the same base for augmented views of the pictures."""
        return replace(self, view=view)

    def build(self) -> "keras.Model":
        """Build the Keras model: (n, size, size, 3) RGB 0–255 in, one float32 output per cut.

        Raises:
            InputError: Keras does not hold the base, see `graph`.
        """
        if self.spec.backbone.given in GRAPHS:
            raise refuse_graph(self.spec.backbone.given, "what Keras does with it")
        from pipeline.backbones.build import build_extractor

        return build_extractor(self.spec, self.source, self.decoding.size, self.cuts)

    @property
    def graph(self) -> Callable[[], ReadNetwork] | None:
        """What reads OpenVINO's model of a base that Keras does not hold; None where it does."""
        if is_quantised(self.precision):
            return None if self.beside is None else self.read_graph
        return self.read_graph if self.spec.backbone.given in GRAPHS else None

    def read_graph(self) -> ReadNetwork:
        """Read and compare it; raises WeightsError where the file is gone or no such network."""
        if self.beside is not None and is_quantised(self.precision):
            from pipeline.backbones.engines.quantised import read_beside

            return ReadNetwork(read_beside(self.beside, self), None)
        from pipeline.backbones.given_openvino import difference_from_reference, graph_model

        kind, path, size = self.spec.backbone.given, self.source.path, self.decoding.size
        if path is None:
            raise WeightsError(f"expected the file of the base {self.spec}, received none")
        family = self.spec.backbone.preprocessing
        model = graph_model(kind, path, size, self.cuts, self.outputs, family)
        return ReadNetwork(model, difference_from_reference(kind, path, size, family))

    @property
    def direct(self) -> Callable[[], Any] | None:
        """What makes OpenVINO's model without TensorFlow; None where only that draws the weights.

        Networks that users bring go through TensorFlow, too, which is what they are held against.
        """
        return None if self.source.path is None or self.spec.backbone.given else self._made

    def _made(self) -> Any:
        row, source, size = self.spec.backbone, self.source, self.decoding.size
        made = None
        if row.module == "efficientnet_lite" and source.path and stored_as(source.path) == TORCH:
            from pipeline.backbones.lite_graph import lite_graph

            made = lite_graph(row.name, source.path, size, self.cuts, self.outputs)
        if made is None:
            from pipeline.backbones.engines.apart import made_apart

            made = made_apart(self.spec, source, size, self.cuts, self.outputs)
        return made

    def check_layers(self) -> None:
        """Refuse cuts at layers that there are not; Keras is asked about those that are not named.

        Raises:
            UnknownNameError: There is no such layer.
        """
        points = set(self.spec.cut_points().values())
        names = [cut.layer for cut in self.cuts if cut.layer not in points]
        if names and not self.spec.backbone.given:
            import_keras()
            from pipeline.backbones.build import check_layers

            check_layers(self.spec, self.decoding.size, self.with_top, names)

    @property
    def layers(self) -> tuple[str, ...]:
        """The cuts as a user would name them, with the pooling where it is not avg."""
        names = ((self.spec.short_name(cut.layer), cut.pooling) for cut in self.cuts)
        return tuple(name if pooling == "avg" else f"{name}:{pooling}" for name, pooling in names)

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values from which `frozen_from_dict` makes the same base again."""
        decoding = self.decoding
        path = self.source.path if self.source.kind == "file" else None
        return {
            "backbone": str(self.spec),
            "weights": self.weights if path is None else str(path.resolve()),
            "weights_digest": self.source.digest,
            "weights_seed": self.source.seed or 0,
            "with_top": self.with_top,
            "cuts": [[cut.layer, cut.pooling] for cut in self.cuts],
            "image_size": decoding.size,
            "resize": decoding.resize,
            "interpolation": decoding.interpolation,
            "decoder_version": decoding.version,
            "jpeg": decoding.jpeg,
            "precision": self.precision,
            "dtype": self.dtype,
            **self._given(),
        }

    def _given(self) -> dict[str, Any]:
        row = self.spec.backbone
        if not row.given:
            return {}
        told = GivenGraph(
            preprocessing=row.preprocessing,
            size=row.input_size,
            blocks=row.blocks,
            top=row.top_layer,
            n_parameters=row.n_parameters,
        )
        return {"given": {**asdict(told), "blocks": list(row.blocks)}}


def resolve(config: FeaturesConfig, *, look: bool = False) -> FrozenBase:
    """Find the base that a config asks for, and refuse what no base could make good.

    Layers that are not named cut points are looked for in the Keras model, unless the cache has
    features of them. With ``look`` no weights are fetched: who only looks changes nothing.

    Raises:
        InputError: A backbone, layer, pooling, engine, precision or view policy does not exist.
        WeightsError: The weights are not there and cannot be fetched.
    """
    base = frozen_base(config, fetch=not look)
    if not (config.cache / base.recipe.id).is_dir():
        base.check_layers()
    return base


def frozen_base(config: FeaturesConfig, *, fetch: bool = True) -> FrozenBase:
    """Find the base that a config asks for, with every cut that its inputs need.

    Keras downloads ImageNet weights that are not there if it may ``fetch``.

    Raises:
        UnknownNameError: No backbone or pooling has that name.
        InputError: The image is smaller than the base can take, or an engine, precision or view
            policy does not exist.
        WeightsError: The weights are not there.
    """
    check_engine(config.engine, config.precision)
    prefer_engine(config.engine)
    precision = chosen_precision(config.engine, config.precision)
    ViewRecipe(config.view_policy, config.seed)
    found = _found(config, fetch)
    spec = found.spec
    size = spec.backbone.input_size if config.side is None else config.side
    spec.check_image_size(size)
    inputs = parse_inputs(spec, config.layers, config.pooling)
    cuts = tuple(dict.fromkeys(cut for joined in inputs for cut in joined))
    if len(cuts) > MOST_CUTS:
        raise InputError(
            f"expected at most {MOST_CUTS} layers, times their poolings, received {len(cuts)}; "
            f"take some of them, others can be added later"
        )
    _check_cuts(found, cuts)
    decoding = DecodeRecipe(size, config.resize, config.interpolation, jpeg=config.jpeg)
    top = any(spec.needs_top(cut.layer) for cut in cuts)
    seed = config.seed
    weights = config.weights if found.path is None else str(found.path)
    source = resolve_weights(spec, weights, seed, include_top=top, image_size=size, fetch=fetch)
    note_file(source)
    base = FrozenBase(spec, weights, source, cuts, decoding, precision, top, config.dtype)
    return _as_begun(base, config.cache)


def _found(config: FeaturesConfig, fetch: bool) -> FoundBase:
    runs = getattr(config, "runs", RUNS)
    found = find_base(
        config.backbone,
        config.preprocessing,
        config.side,
        runs=runs,
        models=config.converted,
        look=not fetch,
    )
    if found.path is None:
        return found
    if config.weights != FeaturesConfig.weights:
        raise InputError(
            f"expected no weights beside {config.backbone}, which brings its own, received "
            f"weights={config.weights!r}; leave it out"
        )
    graph_only = found.spec.backbone.given in GRAPHS
    if graph_only and (config.engine not in ("auto", "openvino") or config.precision in MIXED):
        raise InputError(
            f"expected --engine openvino or auto and --precision float32, bfloat16 or int8 for "
            f"{config.backbone}, which OpenVINO computes, received engine={config.engine}, "
            f"precision={config.precision}; bring the network as .keras for others"
        )
    return found


def _check_cuts(found: FoundBase, cuts: Sequence[Cut]) -> None:
    for cut in cuts:
        if found.graph is not None:
            found.graph.check_cut(cut.layer, cut.pooling)
        elif cut.pooling in OF_TOKENS:
            raise InputError(
                f"expected a pooling of maps for {found.spec}, which has no tokens, received "
                f"pooling={cut.pooling!r}; use avg, max, avg+max, gem or none"
            )


def _as_begun(base: FrozenBase, cache: Path) -> FrozenBase:
    """Let a cache go on with the version of the decoder that it was begun with.

    What an earlier program computed is read on, and what is missing is made to match; the newest
    version is for what no version has been used for yet.
    """
    earlier = replace(base, decoding=replace(base.decoding, version=1))
    if holds(cache, base.recipe) or not holds(cache, earlier.recipe):
        return base
    return earlier


def inputs_of(config: FeaturesConfig, base: FrozenBase) -> tuple[Input, ...]:
    """Return what heads may see of a base that `resolve` found, in the order asked for."""
    return parse_inputs(base.spec, config.layers, config.pooling)


def note_file(source: WeightsSource) -> None:
    """Remember that a command of this user named a file of weights."""
    if source.kind == "file" and source.path is not None:
        note_own(str(source.path.resolve()))

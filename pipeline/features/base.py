"""A frozen base as it was asked for: backbone, weights, input size, cuts; and the recipe it makes.

Resolving one reads names and files only, once per command; what follows is handed the base. The
model itself is built, by Keras, on `build`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.backbones.backbone import TOP, BackboneSpec
from pipeline.backbones.catalog import parse_backbone
from pipeline.backbones.cuts import BEST, BLOCKS, CONCAT, EACH, POOLINGS, Cut
from pipeline.backbones.engines import check_engine, prefer_engine
from pipeline.backbones.weights import CHOICES, WeightsSource, resolve_weights
from pipeline.config import DTYPES, TRAINING_PRECISIONS, FeaturesConfig
from pipeline.errors import InputError, UnknownNameError, WeightsError
from pipeline.features.store import Recipe
from pipeline.features.store.folders import holds
from pipeline.features.store.recipe import CutName
from pipeline.images import DecodeRecipe, ViewRecipe
from pipeline.images.own import is_own, note_own
from pipeline.system.startup import import_keras
from pipeline.system.typed import record

if TYPE_CHECKING:
    import keras

JOIN = "+"
MOST_CUTS = 600
"""What a shard may hold, see `pipeline.features.store.dense`."""
CLEAN = {"policy": "clean"}

Input = tuple[Cut, ...]
"""What a head sees: one cut, or several side by side."""


@dataclass(frozen=True)
class FrozenBase:
    """Everything that is needed to turn pictures into features, the same way every time.

    Args:
        spec: The backbone with its arguments.
        weights: Where the weights come from, as the user said it.
        source: The same, found and digested.
        cuts: Layers whose outputs are kept, with their poolings.
        decoding: How a picture becomes an array (size, size, 3).
        precision: Arithmetic of the base.
        with_top: Whether the weights are those with the top; some cut may need them.
        dtype: Stored type of the features.
        view: How augmented views are made; None is the base for the pictures as they are.
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
            "precision": self.precision,
        }

    @property
    def outputs(self) -> tuple[str, ...]:
        """Name of the model's outputs, cut by cut."""
        return tuple(f"{cut.layer}/{cut.pooling}" for cut in self.cuts)

    def with_cuts(self, cuts: Sequence[Cut]) -> "FrozenBase":
        """Return the same base with other cuts."""
        return replace(self, cuts=tuple(cuts))

    def viewed(self, view: ViewRecipe) -> "FrozenBase":
        """Return the same base for augmented views of the pictures."""
        return replace(self, view=view)

    def build(self) -> "keras.Model":
        """Build the Keras model: (n, size, size, 3) RGB 0–255 in, one float32 output per cut."""
        from pipeline.backbones.build import build_extractor

        return build_extractor(self.spec, self.source, self.decoding.size, self.cuts)

    def check_layers(self) -> None:
        """Refuse cuts at layers that there are not; Keras is asked about those that are not named.

        Raises:
            UnknownNameError: There is no such layer.
        """
        points = set(self.spec.cut_points().values())
        names = [cut.layer for cut in self.cuts if cut.layer not in points]
        if names:
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
        }


def resolve(config: FeaturesConfig, *, look: bool = False) -> FrozenBase:
    """Find the base that a config asks for, and refuse what no base could make good.

    Layers that are not named cut points are looked for in the Keras model, unless the cache has
    features of them.

    Args:
        config: Names the base, its layers and its weights.
        look: Fetch no weights: who only looks changes nothing.

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

    Args:
        config: Names the base, its layers and its weights.
        fetch: Let Keras download ImageNet weights that are not there; who only looks does not.

    Raises:
        UnknownNameError: No backbone or pooling has that name.
        InputError: The image is smaller than the base can take, or an engine, precision or view
            policy does not exist.
        WeightsError: The weights are not there.
    """
    check_engine(config.engine, config.precision)
    prefer_engine(config.engine)
    ViewRecipe(config.view_policy, config.seed)
    spec = parse_backbone(config.backbone)
    size = spec.backbone.input_size if config.side is None else config.side
    spec.check_image_size(size)
    inputs = parse_inputs(spec, config.layers, config.pooling)
    cuts = tuple(dict.fromkeys(cut for joined in inputs for cut in joined))
    if len(cuts) > MOST_CUTS:
        raise InputError(
            f"expected at most {MOST_CUTS} layers, times their poolings, received {len(cuts)}; "
            f"take some of them, others can be added later"
        )
    decoding = DecodeRecipe(size, config.resize, config.interpolation, jpeg=config.jpeg)
    top = any(spec.needs_top(cut.layer) for cut in cuts)
    weights, seed = config.weights, config.seed
    source = resolve_weights(spec, weights, seed, include_top=top, image_size=size, fetch=fetch)
    _note_file(source)
    base = FrozenBase(spec, weights, source, cuts, decoding, config.precision, top, config.dtype)
    return _as_begun(base, config.cache)


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


def parse_inputs(spec: BackboneSpec, layers: str, pooling: str) -> tuple[Input, ...]:
    """Read ``"top,block5+block6"`` and ``"avg,max"`` into inputs: all layers with all poolings.

    ``blocks`` stands for the output of every block, each an input of its own; ``each`` and
    ``best`` for the top and every block; ``concat`` for those, every two and every three
    neighbours side by side, and all.
    """
    poolings = _names(pooling, "pooling")
    for name in poolings:
        if name not in POOLINGS:
            raise UnknownNameError("pooling", name, POOLINGS, f"known: {', '.join(POOLINGS)}")
    texts = [name for text in _names(layers, "layers") for name in _expanded(spec, text)]
    # Two names may be one layer, such as the top and the last block of VGG16.
    joined = [
        tuple(dict.fromkeys(spec.resolve_layer(part.strip()) for part in text.split(JOIN)))
        for text in texts
    ]
    inputs = (tuple(Cut(layer, name) for layer in names) for names in joined for name in poolings)
    return tuple(dict.fromkeys(inputs))


def _expanded(spec: BackboneSpec, text: str) -> list[str]:
    points = list(spec.cut_points())
    blocks = [point for point in points if point != TOP]
    if text == BLOCKS:
        return blocks
    if text in (EACH, BEST):
        return [TOP, *blocks]
    if text == CONCAT:
        runs = [points[at : at + n] for n in (2, 3) for at in range(len(points) - n + 1)]
        return [TOP, *blocks, *(JOIN.join(run) for run in [*runs, points])]
    return [text]


def asks_for_best(layers: str) -> bool:
    """Return whether layers are to be chosen from, instead of trying all of them."""
    return BEST in (part.strip() for part in layers.split(","))


def _names(text: str, what: str) -> list[str]:
    names = [part.strip() for part in text.split(",")]
    if not all(names):
        raise InputError(f"expected names separated by commas, received {what}={text!r}")
    return names


@dataclass(frozen=True, kw_only=True)
class SavedBase:
    """A base as runs and bundles say it, which `FrozenBase.to_dict` wrote."""

    backbone: str
    weights: str
    weights_digest: str
    weights_seed: int
    with_top: bool
    cuts: tuple[CutName, ...]
    image_size: int
    resize: str
    interpolation: str
    decoder_version: int
    jpeg: str = "full"
    precision: str
    dtype: str = "float32"


def frozen_from_dict(
    value: Mapping[str, Any], *, look: bool = False, of_run: bool = False
) -> FrozenBase:
    """Make a saved base again.

    Args:
        value: From `FrozenBase.to_dict`.
        look: Only the recipe is wanted, to read what is cached: weights are not looked for, and
            the base cannot be built.
        of_run: A run says it, which anybody may have written: a file of weights is opened only if
            a command of this user's named it.

    Raises:
        MisreadError: It is something else.
        InputError: There is no such base, or no such cut.
        WeightsError: The weights are gone, are not the same as then, or not to be opened.
    """
    saved: SavedBase = record(SavedBase, value)
    spec = parse_backbone(saved.backbone)
    cuts = tuple(Cut(layer, pooling) for layer, pooling in saved.cuts)
    for name, one, known in (
        ("precision", saved.precision, TRAINING_PRECISIONS),
        ("dtype", saved.dtype, DTYPES),
    ):
        if one not in known:
            raise UnknownNameError(name, one, known)
    decoding = decoding_from_dict(value)
    spec.check_image_size(decoding.size)
    if look:
        source = WeightsSource("recorded", None, saved.weights_digest)
    else:
        if of_run and saved.weights not in CHOICES and not is_own(saved.weights):
            raise WeightsError(
                f"expected weights in a file that a command of yours has named here, received "
                f"weights={saved.weights!r}, which only the run says; name the file with --weights "
                f"PATH if you have it"
            )
        source = _same_weights(spec, saved)
    return FrozenBase(
        spec, saved.weights, source, cuts, decoding, saved.precision, saved.with_top, saved.dtype
    )


def with_weights(value: Mapping[str, Any], weights: str) -> dict[str, Any]:
    """Return a saved base whose weights are where the user's own command says.

    Raises:
        MisreadError: The base is something else.
        WeightsError: The weights are not there, or are others.
    """
    saved: SavedBase = record(SavedBase, {**value, "weights": weights})
    source = _same_weights(parse_backbone(saved.backbone), saved)
    _note_file(source)
    path = source.path if source.kind == "file" else None
    return {**value, "weights": weights if path is None else str(path.resolve())}


def _note_file(source: WeightsSource) -> None:
    if source.kind == "file" and source.path is not None:
        note_own(str(source.path.resolve()))


def _same_weights(spec: BackboneSpec, saved: SavedBase) -> WeightsSource:
    given, wanted, size = saved.weights, saved.weights_digest, saved.image_size
    top, seed = saved.with_top, saved.weights_seed
    source = resolve_weights(spec, given, seed, include_top=top, image_size=size)
    if source.digest != wanted:
        raise WeightsError(
            f"expected the weights with digest {wanted[:12]}…, received {source.digest[:12]}… "
            f"from weights={given!r}: the file was changed since the run was made, or is another; "
            f"put the old one back or train again"
        )
    return source


def decoding_from_dict(value: Mapping[str, Any]) -> DecodeRecipe:
    """Make the decode recipe of a saved run again; raises MisreadError and InputError."""
    saved: SavedBase = record(SavedBase, value)
    return DecodeRecipe(
        saved.image_size,
        saved.resize,
        saved.interpolation,
        saved.decoder_version,
        jpeg=saved.jpeg,
    )

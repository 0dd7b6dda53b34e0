"""What is known of one backbone before any model is built: names, sizes, cut points, files.

Owns the two types that the rest of the program passes around: a ``Backbone`` (a row of the
catalog) and a ``BackboneSpec`` (a row with architecture arguments). Imports no TensorFlow.
"""

import dataclasses
from typing import Any

from pipeline.calls import format_call
from pipeline.errors import InputError, WeightsError

TOP = "top"

# MobileNet 1 writes its width in tenths, but for one of them.
_TENTHS = {0.25: "2_5", 0.5: "5_0", 0.75: "7_5", 1.0: "1_0"}


@dataclasses.dataclass(frozen=True)
class Argument:
    """An architecture argument of a constructor.

    Args:
        name: The keyword, e.g. ``"alpha"``.
        default: Keras' default; its type is the type that values must have.
        pretrained: The values for which Keras has ImageNet weights.
    """

    name: str
    default: float | int | bool
    pretrained: tuple[float | int | bool, ...]


@dataclasses.dataclass(frozen=True)
class Backbone:
    """One constructor: a row of the catalog.

    Args:
        name: The constructor, e.g. ``"ResNet50"``.
        module: The submodule of ``keras.applications`` with its ``preprocess_input``;
            ``"efficientnet_lite"`` for our own.
        family: Group for people, e.g. ``"ResNet"``.
        preprocessing: A family of ``preprocessing.py``; ``"none"`` where the model does it itself.
        n_parameters: Values without the top, at default arguments.
        blocks: Keras layer that ends block 1, 2, …: the cut points ``block1``, ``block2``, ….
        top_layer: Last layer of the base without its top: the cut point ``top``.
        top_layers: Layers that exist only with the top, from input to output.
        weights_pattern: Name of the ImageNet file, with a place for ``notop`` and arguments.
        notop: What stands in that place where the file has no top.
        input_size: Default side of the input in pixels.
        min_size: Smallest side that the constructor accepts without its top.
        fixed_top_size: Whether fully connected layers fix the input size with the top.
        arguments: The architecture arguments.
        training_sizes: Input sizes with a weights file of their own, where there are several.
        minimalistic_names: Layers that ``minimalistic=True`` names differently: (usual, new).
        package: Python package that holds the ImageNet weights instead of Keras' site.
        given: Kind of file where a user brings the base, see `given_files`; empty in the catalog.
        fixed_size: Whether it takes pictures of ``input_size`` alone.
    """

    name: str
    module: str
    family: str
    preprocessing: str
    n_parameters: int
    blocks: tuple[str, ...]
    top_layer: str
    top_layers: tuple[str, ...]
    weights_pattern: str
    notop: str = "_notop"
    input_size: int = 224
    min_size: int = 32
    fixed_top_size: bool = False
    arguments: tuple[Argument, ...] = ()
    training_sizes: tuple[int, ...] = ()
    minimalistic_names: tuple[tuple[str, str], ...] = ()
    package: str | None = None
    given: str = ""
    fixed_size: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return what a person chooses by, as plain JSON values."""
        return {
            "name": self.name,
            "family": self.family,
            "input_size": self.input_size,
            "min_size": self.min_size,
            "preprocessing": self.preprocessing,
            "n_parameters": self.n_parameters,
            "arguments": {argument.name: argument.default for argument in self.arguments},
            "cut_points": BackboneSpec(self).cut_points(),
        }


@dataclasses.dataclass(frozen=True, kw_only=True)
class GivenGraph:
    """What runs remember of a base that a user brought.

    Args:
        preprocessing: What its pictures go through first, see ``preprocessing.py``.
        size: Side of the pictures that it takes.
        blocks: As in `Backbone`.
        top: The same of ``top_layer``.
        n_parameters: The same.
    """

    preprocessing: str
    size: int
    blocks: tuple[str, ...]
    top: str
    n_parameters: int


def given_backbone(
    name: str, graph: GivenGraph | None = None, *, any_size: bool = False
) -> Backbone:
    """Return a base that a user brings as if it were a row of the catalog.

    Args:
        name: Its kind and the beginning of its digest: where it lies does not matter.
        graph: What it is; None where the file has to say that.
        any_size: Whether it takes pictures of every size.
    """
    graph = graph or GivenGraph(preprocessing="raw", size=0, blocks=(), top="", n_parameters=0)
    return Backbone(
        name=name,
        module="",
        family="own",
        preprocessing=graph.preprocessing,
        n_parameters=graph.n_parameters,
        blocks=graph.blocks,
        top_layer=graph.top,
        top_layers=(),
        weights_pattern="",
        input_size=graph.size,
        min_size=1,
        given=name.partition(":")[0],
        fixed_size=not any_size,
    )


@dataclasses.dataclass(frozen=True)
class BackboneSpec:
    """A backbone with its architecture arguments; ``str`` gives the canonical text.

    Args:
        backbone: The row of the catalog.
        arguments: Only the arguments that differ from their defaults.
    """

    backbone: Backbone
    arguments: dict[str, Any] = dataclasses.field(default_factory=dict, hash=False)

    def __str__(self) -> str:
        return format_call(self.backbone.name, self.arguments)

    def all_arguments(self) -> dict[str, Any]:
        """Return every architecture argument with its value, given or default."""
        return {a.name: a.default for a in self.backbone.arguments} | self.arguments

    @property
    def top_layer(self) -> str:
        """Last Keras layer of the base without its top."""
        return self._actual_name(self.backbone.top_layer)

    @property
    def top_layers(self) -> tuple[str, ...]:
        """Keras layers that exist only with the top."""
        return tuple(map(self._actual_name, self.backbone.top_layers))

    def _actual_name(self, layer: str) -> str:
        if not self.arguments.get("minimalistic"):
            return layer
        return dict(self.backbone.minimalistic_names).get(layer, layer)

    def cut_points(self) -> dict[str, str]:
        """Map the named cut points, from input to output, to Keras layer names.

        >>> from pipeline.backbones.catalog import parse_backbone
        >>> parse_backbone("VGG16").cut_points()["block5"]
        'block5_pool'
        """
        blocks = {f"block{i}": layer for i, layer in enumerate(self.backbone.blocks, start=1)}
        return {**blocks, TOP: self.top_layer}

    def resolve_layer(self, name: str) -> str:
        """Return the Keras layer that a cut point stands for; other texts pass unchanged.

        Whether a layer of that name exists is found when the model is built.
        """
        return self.cut_points().get(name, name)

    def short_name(self, layer: str) -> str:
        """Return the named cut point that stands for a Keras layer, or the layer's own name.

        >>> from pipeline.backbones.catalog import parse_backbone
        >>> parse_backbone("VGG16").short_name("block4_pool")
        'block4'
        """
        names = {end: point for point, end in self.cut_points().items() if point != TOP}
        return TOP if layer == self.top_layer else names.get(layer, layer)

    def needs_top(self, name: str) -> bool:
        """Return whether a cut lies in the top, so that weights with the top are needed."""
        return self.resolve_layer(name) in self.top_layers

    def check_image_size(self, size: int, include_top: bool = False) -> None:
        """Refuse an input size that the architecture cannot take.

        Args:
            size: Side of the square input in pixels.
            include_top: Whether the built-in classifier is wanted as well.

        Raises:
            InputError: If the size is below the smallest one, or the fully connected layers of
                the top need another one.
        """
        row = self.backbone
        if row.fixed_size and size != row.input_size:
            raise InputError(
                f"expected image_size={row.input_size}, the one that the graph of {self} takes, "
                f"received image_size={size}; leave it out, or save the network for that size"
            )
        if size < row.min_size:
            raise InputError(
                f"{self} needs pictures of at least {row.min_size} pixels a side, "
                f"received image_size={size}; its default is {row.input_size}"
            )
        if include_top and row.fixed_top_size and size != row.input_size:
            raise InputError(
                f"the fully connected layers of {self} need image_size={row.input_size}, "
                f"received image_size={size}; without the top, or cut at 'top' or below it, "
                f"other sizes will do"
            )

    def weights_file(self, image_size: int | None = None, include_top: bool = False) -> str:
        """Return the name of the ImageNet file that Keras uses for these arguments.

        Args:
            image_size: Side of the input; some backbones have a file per training size. None
                means the default size.
            include_top: Whether the file with the built-in classifier is wanted.

        Raises:
            WeightsError: If Keras publishes no weights for the arguments.

        >>> from pipeline.backbones.catalog import parse_backbone
        >>> parse_backbone("MobileNet(alpha=0.25)").weights_file(160)
        'mobilenet_2_5_160_tf_no_top.h5'
        """
        arguments = self.all_arguments()
        self._check_pretrained(arguments)
        row = self.backbone
        return row.weights_pattern.format(
            alpha=arguments.get("alpha"),
            tenths=_TENTHS.get(arguments.get("alpha", 1.0)),
            minimalistic="_minimalistic" if arguments.get("minimalistic") else "",
            size=image_size if image_size in row.training_sizes else row.input_size,
            notop="" if include_top else row.notop,
        )

    def _check_pretrained(self, arguments: dict[str, Any]) -> None:
        for argument in self.backbone.arguments:
            accepted = argument.pretrained
            if argument.name == "alpha" and arguments.get("minimalistic"):
                accepted = (1.0,)
            if (value := arguments[argument.name]) not in accepted:
                raise WeightsError(
                    f"ImageNet weights of {self} need {argument.name} in "
                    f"{', '.join(map(str, accepted))}, received {argument.name}={value!r}; "
                    f"give a file with --weights PATH or use --weights none"
                )

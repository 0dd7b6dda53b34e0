"""The layers of a backbone, for people choosing where to cut."""

import dataclasses
from typing import Any

from pipeline.backbones.backbone import BackboneSpec
from pipeline.backbones.graph import Graph
from pipeline.backbones.weights import WeightsSource
from pipeline.system.startup import import_keras


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer of a base.

    Args:
        name: Keras' layer name, which can be cut at.
        class_name: What kind of layer it is.
        output_shape: Without the batch axis.
        n_parameters: Values, batch statistics included.
        cut_points: The named cut points that stand for it.
        in_top: Whether it is of the top, which tells ImageNet's 1,000 classes.
    """

    name: str
    class_name: str
    output_shape: tuple[int, ...]
    n_parameters: int
    cut_points: tuple[str, ...]
    in_top: bool


@dataclasses.dataclass(frozen=True)
class NetworkSummary:
    """The layers of a base, from input to output.

    Args:
        layers: One row per layer in the model's order; those of nested models are one row.
        with_top: Whether the classifying top is among them.
        parameters_without_top: Values of the base without its top, as the catalog counts them.
    """

    layers: tuple[LayerRow, ...]
    with_top: bool
    parameters_without_top: int

    @property
    def parameters(self) -> int:
        """Values of all that is listed."""
        return sum(row.n_parameters for row in self.layers)

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        return {**dataclasses.asdict(self), "parameters": self.parameters}


def summarize_graph(spec: BackboneSpec, graph: Graph) -> NetworkSummary:
    """List the nodes of a network that a user brings, and where blocks of it end."""
    points: dict[str, list[str]] = {}
    for point, layer in spec.cut_points().items():
        points.setdefault(layer, []).append(point)
    rows = tuple(
        LayerRow(
            name=node.name,
            class_name=node.kind,
            output_shape=node.shape,
            n_parameters=node.n_parameters,
            cut_points=tuple(points.get(node.name, ())),
            in_top=False,
        )
        for node in graph.nodes
    )
    return NetworkSummary(rows, True, graph.n_parameters)


def summarize(
    spec: BackboneSpec, image_size: int | None = None, include_top: bool = False
) -> NetworkSummary:
    """List the layers of a base. Imports Keras; needs no weights.

    Args:
        spec: The backbone.
        image_size: Side of the square input in pixels; None means the default size.
        include_top: Whether to list the built-in classifier too.

    Raises:
        InputError: If the architecture cannot take the input size.
    """
    import_keras()
    from pipeline.backbones.build import build_base

    size = spec.backbone.input_size if image_size is None else image_size
    base = build_base(spec, WeightsSource("none", None, ""), size, include_top)
    points: dict[str, list[str]] = {}
    for point, layer in spec.cut_points().items():
        points.setdefault(layer, []).append(point)
    rows = tuple(
        LayerRow(
            name=layer.name,
            class_name=type(layer).__name__,
            output_shape=tuple(layer.output.shape[1:]),
            n_parameters=layer.count_params(),
            cut_points=tuple(points.get(layer.name, ())),
            in_top=layer.name in spec.top_layers,
        )
        for layer in base.layers
    )
    # ConvNeXt has its last normalisation in the top, and without one at the end of the base.
    below = sum(row.n_parameters for row in rows if not row.in_top)
    without = below if spec.arguments else spec.backbone.n_parameters
    return NetworkSummary(rows, include_top, without)

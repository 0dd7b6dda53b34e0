"""The layers of a backbone, for people choosing where to cut.

The catalog and a backbone's layers as plain values, for printing and JSON.
"""

import dataclasses
from dataclasses import asdict
from typing import Any

from pipeline.backbones.backbone import BackboneSpec
from pipeline.backbones.catalog import BACKBONES, parse_backbone
from pipeline.backbones.weights import resolve_weights
from pipeline.system.startup import import_tensorflow


@dataclasses.dataclass(frozen=True)
class LayerRow:
    """One layer of a base without its top.

    Args:
        name: Keras' layer name, which can be cut at.
        class_name: What kind of layer it is.
        output_shape: Without the batch axis.
        n_parameters: Values, batch statistics included.
        cut_points: The named cut points that stand for it.
    """

    name: str
    class_name: str
    output_shape: tuple[int, ...]
    n_parameters: int
    cut_points: tuple[str, ...]


def summarize(spec: BackboneSpec, image_size: int | None = None) -> list[LayerRow]:
    """List the layers of a base, from input to output. Imports TensorFlow; needs no weights.

    Args:
        spec: The backbone.
        image_size: Side of the square input in pixels; None means the default size.

    Returns:
        One row per layer in the model's order; those of nested models are counted in one row.

    Raises:
        InputError: If the architecture cannot take the input size.
    """
    import_tensorflow()
    from pipeline.backbones.build import build_base

    size = spec.backbone.input_size if image_size is None else image_size
    base = build_base(spec, resolve_weights(spec, "none"), size)
    points: dict[str, list[str]] = {}
    for point, layer in spec.cut_points().items():
        points.setdefault(layer, []).append(point)
    return [
        LayerRow(
            name=layer.name,
            class_name=type(layer).__name__,
            output_shape=tuple(layer.output.shape[1:]),
            n_parameters=layer.count_params(),
            cut_points=tuple(points.get(layer.name, ())),
        )
        for layer in base.layers
    ]


def describe_catalog() -> list[dict[str, Any]]:
    """Return one row per backbone, in the catalog's order."""
    return [
        {
            "name": row.name,
            "family": row.family,
            "input_size": row.input_size,
            "min_size": row.min_size,
            "preprocessing": row.preprocessing,
            "n_parameters": row.n_parameters,
            "arguments": {argument.name: argument.default for argument in row.arguments},
            "cut_points": BackboneSpec(row).cut_points(),
        }
        for row in BACKBONES.values()
    ]


def describe_layers(backbone: str, image_size: int | None = None) -> list[dict[str, Any]]:
    """Return one row per layer of a backbone, from input to output."""
    return [asdict(row) for row in summarize(parse_backbone(backbone), image_size)]

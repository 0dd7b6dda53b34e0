"""The layers of a backbone, for people choosing where to cut."""

import dataclasses
from typing import Any

from pipeline.backbones.backbone import BackboneSpec
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

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON values."""
        return dataclasses.asdict(self)


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

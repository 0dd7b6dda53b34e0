"""What heads may see of a base: its layers with their poolings, as settings name them."""

from pipeline.backbones.backbone import TOP, BackboneSpec
from pipeline.backbones.cuts import BEST, BLOCKS, CONCAT, EACH, POOLINGS, Cut
from pipeline.errors import InputError, UnknownNameError

JOIN = "+"

Input = tuple[Cut, ...]
"""What a head sees: one cut, or several side by side."""


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

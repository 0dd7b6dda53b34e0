"""Which backbones exist, and how one is asked for: ``VGG16``, ``MobileNet(alpha=0.25)``.

Answers from a table, so that listing backbones or refusing a bad name imports no TensorFlow.
"""

from types import MappingProxyType
from typing import Any

from pipeline.backbones.backbone import Argument, Backbone, BackboneSpec
from pipeline.backbones.table import ROWS
from pipeline.calls import parse_call
from pipeline.errors import InputError, UnknownNameError

BACKBONES = MappingProxyType({row.name: row for row in ROWS})


def parse_backbone(text: str) -> BackboneSpec:
    """Read a backbone with its architecture arguments.

    Args:
        text: A name of the catalog, with arguments in brackets where it takes any.

    Returns:
        The spec; arguments that equal their defaults are dropped, so that two texts for the same
        architecture give equal specs.

    Raises:
        UnknownNameError: If the catalog has no such backbone, or the backbone no such argument.
        InputError: If the text or the value of an argument cannot be used.

    >>> str(parse_backbone("MobileNet(depth_multiplier=1, alpha=0.250)"))
    'MobileNet(alpha=0.25)'
    """
    name, given = parse_call(text)
    if name not in BACKBONES:
        raise UnknownNameError(
            "backbone", name, BACKBONES, "'pipeline backbones' lists all of them"
        )
    backbone = BACKBONES[name]
    checked = {key: _check_argument(backbone, key, value) for key, value in given.items()}
    defaults = {argument.name: argument.default for argument in backbone.arguments}
    kept = {key: value for key, value in checked.items() if value != defaults[key]}
    return BackboneSpec(backbone, dict(sorted(kept.items())))


def _check_argument(backbone: Backbone, name: str, value: Any) -> float | int | bool:
    known = {argument.name: argument for argument in backbone.arguments}
    if name not in known:
        accepted = f"takes {', '.join(known)}" if known else "takes no arguments"
        raise UnknownNameError("argument", name, known, f"{backbone.name} {accepted}")
    return _check_value(backbone, known[name], value)


def _check_value(backbone: Backbone, argument: Argument, value: Any) -> float | int | bool:
    expected = type(argument.default)
    if expected is float and type(value) is int:
        value = float(value)
    # bool is an int to Python; alpha=True is a mistake all the same.
    if type(value) is not expected or (expected is not bool and not 0 < value < 100):
        wanted = {bool: "True or False", int: "a whole number from 1 to 99"}
        raise InputError(
            f"expected {wanted.get(expected, 'a number above 0 and below 100')} for "
            f"{argument.name} of {backbone.name}, received {argument.name}={value!r}"
        )
    checked: float | int | bool = value
    return checked

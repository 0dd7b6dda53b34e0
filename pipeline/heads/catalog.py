"""The heads by name, with their parameters and defaults."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.calls import format_call, parse_call, split_calls
from pipeline.errors import InputError, UnknownNameError

Kind = Literal["linear", "sklearn", "dense"]


@dataclass(frozen=True)
class Head:
    """A row of the catalog.

    Args:
        name: What the user types.
        kind: linear and dense heads become Dense layers and can be fine-tuned; sklearn ones not.
        defaults: Parameters that may be given in brackets, with their defaults.
        calibrated: Whether its scores are log probabilities already; else one factor is fitted on
            out-of-fold scores.
        about: One line for `--help` and the README.
    """

    name: str
    kind: Kind
    defaults: Mapping[str, Any]
    calibrated: bool
    about: str


HEADS: Mapping[str, Head] = {
    head.name: head
    for head in (
        Head("logistic", "linear", {"C": 1.0, "max_iter": 2000}, True, "logistic regression"),
        Head("linear-svm", "linear", {"C": 0.01}, False, "linear support vectors, squared hinge"),
        Head("ridge", "linear", {"alpha": 100.0}, False, "least squares on one-hot labels"),
        Head("lda", "linear", {"shrinkage": "auto"}, False, "Fisher's discriminant, shrunk"),
        Head("rbf-svm", "sklearn", {"C": 10.0, "gamma": "scale"}, False, "Gaussian-kernel SVM"),
        Head("knn", "sklearn", {"k": 5, "metric": "cosine"}, True, "nearest neighbours"),
        Head("random-forest", "sklearn", {"n_trees": 300, "max_depth": None}, True, "forest"),
        Head(
            "dense",
            "dense",
            {
                "hidden": (256,),
                "dropout": 0.5,
                "learning_rate": 1e-3,
                "epochs": 60,
                "patience": 6,
                "batch_size": 64,
            },
            True,
            "Keras network: hidden layers with ReLU and dropout, early stopping",
        ),
    )
}


@dataclass(frozen=True)
class HeadSpec:
    """A head with all its parameters."""

    head: Head
    params: Mapping[str, Any]

    def __str__(self) -> str:
        """Canonical text: defaults are left out, so equal heads have equal text."""
        given = {k: v for k, v in self.params.items() if v != self.head.defaults[k]}
        return format_call(self.head.name, given)


def parse_heads(text: str) -> list[HeadSpec]:
    """Read ``"logistic(C=0.1),knn"``, or ``"all"``; doubles are dropped.

    Example:
        >>> [str(spec) for spec in parse_heads("logistic(C=0.1),knn(k=5)")]
        ['logistic(C=0.1)', 'knn']
    """
    if text.strip() == "all":
        return [HeadSpec(head, dict(head.defaults)) for head in HEADS.values()]
    specs = [parse_head(part) for part in split_calls(text)]
    if not specs:
        raise InputError(
            f"expected at least one head of {', '.join(HEADS)}, received heads={text!r}"
        )
    return list({str(spec): spec for spec in specs}.values())


def parse_head(text: str) -> HeadSpec:
    """Read one head with its parameters.

    Raises:
        UnknownNameError: No head or no parameter has that name.
        InputError: The brackets do not hold ``name=value`` pairs, or a value is of another type.
    """
    name, given = parse_call(text)
    if name not in HEADS:
        raise UnknownNameError("head", name, HEADS, f"known: {', '.join(HEADS)}")
    head = HEADS[name]
    for key, value in given.items():
        _check_parameter(head, key, value)
    return HeadSpec(head, {**head.defaults, **_normalised(given)})


def _normalised(given: Mapping[str, Any]) -> dict[str, Any]:
    """``hidden=256`` and ``hidden=[256]`` mean ``hidden=(256,)``."""
    hidden = given.get("hidden")
    if isinstance(hidden, int):
        return {**given, "hidden": (hidden,)}
    return {**given, "hidden": tuple(hidden)} if hidden is not None else dict(given)


def _check_parameter(head: Head, key: str, value: Any) -> None:
    if key not in head.defaults:
        hint = f"{head.name} knows {', '.join(head.defaults)}"
        raise UnknownNameError(f"parameter of {head.name}", key, head.defaults, hint)
    if not _acceptable(key, value, head.defaults[key]):
        raise InputError(
            f"expected {key} of {head.name} to be like {head.defaults[key]!r}, "
            f"received {key}={value!r}"
        )


def _acceptable(key: str, value: Any, default: Any) -> bool:
    if key == "hidden":
        sizes = (value,) if isinstance(value, int) else value
        return isinstance(sizes, tuple | list) and all(_is_count(size) for size in sizes)
    if key == "dropout":
        return _is_number(value) and 0 <= value < 1
    if key == "shrinkage":
        return value == default or (_is_number(value) and 0 <= value <= 1)
    if key == "gamma":
        return value == default or (_is_number(value) and value > 0)
    if key == "max_depth":
        return value is None or _is_count(value)
    if key == "metric":
        return value in ("cosine", "euclidean", "manhattan")
    if isinstance(default, int):
        return _is_count(value)
    return _is_number(value) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0

"""The heads by name, with their parameters, values and defaults; and the texts that choose one."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from pipeline.calls import format_call, parse_call, split_calls
from pipeline.errors import InputError, UnknownNameError
from pipeline.heads.class_weights import BALANCED, check_class_weight
from pipeline.heads.preparation import (
    DEFAULT_PREPARATION,
    PARTS,
    Preparation,
    parse_preparation,
)


def allowed(head: str, key: str, default: Any) -> tuple[Callable[[Any], bool], str]:
    """Return whether a head's parameter, whose default is given, can have a value; and in words."""
    means = ("cosine", "euclidean", *(() if head == "centroid" else ("manhattan",)))
    by_name: dict[str, tuple[Callable[[Any], bool], str]] = {
        "hidden": (_are_counts, "as whole numbers above 0, such as (256,)"),
        "dropout": (lambda v: _is_number(v) and 0 <= v < 1, "from 0 to below 1"),
        "weight_decay": (lambda v: _is_number(v) and v >= 0, "of at least 0"),
        "shrinkage": (
            lambda v: v == default or (_is_number(v) and 0 <= v <= 1),
            f"from 0 to 1, or {default!r}",
        ),
        "gamma": (lambda v: v == default or _is_positive(v), f"above 0, or {default!r}"),
        "max_depth": (lambda v: v is None or _is_count(v), "as a whole number above 0, or None"),
        "metric": (lambda v: v in means, " or ".join(map(repr, means))),
        "max_leaves": (lambda v: _is_count(v) and v > 1, "as a whole number above 1"),
    }
    of_kind = (_is_positive, "above 0")
    if isinstance(default, int):
        of_kind = _is_count, "as a whole number above 0"
    return by_name.get(key, of_kind)


def _are_counts(value: Any) -> bool:
    sizes = (value,) if isinstance(value, int) else value
    return isinstance(sizes, tuple | list) and all(_is_count(size) for size in sizes)


def _is_positive(value: Any) -> bool:
    return _is_number(value) and value > 0


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


Kind = Literal["linear", "sklearn", "dense"]

PREPARE = "prepare"
"""The parameter that every head takes besides its own: how features are prepared before it."""

CLASS_WEIGHT = "class_weight"
"""The parameter of every head that can make rare classes count as much as frequent ones."""


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
        weighs: Whether it takes `CLASS_WEIGHT`. Neighbours vote for what lies near them, whatever
            it counts, and class means are balanced by nature.
        solver: Grows when the same features and parameters give another head.
    """

    name: str
    kind: Kind
    defaults: Mapping[str, Any]
    calibrated: bool
    about: str
    weighs: bool = True
    solver: int = 1


HEADS: Mapping[str, Head] = {
    head.name: head
    for head in (
        Head(
            "logistic",
            "linear",
            {"C": 1.0, "max_iter": 2000},
            True,
            "logistic regression",
            solver=2,  # 1 stopped where its solver did, not at the minimum
        ),
        Head("linear-svm", "linear", {"C": 0.01}, False, "linear support vectors, squared hinge"),
        Head("ridge", "linear", {"alpha": 100.0}, False, "least squares on one-hot labels"),
        Head("lda", "linear", {"shrinkage": "auto"}, False, "Fisher's discriminant, shrunk"),
        Head("centroid", "linear", {"metric": "cosine"}, False, "nearest class mean", weighs=False),
        Head("rbf-svm", "sklearn", {"C": 10.0, "gamma": "scale"}, False, "Gaussian-kernel SVM"),
        Head(
            "knn",
            "sklearn",
            {"k": 5, "metric": "cosine"},
            True,
            "nearest neighbours",
            weighs=False,
        ),
        Head("random-forest", "sklearn", {"n_trees": 300, "max_depth": None}, True, "forest"),
        Head("extra-trees", "sklearn", {"n_trees": 300, "max_depth": None}, True, "wilder forest"),
        Head(
            "boosting",
            "sklearn",
            {"rounds": 100, "learning_rate": 0.1, "max_leaves": 8},
            True,
            "gradient boosting on histograms",
        ),
        Head(
            "mlp",
            "dense",
            {"hidden": (100,), "alpha": 1e-4, "learning_rate": 1e-3, "max_iter": 200},
            True,
            "scikit-learn's network: hidden layers with ReLU, no TensorFlow",
        ),
        Head(
            "dense",
            "dense",
            {
                "hidden": (256,),
                "dropout": 0.5,
                "learning_rate": 1e-3,
                "weight_decay": 0.0,
                "epochs": 60,
                "patience": 6,
                "batch_size": 64,
            },
            True,
            "network: hidden layers with ReLU and dropout, early stopping",
        ),
    )
}


@dataclass(frozen=True)
class HeadSpec:
    """A head with all its parameters.

    Args:
        head: The row of the catalog.
        params: Every parameter of the head with its value; `PREPARE` and `CLASS_WEIGHT` only
            where they are not the default, so that what was tried before keeps its name.
    """

    head: Head
    params: Mapping[str, Any]

    @property
    def preparation(self) -> Preparation:
        """How features are prepared before this head."""
        return parse_preparation(self.params.get(PREPARE, DEFAULT_PREPARATION))

    @property
    def own_params(self) -> dict[str, Any]:
        """The parameters of the head itself, without the preparation."""
        return {key: value for key, value in self.params.items() if key != PREPARE}

    @property
    def solver(self) -> dict[str, int]:
        """What tells it from what was fitted by an older solver; most heads have had but one."""
        return {} if self.head.solver == 1 else {"solver": self.head.solver}

    def prepared(self, preparation: Preparation) -> "HeadSpec":
        """Return the same head on features prepared in another way."""
        return HeadSpec(self.head, _with_preparation(self.own_params, preparation))

    def or_prepared(self, preparation: Preparation) -> "HeadSpec":
        """Return the head as it is where it says its preparation itself, else with this one."""
        return self if PREPARE in self.params else self.prepared(preparation)

    @property
    def class_weight(self) -> Any:
        """What rows count by their class: None, ``"balanced"``, or what an estimator was given."""
        return self.params.get(CLASS_WEIGHT)

    def balanced(self) -> "HeadSpec":
        """Return the same head with every class counting alike, however many pictures it has.

        An estimator by dotted path is imported, to see whether it knows the parameter.

        Raises:
            InputError: The head cannot weigh classes.

        Example:
            >>> str(parse_head("logistic(C=0.1)").balanced())
            "logistic(C=0.1, class_weight='balanced')"
        """
        spec = HeadSpec(self.head, {**self.params, CLASS_WEIGHT: BALANCED})
        if is_dotted(self.head.name):
            _check_dotted(spec)
        elif not self.head.weighs:
            able = ", ".join(head.name for head in HEADS.values() if head.weighs)
            raise InputError(
                f"expected a head that can weigh classes, received {self}; choose one of {able}"
            )
        return spec

    def __str__(self) -> str:
        """Canonical text: defaults are left out, so equal heads have equal text."""
        defaults = self.head.defaults
        given = {k: v for k, v in self.params.items() if k not in defaults or v != defaults[k]}
        return format_call(self.head.name, given)


def _with_preparation(params: Mapping[str, Any], preparation: Preparation) -> dict[str, Any]:
    text = str(preparation)
    return dict(params) if text == DEFAULT_PREPARATION else {**params, PREPARE: text}


def parse_heads(text: str) -> list[HeadSpec]:
    """Read ``"logistic(C=0.1),knn"``, or ``"all"``; doubles are dropped.

    Estimators by dotted path are imported and looked at; everything said of a list of heads is said
    before any picture is read.

    Raises:
        InputError: A head cannot be used; `parse_head` and `dotted.make_estimator` say how.

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
    unique = list({str(spec): spec for spec in specs}.values())
    for spec in unique:
        if is_dotted(spec.head.name):
            _check_dotted(spec)
    return unique


def _check_dotted(spec: HeadSpec) -> None:
    """Raise what fitting would raise before it sees a row."""
    from pipeline.heads.dotted import make_estimator

    make_estimator(spec.head.name, spec.own_params, seed=0)


def parse_head(text: str) -> HeadSpec:
    """Read one head with its parameters.

    A dotted path is read as a text only. Nothing is imported, so that a run made with a package
    that is not here, or by someone else, can be listed.

    Raises:
        UnknownNameError: No head or no parameter has that name.
        InputError: The brackets do not hold ``name=value`` pairs, or a value is of another type.
    """
    if str(text).strip().partition("(")[0] in PARTS:  # what damaged files hold is refused below
        raise InputError(
            f"expected a head, received {text!r}, which prepares features: give it with --prepare, "
            f"or to a head in brackets, ridge(prepare={text!r})"
        )
    name, given = parse_call(text)
    preparation = parse_preparation(given.pop(PREPARE, DEFAULT_PREPARATION))
    if is_dotted(name):
        about = "a classifier with scikit-learn's interface"
        head = Head(name, "sklearn", {}, calibrated=False, about=about, weighs=False)
        return HeadSpec(head, _with_preparation(given, preparation))
    if name not in HEADS:
        hint = f"known: {', '.join(HEADS)}, and scikit-learn's as 'sklearn.svm:NuSVC(nu=0.3)'"
        raise UnknownNameError("head", name, HEADS, hint)
    head = HEADS[name]
    for key, value in given.items():
        _check_parameter(head, key, value)
    params = {**head.defaults, **_normalised(given)}
    return HeadSpec(head, _with_preparation(params, preparation))


def is_dotted(name: str) -> bool:
    """Return whether a head's name is the path of a class, ``package.module:Class``."""
    return ":" in name


def _normalised(given: Mapping[str, Any]) -> dict[str, Any]:
    """``hidden=256`` and ``hidden=[256]`` mean ``hidden=(256,)``; unweighted is unsaid."""
    params = dict(given)
    if (hidden := params.get("hidden")) is not None:
        params["hidden"] = (hidden,) if isinstance(hidden, int) else tuple(hidden)
    if params.get(CLASS_WEIGHT) is None:
        params.pop(CLASS_WEIGHT, None)
    return params


def _check_parameter(head: Head, key: str, value: Any) -> None:
    if key == CLASS_WEIGHT and head.weighs:
        check_class_weight(value)
        return
    if key not in head.defaults:
        known = (*head.defaults, PREPARE, *((CLASS_WEIGHT,) if head.weighs else ()))
        hint = f"{head.name} knows {', '.join(known)}"
        raise UnknownNameError(f"parameter of {head.name}", key, known, hint)
    good, words = allowed(head.name, key, head.defaults[key])
    if not good(value):
        raise InputError(f"expected {key} of {head.name} {words}, received {key}={value!r}")

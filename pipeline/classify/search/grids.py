"""Which parameters of each head are worth trying, and how dear it is to try them."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

from pipeline.heads import HeadSpec, Preparation, parse_preparation
from pipeline.heads.catalog import PREPARE
from pipeline.heads.ridge import LAMBDAS

GRIDS: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "logistic": {"C": (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)},
    "linear-svm": {"C": (1e-5, 1e-4, 1e-3, 1e-2, 0.1)},
    "ridge": {"alpha": tuple(float(f"{value:.3g}") for value in LAMBDAS[::2])},
    "lda": {"shrinkage": ("auto", 0.02, 0.1, 0.3, 0.6, 0.9)},
    "centroid": {"metric": ("cosine", "euclidean")},
    "rbf-svm": {"C": (1.0, 10.0, 100.0)},
    "knn": {"k": (1, 3, 5, 10, 20), "metric": ("cosine", "euclidean")},
    "boosting": {"learning_rate": (0.05, 0.1)},
    "mlp": {"alpha": (1e-4, 1e-2, 1.0)},
    "dense": {
        "learning_rate": (3e-4, 1e-3, 3e-3),
        "weight_decay": (0.0, 0.01),
        "dropout": (0.2, 0.5, 0.8),
    },
}
"""Each holds the default. Strengths are spaced by half or whole powers of ten: closer ones are not
told apart by cross-validation."""

PREPARATIONS = ("standard", "l2", "sqrt-l2")
"""What is tried of every input; no single one wins everywhere."""

MOST_JOINED, WAYS_JOINED = 4, 2
"""Cuts side by side at most, and preparations, the best ones, in which they are tried."""

_SHORTLISTS: Mapping[str, int] = {"ridge": 8, "lda": 8, "centroid": 8, "logistic": 5, "knn": 5}
_SHORTLIST = 3


def shortlisted(head: str) -> int:
    """Return on how many inputs a head is tried: cheap ones on more."""
    return _SHORTLISTS.get(head, _SHORTLIST)


def grid(spec: HeadSpec) -> tuple[HeadSpec, ...]:
    """Return the head with every parameter worth trying; what was given is kept as it is.

    A parameter that is not at its default counts as given.
    """
    tried = {
        name: values
        for name, values in GRIDS.get(spec.head.name, {}).items()
        if spec.params[name] == spec.head.defaults[name]
    }
    return tuple(
        HeadSpec(spec.head, {**spec.params, **dict(zip(tried, values, strict=True))})
        for values in product(*tried.values())
    )


def preparations(spec: HeadSpec) -> tuple[Preparation, ...]:
    """Return the preparations worth trying; the one that was given, if one was."""
    if PREPARE in spec.params:
        return (spec.preparation,)
    return tuple(parse_preparation(text) for text in PREPARATIONS)

"""The catalog's heads as scikit-learn estimators: linear ones, which fold, and the others."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC

from pipeline.heads.catalog import CLASS_WEIGHT, HeadSpec
from pipeline.heads.discriminant import NearestMean, PooledDiscriminant


class _Made(NamedTuple):
    """How an estimator is made: its class, what it always gets, and whether it takes a seed."""

    kind: type
    always: Mapping[str, Any] = {}
    seeded: bool = False


_ESTIMATORS = {
    "logistic": _Made(LogisticRegression),
    "linear-svm": _Made(LinearSVC, {"dual": "auto", "max_iter": 5000}, seeded=True),
    "lda": _Made(PooledDiscriminant),
    "centroid": _Made(NearestMean),
    "rbf-svm": _Made(SVC, {"decision_function_shape": "ovr"}),
    "knn": _Made(KNeighborsClassifier, {"weights": "distance"}),
    "random-forest": _Made(RandomForestClassifier, {"n_jobs": -1}, seeded=True),
    "extra-trees": _Made(ExtraTreesClassifier, {"n_jobs": -1}, seeded=True),
    # Its own held-out rows would be views of the others.
    "boosting": _Made(HistGradientBoostingClassifier, {"early_stopping": False}, seeded=True),
    "mlp": _Made(MLPClassifier, seeded=True),
}
"""By the catalog's name; ridge and dense are our own solvers."""

_NAMES = {
    "k": "n_neighbors",
    "n_trees": "n_estimators",
    "rounds": "max_iter",
    "max_leaves": "max_leaf_nodes",
    "hidden": "hidden_layer_sizes",
}
"""What scikit-learn calls the catalog's parameters, where it has other names."""


def catalog_estimator(spec: HeadSpec, seed: int) -> Any:
    """Return a head of the catalog as an estimator that is not fitted.

    Its network is told of rows and not of classes: weights by class are given when it is fitted.
    """
    kind, always, seeded = _ESTIMATORS[spec.head.name]
    params = {_NAMES.get(name, name): value for name, value in spec.own_params.items()}
    if kind is MLPClassifier:
        params["learning_rate_init"] = params.pop("learning_rate")
        params.pop(CLASS_WEIGHT, None)
    return kind(**params, **always, **({"random_state": seed} if seeded else {}))

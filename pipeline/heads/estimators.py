"""The catalog's heads as estimators like scikit-learn's: linear ones, which fold, and others."""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.heads.catalog import CLASS_WEIGHT, HeadSpec


class _Made(NamedTuple):
    """How an estimator is made: where its class is, what it always gets, whether it has a seed."""

    module: str
    kind: str
    always: Mapping[str, Any] = {}
    seeded: bool = False


_ESTIMATORS = {
    "logistic": _Made("pipeline.heads.logistic", "LogisticRegression"),
    "linear-svm": _Made("sklearn.svm", "LinearSVC", {"dual": "auto", "max_iter": 5000}, True),
    "lda": _Made("pipeline.heads.discriminant", "PooledDiscriminant"),
    "centroid": _Made("pipeline.heads.discriminant", "NearestMean"),
    "rbf-svm": _Made("sklearn.svm", "SVC", {"decision_function_shape": "ovr"}),
    "knn": _Made("sklearn.neighbors", "KNeighborsClassifier", {"weights": "distance"}),
    "random-forest": _Made("sklearn.ensemble", "RandomForestClassifier", {"n_jobs": -1}, True),
    "extra-trees": _Made("sklearn.ensemble", "ExtraTreesClassifier", {"n_jobs": -1}, True),
    # Its own held-out rows would be views of the others.
    "boosting": _Made(
        "sklearn.ensemble", "HistGradientBoostingClassifier", {"early_stopping": False}, True
    ),
    "mlp": _Made("sklearn.neural_network", "MLPClassifier", seeded=True),
}
"""By the catalog's name, imported when asked for: scikit-learn takes two seconds. Ridge and dense
are solvers of another form."""

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
    module, kind, always, seeded = _ESTIMATORS[spec.head.name]
    params = {_NAMES.get(name, name): value for name, value in spec.own_params.items()}
    if spec.head.name == "mlp":
        params["learning_rate_init"] = params.pop("learning_rate")
        params.pop(CLASS_WEIGHT, None)
    made = getattr(importlib.import_module(module), kind)
    return made(**params, **always, **({"random_state": seed} if seeded else {}))

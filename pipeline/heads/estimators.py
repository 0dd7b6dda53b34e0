"""The catalog's heads as scikit-learn estimators: linear ones, which fold, and the others."""

from collections.abc import Callable, Mapping
from typing import Any

from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC, LinearSVC

from pipeline.heads.discriminant import NearestMean, PooledDiscriminant

Params = Mapping[str, Any]


def _logistic(params: Params, seed: int) -> Any:
    return LogisticRegression(
        C=params["C"], max_iter=params["max_iter"], class_weight=params.get("class_weight")
    )


def _linear_svm(params: Params, seed: int) -> Any:
    return LinearSVC(
        C=params["C"],
        dual="auto",
        max_iter=5000,
        random_state=seed,
        class_weight=params.get("class_weight"),
    )


def _lda(params: Params, seed: int) -> Any:
    return PooledDiscriminant(params["shrinkage"], params.get("class_weight"))


def _centroid(params: Params, seed: int) -> Any:
    return NearestMean(params["metric"])


def _rbf_svm(params: Params, seed: int) -> Any:
    return SVC(
        C=params["C"],
        gamma=params["gamma"],
        decision_function_shape="ovr",
        class_weight=params.get("class_weight"),
    )


def _knn(params: Params, seed: int) -> Any:
    return KNeighborsClassifier(params["k"], metric=params["metric"], weights="distance")


def _random_forest(params: Params, seed: int) -> Any:
    return RandomForestClassifier(**_trees(params), random_state=seed)


def _extra_trees(params: Params, seed: int) -> Any:
    return ExtraTreesClassifier(**_trees(params), random_state=seed)


def _trees(params: Params) -> dict[str, Any]:
    return {
        "n_estimators": params["n_trees"],
        "max_depth": params["max_depth"],
        "class_weight": params.get("class_weight"),
        "n_jobs": -1,
    }


def _boosting(params: Params, seed: int) -> Any:
    return HistGradientBoostingClassifier(
        learning_rate=params["learning_rate"],
        max_iter=params["rounds"],
        max_leaf_nodes=params["max_leaves"],
        early_stopping=False,  # its own held-out rows would be views of the others
        random_state=seed,
        class_weight=params.get("class_weight"),
    )


def _mlp(params: Params, seed: int) -> Any:
    return MLPClassifier(
        params["hidden"],
        alpha=params["alpha"],
        learning_rate_init=params["learning_rate"],
        max_iter=params["max_iter"],
        random_state=seed,
    )


ESTIMATORS: Mapping[str, Callable[[Params, int], Any]] = {
    "logistic": _logistic,
    "linear-svm": _linear_svm,
    "lda": _lda,
    "centroid": _centroid,
    "rbf-svm": _rbf_svm,
    "knn": _knn,
    "random-forest": _random_forest,
    "extra-trees": _extra_trees,
    "boosting": _boosting,
    "mlp": _mlp,
}
"""By the catalog's name; ridge and dense are our own solvers."""

"""Fitted heads of strangers: whether C code may follow what is in them.

scikit-learn's C code believes the numbers of a fitted estimator: a tree's child beyond its nodes, a
feature beyond the row, a neighbour beyond the data end the process. So everything that a head holds
is walked through once it is read, and each family whose numbers C follows has its check here; what
is of no family that is known, and is not plain Python and NumPy, is refused.
"""

import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from zipfile import BadZipFile

import numpy as np

from pipeline.heads.fitted import NetworkHead, SklearnHead

FAULTS = (
    *(ValueError, TypeError, AttributeError, LookupError, ArithmeticError, RuntimeError),
    *(ImportError, OSError, EOFError, MemoryError, AssertionError, BadZipFile, zlib.error),
)
"""What others' code raises at values that nobody would write."""

MOST_FEATURES, MOST_WEIGHT = 1 << 24, 1e30
MOST_JOBS = 1024
_PLAIN = (bool, int, float, complex, str, bytes, np.generic, np.dtype, np.ufunc, slice, type)
_METRICS = ("EuclideanDistance", "ManhattanDistance")
_KERNELS = ("linear", "poly", "rbf", "sigmoid")


_Check = tuple[str, Callable[[Any], None]]
"""What only a fitted one has, and what raises where it is not sound."""


class UnsoundError(ValueError):
    """A head holds what must not reach C code; the message is the reason."""


def check_network(head: NetworkHead, n_classes: int) -> None:
    """Raise UnsoundError where layers do not fit each other or hold what is no number."""
    widths = [n for n, *_ in (kernel.shape for kernel in head.kernels if kernel.ndim == 2)]
    ends = [*widths[1:], n_classes]
    layers = zip(head.kernels, head.biases, widths, ends, strict=False)
    if not widths or len(widths) < len(head.kernels):
        raise UnsoundError("kernels that are no tables")
    for number, (kernel, bias, _, end) in enumerate(layers):
        if kernel.shape[1] != end or bias.shape != (end,):
            shapes = f"kernel {kernel.shape} and bias {bias.shape}"
            raise UnsoundError(f"{shapes} in layer {number}, which should have {end} outputs")
        for array in (kernel, bias):
            if array.dtype != np.float32 or not (np.abs(array) < MOST_WEIGHT).all():
                raise UnsoundError(f"NaN, infinity or no float32 in layer {number}")
    if head.blocks and (sum(head.blocks) != widths[0] or min(head.blocks) < 1):
        raise UnsoundError(f"blocks={head.blocks} for {widths[0]} features")


def check_sklearn(head: SklearnHead) -> None:
    """Check all that a fitted pipeline holds, and let it score a row.

    Raises:
        UnsoundError: It is no classifier of the head's classes, or what it holds does not fit.
    """
    from sklearn.pipeline import Pipeline
    from threadpoolctl import threadpool_limits

    pipeline = head.pipeline
    if type(pipeline) is not Pipeline:
        raise UnsoundError(f"a {type(pipeline).__name__} and no pipeline")
    check_structures(pipeline)
    try:
        seen = np.asarray(pipeline.classes_)
        _require(seen.ndim == 1 and seen.dtype.kind in "iu" and len(seen), "classes_")
        _require((np.diff(seen) > 0).all(), "the order of classes_")
        _require(seen[0] >= 0 and seen[-1] < head.n_classes, f"classes up to {seen[-1]}")
        width = _width(pipeline[0])
        row = np.asarray(getattr(pipeline[0], "mean_", np.zeros(width)), np.float32)
        with warnings.catch_warnings(), threadpool_limits(1):  # threads for one row only wait
            warnings.simplefilter("ignore")
            head.scores(row.reshape(1, width))
    except FAULTS as error:
        raise UnsoundError(f"{type(error).__name__}: {error}") from error


def is_sound(pipeline: Any) -> bool:
    """Return whether a pipeline that was fitted here would pass `check_structures` once stored."""
    try:
        check_structures(pipeline)
    except UnsoundError:
        return False
    return True


def check_structures(pipeline: Any) -> None:
    """Raise UnsoundError where something in a fitted pipeline must not reach C code."""
    checks = _checks()
    waiting, seen = [pipeline], dict[int, Any]()
    while waiting:
        value = waiting.pop()
        if value is None or isinstance(value, _PLAIN) or id(value) in seen:
            continue
        seen[id(value)] = value
        try:
            waiting.extend(_inside(value, checks))
        except UnsoundError:
            raise
        except FAULTS as error:
            what = f"{type(value).__name__}, {type(error).__name__}: {error}"
            raise UnsoundError(f"something in a {what}") from error


def _inside(value: Any, checks: Mapping[type, _Check]) -> Iterator[Any]:
    """Check one value, and yield what is in it."""
    if isinstance(value, Mapping):
        yield from value.keys()
        yield from value.values()
    elif isinstance(value, list | tuple | set | frozenset):
        yield from value
    if type(value) is np.ndarray:
        _require(value.dtype.kind in "OV" or _is_finite(value), "NaN or infinity in an array")
        yield from value.ravel().tolist() if value.dtype.kind == "O" else ()
        return
    fitting = [one for kind, one in checks.items() if isinstance(value, kind)]
    for needed, check in fitting:
        if hasattr(value, needed):  # else it is not fitted, and says so itself
            check(value)
    name = f"{type(value).__module__}.{type(value).__qualname__}"
    owned = getattr(value, "__dict__", None)
    if owned is None:
        right = bool(fitting) or type(value) in (dict, list, tuple, set, frozenset)
        _require(right, f"a {name}, which nothing checks")
        return
    _require(name.startswith(("sklearn.", "numpy.", "collections.")), f"a {name}")
    hidden = [key for key in owned if hasattr(type(value), key)]  # what its class's code relies on
    _require(not hidden, f"a {name} with its own {hidden}")
    jobs = owned.get("n_jobs")
    _require(jobs is None or (_is_int(jobs) and abs(jobs) <= MOST_JOBS), f"n_jobs={jobs!r}")
    yield from owned.values()


def _checks() -> Mapping[type, _Check]:
    """Return what is checked of each family; a value of several passes all of them."""
    from sklearn._loss._loss import CyHalfMultinomialLoss, CyLossFunction
    from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
    from sklearn.ensemble._forest import BaseForest
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor
    from sklearn.metrics import DistanceMetric
    from sklearn.neighbors import BallTree, KDTree
    from sklearn.neighbors._base import NeighborsBase
    from sklearn.svm._base import BaseLibSVM
    from sklearn.tree import BaseDecisionTree
    from sklearn.tree._tree import Tree

    return {
        Tree: ("node_count", _check_tree),
        BaseDecisionTree: ("tree_", _check_decision_tree),
        BaseForest: ("estimators_", _check_forest),
        GradientBoostingClassifier: ("estimators_", _check_boosting),
        TreePredictor: ("nodes", _check_predictor),
        HistGradientBoostingClassifier: ("_predictors", _check_histograms),
        KDTree: ("data", lambda tree: _check_neighbour_tree(tree, 2)),
        BallTree: ("data", lambda tree: _check_neighbour_tree(tree, 1)),
        NeighborsBase: ("_fit_X", _check_neighbours),
        BaseLibSVM: ("support_vectors_", _check_machine),
        np.random.RandomState: ("get_state", _check_random),
        np.random.Generator: ("bit_generator", _check_random),
        # Nothing in these is followed when a head scores.
        DistanceMetric: ("rdist", lambda metric: None),
        CyLossFunction: ("loss", lambda loss: None),
        CyHalfMultinomialLoss: ("loss", lambda loss: None),
    }


def _require(right: object, what: str) -> None:
    if not right:
        raise UnsoundError(what)


def _is_int(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_finite(array: np.ndarray) -> bool:
    return array.dtype.kind not in "fc" or bool(np.isfinite(array).all())


def _array(value: Any, kind: Any, shape: tuple[int, ...], name: str) -> None:
    """Require an array that C code reads as it lies in memory."""
    right = type(value) is np.ndarray and value.dtype == kind and value.shape == shape
    _require(
        right and value.flags.c_contiguous and _is_finite(value),
        f"{name} of another shape or type, or with NaN",
    )


def _width(estimator: Any) -> int:
    """Return how many features an estimator says it takes, which it holds rows against."""
    width = vars(estimator).get("n_features_in_")
    _require(_is_int(width) and 0 < width <= MOST_FEATURES, f"n_features_in_={width!r}")
    return int(width)


def _check_random(drawn: Any) -> None:
    """Require random numbers whose state holds no place in memory, or one that is there."""
    is_old = isinstance(drawn, np.random.RandomState)
    state = drawn.get_state(legacy=False) if is_old else drawn.bit_generator.state
    kind = state["bit_generator"]
    right = kind == "MT19937" and 0 <= state["state"]["pos"] <= 624
    _require(right or kind in ("PCG64", "PCG64DXSM", "SFC64"), "random numbers from nowhere")


def _check_children(left: np.ndarray, right: np.ndarray, features: np.ndarray, width: int) -> None:
    """Require that inner nodes lead on to later ones, and ask for features that there are.

    Args:
        left: (n,) int, the child of each node, or a negative number in leaves.
        right: The other.
        features: (n,) int, what an inner node looks at.
        width: How many features there are.
    """
    inner, own, n = left >= 0, np.arange(len(left)), len(left)
    _require(n > 0, "a tree without nodes")
    for child in (left[inner], right[inner]):
        _require(
            ((child > own[inner]) & (child < n)).all(),
            "a tree whose nodes lead out of it or in circles",
        )
    asked = features[inner]
    _require(((asked >= 0) & (asked < width)).all(), "a tree that asks for features of no row")


def _check_tree(tree: Any) -> None:
    _require(0 < tree.node_count == tree.capacity, "a tree of another size")
    state = tree.__getstate__()
    nodes, values = state["nodes"], state["values"]
    left = nodes["left_child"]
    _require((left >= -1).all(), "a tree whose nodes lead out of it or in circles")
    _check_children(left, nodes["right_child"], nodes["feature"], tree.n_features)
    _require(not np.isnan(nodes["threshold"]).any() and _is_finite(values), "NaN in a tree")
    counts = tree.n_outputs == 1 and values.shape == (len(nodes), 1, tree.max_n_classes)
    _require(counts and state["node_count"] == len(nodes), "a tree of another size")


def _check_decision_tree(estimator: Any) -> None:
    from sklearn.tree._tree import Tree

    tree = estimator.tree_
    _require(
        type(tree) is Tree and tree.n_features == _width(estimator),
        "a tree for rows of another width",
    )


def _check_forest(forest: Any) -> None:
    _members(forest, forest.estimators_)


def _members(ensemble: Any, estimators: Any) -> None:
    """Require trees for rows as the ensemble takes them: it alone looks how wide they are."""
    from sklearn.tree import BaseDecisionTree

    width = _width(ensemble)
    for one in estimators:
        right = isinstance(one, BaseDecisionTree) and _width(one) == width
        _require(right, "an ensemble of trees for rows of another width")


def _check_boosting(boosting: Any) -> None:
    from sklearn.dummy import DummyClassifier

    trees, n_columns = boosting.estimators_, boosting.n_trees_per_iteration_
    right = type(trees) is np.ndarray and trees.ndim == 2 and trees.shape[1] == n_columns
    _require(right, "rounds of another width")
    _members(boosting, trees.ravel().tolist())
    single = all(one.tree_.max_n_classes == 1 for one in trees.ravel())
    n_classes, begun = len(boosting.classes_), boosting.init_
    _require(
        single and n_columns == (1 if n_classes == 2 else n_classes), "another number of trees"
    )
    _require(boosting._loss.is_multiclass == (n_columns > 1), "another loss")
    if type(begun) is DummyClassifier:
        _require(begun.strategy == "prior" and begun.n_outputs_ == 1, "another beginning")
        _array(begun.class_prior_, np.float64, (n_classes,), "class_prior_")
    else:
        _require(isinstance(begun, str) and begun == "zero", "another beginning")


def _check_predictor(predictor: Any) -> None:
    from sklearn.ensemble._hist_gradient_boosting.common import PREDICTOR_RECORD_DTYPE

    nodes = predictor.nodes
    right = type(nodes) is np.ndarray and nodes.dtype == PREDICTOR_RECORD_DTYPE
    _require(right and nodes.ndim == 1 and not nodes["is_categorical"].any(), "other nodes")
    right = not np.isnan(nodes["num_threshold"]).any() and _is_finite(nodes["value"])
    _require(right, "NaN in a tree")


def _check_histograms(boosting: Any) -> None:
    from sklearn.ensemble._hist_gradient_boosting.predictor import TreePredictor

    width, columns = _width(boosting), boosting.n_trees_per_iteration_
    binning = boosting._bin_mapper.is_categorical_
    right = type(binning) is np.ndarray and binning.shape == (width,) and not binning.any()
    _require(right and boosting._preprocessor is None, "features that are no numbers")
    _require(not vars(boosting).get("_in_fit", False), "a fit that has not ended")
    baseline = boosting._baseline_prediction
    _require(np.shape(baseline)[-1:] in ((), (1,), (columns,)), "another baseline")
    for round_ in boosting._predictors:
        _require(len(round_) == columns, "rounds of another width")
        for one in round_:
            _require(type(one) is TreePredictor, "an ensemble of trees for rows of another width")
            leaf = one.nodes["is_leaf"].astype(bool)
            left, right_ = (one.nodes[side].astype(np.int64) for side in ("left", "right"))
            left[leaf] = -1
            _check_children(left, right_, one.nodes["feature_idx"], width)


def _check_neighbour_tree(tree: Any, n_bounds: int) -> None:
    """Require a KDTree or BallTree whose nodes and places are all there.

    Bounds of a node are the two ends of a box, or a centre.
    """
    data, places, nodes, bounds = tree.get_arrays()
    metric = tree.__getstate__()[11]
    _require(type(metric).__name__[:-2] in _METRICS, "a tree of neighbours of another metric")
    n, n_nodes = len(data), len(nodes)
    _array(data, data.dtype, data.shape, "data")
    _require(data.ndim == 2 and n > 0 and n_nodes > 0, "a tree without data")
    _require(bounds.shape == (n_bounds, n_nodes, data.shape[1]), "bounds of another shape")
    _require(
        places.shape == (n,) and ((places >= 0) & (places < n)).all(),
        "a tree of neighbours that are not there",
    )
    starts, ends = nodes["idx_start"], nodes["idx_end"]
    _require(
        ((starts >= 0) & (starts <= ends) & (ends <= n)).all(),
        "a tree of neighbours that are not there",
    )
    last = 2 * np.arange(n_nodes) + 2
    _require(
        (nodes["is_leaf"].astype(bool) | (last < n_nodes)).all(),
        "a tree of neighbours that ends early",
    )
    _require(_is_finite(bounds) and _is_finite(nodes["radius"]), "NaN in a tree")


def _check_neighbours(estimator: Any) -> None:
    from sklearn.neighbors import BallTree, KDTree

    data, width = estimator._fit_X, _width(estimator)
    right = type(data) is np.ndarray and data.ndim == 2 and data.shape[1] == width
    _require(
        right and data.dtype.kind == "f" and data.flags.c_contiguous,
        "neighbours of another width or type",
    )
    _require(estimator.n_samples_fit_ == len(data), "another number of neighbours")
    _require(estimator._fit_method in ("brute", "kd_tree", "ball_tree"), "another search")
    tree, params = estimator._tree, estimator.effective_metric_params_
    if estimator._fit_method != "brute":
        right = type(tree) in (KDTree, BallTree) and tree.get_arrays()[0].shape == data.shape
        _require(right, "a tree of other neighbours")
    _require(isinstance(estimator.effective_metric_, str), "another metric")
    _require(not params or set(params) == {"p"}, "a metric with settings")
    if (given := getattr(estimator, "_y", None)) is not None:
        right = (
            type(given) is np.ndarray and given.dtype.kind == "i" and given.shape == (len(data),)
        )
        n_classes = len(estimator.classes_)
        _require(right and given.min() >= 0 and given.max() < n_classes, "labels of no class")


def _check_machine(machine: Any) -> None:
    vectors = machine.support_vectors_
    _require(type(vectors) is np.ndarray and vectors.ndim == 2 and len(vectors) > 0, "no vectors")
    n, n_classes, width = len(vectors), len(machine.classes_), _width(machine)
    _require(not machine._sparse and machine.kernel in _KERNELS, "another kernel")
    _require(n_classes > 1 and machine.shape_fit_[-1] == width, "support vectors of another width")
    n_pairs = n_classes * (n_classes - 1) // 2
    for name, kind, shape in (
        ("support_vectors_", np.float64, (n, width)),
        ("support_", np.int32, (n,)),
        ("_n_support", np.int32, (n_classes,)),
        ("_dual_coef_", np.float64, (n_classes - 1, n)),
        ("_intercept_", np.float64, (n_pairs,)),
    ):
        _array(getattr(machine, name), kind, shape, name)
    for values in (machine._probA, machine._probB):
        _array(values, np.float64, (n_pairs,) if len(values) else (0,), "_probA")
    counts = machine._n_support
    _require((counts >= 0).all() and int(counts.sum()) == n, "support vectors of other numbers")

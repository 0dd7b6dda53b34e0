"""Crafted heads, each of which would end the process or lie: refused before C code sees them."""

import json
import zipfile

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.multiclass import OneVsOneClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier, RadiusNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import SVC, LinearSVC, NuSVC
from sklearn.tree import DecisionTreeClassifier
from skops import io

from pipeline.errors import RunError
from pipeline.heads import NetworkHead, SklearnHead
from pipeline.heads.sound import UnsoundError, check_network, check_sklearn
from pipeline.runs import load_bundle, save_head
from pipeline.runs.payload import Told, read_head
from pipeline.runs.seal import FileDigest
from pipeline.system.arrays import read_members
from tests.stored import change_json, reseal

CLASSES = ("a", "b", "c")
_rng = np.random.default_rng(0)
LABELS = np.arange(45) % 3
FEATURES = (_rng.normal(size=(45, 4)) + LABELS[:, None]).astype(np.float32)


def fitted(estimator):
    return make_pipeline(StandardScaler(), estimator).fit(FEATURES, LABELS)


FEW = {"n_estimators": 3, "random_state": 0}
TREE, NEAR = DecisionTreeClassifier(random_state=0), KNeighborsClassifier(leaf_size=5)
FOREST, BOOSTING = RandomForestClassifier(**FEW), GradientBoostingClassifier(**FEW)
HISTOGRAMS = HistGradientBoostingClassifier(max_iter=2, random_state=0, min_samples_leaf=5)


@pytest.mark.parametrize(
    "estimator",
    [
        *(TREE, NEAR, FOREST, BOOSTING, HISTOGRAMS, SVC(), NuSVC(nu=0.3)),
        *(
            ExtraTreesClassifier(**FEW),
            AdaBoostClassifier(**FEW),
            BaggingClassifier(SVC(), n_estimators=2),
        ),
        *(clone(NEAR).set_params(algorithm=name) for name in ("ball_tree", "kd_tree", "brute")),
        *(
            RadiusNeighborsClassifier(radius=9.0),
            LabelSpreading(kernel="knn"),
            OneVsOneClassifier(SVC()),
        ),
        *(CalibratedClassifierCV(LinearSVC(), cv=2), GaussianProcessClassifier(), GaussianNB()),
        *(
            MLPClassifier(4, max_iter=5000, alpha=1, tol=1e-3),
            SGDClassifier(random_state=0),
            LogisticRegression(),
        ),
    ],
    ids=lambda estimator: type(estimator).__name__,
)
def test_what_was_fitted_is_sound_and_comes_back_without_trust(tmp_path, estimator):
    head = SklearnHead(fitted(estimator), 3)
    check_sklearn(head)
    save_head(tmp_path / "b", head, CLASSES, {})
    loaded = load_bundle(tmp_path / "b").head
    np.testing.assert_array_equal(loaded.scores(FEATURES), head.scores(FEATURES))


def with_nodes(tree, **changes):
    state = tree.__getstate__()
    nodes = state["nodes"].copy()
    for name, value in changes.items():
        nodes[name][0] = value
    tree.__setstate__({**state, "nodes": nodes})


def of_tree(**changes):
    return TREE, lambda made: with_nodes(made.tree_, **changes)


def of_histograms(**changes):
    def change(made):
        predictor = made._predictors[0][0]
        predictor.nodes = predictor.nodes.copy()
        for name, value in changes.items():
            predictor.nodes[name][0] = value

    return HISTOGRAMS, change


def of_neighbours(algorithm, place, change):
    def changed(made):
        state = list(made._tree.__getstate__())
        state[place] = state[place].copy()
        change(state[place])
        made._tree.__setstate__(tuple(state))

    return clone(NEAR).set_params(algorithm=algorithm), changed


def setting(estimator, **changes):
    def change(made):
        for name, value in changes.items():
            setattr(made, name, value(made) if callable(value) else value)

    return estimator, change


def beyond(nodes):
    nodes["idx_end"][:] = 1 << 40


def no_leaf(nodes):
    nodes["is_leaf"][:] = 0


WIDE = DecisionTreeClassifier().fit(np.tile(FEATURES, 50), LABELS)


def drawn_from_nowhere(made):
    drawn = np.random.RandomState(0)
    state = drawn.get_state(legacy=False)
    state["state"]["pos"] = 9999
    drawn.set_state(state)
    return drawn


CRAFTED = [
    *(of_tree(**{name: 1 << 40}) for name in ("left_child", "right_child", "feature")),
    *(of_tree(**{name: -7}) for name in ("left_child", "right_child", "feature")),
    of_tree(left_child=0),
    of_tree(right_child=0),
    of_tree(threshold=np.nan),
    setting(TREE, tree_=WIDE.tree_),
    (FOREST, lambda made: with_nodes(made.estimators_[1].tree_, feature=1 << 20)),
    (FOREST, lambda made: delattr(made, "n_features_in_")),
    setting(FOREST, n_features_in_=3),
    setting(FOREST, estimators_=[WIDE]),
    (BOOSTING, lambda made: with_nodes(made.estimators_[0, 0].tree_, left_child=1 << 20)),
    setting(BOOSTING, estimators_=lambda made: np.hstack([made.estimators_] * 9)),
    setting(BOOSTING, estimators_=lambda made: made.estimators_.tolist()),
    setting(BOOSTING, init_=lambda made: LogisticRegression()),
    *(of_histograms(**{name: 1 << 31}) for name in ("left", "right", "feature_idx")),
    of_histograms(left=0),
    of_histograms(is_categorical=1, bitset_idx=1 << 30),
    of_histograms(value=np.nan, is_leaf=1),
    setting(HISTOGRAMS, n_trees_per_iteration_=1),
    setting(HISTOGRAMS, _in_fit=True),
    of_neighbours("kd_tree", 1, lambda places: places.fill(1 << 40)),
    of_neighbours("kd_tree", 2, beyond),
    of_neighbours("ball_tree", 2, no_leaf),
    of_neighbours("ball_tree", 0, lambda data: data.fill(np.nan)),
    setting(NEAR, _y=lambda made: made._y + 1000),
    setting(NEAR, _fit_X=lambda made: np.tile(made._fit_X, (1, 9))),
    setting(NEAR, n_samples_fit_=10**6),
    setting(NEAR, n_jobs=10**9),
    setting(SVC(), _n_support=lambda made: made._n_support[::-1] * 2),
    setting(SVC(), _dual_coef_=lambda made: made._dual_coef_[:1].copy()),
    setting(SVC(), _intercept_=lambda made: made._intercept_[:1].copy()),
    setting(SVC(), support_vectors_=lambda made: np.tile(made.support_vectors_, (1, 9))),
    setting(SVC(), kernel="precomputed", shape_fit_=(4, 4)),
    setting(SVC(), _impl="one_class"),
    setting(SVC(), decision_function=lambda made: np.exp),
    setting(DummyClassifier(strategy="stratified"), random_state=drawn_from_nowhere),
    setting(LogisticRegression(), coef_=lambda made: made.coef_ * np.nan),
    setting(LogisticRegression(), classes_=np.array([0, 1, 7])),
    setting(LogisticRegression(), classes_=np.array(["a", "b", "c"])),
    (LogisticRegression(), lambda made: delattr(made, "coef_")),
    setting(LogisticRegression(), coef_=lambda made: made.coef_[:, :1]),
]


@pytest.mark.parametrize(("estimator", "craft"), CRAFTED)
def test_crafted_heads_are_refused(estimator, craft):
    made = fitted(clone(estimator))
    craft(made[-1])
    with pytest.raises(UnsoundError):
        check_sklearn(SklearnHead(made, 3))


def test_a_crafted_file_is_refused_in_one_sentence(tmp_path):
    save_head(tmp_path / "b", SklearnHead(fitted(TREE), 3), CLASSES, {})
    made = fitted(TREE)
    with_nodes(made[-1].tree_, left_child=1 << 40)
    io.dump(made, tmp_path / "b" / "head.skops")
    payload = FileDigest.of(tmp_path / "b" / "head.skops")
    change_json(tmp_path / "b" / "bundle.json", lambda said: said.update(sha256=payload.sha256))
    reseal(tmp_path / "b")
    with pytest.raises(RunError, match=r"expected a head of 3 classes in .*head\.skops, .*circles"):
        load_bundle(tmp_path / "b")


def of_args(place, **changes):
    return lambda tree: tree["__reduce__"]["args"]["content"][place].update(changes)


def of_state(name, **changes):
    return lambda tree: tree["content"]["content"][name].update(changes)


def swapped(tree):
    given = tree["__reduce__"]["args"]["content"]
    tree["content"]["content"]["nodes"]["file"] = given[1]["file"]


@pytest.mark.parametrize(
    "change",
    [
        of_args(2, content=str(1 << 31)),
        of_args(2, content="0"),
        of_args(0, content="-3"),
        of_args(1, type="json", content=[]),
        of_args(1, **{"__class__": "int64"}),
        of_state("nodes", **{"__class__": "int64"}),
        of_state("nodes", type="json", content=[], shape=None),
        of_state("node_count", content="0", __id__=1),
        swapped,
        lambda tree: tree.update({"__loader__": "ConstructorFromReduceNode"}),
        lambda tree: tree.update({"__loader__": "ObjectNode"}),
        lambda tree: tree.update({"__class__": "ndarray", "__module__": "numpy"}) or swapped(tree),
        lambda tree: tree["content"].update({"content": {}}),
        lambda tree: tree.update(copy={**tree["content"], "content": {}}),
    ],
)
def test_trees_whose_making_would_end_the_process_are_refused(tmp_path, change):
    path = tmp_path / "head.skops"
    io.dump(fitted(TREE), path)
    members = read_members(path)
    schema = json.loads(members["schema.json"])
    (tree,) = (one for one in below(schema) if one.get("__loader__") == "TreeNode")
    change(tree)
    with zipfile.ZipFile(path, "w") as packed:
        for name, data in {**members, "schema.json": json.dumps(schema)}.items():
            packed.writestr(name, data)
    with pytest.raises(RunError, match=r"expected .* in .*head\.skops, received"):
        read_head("sklearn", path, Told(), 3)


def below(value):
    """Yield a JSON value's objects."""
    if isinstance(value, dict):
        yield value
    for one in value.values() if isinstance(value, dict) else value:
        if isinstance(one, dict | list):
            yield from below(one)


def layers(*shapes):
    return tuple(np.ones(shape, np.float32) for shape in shapes)


@pytest.mark.parametrize(
    ("kernels", "biases", "blocks", "words"),
    [
        (layers((4, 2)), layers((2,)), (), "should have 3 outputs"),
        (layers((4, 5), (6, 3)), layers((5,), (3,)), (), "should have 6 outputs"),
        (layers((4, 3)), layers((4,)), (), r"bias \(4,\)"),
        (layers((3,)), layers((3,)), (), "no tables"),
        ((), (), (), "no tables"),
        (layers((4, 3)), (np.full(3, np.nan, np.float32),), (), "NaN"),
        ((np.full((4, 3), np.inf, np.float32),), layers((3,)), (), "NaN, infinity"),
        ((np.ones((4, 3)),), layers((3,)), (), "no float32"),
        (layers((4, 3)), layers((3,)), (2, 1), r"blocks=\(2, 1\) for 4 features"),
        (layers((4, 3)), layers((3,)), (5, -1), "blocks"),
    ],
)
def test_layers_that_do_not_fit_are_refused(kernels, biases, blocks, words):
    with pytest.raises(UnsoundError, match=words):
        check_network(NetworkHead(kernels, biases, blocks=blocks), 3)

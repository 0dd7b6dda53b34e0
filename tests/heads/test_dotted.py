"""Any classifier by its path: what may be written, what is refused, and what a bundle holds."""

import sys
import textwrap

import numpy as np
import pytest
from sklearn.datasets import make_classification
from sklearn.utils import all_estimators

from pipeline.errors import InputError, RunError
from pipeline.heads import SklearnHead, parse_head, parse_heads
from pipeline.heads.dotted import make_estimator
from pipeline.heads.fit import fit_head
from pipeline.heads.sample import Sample
from pipeline.runs import load_bundle, save_head

CLASSES = ("a", "b", "c")
CLASSIFIERS = dict(all_estimators(type_filter="classifier"))
NEEDS_ANOTHER = {
    "ClassifierChain",
    "FixedThresholdClassifier",
    "MultiOutputClassifier",
    "OneVsOneClassifier",
    "OneVsRestClassifier",
    "OutputCodeClassifier",
    "SelfTrainingClassifier",
    "StackingClassifier",
    "TunedThresholdClassifierCV",
    "VotingClassifier",
}
NOT_FOR_SUCH_FEATURES = {"CategoricalNB", "ComplementNB", "MultinomialNB"}


def data(n=120):
    features, labels = make_classification(
        n,
        8,
        n_informative=8,
        n_redundant=0,
        n_classes=3,
        n_clusters_per_class=1,
        class_sep=2,
        random_state=0,
    )
    return features.astype(np.float32), labels


def path_of(name):
    module = CLASSIFIERS[name].__module__
    return f"{module.split('._')[0]}:{name}"


@pytest.mark.parametrize("name", sorted(CLASSIFIERS.keys() - NEEDS_ANOTHER - NOT_FOR_SUCH_FEATURES))
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_every_classifier_of_scikit_learn_is_stored_without_trust(tmp_path, name):
    """With default parameters all of them learn and come back with the scores they had.

    ==================================  =========================================================
    stored with skops, no trust needed  AdaBoost, Bagging, BernoulliNB, CalibratedCV, DecisionTree,
                                        Dummy, ExtraTree(s), GaussianNB, GaussianProcess,
                                        GradientBoosting, HistGradientBoosting, KNeighbors,
                                        LabelPropagation, LabelSpreading, LinearDiscriminant,
                                        LinearSVC, LogisticRegression(CV), MLP, NearestCentroid,
                                        NuSVC, PassiveAggressive, Perceptron, QuadraticDiscriminant,
                                        RadiusNeighbors, RandomForest, Ridge(CV), SGD, SVC
    refused: negative features          CategoricalNB, ComplementNB, MultinomialNB
    refused: needs another estimator    ClassifierChain, FixedThreshold, MultiOutput, OneVsOne,
                                        OneVsRest, OutputCode, SelfTraining, Stacking,
                                        TunedThreshold, Voting
    ==================================  =========================================================
    """
    features, labels = data()
    params = {"RadiusNeighborsClassifier": "(radius=4.0)"}.get(name, "")
    head = fit_head(parse_head(path_of(name) + params), Sample(features, labels, 3, seed=0))
    assert isinstance(head, SklearnHead)
    save_head(tmp_path / "bundle", head, CLASSES, {})
    assert (tmp_path / "bundle" / "head.skops").is_file()
    loaded = load_bundle(tmp_path / "bundle").head.scores(features)
    # Some give back their arrays in another memory layout, whose sums round in another way.
    np.testing.assert_allclose(loaded, head.scores(features), rtol=1e-9, atol=1e-12)
    if name != "DummyClassifier":
        assert np.mean(loaded.argmax(1) == labels) > 0.6


@pytest.mark.parametrize("name", sorted(NEEDS_ANOTHER))
def test_estimators_made_of_estimators_are_refused(name):
    message = r"to be made of literals.*choose an estimator that needs|received .*, which is none"
    spec = parse_head(path_of(name))
    with pytest.raises(InputError, match=message):
        make_estimator(spec.head.name, spec.own_params, seed=0)


@pytest.mark.parametrize("name", sorted(NOT_FOR_SUCH_FEATURES))
def test_what_cannot_learn_from_features_says_so(name):
    features, labels = data()
    with pytest.raises(InputError, match=rf"expected .*{name} to learn from 120 pictures of 8"):
        fit_head(parse_head(path_of(name)), Sample(features, labels, 3, seed=0))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "sklearn.svm:NuSVCC",
            r"unknown class of sklearn.svm 'NuSVCC'; nearest: NuSVC, .*; write for example",
        ),
        ("sklearn.svn:NuSVC", r"received 'sklearn.svn': No module named .*; nearest: sklearn.svm"),
        ("lightgmb:LGBMClassifier", r"received 'lightgmb': No module .*; install its package"),
        ("no.such:Thing", r"expected a module that can be imported in 'no.such:Thing'"),
        ("sklearn.svm:SVR", r"expected a classifier .*, received 'sklearn.svm:SVR', which is none"),
        ("sklearn.svm:l1_min_c", "expected a classifier with scikit-learn's interface"),
        ("os:system", "expected a classifier with scikit-learn's interface, received 'os:system'"),
        (
            "sklearn.svm:NuSVC(mu=0.3)",
            r"unknown parameter of sklearn.svm:NuSVC 'mu'; nearest: nu; it knows nu, kernel",
        ),
        ("sklearn.svm:NuSVC(0.3)", "every argument needs a name"),
        ("sklearn.svm:NuSVC(prepare='l3')", "unknown preparation 'l3'; nearest: l2"),
        ("sklearn.svm:", "it does not start with a name"),
    ],
)
def test_bad_paths_are_one_sentence(text, message):
    with pytest.raises(InputError, match=message):
        parse_heads(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sklearn.svm:NuSVC(nu=7)", "it refused: The 'nu' parameter of NuSVC must be a float"),
        ("sklearn.svm:NuSVC(nu='many')", r"expected sklearn.svm:NuSVC\(nu='many'\) to learn from"),
    ],
)
def test_values_that_are_refused_late(text, message):
    with pytest.raises(InputError, match=message):
        fit_head(parse_head(text), Sample(*data(), 3, seed=0))


def test_paths_have_parameters_a_preparation_and_a_seed():
    text = "sklearn.ensemble:ExtraTreesClassifier(n_estimators=5, prepare='sqrt-l2')"
    (spec,) = parse_heads(f"{text},{text}")
    assert str(spec) == text
    assert spec.head.kind == "sklearn"
    features, labels = data()
    first, second = (fit_head(spec, Sample(features, labels, 3, seed=4)) for _ in "ab")
    np.testing.assert_array_equal(first.scores(features), second.scores(features))
    assert first.pipeline[-1].random_state == 4
    assert first.rowwise == "sqrt-l2"
    own = parse_head("sklearn.ensemble:ExtraTreesClassifier(n_estimators=2, random_state=9)")
    assert fit_head(own, Sample(features, labels, 3, seed=4)).pipeline[-1].random_state == 9


def test_pairs_of_classes_are_no_scores():
    features, labels = data()
    text = "sklearn.svm:SVC(decision_function_shape='ovo')"
    head = fit_head(parse_head(text), Sample(features, labels, 3, seed=0))
    assert head.scores(features).shape == (120, 3)
    four = np.arange(120) % 4
    head = fit_head(parse_head(text), Sample(features + four[:, None], four, 4, seed=0))
    assert set(np.unique(head.scores(features))) == {0.0, 1.0}


def test_nothing_is_imported_for_the_text_of_a_run(monkeypatch, tmp_path):
    (tmp_path / "poisoned.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert parse_head("poisoned:Classifier(x=1)").head.kind == "sklearn"
    assert "poisoned" not in sys.modules


@pytest.fixture
def foreign(monkeypatch, tmp_path):
    """A package of the user's with a classifier whose __init__ takes any parameter."""
    text = """
        import numpy as np
        from sklearn.base import BaseEstimator, ClassifierMixin

        class Means(ClassifierMixin, BaseEstimator):
            def __init__(self, power=2.0):
                self.power = power

            def fit(self, X, y):
                self.classes_ = np.unique(y)
                self.means_ = np.stack([X[y == c].mean(0) for c in self.classes_])
                return self

            def predict_proba(self, X):
                near = np.exp(-(abs(X[:, None] - self.means_) ** self.power).sum(2) / 10)
                return near / near.sum(1, keepdims=True)

            def predict(self, X):
                return self.classes_[self.predict_proba(X).argmax(1)]
        """
    (tmp_path / "theirs.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    sys.modules.pop("theirs", None)


def test_estimators_from_elsewhere_are_loaded_on_trust_only(foreign):
    features, labels = data()
    head = fit_head(parse_head("theirs:Means(power=1.5)"), Sample(features, labels, 3, seed=0))
    save_head(foreign / "bundle", head, CLASSES, {})
    assert sorted(path.name for path in (foreign / "bundle").iterdir()) == [
        "bundle.json",
        "head.joblib",
    ]
    message = r"received theirs:Means in .*head.joblib, and reading it can run any code.*--trust"
    with pytest.raises(RunError, match=message):
        load_bundle(foreign / "bundle")
    loaded = load_bundle(foreign / "bundle", trust=True).head
    np.testing.assert_array_equal(loaded.scores(features), head.scores(features))


def test_an_altered_file_is_not_loaded_on_trust_either(foreign):
    head = fit_head(parse_head("theirs:Means"), Sample(*data(), 3, seed=0))
    save_head(foreign / "bundle", head, CLASSES, {})
    with open(foreign / "bundle" / "head.joblib", "ab") as file:
        file.write(b"more")
    with pytest.raises(RunError, match=r"expected SHA-256 .* it was altered or lost"):
        load_bundle(foreign / "bundle", trust=True)


def test_a_package_that_is_gone(foreign):
    head = fit_head(parse_head("theirs:Means"), Sample(*data(), 3, seed=0))
    save_head(foreign / "bundle", head, CLASSES, {})
    (foreign / "theirs.py").unlink()
    del sys.modules["theirs"]
    with pytest.raises(RunError, match="expected the package of theirs:Means as it was when"):
        load_bundle(foreign / "bundle", trust=True)


def test_warnings_of_an_estimator_reach_the_user(foreign):
    source = (foreign / "theirs.py").read_text()
    warning = "import warnings; warnings.warn('mind the gap', UserWarning, 2)"
    source = source.replace("return self\n", f"{warning}\n        return self\n", 1)
    (foreign / "theirs.py").write_text(source)
    with pytest.warns(UserWarning, match="mind the gap"):
        fit_head(parse_head("theirs:Means"), Sample(*data(), 3, seed=0))


def test_pictures_that_an_estimator_cannot_score():
    features, labels = data()
    text = "sklearn.neighbors:RadiusNeighborsClassifier(radius=0.5)"
    head = fit_head(parse_head(text), Sample(features, labels, 3, seed=0))
    with pytest.raises(
        InputError, match=r"RadiusNeighborsClassifier to score 120 pictures, it ref"
    ):
        head.scores(features + 100)


def test_scores_that_are_not_finite_are_refused(foreign):
    source = (foreign / "theirs.py").read_text().replace("/ 10)", "/ 10) * np.nan")
    (foreign / "theirs.py").write_text(source)
    features, labels = data()
    head = fit_head(parse_head("theirs:Means"), Sample(features, labels, 3, seed=0))
    with pytest.raises(
        InputError, match="finite scores of Means, received NaN or infinity for 120"
    ):
        head.scores(features)

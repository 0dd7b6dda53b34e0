"""A frozen base as a scikit-learn transformer: values, searches, and scikit-learn's own checks."""

import hashlib
import pickle
import shutil

import joblib
import numpy as np
import pytest
from PIL import Image
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks
from sklearn.utils.validation import check_is_fitted, validate_data

import pipeline
from pipeline import FrozenFeatures
from pipeline.errors import InputError, StoreError, UnknownNameError, WeightsError
from pipeline.features.saved import frozen_from_dict
from pipeline.features.store import FeatureCache
from tests.conftest import write_picture

BASE = {"backbone": "MobileNet(alpha=0.25)", "weights": "none", "image_size": 32}

WIDER = "MobileNet(alpha=0.5)"


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory):
    """Two classes that colour tells apart; the cache of this module is ``features`` in here."""
    root = tmp_path_factory.mktemp("frozen")
    for split, count in (("train", 10), ("test", 4)):
        for hue, name in enumerate(("blue", "red")):
            for i in range(count):
                seed = 1000 * hue + 100 * (split == "test") + i
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=2 - 2 * hue)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        # Converts the base for all these layers at once; the features are another recipe's.
        pipeline.extract_features("data", **BASE, layers="block1,block2,block3")
        shutil.move("features/models", "models")
        shutil.rmtree("features")
        shutil.copytree("models", "features/models")
        yield root


@pytest.fixture(scope="module")
def paths(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.glob("data/train/*/*.png"))


@pytest.fixture(scope="module")
def labels(paths):
    return [path.split("/")[-2] for path in paths]


@pytest.fixture
def fitted(paths):
    return FrozenFeatures(**BASE, layer="block2").fit(paths)


def arrays_of(paths):
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths])


# Values


def test_features_are_those_of_the_data_set(fitted, folder):
    settings = {**BASE, "layers": "block2"}
    pipeline.extract_features("data", **settings)
    opened = pipeline.open_features("data", **settings)
    features = fitted.transform([f"data/{path}" for path in opened.paths])
    np.testing.assert_array_equal(features, opened.X)
    assert list(fitted.get_feature_names_out()) == opened.feature_names()
    assert (fitted.n_features_out_, features.dtype) == (opened.X.shape[1], np.float32)


def test_what_is_cached_is_not_computed(fitted, paths):
    again = FrozenFeatures(**BASE, layer="block2").fit([*paths, paths[0]])
    assert (again.computed_, again.reused_) == (0, len(paths))


def test_rows_follow_the_order_of_x(fitted, paths):
    features = fitted.transform(paths)
    order = [5, 0, 5, 3]
    np.testing.assert_array_equal(fitted.transform([paths[i] for i in order]), features[order])


@pytest.mark.parametrize("kind", ["array", "list", "floats", "sizes"])
def test_arrays_have_the_features_of_the_files_they_came_from(fitted, paths, kind):
    arrays = arrays_of(paths)
    given = {
        "array": arrays,
        "list": list(arrays),
        "floats": arrays.astype(np.float32),
        "sizes": [*arrays[:-1], np.repeat(np.repeat(arrays[-1], 2, axis=0), 2, axis=1)],
    }[kind]
    n_same = len(paths) - (kind == "sizes")
    features = fitted.transform(given)
    np.testing.assert_array_equal(features[:n_same], fitted.transform(paths)[:n_same])


def test_arrays_are_cached_by_what_they_show(folder, tmp_path):
    pictures = np.random.default_rng(1).integers(0, 256, (4, 9, 7, 3), np.uint8)
    first = FrozenFeatures(**BASE, layer="block2").fit(pictures)
    again = FrozenFeatures(**BASE, layer="block2").fit(pictures[::-1].astype(np.float64))
    assert (first.computed_, first.reused_) == (4, 0)
    assert (again.computed_, again.reused_) == (0, 4)


def test_layers_lie_side_by_side(fitted, paths):
    joined = FrozenFeatures(**BASE, layer="block2+block3").fit(paths)
    features = joined.transform(paths)
    np.testing.assert_allclose(
        features[:, : fitted.n_features_out_], fitted.transform(paths), rtol=1e-5, atol=1e-6
    )
    assert features.shape == (len(paths), joined.n_features_out_)
    assert joined.layers_ == ("block2", "block3")
    assert joined.get_feature_names_out()[-1].startswith("block3_")


# scikit-learn's ways


def test_it_is_cloned_pickled_and_shown(fitted, paths):
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.transform(paths), fitted.transform(paths))
    bare = clone(fitted)
    assert bare.get_params() == fitted.get_params()
    with pytest.raises(NotFittedError, match="not fitted yet"):
        bare.transform(paths)
    with pytest.raises(NotFittedError, match="not fitted yet"):
        bare.get_feature_names_out()
    assert repr(FrozenFeatures("VGG16", layer="block5")) == (
        "FrozenFeatures(backbone='VGG16', layer='block5')"
    )


def test_parameters_are_looked_at_when_it_is_fitted(paths):
    strange = FrozenFeatures("MobileNut", layer="roof", cache=7)
    with pytest.raises(InputError, match="expected cache as a path, received cache=7"):
        strange.fit(paths)
    with pytest.raises(UnknownNameError, match="unknown backbone 'MobileNut'; nearest: MobileNet"):
        strange.set_params(cache=None).fit(paths)
    with pytest.raises(ValueError, match="expected one layer and one pooling, received layer='a,"):
        FrozenFeatures(**BASE, layer="a,b").fit(paths)


def test_in_a_pipeline(paths, labels, folder):
    model = make_pipeline(
        FrozenFeatures(**BASE, layer="block2"), StandardScaler(), LogisticRegression()
    )
    assert model.fit(paths, labels).score(paths, labels) == 1
    test = sorted(map(str, folder.glob("data/test/*/*.png")))
    assert model.score(test, [path.split("/")[-2] for path in test]) >= 0.75
    assert list(model.predict(arrays_of(test))) == list(model.predict(test))


def n_rows(folder):
    """Rows of every recipe that a search has written, doubles and all."""
    counts = {}
    for path in (folder / "searched").glob("*/recipe.json"):
        counts[path.parent.name.rsplit("-", 1)[0]] = sum(
            shard_rows(shard) for shard in path.parent.glob("shard-*.h5")
        )
    return counts


def shard_rows(path):
    from pipeline.features.store.reader import read_index

    return read_index(path).shard.n_rows


def test_a_search_computes_each_picture_once(paths, labels, folder):
    # Converted before, so that no process of the search needs TensorFlow.
    FrozenFeatures(**{**BASE, "backbone": WIDER}, layer="block1").fit(paths[:1])
    shutil.copytree("features/models", "searched/models")
    model = make_pipeline(
        FrozenFeatures(**BASE, cache="searched"), StandardScaler(), LogisticRegression()
    )
    grid = [
        {"frozenfeatures__layer": ["block1", "block2"], "logisticregression__C": [0.1, 1.0]},
        {
            "frozenfeatures__backbone": [WIDER],
            "frozenfeatures__layer": ["block1"],
        },
    ]
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    search = GridSearchCV(model, grid, cv=folds, n_jobs=2, error_score="raise")
    search.fit(paths, labels)
    assert search.best_score_ > 0.8
    counts = n_rows(folder)
    assert len(counts) == 3
    assert set(counts.values()) == {len(paths)}
    assert search.best_estimator_[0].computed_ == 0
    assert search.best_estimator_[0].reused_ == len(paths)


def test_set_output_gives_a_table(fitted, paths):
    pd = pytest.importorskip("pandas")
    table = clone(fitted).set_output(transform="pandas").fit_transform(paths)
    assert list(table.columns) == list(fitted.get_feature_names_out())
    np.testing.assert_array_equal(table.to_numpy(), fitted.transform(paths))
    frame = pd.DataFrame({"path": paths, "size": 1.0}, index=range(5, 5 + len(paths)))
    np.testing.assert_array_equal(fitted.transform(frame["path"]), fitted.transform(paths))
    columns = make_column_transformer(
        (clone(fitted), ["path"]), ("passthrough", ["size"]), verbose_feature_names_out=False
    )
    joined = columns.set_output(transform="pandas").fit_transform(frame)
    assert list(joined.columns) == [*table.columns, "size"]
    assert list(joined.index) == list(frame.index)
    np.testing.assert_array_equal(joined[table.columns].to_numpy(), table.to_numpy())


@pytest.fixture(scope="module")
def weights(folder):
    """Two files of weights of one architecture."""
    import keras

    for number in range(2):
        keras.utils.set_random_seed(number)
        made = keras.applications.MobileNet(
            (32, 32, 3), 0.25, include_top=False, weights=None, pooling="avg"
        )
        made.save_weights(folder / f"{number}.weights.h5")
    return [folder / "0.weights.h5", folder / "1.weights.h5"]


@pytest.fixture
def of_file(weights, tmp_path, paths):
    """A transformer whose weights lie in a file that may be changed."""
    shutil.copy(weights[0], tmp_path / "mine.weights.h5")
    settings = {**BASE, "weights": str(tmp_path / "mine.weights.h5"), "cache": tmp_path / "cache"}
    return FrozenFeatures(**settings, layer="block2").fit(paths)


def test_other_weights_than_it_was_fitted_with_are_refused(of_file, weights, paths):
    shutil.copy(weights[1], of_file.weights)
    told = "expected the weights with digest .*: the file was changed"
    for one in (of_file, pickle.loads(pickle.dumps(of_file))):
        with pytest.raises(WeightsError, match=told):
            one.transform(paths)
    before = of_file.base_["weights_digest"]
    assert of_file.fit(paths).base_["weights_digest"] != before
    assert of_file.computed_ == len(paths)


def test_weights_are_digested_once(of_file, paths, monkeypatch):
    digested = []
    digest = hashlib.file_digest
    monkeypatch.setattr(
        hashlib, "file_digest", lambda file, name: digested.append(file.name) or digest(file, name)
    )
    of_file.transform(paths)
    of_file.transform(paths[:3])
    assert digested == []
    again = pickle.loads(pickle.dumps(of_file))
    again.transform(paths)
    again.transform(paths)
    assert digested == [of_file.weights]
    of_file.fit(paths)
    assert digested == [of_file.weights] * 2


def test_it_goes_on_on_another_machine(fitted, paths, tmp_path, monkeypatch):
    joblib.dump(fitted, tmp_path / "fitted.joblib")
    for name in sorted({path.split("/")[0] for path in paths}):
        shutil.copytree(name, tmp_path / name)
    expected = fitted.transform(paths)
    monkeypatch.chdir(tmp_path)  # neither the features nor the converted base are here
    there = joblib.load("fitted.joblib")
    np.testing.assert_array_equal(there.transform(paths), expected)
    assert len(FeatureCache(tmp_path / "features", frozen_from_dict(there.base_).recipe)) == len(
        paths
    )


def test_on_another_machine_one_sentence_says_what_is_missing(of_file, paths, tmp_path):
    there = pickle.loads(pickle.dumps(of_file))
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match=r"cannot write .*file.*: Not a directory; name another"):
        there.set_params(cache=tmp_path / "file").transform(paths)
    (tmp_path / "mine.weights.h5").unlink()
    with pytest.raises(WeightsError, match=r"there is no weights file .*mine.weights.h5"):
        there.transform(paths)


def test_random_weights_are_those_of_the_random_state(paths):
    settings = {**BASE, "layer": "block1", "engine": "tensorflow"}

    def features(random_state, **more):
        made = FrozenFeatures(**settings, random_state=random_state, **more)
        return made.fit(paths[:2]).transform(paths[:2])

    np.testing.assert_array_equal(features(0), features(np.int64(0)))
    assert not np.array_equal(features(0), features(1))
    with pytest.warns(FutureWarning, match="seed of FrozenFeatures is called random_state"):
        np.testing.assert_array_equal(features(0, seed=1), features(1))
    drawn = FrozenFeatures(**settings, random_state=np.random.RandomState(7))
    first = drawn.fit(paths[:2]).transform(paths[:2])
    np.testing.assert_array_equal(drawn.transform(paths[:2]), first)
    assert not np.array_equal(drawn.fit(paths[:2]).transform(paths[:2]), first)
    with pytest.raises(ValueError, match="'x' cannot be used to seed"):
        features("x")


def test_after_it_is_fitted_its_base_stays(fitted, paths):
    before = fitted.transform(paths)
    np.testing.assert_array_equal(fitted.set_params(layer="block3").transform(paths), before)


def test_fitting_leaves_the_features_in_the_usual_cache(fitted, paths, folder):
    cache = FeatureCache(folder / "features", frozen_from_dict(fitted.base_).recipe)
    assert len(cache) >= len(paths)


# What is no picture


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        (["nowhere.png"], r"as X\[0\], received nowhere.png: No such file"),
        (["data"], r"as X\[0\], received data: Is a directory"),
        ("data", "received str"),
        ([], "at least one picture"),
        (np.empty((0, 8, 8, 3), np.uint8), "at least one picture"),
        (np.zeros((3, 8)), r"received ndarray of shape \(3, 8\) and dtype float64"),
        (np.zeros((3, 8, 8)), r"received X\[0\] of shape \(3, 8, 8\)"),
        (np.zeros((3, 8, 8, 1)), r"received X\[0\] of shape \(8, 8, 1\)"),
        (np.full((3, 8, 8, 3), 300), r"received X\[0\] with values from 300 to 300"),
        (np.full((3, 8, 8, 3), 1.0), "floats up to 1, as if 1 were white"),
        ([1.5, "a"], "received list of 2 float, str"),
        (None, "received NoneType"),
    ],
)
def test_what_is_no_picture(fitted, pictures, told):
    with pytest.raises(InputError, match=told):
        fitted.transform(pictures)
    with pytest.raises(ValueError, match=told):
        clone(fitted).fit(pictures)


def test_pictures_that_cannot_be_decoded_are_named(fitted, paths, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"no picture")
    for _ in range(2):  # the second time it is known
        with pytest.raises(InputError, match=r"1 of 2 cannot, first .*bad.png: .*leave them"):
            fitted.transform([paths[0], str(tmp_path / "bad.png")])
    with pytest.raises(InputError, match=r'received 1 of which none can: 1 × ".*" \(.*bad.png\)'):
        fitted.transform([str(tmp_path / "bad.png")])


# scikit-learn's own checks


def test_it_says_what_it_takes():
    tags = get_tags(FrozenFeatures())
    assert tags.input_tags.one_d_array
    assert tags.input_tags.string
    assert not tags.input_tags.two_d_array
    assert tags.requires_fit


@pytest.mark.filterwarnings("ignore:Can't test estimator FrozenFeatures")
def test_checks_that_need_no_table():
    for estimator, check in estimator_checks_generator(FrozenFeatures()):
        check(estimator)


class OfTables(FrozenFeatures):
    """Draws tables of numbers as pictures: all that scikit-learn's checks have to give.

    What is checked behind that is the transformer itself, its cache and its files.
    """

    def fit(self, X, y=None):
        return super().fit(drawn(validate_data(self, X, dtype=np.float64)), y)

    def transform(self, X):
        check_is_fitted(self)
        return super().transform(drawn(validate_data(self, X, dtype=np.float64, reset=False)))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array, tags.input_tags.two_d_array = False, True
        tags.input_tags.string = False
        return tags


def drawn(table):
    shades = np.rint(255 / (1 + np.exp(-np.clip(table, -50, 50)))).astype(np.uint8)
    return np.repeat(shades[:, None, :, None], 3, axis=3)


@parametrize_with_checks([OfTables(**BASE, layer="block2")])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)

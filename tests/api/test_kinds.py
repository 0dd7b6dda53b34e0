"""What a program has in memory where files are expected: each sentence names a call that works."""

import doctest
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.api import kinds as module
from pipeline.errors import InputError
from tests.api.conftest import BASE, pixels

FUNCTIONS = [
    pipeline.extract_features,
    pipeline.open_features,
    pipeline.train_classifier,
    pipeline.fine_tune,
]
SETTINGS = "FrozenFeatures(image_size=32, layer='block3', cache='cache')"


class MapStyle:
    """As torch's data sets are."""

    def __len__(self):
        return 2

    def __getitem__(self, at):
        return np.zeros((8, 8, 3)), at


def test_examples_run():
    assert doctest.testmod(module).failed == 0


@pytest.fixture
def paths(folder):
    return [f"digits/train/{name}" for name in "012" for name in sorted_names(name)]


def sorted_names(name):
    return [f"{name}/{path.name}" for path in sorted(Path(f"digits/train/{name}").iterdir())]


def told(function, data):
    with pytest.raises(InputError) as caught:
        function(data)
    text = str(caught.value)
    assert len(text) < 400, "no data in it"
    assert text.startswith("expected data as a text or a path, received data=")
    return text


def call_in(text):
    """Return what a sentence says to call, with the settings of these tests."""
    found = re.search(r"((?:\w+\()?pipeline\.FrozenFeatures.*)\.fit(\w*)\(X(?:, y)?\)", text)
    return found[0].replace("FrozenFeatures()", SETTINGS)


def names_of(X, y=None):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    known = {"make_pipeline": make_pipeline, "LogisticRegression": LogisticRegression}
    return {**known, "pipeline": pipeline, "np": np, "X": X, "y": y}


def test_pixels_in_memory(trained, paths):
    labels = [path.split("/")[-2] for path in paths]
    X = np.stack(pixels(paths))
    for data in (X, (X, labels), list(X), X[:, :, :, 0]):
        assert eval(call_in(told(pipeline.extract_features, data)), names_of(X)).shape == (72, 40)
        model = eval(call_in(told(pipeline.train_classifier, data)), names_of(X, labels))
        assert model.score(X, labels) > 0.9
        assert "FOLDER/CLASS/NAME.png, and give FOLDER" in told(pipeline.fine_tune, data)


def test_paths_in_memory(trained, paths):
    labels = [path.split("/")[-2] for path in paths]
    for data in (paths, (paths, labels), np.array(paths), [Path(path) for path in paths]):
        text = told(pipeline.train_classifier, data)
        assert "; write a table of them with the columns path and label, and give its name" in text
        model = eval(call_in(text), names_of(paths, labels))
        assert model.score(paths, labels) > 0.9
        assert told(pipeline.fine_tune, data).endswith("and give its name")
    rows = "\n".join(f"{path},{label}" for path, label in zip(paths, labels, strict=True))
    Path("listed.csv").write_text(f"path,label\n{rows}\n")
    assert pipeline.extract_features("listed.csv", **BASE).computed == 0


def test_pictures_of_pillow(trained, paths):
    pictures = [Image.open(path) for path in paths]
    text = told(pipeline.extract_features, pictures)
    names = names_of(None) | {"pictures": pictures}
    exec(text.rpartition(" with ")[2], names)
    assert eval(call_in(text), names).shape == (72, 40)
    with pytest.raises(InputError, match="received list of 72 PngImageFile; make arrays") as caught:
        pipeline.FrozenFeatures().fit(pictures)
    assert module.AS_ARRAYS in str(caught.value)


def test_features_in_memory(opened):
    from sklearn.linear_model import LogisticRegression

    train = opened.split("train")
    tables = [opened.to_pandas().drop(columns=["label", "split"])]
    for data in (train.X, (train.X, train.y), list(train.X), *tables):
        text = told(pipeline.train_classifier, data)
        assert text.endswith(f"features in memory are for scikit-learn: {module.HEAD_OF}")
    names = names_of(train.X, train.y) | {"LogisticRegression": LogisticRegression}
    assert eval(module.HEAD_OF, names).score(train.X, train.y) > 0.9
    text = told(pipeline.train_classifier, opened)
    assert text.endswith("give its location")
    assert pipeline.extract_features(opened.location, **BASE).computed == 0


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_table_in_memory(trained, paths, function):
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"path": paths, "label": [path.split("/")[-2] for path in paths]})
    text = told(function, table)
    assert "received data=DataFrame of shape (72, 2); write it with " in text
    eval(re.search("data[.]to_csv.*?[)]", text)[0], {"data": table})
    assert pipeline.extract_features("pictures.csv", **BASE).computed == 0


@pytest.mark.parametrize(
    ("method", "expected"),
    [
        ("write_csv", "with data.write_csv('pictures.csv'), in"),
        ("sink_csv", "with data.sink_csv('pictures.csv'), in"),
        ("to_csv", "with data.to_csv('pictures.csv', index=False), in"),
        ("to_pandas", "with data.to_pandas().to_csv('pictures.csv', index=False), in"),
    ],
)
def test_tables_of_other_libraries(method, expected):
    table = type("Table", (), {"columns": ["path", "label"], method: None})()
    assert expected in told(pipeline.train_classifier, table)


def test_series_of_other_libraries(folder):
    series = SimpleNamespace(to_list=lambda: ["a.png", "b.png"])
    assert "write a table of them" in told(pipeline.train_classifier, series)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (None, "received data=None; say where the pictures are"),
        ("", "received data=''; say where the pictures are"),
        (b"digits", "received data=b'digits'; say where the pictures are"),
        (7, "received data=7; say where the pictures are"),
        (MapStyle(), "received data=.*MapStyle.*; save the pictures as FOLDER"),
        ((one for one in "ab"), "received data=<generator .*; save the pictures as FOLDER"),
        ({"cats": ["a.png"] * 30}, "received data=dict; save the pictures as FOLDER"),
        ([], r"received data=\[\]; save the pictures as FOLDER"),
    ],
)
def test_what_else_is_no_place(data, expected):
    for function in FUNCTIONS:
        assert re.search(expected, told(function, data))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ((np.zeros((2, 8, 8, 3), np.uint8), [0, 1]), "tuple of 2 list, ndarray; give the pictures"),
        (Path("digits").glob("*"), r"received \w+; make a list of it with list\(…\)"),
        ({"a.png"}, r"received set; make a list of it"),
        (b"a.png", "received bytes; give a list of paths"),
        (Image.new("RGB", (8, 8)), "received Image; make arrays of them: X = "),
        (type("Table", (), {"columns": ["path"], "shape": (3, 2)})(), r"\(3, 2\); give its column"),
        (["a.png", np.zeros((8, 8, 3))], "received list of 2 ndarray, str; make these of it"),
        (np.zeros((2, 3, 8, 8), np.uint8), r"received X\[0\] of shape \(3, 8, 8\).* colours last"),
    ],
)
def test_what_is_no_picture(trained, given, expected):
    for use in (trained.best.run.predict, pipeline.FrozenFeatures().fit):
        with pytest.raises(InputError, match=expected):
            use(given)


def test_one_path_is_no_list_of_samples():
    with pytest.raises(InputError, match=r"received str; give a list of paths, as glob\('FOLDER"):
        pipeline.FrozenFeatures().fit("digits/train")


def test_settings_that_are_large_are_told_briefly():
    with pytest.raises(InputError, match=r"a text, .* received heads=ndarray of shape \(900,\)"):
        pipeline.train_classifier("digits", heads=np.zeros(900))


def test_tensors_are_arrays(trained):
    import tensorflow as tf

    paths = trained.best.run.paths("digits/test")
    X = np.stack(pixels(paths))
    labels = trained.best.run.predict(paths)
    np.testing.assert_array_equal(trained.best.run.predict(tf.constant(X)), labels)
    np.testing.assert_array_equal(trained.best.run.predict(tf.constant(X[3])), labels[3:4])
    tf_data = tf.data.Dataset.from_tensor_slices(X)
    assert "save the pictures as FOLDER" in told(pipeline.extract_features, tf_data)

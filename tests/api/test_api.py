"""The Python API: its names and signatures, and that it does what the commands do."""

import doctest
import importlib
import inspect
import json
import logging
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.cli import run
from pipeline.config import ClassifyConfig, FeaturesConfig, FinetuneConfig, PredictConfig
from pipeline.errors import DataError, InputError, RunError, UnknownNameError
from pipeline.images import write_digits

NAMES = [
    "FrozenFeatures",
    "extract_features",
    "fine_tune",
    "load_run",
    "open_features",
    "train_classifier",
]
BASE = {"image_size": 32, "layers": "block3", "cache": "cache"}
FLAGS = ["--image-size", "32", "--layers", "block3", "--cache", "cache"]
# In the order in which each finds what the one before it left.
EXAMPLES = [
    *("extract_features", "open_features", "train_classifier", "load_run", "fine_tune"),
    "FrozenFeatures",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three of the digits, few of each, and what the examples make of them."""
    root = tmp_path_factory.mktemp("api")
    write_digits(root / "all")
    for split, count in (("train", 24), ("test", 8)):
        for name in "012":
            (root / "digits" / split / name).mkdir(parents=True)
            for path in sorted((root / "all" / split / name).iterdir())[:count]:
                shutil.copy(path, root / "digits" / split / name)
    shutil.rmtree(root / "all")
    before = os.getcwd()
    os.chdir(root)
    yield root
    os.chdir(before)


@pytest.fixture(scope="module")
def trained(folder):
    return pipeline.train_classifier("digits", heads=["logistic", "knn"], folds=3, **BASE)


@pytest.fixture
def opened(trained):
    return pipeline.open_features("digits", **BASE)


def answer(capsys, *arguments):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def pixels(paths):
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


# Names and signatures


def test_these_are_the_names():
    assert pipeline.__all__ == NAMES
    assert set(NAMES) <= set(dir(pipeline))
    for name in NAMES:
        assert getattr(pipeline, name).__name__ == name
    with pytest.raises(AttributeError, match="no attribute 'classify_all'"):
        _ = pipeline.classify_all


def fields(kind, *left_out):
    return [name for name in inspect.signature(kind).parameters if name not in left_out]


@pytest.mark.parametrize(
    ("name", "positional", "keywords"),
    [
        ("extract_features", ["data"], ["progress", *fields(FeaturesConfig)]),
        ("open_features", ["data"], fields(FeaturesConfig)),
        ("train_classifier", ["data"], ["progress", *fields(ClassifyConfig)]),
        ("fine_tune", ["data"], ["from_run", "progress", *fields(FinetuneConfig, "source")]),
        ("load_run", ["run"], ["runs", "cache", "batch_size", "trust"]),
        (
            "FrozenFeatures",
            ["backbone"],
            [
                *("layer", "pooling", "weights", "image_size", "resize", "interpolation", "jpeg"),
                *("precision", "engine", "dtype", "batch_size", "seed", "cache"),
            ],
        ),
    ],
)
def test_signatures(name, positional, keywords):
    parameters = inspect.signature(getattr(pipeline, name)).parameters
    assert list(parameters) == [*positional, *keywords]
    assert all(parameters[key].kind is inspect.Parameter.KEYWORD_ONLY for key in keywords)


def test_defaults_are_those_of_the_configs():
    parameters = inspect.signature(pipeline.train_classifier).parameters
    config = ClassifyConfig()
    for name in fields(ClassifyConfig):
        assert parameters[name].default == getattr(config, name)
    for name, parameter in inspect.signature(pipeline.load_run).parameters.items():
        if name != "run":
            assert parameter.default == getattr(PredictConfig(), name)
    for name, value in pipeline.FrozenFeatures().get_params().items():
        expected = None if name == "cache" else getattr(config, {"layer": "layers"}.get(name, name))
        assert value == expected


def test_every_public_function_says_what_it_takes_and_gives():
    for name in NAMES:
        text = inspect.getdoc(getattr(pipeline, name))
        assert "Args:" in text
        assert "Example:" in text


@pytest.mark.parametrize(
    ("statement", "heavy"),
    [
        ("import pipeline; dir(pipeline)", {"numpy", "sklearn", "tensorflow", "cyclopts", "PIL"}),
        ("import pipeline; pipeline.load_run", {"tensorflow", "keras", "sklearn", "pandas"}),
        ("from pipeline import train_classifier, open_features", {"tensorflow", "keras", "pandas"}),
        ("from pipeline import FrozenFeatures as F; F()", {"tensorflow", "keras"}),
    ],
)
def test_importing_is_cheap(statement, heavy):
    script = f"{statement}\nimport sys; print({heavy!r} & set(sys.modules))"
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.strip() == "set()", process.stderr


# Examples


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_run(folder, name):
    function = getattr(pipeline, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    assert test.examples
    output = []
    result = doctest.DocTestRunner(verbose=False).run(test, out=output.append)
    assert result.failed == 0, "".join(output)


@pytest.mark.parametrize("module", ["columns"])
def test_small_examples_run(module):
    assert doctest.testmod(importlib.import_module(f"pipeline.api.{module}")).failed == 0


# Settings


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"bakbone": "VGG16"}, "unknown setting of extract_features 'bakbone'; nearest: backbone"),
        ({"image_size": "32"}, "expected image_size as a whole number or None, received .*='32'"),
        ({"strict": 1}, "expected strict as True or False, received strict=1"),
        ({"backbone": None}, "expected backbone as a text, received backbone=None"),
        ({"cache": 3}, "expected cache as a path, received cache=3"),
        ({"batch_size": True}, "expected batch_size as a whole number, received batch_size=True"),
        ({"batch_size": 0}, "expected batch_size at least 1, received batch_size=0"),
        ({"progress": 3}, "expected progress as True, None or a function"),
        ({"backbone": "VGG17"}, "unknown backbone 'VGG17'; nearest: VGG1"),
    ],
)
def test_settings_that_cannot_be_used(folder, settings, told):
    with pytest.raises(InputError, match=told):
        pipeline.extract_features("digits", **{**BASE, **settings})


def test_numpy_numbers_lists_and_paths_are_settings(trained, folder):
    settings = {"image_size": np.int64(32), "layers": ["block3"], "cache": folder / "cache"}
    assert pipeline.extract_features(folder / "digits", **settings).computed == 0


# Stage 1


def test_features_are_those_of_the_command(trained, capsys):
    value = answer(capsys, "features", "digits", *FLAGS)
    done = pipeline.extract_features("digits", **BASE)
    assert (value["computed"], done.computed, done.images) == (0, 0, 96)
    assert done.recipe == value["recipe"]


def test_opened_features_are_the_exported_ones(opened, capsys):
    answer(capsys, "export-features", "digits", "--out", "out.npz", "--overwrite", *FLAGS)
    with np.load("out.npz") as file:
        np.testing.assert_array_equal(opened.X, file["X/block3"])
        np.testing.assert_array_equal(opened.y, file["y"])
        assert list(opened.paths) == file["path"].tolist() == sorted(opened.paths)
        np.testing.assert_array_equal(opened.splits, file["split"])
        assert opened.classes == tuple(file["classes"].tolist())
    assert opened.X.dtype == np.float32
    assert opened.shapes == {"block3": (opened.X.shape[1],)}
    assert opened.left_out == ()
    assert "96 pictures of 3 classes, train 72, test 24; 40 features of block3" in repr(opened)


def test_features_are_read_when_they_are_asked_for(opened):
    assert "X" not in vars(opened)
    assert opened.X is opened.X


def test_splits_are_parts_in_the_same_order(opened):
    train, test = opened.split("train"), opened.split("test")
    assert [path.split("/")[0] for path in train.paths] == ["train"] * 72
    np.testing.assert_array_equal(train.X, opened.X[opened.splits == "train"])
    np.testing.assert_array_equal(test.y, opened.y[opened.splits == "test"])
    with pytest.raises(InputError, match=r"split 'validation' .* received only test, train"):
        opened.split("validation")
    with pytest.raises(UnknownNameError, match="unknown split 'tests'; nearest: test"):
        opened.split("tests")


def test_blocks_come_in_row_order(opened):
    blocks = list(opened.blocks(40))
    assert [len(y) for _, y in blocks] == [40, 40, 16]
    np.testing.assert_array_equal(np.concatenate([X for X, _ in blocks]), opened.X)
    np.testing.assert_array_equal(np.concatenate([y for _, y in blocks]), opened.y)
    assert "X" in vars(opened)
    with pytest.raises(InputError, match="at least 1 row in a block, received n_rows=0"):
        opened.blocks(0)


def test_blocks_hold_nothing_else(opened):
    next(opened.blocks(8))
    assert "X" not in vars(opened)


def test_byte_identical_pictures_are_one_group(trained, folder):
    shutil.copytree("digits", "twins", dirs_exist_ok=True)
    shutil.copy("twins/train/0/" + sorted(os.listdir("twins/train/0"))[0], "twins/train/0/z.png")
    features = pipeline.open_features("twins", **BASE)
    first = features.paths.index("train/0/z.png")
    twin = next(i for i in np.flatnonzero(features.groups == features.groups[first]) if i != first)
    np.testing.assert_array_equal(features.X[first], features.X[twin])
    assert len(set(features.groups.tolist())) == len(features) - 1


def test_missing_features_are_counted(trained, folder):
    shutil.copytree("digits", "more", dirs_exist_ok=True)
    Image.new("RGB", (9, 9), (1, 2, 3)).save("more/train/0/new.png")
    with pytest.raises(InputError, match=r"all 97 pictures .* 1 are missing; call"):
        pipeline.open_features("more", **BASE)
    with pytest.raises(InputError, match=r"all 96 pictures .* 96 are missing"):
        pipeline.open_features("digits", **{**BASE, "layers": "top"})
    with pytest.raises(InputError, match=r"all 72 views .* 72 are missing"):
        pipeline.open_features("digits", **BASE, views=1)


def test_pictures_that_cannot_be_decoded_are_left_out(trained, folder):
    shutil.copytree("digits", "broken", dirs_exist_ok=True)
    (folder / "broken/train/0/broken.png").write_bytes(b"no picture")
    assert len(pipeline.extract_features("broken", **BASE).failed) == 1
    features = pipeline.open_features("broken", **BASE)
    assert (len(features), len(features.X)) == (96, 96)
    ((path, reason),) = features.left_out
    assert path == "train/0/broken.png"
    assert reason
    with pytest.raises(DataError, match=r"strict=True\), 1 have none, first train/0/broken.png"):
        pipeline.open_features("broken", **BASE, strict=True)


def test_layers_and_views(trained, folder):
    settings = {**BASE, "layers": ["block2", "block3"], "pooling": "avg", "views": 1}
    assert pipeline.extract_features("digits", **settings).computed_views == 72
    features = pipeline.open_features("digits", **settings)
    assert features.layers == ("block2", "block3")
    parts = [features.layer(name).X for name in features.layers]
    np.testing.assert_array_equal(features.X, np.concatenate(parts, axis=1))
    assert features.feature_names()[0] == "block2_0"
    assert features.feature_names()[-1] == "block3_39"
    train = features.split("train")
    assert train.view(1).shape == train.X.shape
    assert not np.array_equal(train.view(1), train.X)
    np.testing.assert_array_equal(train.view(0), train.X)
    with pytest.raises(InputError, match="view 1 of all 96 pictures, 24 have none"):
        features.view(1)
    with pytest.raises(InputError, match="number of a view from 0 to 1, received 2"):
        train.view(2)
    with pytest.raises(UnknownNameError, match="unknown layer 'block4'; nearest: block"):
        features.layer("block4")


def test_a_table_for_pandas(opened):
    pytest.importorskip("pandas")
    table = opened.to_pandas()
    assert list(table.columns) == ["label", "split", *opened.feature_names()]
    assert list(table.index) == list(opened.paths)
    assert table["label"].tolist() == [opened.classes[label] for label in opened.y]
    np.testing.assert_array_equal(table.drop(columns=["label", "split"]).to_numpy(), opened.X)


def test_without_pandas_the_sentence_says_so(opened, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match=r"expected pandas .* run: pip install pandas"):
        opened.to_pandas()


def test_batches_for_tensorflow(opened):
    batches = list(opened.to_tf_data(batch_size=40).as_numpy_iterator())
    assert [len(y) for _, y in batches] == [40, 40, 16]
    np.testing.assert_array_equal(np.concatenate([X for X, _ in batches]), opened.X)
    with pytest.raises(InputError, match="at least 1 row a batch, received batch_size=0"):
        opened.to_tf_data(0)


def test_shuffled_batches_hold_every_row_once(opened):
    def order(batches):
        X = np.concatenate([X for X, _ in batches])
        y = np.concatenate([y for _, y in batches])
        places = [int(np.flatnonzero((row == opened.X).all(axis=1))[0]) for row in X]
        np.testing.assert_array_equal(opened.y[places], y)
        return places

    data = opened.to_tf_data(batch_size=40, shuffle=True, seed=1)
    assert int(data.cardinality()) == 3
    passes = [order(list(data.as_numpy_iterator())) for _ in range(2)]
    assert sorted(passes[0]) == sorted(passes[1]) == list(range(96))
    assert passes[0] != passes[1]
    assert passes[0] != list(range(96))
    again = opened.to_tf_data(batch_size=40, shuffle=True, seed=1)
    assert order(list(again.as_numpy_iterator())) == passes[0]


# Stage 2, runs


def test_results_are_those_of_the_command(trained, capsys):
    value = answer(capsys, "classify", "digits", "--heads", "logistic,knn", "--folds", "3", *FLAGS)
    assert trained.best.run.name == value["best"]
    for result, told in zip(trained.results, value["results"], strict=True):
        assert told["reused"]
        assert not result.reused
        assert (result.run.name, result.head) == (told["run"], told["head"])
        assert result.cv_accuracy == result.selection_accuracy == told["cv_accuracy"]
        assert result.test_accuracy == told["test"]["accuracy"]
        assert list(result.test_interval) == told["test"]["ci95"]
    assert trained.features.images == 96


def test_a_run_labels_as_it_was_judged(trained, folder):
    result = trained.results[1]
    loaded = pipeline.load_run(result.run.name[:-3], cache="cache")
    assert loaded.path.resolve() == result.run.path.resolve()
    paths = loaded.paths("digits/test")
    labels = loaded.predict("digits/test")
    rights = [path.split("/")[-2] == label for path, label in zip(paths, labels, strict=True)]
    assert np.mean(rights) == result.test_accuracy
    probabilities = loaded.predict_proba(folder / "digits" / "test")
    assert probabilities.shape == (24, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(np.array(loaded.classes)[probabilities.argmax(1)], labels)
    assert loaded.info["head"].startswith("knn")
    assert loaded.metrics["test"]["split"] == "test"


def test_arrays_are_judged_as_the_files_they_came_from(trained):
    loaded = trained.best.run
    paths = loaded.paths("digits/test")[::-1]
    from_files = loaded.predict_proba(paths)
    arrays = pixels(paths)
    np.testing.assert_array_equal(loaded.predict_proba(np.stack(arrays)), from_files)
    np.testing.assert_array_equal(loaded.predict_proba(arrays), from_files)
    np.testing.assert_array_equal(loaded.predict_proba(np.stack(arrays) * 1.0), from_files)
    np.testing.assert_array_equal(loaded.predict_proba(arrays[3]), loaded.predict_proba(paths[3]))
    np.testing.assert_array_equal(loaded.predict(np.array(paths[:2])), loaded.predict(paths)[:2])


def test_arrays_of_any_sizes_are_resized_as_files_are(trained, tmp_path):
    rng, paths = np.random.default_rng(0), []
    for i, shape in enumerate([(40, 61, 3), (7, 33, 3), (1, 5, 3)]):
        paths.append(tmp_path / f"{i}.png")
        Image.fromarray(rng.integers(0, 256, shape, np.uint8)).save(paths[-1])
    loaded = trained.best.run
    np.testing.assert_array_equal(loaded.predict_proba(pixels(paths)), loaded.predict_proba(paths))


def test_unreadable_pictures_are_told_or_left_blank(trained, tmp_path):
    good = trained.best.run.paths("digits/test")[0]
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"1 of 2 are not, first .*bad.png: .* strict=False"):
        trained.best.run.predict([tmp_path / "bad.png", good])
    labels = trained.best.run.predict([tmp_path / "bad.png", good], strict=False)
    assert labels[0] is None
    assert labels[1] in trained.best.run.classes
    assert np.isnan(trained.best.run.predict_proba([tmp_path / "bad.png"], strict=False)).all()


def test_a_run_with_a_threshold_does_not_always_know(trained):
    careful = pipeline.train_classifier(
        "digits", heads="logistic(C=0.001)", folds=3, max_error=0.001, **BASE
    ).best.run
    labels, probabilities = careful.predict("digits/test"), careful.predict_proba("digits/test")
    unsure = np.array([label is None for label in labels])
    np.testing.assert_array_equal(unsure, probabilities.max(axis=1) < careful.threshold)
    assert unsure.any()


@pytest.mark.parametrize(
    ("pictures", "told"),
    [
        ("nowhere.png", "received nowhere.png, which is not there"),
        (np.zeros((4, 4), np.uint8), r"received ndarray of shape \(4, 4\) and dtype uint8"),
        (np.zeros((4, 4, 1), np.uint8), r"received X\[0\] of shape \(4, 4, 1\)"),
        (np.full((4, 4, 3), -1.0), "from 0 to 255, received .* from -1.0 to -1.0"),
        (np.full((4, 4, 3), np.nan), "received .* with values from nan to nan"),
        (np.full((4, 4, 3), 0.5), "floats up to 0.5, as if 1 were white"),
        (np.zeros((4, 4, 3), complex), "of dtype complex128"),
        ([1, 2], "received list of int"),
        ([], "at least one picture"),
        (7, "received int"),
    ],
)
def test_what_is_no_picture(trained, pictures, told):
    with pytest.raises(InputError, match=told):
        trained.best.run.predict(pictures)


def test_a_run_that_is_not_there(trained):
    with pytest.raises(RunError, match="received 'nothing': there is none"):
        pipeline.load_run("nothing")
    with pytest.raises(InputError, match="expected batch_size at least 1"):
        pipeline.load_run("best", batch_size=0)


def test_a_kept_base_labels_without_tensorflow(trained, folder):
    name = trained.results[0].run.name
    trained.results[0].run.predict("digits/test")
    script = f"""
import sys, pipeline
run = pipeline.load_run({name!r}, cache="cache")
assert len(run.predict("digits/test")) == 24
print({{"tensorflow", "keras", "sklearn", "cyclopts.app"}} & set(sys.modules))
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout == "set()\n"
    assert process.stderr == ""


# Stage 3


def test_fine_tuning_goes_on_from_a_run(trained, capsys):
    told = []
    settings = {"mode": "frozen", "epochs": 1, "cache": "cache"}
    source = trained.results[0].run
    tuned = pipeline.fine_tune(
        "digits", from_run=source, progress=lambda *step: told.append(step), **settings
    )
    assert tuned.from_run == source.name
    assert [epoch["epoch"] for epoch in tuned.epochs] == [0, 1]
    assert tuned.initial["head_accuracy"] == tuned.initial["validation_accuracy"]
    assert {what for _, _, what in told} == {"index", "epoch 1"}
    assert (told[-1][0], told[-1][2]) == (told[-1][1], "epoch 1")
    assert not tuned.reused
    assert pipeline.fine_tune("digits", from_run=source.name, **settings).reused
    flags = ["--mode", "frozen", "--epochs", "1", "--cache", "cache"]
    assert answer(capsys, "finetune", "digits", "--from", source.name, *flags)["run"] == (
        tuned.run.name
    )
    assert set(tuned.run.predict("digits/test")) <= set("012")


# Progress and logging


def test_a_function_is_told_of_every_part(folder):
    told = []
    pipeline.train_classifier(
        "digits", heads="lda", folds=2, progress=lambda *news: told.append(news), **BASE
    )
    assert {"index", "classify"} <= {what for _, _, what in told}
    assert told[-1] == (1, 1, "classify")


def test_nothing_is_printed_unless_it_is_asked_for(trained, folder):
    script = """
import logging, pipeline
base = {"image_size": 32, "layers": "block3", "cache": "cache"}
pipeline.extract_features("digits", **base)
pipeline.train_classifier("digits", heads="logistic,knn", folds=3, **base)
assert logging.getLogger("pipeline").handlers == []
assert logging.getLogger("pipeline").level == 0
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert (process.stdout, process.stderr) == ("", "")


def test_progress_of_the_command_line_is_shown_on_stderr(trained, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.api.progress.PLAIN_LINE_SECONDS", 0.0)
    handlers = list(logging.getLogger("pipeline").handlers)
    pipeline.extract_features("digits", progress=True, **BASE)
    out, err = capsys.readouterr()
    assert out == ""
    assert "index: 96/96 files" in err
    assert logging.getLogger("pipeline").handlers == handlers

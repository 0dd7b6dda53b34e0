"""A run labels paths, folders and arrays as it was judged."""

import os
import pickle
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.errors import DataError, InputError, RunError
from pipeline.system.startup import import_tensorflow
from tests.api.conftest import BASE, answer, pixels, snapshot


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
    assert loaded.head == loaded.info["head"] == result.head
    assert loaded.layers == tuple(loaded.info["layers"]) == result.layers
    assert loaded.selection_accuracy == loaded.metrics["selection"]["accuracy"]
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
        ([1, 2], "received list of 2 int"),
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
    with pytest.raises(InputError, match="expected batch_size from 1 to 65536"):
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


def test_loading_changes_nothing_and_opens_no_base(trained, folder):
    before = snapshot(folder)
    script = """
import sys, pipeline
run = pipeline.load_run("best", cache="nowhere")
assert run.test_accuracy and run.test_interval and run.info and run.metrics and run.classes
assert run.threshold is None and len(run.paths("digits/test")) == 24
print(run.name, {"tensorflow", "keras", "openvino", "sklearn"} & set(sys.modules))
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout == f"{pipeline.load_run('best').name} set()\n"
    assert snapshot(folder) == before


def test_views_are_averaged_as_the_command_averages_them(trained, folder, capsys):
    viewed = pipeline.train_classifier(
        "digits", heads="logistic(C=0.001)", folds=3, test_views=2, max_error=0.3, **BASE
    ).best.run
    value = answer(capsys, "predict", viewed.name, "digits/test", "--cache", "cache", "--top", "3")
    told = [dict(one["top"]) for one in value["predictions"]]
    paths = [one["path"] for one in value["predictions"]]
    expected = np.array([[one[name] for name in viewed.classes] for one in told])
    assert viewed.paths("digits/test") == paths
    np.testing.assert_array_equal(viewed.predict_proba("digits/test"), expected)
    labels = [one["label"] for one in value["predictions"]]
    assert viewed.predict("digits/test").tolist() == labels
    assert viewed.threshold is not None


def in_a_fork(function):
    """Return what a function returns in a process that is forked from this one."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # forking is what is tried here
        child = os.fork()
    if not child:
        signal.alarm(60)  # what waits for threads that are not there is ended
        try:
            os.write(writer, pickle.dumps(function()))
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        answered = file.read()
    assert os.waitpid(child, 0)[1] == 0
    return pickle.loads(answered)


BOOSTING = "sklearn.ensemble:HistGradientBoostingClassifier(max_iter=3)"


@pytest.mark.parametrize("head", ["logistic", "knn", BOOSTING], ids=["logistic", "knn", "boosting"])
def test_a_run_travels_and_forks_before_and_after_it_labelled(trained, head):
    """Of a base that is open, of threads, and of OpenMP's, nothing is in the other process."""
    name = pipeline.train_classifier("digits", heads=head, folds=3, repeats=1, **BASE).best.run.name
    fresh = pipeline.load_run(name, cache="cache")
    assert in_a_fork(lambda: fresh.predict("digits/test").tolist()) is not None
    sent = pickle.dumps(fresh)
    expected = fresh.predict("digits/test").tolist()
    assert len(pickle.dumps(fresh)) == len(sent)
    for bundle in (sent, pickle.dumps(fresh)):
        arrived = pickle.loads(bundle)
        assert (arrived.name, arrived.classes) == (name, fresh.classes)
        assert arrived.predict("digits/test").tolist() == expected

    def used_and_dropped():
        labels = fresh.predict("digits/test").tolist()
        vars(fresh).clear()  # and with it what was open before
        return labels

    assert in_a_fork(used_and_dropped) == expected
    assert fresh.predict("digits/test").tolist() == expected


def test_a_forked_worker_trains_after_this_process_did(trained):
    def train(n_iterations):
        head = BOOSTING.replace("3", str(n_iterations))
        done = pipeline.train_classifier("digits", heads=head, folds=2, repeats=1, **BASE)
        return done.best.test_accuracy

    train(1)
    assert in_a_fork(lambda: train(2)) == train(2)


def test_results_travel(trained, opened):
    arrived = pickle.loads(pickle.dumps((trained, opened, trained.features)))
    assert arrived[0].best.run.predict("digits/test").tolist() == (
        trained.best.run.predict("digits/test").tolist()
    )
    np.testing.assert_array_equal(arrived[1].X, opened.X)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(opened)).X, opened.X)
    assert arrived[2] == trained.features


def test_tensorflow_is_refused_where_it_would_wait_for_ever(trained):
    import keras

    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])

    def refused():
        try:
            import_tensorflow()
        except InputError as error:
            return str(error)

    assert "received one that was forked from a process that had used it" in in_a_fork(refused)
    import_tensorflow()

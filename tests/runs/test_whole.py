"""A whole model is built once its weights are known to be there: what describes it is anybody's."""

import json
import zipfile

import numpy as np
import pytest

from pipeline.errors import RunError
from pipeline.runs.payload import MOST_CONFIG, read_whole


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    import keras

    pictures = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(pictures)
    x = keras.layers.Dropout(0.1)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(pictures, keras.layers.Dense(2, name="head")(x))
    path = tmp_path_factory.mktemp("whole") / "model.keras"
    model.save(path)
    return model, path


def altered(path, out, change):
    """Write a model again with its described layers changed; everything else is as it was."""
    with zipfile.ZipFile(path) as file, zipfile.ZipFile(out, "w") as written:
        for name in file.namelist():
            content = file.read(name)
            if name == "config.json":
                content = json.dumps(change(json.loads(content))).encode()
            written.writestr(name, content)
    return out


def of_layers(kind, **values):
    def change(config):
        for layer in config["config"]["layers"]:
            if layer["class_name"] == kind:
                layer["config"].update(values)
            layer.pop("build_config", None)
        return config

    return change


def test_what_was_saved_comes_back(saved):
    model, path = saved
    read = read_whole(path, 8, 2)
    pictures = np.ones((1, 8, 8, 3), np.float32)
    np.testing.assert_array_equal(read(pictures), model(pictures))


@pytest.mark.parametrize(
    "change",
    [
        of_layers("Dense", units=10**10),
        of_layers("Conv2D", filters=10**9),
        of_layers("Conv2D", kernel_size=[7, 5], filters=2 * 10**6),
    ],
)
def test_layers_larger_than_their_weights_are_not_built(saved, tmp_path, change):
    path = altered(saved[1], tmp_path / "giant.keras", change)
    with pytest.raises(RunError, match=r"layers with [\d,]{9,} bytes of weights, of which it hold"):
        read_whole(path, 8, 2)
    test_what_was_saved_comes_back(saved)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda config: [config], "expected an object as the whole"),
        (lambda config: {"class_name": "Dense", "module": "keras.layers"}, "Error"),
        (lambda config: {**config, "more": "x" * MOST_CONFIG}, "of more than 4,194,304 bytes"),
        (of_layers("Dense", units=-1), "Error"),
    ],
)
def test_what_describes_no_model_is_told(saved, tmp_path, change, words):
    path = altered(saved[1], tmp_path / "other.keras", change)
    with pytest.raises(
        RunError, match=rf"expected a model of 2 classes in .*other.keras, .*{words}"
    ):
        read_whole(path, 8, 2)

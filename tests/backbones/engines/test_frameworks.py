"""The engines on JAX and PyTorch, each in a process of its own in which there is no TensorFlow."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.backbones.engines import open_engine
from pipeline.errors import InputError
from pipeline.features.base import frozen_base
from tests.backbones.engines.trial import LAYERS, SIZES, base_settings, batches, small_model

ROOT = Path(__file__).resolve().parents[3]


KEEP_ALL = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
"""A quick machine compiles small networks in less than the second from which JAX keeps them."""


@pytest.fixture(scope="module", params=["jax", "torch"])
def framework(request):
    if importlib.util.find_spec(request.param) is None:
        pytest.skip(f"{request.param} is not installed")
    return request.param


@pytest.fixture(scope="module")
def trial(framework, tmp_path_factory):
    """What `trial` wrote of a framework: arrays, and ``described``."""
    folder = tmp_path_factory.mktemp(framework)
    given = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
    process = subprocess.run(
        [sys.executable, "-m", "tests.backbones.engines.trial", framework, folder / "out.npz"],
        env=given | {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": str(ROOT)} | KEEP_ALL,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    with np.load(folder / "out.npz") as file:
        found = dict(file)
    return found, json.loads(str(found.pop("described"))), folder


def test_outputs_are_keras_own_whatever_the_batches(trial):
    found, model = trial[0], small_model()
    for at, images in enumerate(batches(16, *SIZES)):
        assert len(found[f"vector_{at}"]) == len(found[f"maps_{at}"]) == SIZES[at]
        if len(images):
            vector, maps = (part.numpy() for part in model(images.astype("float32")))
            np.testing.assert_allclose(found[f"vector_{at}"], vector, rtol=1e-5)
            np.testing.assert_allclose(found[f"maps_{at}"], maps, rtol=1e-5, atol=1e-5)


def test_batch_is_halved_until_it_fits_and_no_picture_is_lost(trial):
    found, described, _ = trial
    assert described["halved"] == 4
    assert "out of device memory: going on with batches of 4" in described["told"]
    for at, images in enumerate(batches(16, 16, 16, 7)):
        vector = small_model()(images.astype("float32"))[0].numpy()
        np.testing.assert_allclose(found[f"halved_{at}"], vector, rtol=1e-5)


def test_engine_says_what_it_is_and_does_without_tensorflow(trial, framework):
    described = trial[1]
    assert described["name"] == framework
    assert described["shapes"] == [[4], [8, 8, 4]]
    assert framework in described["imported"]
    assert "tensorflow" not in described["imported"]
    assert described["told"][0].startswith(f"engine: {framework} ")
    assert described["told"][0].endswith(" on the processor (asked for)")


def test_faults_of_the_device_are_one_sentence(trial, framework):
    described = trial[1]
    assert described["one"].startswith("expected memory for at least one picture at a time")
    assert described["gone"].startswith(f"expected the processor to compute, {framework} fails: ")
    assert described["full"].startswith(f"expected the processor to hold small, {framework} fails:")
    faults = ("one", "gone", "full")
    assert all(described[fault].endswith("--engine openvino") for fault in faults)


def test_memory_that_libraries_lack_is_understood(trial):
    assert trial[1]["libraries"] == [True, True, True, False]


def test_pictures_come_as_bytes(trial):
    assert trial[1]["pinned"] == "uint8"


@pytest.mark.parametrize("precision", LAYERS)
def test_features_agree_with_tensorflow(trial, framework, precision, tmp_path):
    base = frozen_base(base_settings("tensorflow", precision))
    engine = open_engine(base, "tensorflow", precision, 4, tmp_path)
    (outputs,) = engine.run(batches(32, 6))
    limit = 1e-5 if precision == "float32" else 0.05
    for name, expected in zip(base.outputs, outputs, strict=True):
        found = trial[0][f"{precision}/{name}"]
        assert found.dtype == np.float32
        assert np.abs(found - expected).max() < limit * np.abs(expected).max(), name
        if precision != "float32":
            assert not np.array_equal(found, trial[0][f"float32/{name}"])


def test_what_jax_compiled_is_kept_in_the_users_own_folder(trial, framework):
    folder = trial[2]
    assert bool(list(folder.glob("bottleneck-pipeline/jax/*"))) == (framework == "jax")


def test_process_whose_keras_runs_on_another_is_one_sentence(framework, tmp_path):
    assert keras.config.backend() == "tensorflow"
    base = frozen_base(base_settings(framework, "float32"))
    with pytest.raises(InputError, match=f"expected Keras on {framework}, received a process that"):
        open_engine(base, framework, "float32", 4, tmp_path)

"""The CPU engine, the gate that its models pass, and the models that are kept."""

import hashlib
import json
import subprocess
import sys

import keras
import numpy as np
import openvino
import pytest

import pipeline.backbones.engines as engines
from pipeline.backbones.engines import GivenNetwork, choice, kept, open_engine
from pipeline.backbones.engines.choice import may_have_gpu
from pipeline.backbones.engines.network import PROCESSOR, Device
from pipeline.config import FeaturesConfig
from pipeline.errors import InputError, StoreError
from pipeline.features.base import frozen_base
from pipeline.system.files import TEMPORARY_PREFIX

SIZE = 16


def small_model():
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    maps = keras.layers.Conv2D(4, 3, activation="relu")(images / 255.0)
    return keras.Model(images, [keras.layers.GlobalAveragePooling2D()(maps), maps])


def network(build=small_model, outputs=("vector", "maps")):
    return GivenNetwork("small", {"kind": "test"}, outputs, build)


def pictures(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size, SIZE, SIZE, 3), np.uint8) for size in sizes]


def never():
    raise AssertionError("a kept model needs no building")


@pytest.fixture
def models(tmp_path):
    return tmp_path / "models"


def opened(models, **changes):
    return open_engine(network(**changes), "openvino", "float32", 8, models)


def test_outputs_are_keras_own_whatever_the_batches(models):
    given = pictures(8, 3, 0, 20, 1)
    outputs = list(opened(models).run(iter(given)))
    assert [len(vector) for vector, _ in outputs] == [8, 3, 0, 20, 1]
    model = small_model()
    for images, (vector, maps) in zip(given, outputs, strict=True):
        if len(images):
            expected = model(images.astype("float32"))
            np.testing.assert_allclose(vector, expected[0], atol=1e-6)
            np.testing.assert_allclose(maps, expected[1], atol=1e-6)


def test_features_do_not_depend_on_the_batch_bit_for_bit(tmp_path):
    base = frozen_base(FeaturesConfig(image_size=96, layers="block3,top"))
    images = np.random.default_rng(1).integers(0, 256, (33, 96, 96, 3), np.uint8)
    found = []
    for batch_size in (1, 8, 33):
        engine = open_engine(base, "openvino", "float32", batch_size, tmp_path)
        assert engine.name == "openvino"
        starts = range(0, len(images), batch_size)
        parts = engine.run(images[start : start + batch_size] for start in starts)
        found.append([np.concatenate(column) for column in zip(*parts, strict=True)])
    for outputs in found[1:]:
        for one, other in zip(found[0], outputs, strict=True):
            np.testing.assert_array_equal(one, other)


def test_shapes_of_features_are_known_before_any_picture(models):
    assert opened(models).output_shapes == ((4,), (14, 14, 4))


def test_closing_half_way_waits_for_what_is_on_its_way(models):
    engine = opened(models)
    running = engine.run(iter(pictures(8, 8, 8, 8, 8, 8)))
    next(running)
    running.close()
    assert len(next(engine.run(iter(pictures(5))))[0]) == 5


def test_kept_model_is_not_built_again(models):
    first = next(opened(models).run(iter(pictures(5))))
    again = next(opened(models, build=never).run(iter(pictures(5))))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert not list(models.glob(f"{TEMPORARY_PREFIX}*"))


def test_kept_model_serves_some_of_its_outputs_in_any_order(models):
    vector, maps = next(opened(models).run(iter(pictures(5))))
    swapped = opened(models, build=never, outputs=("maps", "vector"))
    found_maps, found_vector = next(swapped.run(iter(pictures(5))))
    np.testing.assert_array_equal(found_maps, maps)
    np.testing.assert_array_equal(found_vector, vector)
    (alone,) = next(opened(models, build=never, outputs=("vector",)).run(iter(pictures(5))))
    np.testing.assert_array_equal(alone, vector)


@pytest.mark.parametrize("name", ["model.xml", "model.bin"])
def test_altered_model_is_set_aside_and_converted_again(models, caplog, name):
    expected = next(opened(models).run(iter(pictures(5))))
    (folder,) = models.iterdir()
    data = bytearray((folder / name).read_bytes())
    data[len(data) // 2] ^= 1
    (folder / name).write_bytes(data)
    found = next(opened(models).run(iter(pictures(5))))
    assert f"{name} was altered or lost" in caplog.text
    assert len(list(models.glob("damaged-*"))) == 1
    for one, other in zip(expected, found, strict=True):
        np.testing.assert_array_equal(one, other)


def test_unreadable_description_is_set_aside(models, caplog):
    opened(models)
    (path,) = models.glob("*/model.json")
    path.write_text("{")
    opened(models)
    assert "the converted model is damaged: model.json" in caplog.text


def test_model_of_another_identity_is_never_used(models):
    opened(models)
    other = GivenNetwork("small", {"kind": "other"}, ("vector", "maps"), never)
    with pytest.raises(AssertionError, match="needs no building"):
        open_engine(other, "openvino", "float32", 8, models)


def test_difference_beyond_the_gate_falls_back_visibly(models, caplog, monkeypatch):
    monkeypatch.setattr(engines, "PARITY_LIMIT", -1.0)
    assert opened(models).name == "tensorflow"
    assert "OpenVINO is not used: it differs from TensorFlow by" in caplog.text
    (path,) = models.glob("*/model.json")
    assert json.loads(path.read_text())["files"] == {}
    assert not (path.parent / "model.bin").exists()
    caplog.clear()
    assert opened(models).name == "tensorflow"  # remembered: not converted again
    assert "OpenVINO is not used" in caplog.text


def test_what_another_version_found_does_not_count(models, monkeypatch, caplog):
    with monkeypatch.context() as patched:
        patched.setattr(engines, "PARITY_LIMIT", -1.0)
        opened(models)
    (path,) = models.glob("*/model.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"openvino": "2020.1"}))
    assert opened(models).name == "openvino"
    (path,) = models.glob("*[0-9]/model.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"openvino": "2020.1"}))
    with pytest.raises(AssertionError, match="needs no building"):
        opened(models, build=never)


def test_refusal_counts_for_the_outputs_that_failed(models):
    opened(models)
    (path,) = models.glob("*/model.json")
    described = json.loads(path.read_text())
    wide = models / "a-wide-one"
    wide.mkdir()
    failed = described | {"files": {}, "differences": {"maps": 1.0, "vector": 1e-7, "more": 0.0}}
    (wide / "model.json").write_text(json.dumps(failed))
    assert opened(models, build=never, outputs=("vector",)).name == "openvino"
    assert opened(models, outputs=("maps", "more"), build=small_model).name == "tensorflow"


def test_kept_model_that_cannot_be_run_is_converted_again(models, caplog):
    opened(models)
    (path,) = models.glob("*/model.json")
    (path.parent / "model.xml").write_text("<net/>")
    digest = hashlib.sha256(b"<net/>").hexdigest()
    described = json.loads(path.read_text())
    described["files"]["model.xml"] = digest
    path.write_text(json.dumps(described))
    assert opened(models).name == "openvino"
    assert "the converted model is damaged" in caplog.text


@pytest.mark.parametrize("step", ["compile_model", "create_infer_request"])
def test_fault_of_the_machine_is_told_and_leaves_the_model(models, monkeypatch, step):
    """Its digest was right a moment before: memory and devices say nothing about a file."""
    expected = next(opened(models).run(iter(pictures(5))))
    before = {path: path.read_bytes() for path in models.glob("*/*")}

    def exhausted(*args):
        raise RuntimeError("Exception from src/inference/src/cpp/core.cpp:112:\nbad allocation")

    with monkeypatch.context() as patched:
        owner = openvino.Core if step == "compile_model" else openvino.CompiledModel
        patched.setattr(owner, step, exhausted)
        with pytest.raises(InputError, match=r"it fails: Exception from .*: bad allocation; free"):
            next(opened(models, build=never).run(iter(pictures(5))))
    assert {path: path.read_bytes() for path in models.glob("*/*")} == before
    again = next(opened(models, build=never).run(iter(pictures(5))))
    for one, other in zip(expected, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_model_that_may_not_be_read_is_not_damaged(models, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied")

    opened(models)
    with monkeypatch.context() as patched:
        patched.setattr(kept, "sha256", refused)
        with pytest.raises(StoreError, match=r"model.xml: Permission denied; make it readable"):
            opened(models)
    assert opened(models, build=never).name == "openvino"


def test_folder_that_lost_its_description_is_no_obstacle(models):
    opened(models)
    (path,) = models.glob("*/model.json")
    path.unlink()
    opened(models)
    assert opened(models, build=never).name == "openvino"


def test_folder_that_cannot_be_written_is_no_obstacle(tmp_path, caplog):
    (tmp_path / "models").write_text("a file")
    engine = opened(tmp_path / "models")
    assert len(next(engine.run(iter(pictures(3))))[0]) == 3
    assert "cannot keep the converted model" in caplog.text


def test_mixed_precision_is_for_tensorflow(models):
    with pytest.raises(InputError, match="use --engine tensorflow, jax or torch"):
        open_engine(network(), "openvino", "mixed_float16", 8, models)
    assert open_engine(network(), "auto", "mixed_float16", 8, models).name == "tensorflow"


def test_devices_are_seen_without_tensorflow(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert not may_have_gpu(tmp_path)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/nvidia0").touch()
    assert may_have_gpu(tmp_path)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert not may_have_gpu(tmp_path)


@pytest.mark.parametrize(("gpu", "expected"), [(False, "openvino"), (True, "openvino")])
def test_choice_without_a_gpu(models, monkeypatch, gpu, expected):
    """Where a device file is there, TensorFlow has the last word; in these tests it sees none."""
    monkeypatch.setattr(choice, "may_have_gpu", lambda: gpu)
    monkeypatch.setattr(choice, "device_of", lambda name: PROCESSOR)
    assert open_engine(network(), "auto", "float32", 8, models).name == expected


def test_choice_with_a_gpu(models, monkeypatch):
    monkeypatch.setattr(choice, "may_have_gpu", lambda: True)
    monkeypatch.setattr(choice, "device_of", lambda name: Device("a card", gpu=True))
    monkeypatch.setattr(choice, "_has_cudnn", lambda: True)
    assert engines.choose_engine("auto", "float32").engine == "tensorflow"
    assert engines.choose_engine("openvino", "float32").engine == "openvino"


@pytest.mark.parametrize(
    ("backbone", "size", "layers", "pooling"),
    [
        ("MobileNet(alpha=0.25)", 64, "block2,top", "avg,max,gem,avg+max"),
        ("MobileNetV3Small", 64, "blocks", "avg"),
        ("VGG16", 32, "block3,block5", "none,avg"),
        ("ResNet50V2", 32, "block3,top", "avg"),
    ],
)
def test_bases_agree_with_tensorflow(tmp_path, backbone, size, layers, pooling):
    config = FeaturesConfig(
        backbone=backbone, image_size=size, layers=layers, pooling=pooling, weights="none"
    )
    base = frozen_base(config)
    assert open_engine(base, "openvino", "float32", 8, tmp_path).name == "openvino"
    (path,) = tmp_path.glob("*/model.json")
    differences = json.loads(path.read_text())["differences"]
    assert set(differences) == set(base.outputs)
    assert max(differences.values()) < 1e-5


def test_kept_model_runs_without_tensorflow(tmp_path):
    base = frozen_base(FeaturesConfig(image_size=64))
    open_engine(base, "openvino", "float32", 4, tmp_path)
    script = f"""
import sys
from pathlib import Path
import numpy as np
from pipeline.features.base import frozen_base
from pipeline.config import FeaturesConfig
from pipeline.backbones.engines import open_engine
base = frozen_base(FeaturesConfig(image_size=64))
engine = open_engine(base, "openvino", "float32", 4, Path({str(tmp_path)!r}))
print(next(engine.run(iter([np.zeros((3, 64, 64, 3), np.uint8)])))[0].shape)
print("tensorflow" in sys.modules or "keras" in sys.modules)
"""
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert process.stdout.splitlines() == ["(3, 1280)", "False"], process.stderr

import keras
import numpy as np
import pytest
import tensorflow as tf

from pipeline.backbones import engines
from pipeline.backbones.engines import GivenNetwork, open_engine
from pipeline.backbones.engines.devices import device_of
from pipeline.backbones.engines.network import Device
from pipeline.backbones.engines.tensorflow import TensorFlowEngine
from pipeline.errors import InputError, UnknownNameError


def small_model():
    keras.utils.set_random_seed(0)
    images = keras.Input((16, 16, 3))
    maps = keras.layers.Conv2D(4, 3, activation="relu")(images / 255.0)
    return keras.Model(images, [keras.layers.GlobalAveragePooling2D()(maps), maps])


def network():
    return GivenNetwork("small", {}, ("vector", "maps"), small_model)


def batches(*sizes):
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (size, 16, 16, 3), np.uint8) for size in sizes]


def test_outputs_are_keras_own_whatever_the_batches():
    model = small_model()
    given = batches(8, 8, 3, 20, 1)
    outputs = list(TensorFlowEngine(model, batch_size=8).run(iter(given)))
    assert [len(vector) for vector, _ in outputs] == [8, 8, 3, 20, 1]
    for images, (vector, maps) in zip(given, outputs, strict=True):
        expected = model(images.astype("float32"))
        np.testing.assert_allclose(vector, expected[0], atol=1e-6)
        np.testing.assert_allclose(maps, expected[1], atol=1e-6)


def test_one_function_is_traced_once():
    engine = TensorFlowEngine(small_model(), batch_size=8)
    list(engine.run(iter(batches(8, 3, 8, 5))))
    assert engine._steps[0].experimental_get_tracing_count() == 1


def test_batch_without_pictures_gives_no_rows():
    engine = TensorFlowEngine(small_model(), batch_size=4)
    outputs = list(engine.run(iter(batches(0, 3))))
    assert [[len(part) for part in parts] for parts in outputs] == [[0, 0], [3, 3]]
    assert outputs[0][1].shape == (0, 14, 14, 4)


def test_no_batches_no_outputs():
    assert list(TensorFlowEngine(small_model(), batch_size=4).run(iter([]))) == []


class Exhausted:
    """Stands in for a device: refuses steps above a size as TensorFlow does, without a GPU."""

    def __init__(self, engine, limit):
        self.submit, self.limit = engine.submit, limit
        engine.submit = self.limited

    def limited(self, images):
        if len(images) > self.limit:
            raise tf.errors.ResourceExhaustedError(None, None, "out of memory")
        return self.submit(images)


def test_batch_is_halved_until_it_fits(caplog):
    model = small_model()
    engine = TensorFlowEngine(model, batch_size=16)
    Exhausted(engine, limit=4)
    given = batches(16, 16, 7)
    outputs = list(engine.run(iter(given)))
    assert engine.batch_size == 4
    assert "out of device memory: going on with batches of 4" in caplog.text
    for images, (vector, _) in zip(given, outputs, strict=True):
        np.testing.assert_allclose(vector, model(images.astype("float32"))[0], atol=1e-6)


def test_one_picture_that_does_not_fit_is_one_sentence():
    engine = TensorFlowEngine(small_model(), batch_size=2)
    Exhausted(engine, limit=0)
    with pytest.raises(InputError, match="memory for at least one picture"):
        list(engine.run(iter(batches(2))))


def test_xla_gives_the_same_outputs():
    """The path that a GPU takes, compiled for this machine's processor."""
    model, given = small_model(), batches(4, 2)
    plain = list(TensorFlowEngine(model, 4).run(iter(given)))
    compiled = list(TensorFlowEngine(model, 4, Device("a card", gpu=True)).run(iter(given)))
    for ours, theirs in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(ours[0], theirs[0], atol=1e-5)


def test_mixed_precision_is_built_as_asked_and_leaves_no_trace(tmp_path):
    before = keras.config.dtype_policy().name
    engine = open_engine(network(), "auto", "mixed_float16", 4, tmp_path)
    (outputs,) = engine.run(iter(batches(4)))
    assert {layer.compute_dtype for layer in engine.model.layers[1:]} >= {"float16"}
    exact = small_model()(batches(4)[0].astype("float32"))[0]
    np.testing.assert_allclose(outputs[0], exact, atol=5e-3)
    assert keras.config.dtype_policy().name == before


def test_tf32_is_off_for_float32_only():
    device_of("tensorflow", "float32")
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    device_of("tensorflow", "mixed_float16")
    assert tf.config.experimental.tensor_float_32_execution_enabled()


def test_batches_suit_the_device_unless_asked_for(tmp_path, monkeypatch):
    def opened(batch_size):
        return open_engine(network(), "tensorflow", "float32", batch_size, tmp_path).batch_size

    assert (opened(None), opened(7)) == (32, 7)
    monkeypatch.setattr(engines, "device_of", lambda *_: Device("a card", gpu=True))
    assert (opened(None), opened(7)) == (128, 7)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (tf.errors.ResourceExhaustedError, "", True),
        (tf.errors.InternalError, "Dst tensor is not initialized.", True),
        (tf.errors.InternalError, "CUDA_ERROR_OUT_OF_MEMORY: out of memory", True),
        (tf.errors.InternalError, "CUDA_ERROR_ILLEGAL_ADDRESS", False),
    ],
)
def test_memory_that_tensorflow_lacks_is_understood(kind, text, expected):
    engine = TensorFlowEngine(small_model(), batch_size=2)
    assert engine.out_of_memory(kind(None, None, text)) is expected


def test_unknown_engine_and_precision(tmp_path):
    with pytest.raises(UnknownNameError, match="unknown engine 'tensorflw'; nearest: tensorflow"):
        open_engine(network(), "tensorflw", "float32", 4, tmp_path)
    with pytest.raises(InputError, match="received precision='half'"):
        open_engine(network(), "auto", "half", 4, tmp_path)

"""Layers of Keras as OpenVINO's and NumPy's, one by one; test_catalog.py has whole bases."""

import keras
import numpy as np
import pytest
from keras import layers

from pipeline.backbones.keras_graph import UnknownLayerError, graph_of
from pipeline.backbones.numpy_graph import computed
from pipeline.system.startup import compile_openvino

SIZE = 11


def check(*made, scale=1 / 255):
    """Hold a chain of layers, from maps of 6 channels, against Keras."""
    keras.utils.set_random_seed(0)
    images = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(6, 3)(layers.Rescaling(scale, -0.5)(images))
    for layer in made:
        x = layer(x)
    model = keras.Model(images, x)
    rng = np.random.default_rng(0)
    for weight in model.weights[2:]:
        if "float" in weight.dtype:  # statistics and biases, which begin as zeros and ones
            weight.assign(rng.uniform(0.2, 1.0, weight.shape))
    pictures = rng.integers(0, 256, (2, SIZE, SIZE, 3), np.uint8)
    expected = np.asarray(model(pictures.astype("float32"), training=False))
    written = graph_of(model, ["one"])
    compiled = compile_openvino(written, {"INFERENCE_PRECISION_HINT": "f32"})
    for found in (compiled(pictures)["one"], computed(written, pictures)[0]):
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize(
    "make",
    [
        lambda padding: layers.Conv2D(4, (2, 3), strides=2, padding=padding, activation="relu"),
        lambda padding: layers.Conv2D(4, 3, dilation_rate=2, padding=padding, use_bias=False),
        lambda padding: layers.Conv2D(4, 3, groups=2, padding=padding, activation="silu"),
        lambda padding: layers.DepthwiseConv2D(
            3, strides=2, depth_multiplier=2, padding=padding, activation="sigmoid"
        ),
        lambda padding: layers.SeparableConv2D(5, 3, strides=2, padding=padding),
        lambda padding: layers.MaxPooling2D(3, 2, padding=padding),
        lambda padding: layers.AveragePooling2D(3, 2, padding=padding),
    ],
)
def test_windows(make, padding):
    check(make(padding))


@pytest.mark.parametrize(
    "make",
    [
        *(
            lambda name=name: layers.Activation(name)
            for name in ("relu6", "tanh", "gelu", "hard_silu", "hard_sigmoid", "softmax")
        ),
        lambda: layers.ReLU(),
        lambda: layers.ReLU(0.2),
        lambda: layers.BatchNormalization(),
        lambda: layers.BatchNormalization(scale=False, center=False),
        lambda: layers.LayerNormalization(),
        lambda: layers.LayerNormalization(scale=False, center=False),
        lambda: layers.Normalization(),
        lambda: layers.Rescaling([1, 2, 3, 4, 5, 6], 0.25),
        lambda: layers.Dense(4, "tanh"),
        lambda: layers.ZeroPadding2D(((0, 1), (2, 3))),
        lambda: layers.Cropping2D(((0, 1), (2, 3))),
        lambda: layers.Dropout(0.5),
        lambda: layers.Flatten(),
        lambda: layers.Reshape((-1, 3)),
        lambda: layers.GlobalMaxPooling2D(keepdims=True),
        lambda: lambda x: keras.ops.flip(x, -1),
        lambda: lambda x: keras.ops.maximum(x, 0.1) ** 3.0,
        lambda: lambda x: layers.Add()([x, x, layers.Dense(6)(x)]),
        lambda: lambda x: layers.Concatenate()([x, layers.Dense(2)(x)]),
        lambda: lambda x: keras.Sequential([layers.ReLU(), layers.Dense(2)])(x),
    ],
)
def test_layers_between_convolutions(make):
    """Both after maps with channels first, and before and after some with channels last."""
    check(make())
    check(layers.Dense(6, use_bias=False), make())


def test_squeezing_and_exciting_takes_any_batch():
    def excited(x):
        vector = layers.Reshape((1, 1, 6))(layers.GlobalAveragePooling2D()(x))
        return layers.Multiply()([x, layers.Conv2D(6, 1, activation="sigmoid")(vector)])

    check(excited, layers.Conv2D(3, 1))


def test_vectors():
    check(layers.GlobalAveragePooling2D(), layers.Dense(8), layers.Dense(5, "softmax"))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: layers.Conv2DTranspose(2, 3), "a layer Conv2DTranspose"),
        (lambda: layers.Activation("mish"), "an activation mish"),
        (lambda: layers.ReLU(negative_slope=0.1), "a ReLU with a slope"),
        (lambda: layers.BatchNormalization(axis=1), "a BatchNormalization along axis 1"),
        (lambda: layers.LayerNormalization(axis=1), "a LayerNormalization along axis"),
        (lambda: layers.Concatenate(axis=1), "a Concatenate along axis 1"),
        (lambda: layers.GlobalAveragePooling2D("channels_first"), "with channels first"),
        (lambda: Own(2), "a layer Own"),
    ],
)
def test_what_is_not_written_is_said(make, message):
    layer = make()
    twice = isinstance(layer, layers.Concatenate)
    with pytest.raises(UnknownLayerError, match=message):
        check((lambda x: layer([x, x])) if twice else layer)


class Own(layers.Dense):
    """A layer of somebody's."""

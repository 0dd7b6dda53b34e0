import keras
import numpy as np
import pytest
from keras import layers

from pipeline.backbones.engines.folding import folded


def settled(model):
    """Give a model's normalisations statistics as if it had learnt."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            for weight in layer.weights:
                weight.assign(rng.uniform(0.3, 2.0, weight.shape))
        elif layer.weights:
            layer.set_weights([rng.normal(0, 0.3, weight.shape) for weight in layer.weights])
    return model


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def same(model, small):
    images = np.random.default_rng(1).uniform(0, 1, (2, *model.inputs[0].shape[1:]))
    before, after = model(images), small(images)
    one = not isinstance(before, list)
    for expected, found in zip(*([[v] if one else v for v in (before, after)]), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def chain(convolution, **normalising):
    images = keras.Input((9, 9, 4))
    maps = layers.BatchNormalization(**normalising)(convolution(images))
    return settled(keras.Model(images, layers.ReLU()(maps)))


@pytest.mark.parametrize(
    "convolution",
    [
        layers.Conv2D(6, 3, use_bias=False, padding="same"),
        layers.Conv2D(6, 3, strides=2, groups=2),
        layers.Conv2D(6, 2, dilation_rate=2),
        layers.DepthwiseConv2D(3, depth_multiplier=2, strides=2, padding="same", use_bias=False),
        layers.DepthwiseConv2D(3),
        layers.SeparableConv2D(5, 3, depth_multiplier=2, use_bias=False),
    ],
    ids=lambda layer: layer.name,
)
@pytest.mark.parametrize("normalising", [{}, {"scale": False}, {"center": False, "epsilon": 0.1}])
def test_normalisation_becomes_weights(convolution, normalising):
    model = chain(type(convolution).from_config(convolution.get_config()), **normalising)
    small = folded(model)
    assert "BatchNormalization" in kinds(model)
    assert "BatchNormalization" not in kinds(small)
    same(model, small)


def test_model_given_is_as_it_was():
    model = chain(layers.Conv2D(6, 3))
    before = [weight.numpy() for weight in model.weights]
    folded(model)
    for expected, weight in zip(before, model.weights, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_convolution_that_something_else_sees_stays():
    images = keras.Input((9, 9, 4))
    seen, cut, active, twice = (layers.Conv2D(4, 3, padding="same") for _ in range(4))
    active.activation = keras.activations.relu
    a = seen(images)
    b = layers.BatchNormalization()(a)
    c = cut(layers.Add()([a, b]))
    d = layers.BatchNormalization()(c)
    e = layers.BatchNormalization()(active(d))
    f = layers.BatchNormalization()(twice(twice(e)))
    model = settled(keras.Model(images, [c, f]))
    small = folded(model)
    assert small is model


def test_what_can_be_folded_is_beside_what_can_not():
    images = keras.Input((9, 9, 4))
    maps = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same")(images))
    more = layers.BatchNormalization()(layers.Add()([maps, images]))
    model = settled(keras.Model(images, [maps, layers.GlobalAveragePooling2D()(more)]))
    small = folded(model)
    assert kinds(small).count("BatchNormalization") == 1
    same(model, small)


@pytest.mark.parametrize("name", ["Xception", "MobileNetV2", "DenseNet121", "ResNet50V2"])
def test_bases_of_keras(name):
    model = settled(getattr(keras.applications, name)(weights=None, include_top=False,
                                                      input_shape=(75, 75, 3)))  # fmt: skip
    for layer in model.layers:  # He's, so that values neither vanish nor grow
        if "kernel" in dir(layer) and layer.weights:
            layer.kernel.assign(layer.kernel / np.sqrt(np.prod(layer.kernel.shape[:-1])))
    small = folded(model)
    assert kinds(small).count("BatchNormalization") < kinds(model).count("BatchNormalization")
    same(model, small)

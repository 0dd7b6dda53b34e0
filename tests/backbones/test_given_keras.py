"""Networks that users bring and Keras holds: .keras, legacy .h5, presets."""

import json
import shutil
import sys
import zipfile

import h5py
import keras
import numpy as np
import pytest

from pipeline.backbones import Cut, find_base, parse_backbone, resolve_weights
from pipeline.backbones.boundary import find_boundary
from pipeline.backbones.build import build_base, build_extractor
from pipeline.backbones.given_files import kind_of
from pipeline.backbones.given_keras import build_given, describe_keras
from pipeline.backbones.given_openvino import graph_model
from pipeline.backbones.hub import brought
from pipeline.backbones.unfreeze import unfreeze
from pipeline.errors import InputError, WeightsError
from pipeline.heads import NetworkHead
from pipeline.heads.transplant import transplant
from pipeline.system.startup import import_openvino

SIDE = 32
PIXELS = np.random.default_rng(0).integers(0, 256, (2, SIDE, SIDE, 3), np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("networks")


def small(name="network", *, nested=True):
    """Make a network as courses make them: a base as a layer, a sum, a classifier."""
    keras.utils.set_random_seed(0)
    layers = keras.layers
    inside = [
        keras.Input((SIDE, SIDE, 3)),
        layers.Conv2D(8, 3, 2, "same", activation="relu", name="inner_conv"),
        layers.BatchNormalization(name="inner_norm"),
    ]
    x = images = keras.Input((SIDE, SIDE, 3), name="pictures")
    x = layers.Rescaling(1 / 255, name="scaling")(x)
    if nested:
        x = keras.Sequential(inside, name="base")(x)
    else:
        for layer in inside[1:]:
            x = layer(x)
    x = layers.Add(name="sum")([x, layers.Conv2D(8, 1, name="side")(x)])
    x = layers.Conv2D(16, 3, 2, name="down")(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, layers.Dense(5, "softmax", name="head_classes")(x), name=name)


@pytest.fixture(scope="module")
def network(folder):
    model = small()
    model.compile("adam", "categorical_crossentropy")
    model.save(folder / "network.keras")
    model.save(folder / "network.h5")
    return model


def outputs(model):
    found = model(PIXELS.astype(np.float32), training=False)
    return [np.asarray(one) for one in (found if isinstance(found, list) else [found])]


@pytest.mark.parametrize("kind", ["keras", "h5"])
def test_any_layer_is_a_cut_and_the_numbers_are_the_models(network, folder, kind):
    path = folder / f"network.{kind}"
    assert kind_of(path) == kind
    graph = describe_keras(kind, path, None)
    assert [node.name for node in graph.nodes] == [
        *("images", "scaling", "inner_conv", "inner_norm", "side", "sum", "down", "pool"),
        "base_head_classes",
    ]
    assert (graph.size, graph.cut_points()) == (SIDE, (("sum", "down"), "down"))
    assert graph.n_parameters == network.count_params()
    assert "begins with a Rescaling" in graph.hint
    cuts = [Cut("base_head_classes"), Cut("inner_norm", "none"), Cut("sum", "max")]
    top, inner, total = outputs(build_given(kind, path, SIDE, cuts, "raw"))
    np.testing.assert_allclose(top, outputs(network)[0], rtol=1e-4, atol=1e-5)
    assert (inner.shape, total.shape) == ((2, 16, 16, 8), (2, 8))
    scaled = outputs(build_given(kind, path, SIDE, cuts[:1], "unit"))[0]
    halved = network(PIXELS.astype(np.float32) / 255, training=False)
    np.testing.assert_allclose(scaled, halved, rtol=1e-4, atol=1e-5)


def test_preprocessing_is_asked_for_and_a_model_of_ours_brings_it(network, folder, tmp_path):
    with pytest.raises(InputError, match=r"Rescaling or Normalization layer, so that raw is lik"):
        find_base(str(folder / "network.keras"))
    ours = shutil.copy(folder / "network.keras", tmp_path / "ours.keras")
    with zipfile.ZipFile(ours, "a") as file:
        file.writestr("bottleneck.json", "{}")
    assert find_base(str(ours)).spec.backbone.preprocessing == "raw"
    run = tmp_path / "runs" / "mine" / "bundle"
    run.mkdir(parents=True)
    shutil.copy(folder / "network.keras", run / "model.keras")
    found = find_base("run:mine", runs=tmp_path / "runs")
    assert (found.path, found.spec.backbone.preprocessing) == (run / "model.keras", "raw")


def test_the_catalog_a_keras_file_and_another_exporters_onnx_give_the_same(tmp_path):
    """EfficientNet-Lite0 with its packaged weights; tf2onnx is the other exporter."""
    import tensorflow as tf
    import tf2onnx

    spec = parse_backbone("EfficientNetLite0")
    source = resolve_weights(spec)
    base = build_base(spec, source, SIDE)
    base.save(tmp_path / "lite0.keras")
    signature = [tf.TensorSpec((None, SIDE, SIDE, 3), tf.float32, "images")]
    function = tf.function(lambda images: base(images, training=False), input_signature=signature)
    tf2onnx.convert.from_function(
        function, signature, opset=17, output_path=str(tmp_path / "lite0.onnx")
    )
    (wanted,) = outputs(build_extractor(spec, source, SIDE, [Cut("top")]))
    own = f"mean={127 / 255},std={128 / 255}"
    found = find_base(str(tmp_path / "lite0.keras"), own).spec
    top, family = Cut(found.top_layer), found.backbone.preprocessing
    assert top.layer == "top_activation"
    (got,) = outputs(build_given("keras", tmp_path / "lite0.keras", SIDE, [top], family))
    np.testing.assert_allclose(got, wanted, atol=1e-4 * np.abs(wanted).max())
    other = find_base(str(tmp_path / "lite0.onnx"), own).spec
    path, cut = tmp_path / "lite0.onnx", Cut(other.top_layer)
    model = graph_model("onnx", path, SIDE, [cut], ["top"], other.backbone.preprocessing)
    ov = import_openvino()
    compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    onnx = np.asarray(compiled([PIXELS])[0])
    np.testing.assert_allclose(onnx, wanted, atol=1e-4 * np.abs(wanted).max())


def test_a_file_of_keras_2_is_read(network, folder, tmp_path):
    """As Keras 2 wrote the input layer, the padding of names, and its version."""
    path = tmp_path / "two.h5"
    small(nested=False).save(path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        for layer in config["config"]["layers"]:
            shape = layer["config"].pop("batch_shape", None)
            if shape is not None:
                layer["config"]["batch_input_shape"] = shape
            layer["config"]["dtype"] = "float32"
        file.attrs["model_config"] = json.dumps(config)
        file.attrs["keras_version"] = "2.15.0"
    wanted = outputs(small(nested=False))
    cuts = [Cut("base_head_classes")]
    np.testing.assert_allclose(outputs(build_given("h5", path, SIDE, cuts, "raw")), wanted, 1e-4)


def made(path, *layers, side=SIDE, channels=3):
    keras.Sequential([keras.Input((side, side, channels)), *layers]).save(path)
    return path


@keras.saving.register_keras_serializable("tests")
class Own(keras.layers.Layer):
    def call(self, x):
        return x


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5")
@pytest.mark.parametrize("suffix", ["keras", "h5"])
def test_what_would_run_code_is_refused(tmp_path, suffix):
    path = made(tmp_path / f"a.{suffix}", keras.layers.Lambda(lambda x: x * 2))
    with pytest.raises(WeightsError, match=r"received a Lambda layer, which would run code"):
        find_base(str(path), "raw")
    path = made(tmp_path / f"b.{suffix}", Own(name="own"))
    replaced = path.read_bytes()
    if suffix == "h5":
        path.write_bytes(replaced.replace(b"tests>Own", b"tests>Owm"))
    else:
        _with_config(path, lambda text: text.replace("Own", "Owm"))
    with pytest.raises(
        WeightsError, match=r"received a layer '(tests>)?Owm', which Keras does not"
    ):
        find_base(str(path), "raw")


def _with_config(path, change):
    with zipfile.ZipFile(path) as file:
        members = {name: file.read(name) for name in file.namelist()}
    members["config.json"] = change(members["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as file:
        for name, data in members.items():
            file.writestr(name, data)


def test_layers_larger_than_their_weights_are_not_built(tmp_path):
    path = made(tmp_path / "a.keras", keras.layers.Conv2D(4, 3))
    _with_config(path, lambda text: text.replace('"filters": 4', '"filters": 400000'))
    with pytest.raises(WeightsError, match=r"layers with [\d,]+ bytes of weights, of which it hol"):
        find_base(str(path), "raw")


def test_what_takes_no_pictures_is_refused(tmp_path):
    conv = keras.layers.Conv2D(4, 3)
    with pytest.raises(WeightsError, match=r"received an input of 32×32×1; save it for pictures"):
        find_base(str(made(tmp_path / "a.keras", conv, channels=1)), "raw")
    images, more = keras.Input((SIDE, SIDE, 3)), keras.Input((4,))
    keras.Model([images, more], [keras.layers.Dense(2)(more), images]).save(tmp_path / "b.keras")
    with pytest.raises(WeightsError, match="received 2 inputs"):
        find_base(str(tmp_path / "b.keras"), "raw")
    keras.Sequential([keras.Input((SIDE, SIDE, 3)), keras.layers.Flatten()]).save_weights(
        tmp_path / "c.weights.h5"
    )
    with pytest.raises(WeightsError, match="received weights alone; name their base"):
        find_base(str(tmp_path / "c.weights.h5"), "raw")


@pytest.mark.parametrize("n_bytes", [30, 3000])
def test_half_a_file_is_refused(network, folder, tmp_path, n_bytes):
    for kind in ("keras", "h5"):
        path = tmp_path / f"half.{kind}"
        path.write_bytes((folder / f"network.{kind}").read_bytes()[:n_bytes])
        with pytest.raises(WeightsError, match=r"half\.(keras|h5)"):
            find_base(str(path), "raw")


def test_a_network_of_any_size(tmp_path):
    path = made(tmp_path / "any.keras", keras.layers.Conv2D(4, 3, name="conv"), side=None)
    assert find_base(str(path), "raw", 24).spec.backbone.input_size == 24
    assert build_given("keras", path, 24, [Cut("conv", "none")], "raw").output_shape[1] == 22
    with pytest.raises(InputError, match="takes pictures of any size; give the one"):
        find_base(str(path), "raw")


def test_a_head_sits_on_it_and_blocks_of_it_learn(network, folder):
    spec = find_base(str(folder / "network.keras"), "raw").spec
    base = build_given("keras", folder / "network.keras", SIDE, [Cut("down")], "raw")
    kernel = np.zeros((16, 3), np.float32)
    head = NetworkHead((kernel,), (np.zeros(3, np.float32),), "sqrt-l2")
    model = transplant(base, head)
    assert unfreeze(model, spec, "block2") == ["down"]
    boundary = find_boundary(model, ["features_0"], ["down"])
    assert (boundary.layer, boundary.between) == ("sum", ())
    assert unfreeze(model, spec, "all") == ["inner_conv", "side", "down"]


def test_a_layer_that_is_used_twice_is_no_cut(tmp_path):
    images = keras.Input((SIDE, SIDE, 3))
    conv = keras.layers.Conv2D(3, 3, padding="same", name="conv")
    keras.Model(images, keras.layers.ReLU(name="end")(conv(conv(images)))).save(
        tmp_path / "a.keras"
    )
    graph = describe_keras("keras", tmp_path / "a.keras", None)
    assert [node.name for node in graph.nodes] == ["images", "end"]
    assert build_given("keras", tmp_path / "a.keras", SIDE, [Cut("end")], "raw").count_params() > 0


class ToyEncoder(keras.layers.Layer):
    """As encoders of KerasHub: blocks and a normalisation in one layer."""

    def build(self, shape):
        blocks = [keras.layers.Dense(8, name=f"block_{i}") for i in (1, 2)]
        self.encoder_layers = blocks
        self.layer_norm = keras.layers.LayerNormalization(name="ln")
        for layer in (*blocks, self.layer_norm):
            layer.build(shape)

    def call(self, x):
        for layer in self.encoder_layers:
            x = layer(x)
        return self.layer_norm(x)


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A preset's folder, and what of KerasHub is used to read it."""

    def made_again(path=None):
        keras.utils.set_random_seed(0)
        x = images = keras.Input((16, 16, 3), name="images")
        x = keras.layers.Conv2D(8, 4, 4, name="patches")(x)
        x = keras.layers.Reshape((16, 8), name="tokens")(x)
        return keras.Model(images, ToyEncoder(name="encoder")(x))

    model = made_again()
    folder = tmp_path / "preset"
    folder.mkdir()
    config = keras.saving.serialize_keras_object(
        keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    )
    (folder / "config.json").write_text(json.dumps(config))
    model.save_weights(folder / "model.weights.h5")
    converter = {"config": {"scale": 1 / 127.5, "offset": [-1, -1, -1]}}
    (folder / "image_converter.json").write_text(json.dumps(converter))
    monkeypatch.setattr("pipeline.backbones.hub.load_preset", made_again)
    monkeypatch.setattr("pipeline.backbones.hub.import_hub", lambda: None)
    return folder, model


def test_a_preset_brings_its_preprocessing_and_its_blocks(hub):
    folder, model = hub
    images = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3)).astype(np.float32)
    wanted = np.asarray(model(images / 127.5 - 1, training=False))
    found = find_base(str(folder))
    assert str(found.spec).startswith("hub:")
    assert found.spec.backbone.blocks == ("encoder_block_1", "encoder_block_2")
    assert found.spec.top_layer == "encoder_ln"
    family = found.spec.backbone.preprocessing
    assert family == "mean=0.5,0.5,0.5,std=0.5,0.5,0.5"
    made_of_it = build_given("hub", folder, 16, [Cut("encoder_ln", "none")], family)
    np.testing.assert_allclose(made_of_it(images, training=False), wanted, rtol=1e-3, atol=1e-4)


def test_what_a_preset_says_of_preprocessing(tmp_path):
    path = tmp_path / "image_converter.json"
    assert brought(tmp_path) == ""
    for config, wanted in (
        ({"scale": None, "offset": None}, "raw"),
        ({"scale": 1 / 255, "offset": 0}, "mean=-0,-0,-0,std=1,1,1"),
        ({"offset": 0}, ""),
    ):
        path.write_text(json.dumps({"config": config}))
        assert brought(tmp_path) == wanted


def test_without_keras_hub_a_preset_asks_for_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "keras_hub", None)
    with pytest.raises(InputError, match=r"expected KerasHub .*pip install 'bottleneck-pipeline\["):
        find_base("kerashub:vit")

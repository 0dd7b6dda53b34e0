"""Networks that users bring, in files that need no TensorFlow: ONNX and OpenVINO IR."""

import logging
import os

import numpy as np
import pytest
from onnx import TensorProto, helper

from pipeline.backbones import Cut, find_base
from pipeline.backbones import given as given_module
from pipeline.backbones.engines import open_engine
from pipeline.backbones.given_files import given_digest, kind_of
from pipeline.backbones.given_openvino import difference_from_reference, graph_model
from pipeline.backbones.preprocessing import constants_of, read_preprocessing, scaled
from pipeline.backbones.weights import resolve_weights
from pipeline.config import FeaturesConfig
from pipeline.errors import InputError, UnknownNameError, WeightsError
from pipeline.features.base import frozen_base, resolve
from pipeline.features.saved import frozen_from_dict
from pipeline.system.startup import import_openvino
from tests.backbones.networks import SIDE, convolutional, save, transformer

PIXELS = np.random.default_rng(0).integers(0, 256, (5, SIDE, SIDE, 3), np.uint8)


@pytest.fixture
def network(tmp_path):
    return convolutional(tmp_path / "network.onnx")


def config(path, cache, **settings):
    return FeaturesConfig(
        backbone=str(path), cache=cache, **{"preprocessing": "torch", "layers": "blocks"} | settings
    )


def features(path, cache, batch=5, **settings):
    base = frozen_base(config(path, cache, **settings))
    engine = open_engine(base, "auto", "float32", batch, cache / "models")
    parts = engine.run(PIXELS[at : at + batch] for at in range(0, len(PIXELS), batch))
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def with_outputs(path, *names):
    """Return what ONNX Runtime gives at values of a network, from pixels preprocessed for torch."""
    import onnx
    import onnxruntime

    model = onnx.load(path)
    model.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in names)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    x = ((PIXELS / 255 - mean) / std).astype(np.float32).transpose(0, 3, 1, 2)
    return session.run(list(names), {"images": x})


def test_cuts_and_poolings_of_maps_are_those_of_another_runtime(network, tmp_path):
    got = features(network, tmp_path, layers="block1,top", pooling="avg,max,avg+max,gem,none")
    expected = []
    for value in with_outputs(network, "/stage1/Add_output_0", "/stage2/Add_output_0"):
        maps = value.transpose(0, 2, 3, 1)
        average, maximum = maps.mean((1, 2)), maps.max((1, 2))
        gem = (np.maximum(maps, 1e-6) ** 3).mean((1, 2)) ** (1 / 3)
        both = np.concatenate([average, maximum], 1)
        expected += [average, maximum, both, gem, maps]
    for one, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("n_registers", [0, 4])
def test_poolings_of_tokens(tmp_path, n_registers):
    path = transformer(tmp_path / "vit.onnx", n_registers)
    got = features(path, tmp_path, layers="blocks", pooling="cls,patch,cls+patch,avg,none")
    expected = []
    for tokens in with_outputs(path, "/block1/mlp/x", "/block2/mlp/x"):
        first, patches = tokens[:, 0], tokens[:, 1 + n_registers :].mean(1)
        expected += [first, patches, np.concatenate([first, patches], 1), tokens.mean(1), tokens]
    for one, wanted in zip(got, expected, strict=True):
        np.testing.assert_allclose(one, wanted, rtol=1e-4, atol=1e-5)


def test_features_are_the_same_bits_for_any_batch(network, tmp_path):
    whole = features(network, tmp_path)
    for batch in (1, 2, 3):
        for one, other in zip(whole, features(network, tmp_path, batch), strict=True):
            np.testing.assert_array_equal(one, other)


def test_channels_last_and_bytes_and_ir_give_the_same(network, tmp_path):
    wanted = features(network, tmp_path)
    last = convolutional(tmp_path / "last.onnx", ("n", SIDE, SIDE, 3))
    ov = import_openvino()
    ov.save_model(ov.Core().read_model(network), tmp_path / "ir.xml", compress_to_fp16=False)
    for path in (last, tmp_path / "ir.xml"):
        got = features(path, tmp_path)
        for one, other in zip(wanted, got, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_a_graph_that_takes_bytes_brings_its_preprocessing(tmp_path):
    path = convolutional(tmp_path / "bytes.onnx", ("n", SIDE, SIDE, 3), TensorProto.UINT8)
    assert find_base(str(path)).spec.backbone.preprocessing == "raw"
    with pytest.raises(InputError, match=r"brings its own \(raw\), received preprocessing='tf'"):
        find_base(str(path), "tf")


def test_preprocessing_is_asked_for_with_a_hint(network, tmp_path):
    with pytest.raises(InputError, match=r"^expected --preprocessing for .*raw \(0 to 255.*to 1$"):
        find_base(str(network))
    scaled_path = convolutional(tmp_path / "scaled.onnx", scaled=True)
    with pytest.raises(InputError, match=r"arithmetic on the pixels, so that raw is likely"):
        find_base(str(scaled_path))
    with pytest.raises(InputError, match=r"received preprocessing='tf' for VGG16, whose own"):
        find_base("VGG16", "tf")


def test_preprocessings_are_read_in_one_way():
    assert read_preprocessing(" torch ") == "torch"
    assert read_preprocessing("mean=.5,.4,.3,std=0.25") == "mean=0.5,0.4,0.3,std=0.25,0.25,0.25"
    torch = constants_of("mean=0.485,0.456,0.406,std=0.229,0.224,0.225")
    np.testing.assert_allclose(torch.scale, constants_of("torch").scale)
    np.testing.assert_allclose(torch.offset, constants_of("torch").offset)
    assert scaled((1 / 127.5,) * 3, (-1.0,) * 3) == "mean=0.5,0.5,0.5,std=0.5,0.5,0.5"
    for text in ("imagenet", "mean=0.5", "mean=1,2,std=1", "mean=a,std=b", "none", "lite"):
        with pytest.raises(InputError, match=r"expected preprocessing as raw .* received"):
            read_preprocessing(text)
    with pytest.raises(InputError, match="divide those of pixels from 0 to 255 by 255"):
        read_preprocessing("mean=123.7,116.8,103.9,std=58.4,57.1,57.4")
    with pytest.raises(UnknownNameError, match="unknown preprocessing 'batch'"):
        constants_of("batch")
    with pytest.raises(UnknownNameError, match="unknown preprocessing 'mean"):
        constants_of("mean=0,0,0,std=0,1,1")


def test_the_bytes_are_the_identity_and_the_name_is_not(network, tmp_path):
    first = frozen_base(config(network, tmp_path))
    moved = tmp_path / "elsewhere" / "renamed.onnx"
    moved.parent.mkdir()
    os.rename(network, moved)
    again = frozen_base(config(moved, tmp_path))
    assert again.recipe.id == first.recipe.id
    assert first.recipe.backbone == f"onnx:{given_digest('onnx', moved)[:12]}"
    other = frozen_base(config(moved, tmp_path, preprocessing="unit"))
    assert other.recipe.digest != first.recipe.digest


def test_external_data_is_part_of_the_identity_and_stays_in_the_folder(tmp_path):
    options = {"save_as_external_data": True, "size_threshold": 0, "location": "w.bin"}
    path = convolutional(tmp_path / "external.onnx", **options)
    before = given_digest("onnx", path)
    assert features(path, tmp_path)[0].shape == (5, 8)
    data = bytearray((tmp_path / "w.bin").read_bytes())
    data[0] ^= 1
    (tmp_path / "w.bin").write_bytes(data)
    assert given_digest("onnx", path) != before
    os.rename(tmp_path / "w.bin", tmp_path / "v.bin")
    with pytest.raises(WeightsError, match=r"expected w.bin, which holds weights of"):
        given_digest("onnx", path)
    inside = tmp_path / "inside"
    inside.mkdir()
    os.symlink(tmp_path / "v.bin", inside / "w.bin")
    os.rename(path, inside / "external.onnx")
    with pytest.raises(WeightsError, match=r"in the folder of .*, received external data in 'w"):
        given_digest("onnx", inside / "external.onnx")


@pytest.mark.parametrize("place", ["../w.bin", "/etc/hostname", "a/../../w.bin"])
def test_external_data_outside_the_folder_is_refused(tmp_path, place):
    path = convolutional(
        tmp_path / "out.onnx", save_as_external_data=True, size_threshold=0, location="w.bin"
    )
    import onnx

    model = onnx.load(path, load_external_data=False)
    for tensor in model.graph.initializer:
        tensor.external_data[0].value = place
    path.write_bytes(model.SerializeToString())
    with pytest.raises(WeightsError, match=r"received external data in '.*put them beside it"):
        find_base(str(path), "torch")


FLOAT = TensorProto.FLOAT
REFUSED = {
    "two": ({"also": [("mask", FLOAT, [1])]}, "received 2 inputs"),
    "numbers": ({"kind": TensorProto.INT32}, "an input of type i32"),
    "wide": ({"shape": ("n", 3, SIDE, 2 * SIDE)}, "pictures of 16×32, which are no squares"),
    "grey": ({"shape": ("n", 1, SIDE, SIDE)}, "an input of 0×1×16×16"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_takes_no_pictures_is_refused(tmp_path, name):
    settings, sentence = REFUSED[name]
    path = convolutional(tmp_path / "network.onnx", **settings)
    with pytest.raises(WeightsError, match=f"network of pictures .*received {sentence}|{sentence}"):
        find_base(str(path), "torch")


def test_operations_of_others_and_fixed_numbers_of_pictures_are_refused(tmp_path):
    shape = ("images", FLOAT, ["n", 3, SIDE, SIDE])
    nodes = [helper.make_node("Magic", ["images"], ["y"], domain="com.example")]
    path = save(tmp_path / "a.onnx", nodes, [shape], [("y", FLOAT, ["n", 5])], [], ["com.example"])
    with pytest.raises(WeightsError, match=r"received .*com.example.Magic"):
        find_base(str(path), "torch")
    sides = helper.make_tensor("sides", TensorProto.INT64, [2], [1, -1])
    nodes = [helper.make_node("Reshape", ["images", "sides"], ["y"])]
    path = save(tmp_path / "b.onnx", nodes, [shape], [("y", FLOAT, [1, 768])], [sides])
    with pytest.raises(WeightsError, match=r"received an output for 1, whatever comes in"):
        find_base(str(path), "torch")


@pytest.mark.parametrize("content", [b"", b"\x08\x09\x3a\xff\xff\x01", bytes(range(256)) * 9])
def test_what_is_no_onnx_is_refused(tmp_path, content):
    (tmp_path / "junk.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match=r"expected a network"):
        find_base(str(tmp_path / "junk.onnx"), "torch")


def test_a_deep_file_ends_in_a_sentence(tmp_path):
    content = b""
    for _ in range(60):  # a graph in an attribute of a node of a graph …
        for field in (6, 5, 1):
            content = bytes([field << 3 | 2]) + _sized(content)
    (tmp_path / "deep.onnx").write_bytes(b"\x3a" + _sized(content))
    with pytest.raises(WeightsError, match="more nodes in nodes than any network has"):
        find_base(str(tmp_path / "deep.onnx"), "torch")


def _sized(content):
    length, size = len(content), b""
    while length > 127:
        size, length = size + bytes([length & 127 | 128]), length >> 7
    return size + bytes([length]) + content


def test_a_graph_of_any_size_asks_for_one(tmp_path):
    path = convolutional(tmp_path / "any.onnx", ("n", 3, "h", "w"))
    with pytest.raises(InputError, match=r"image_size for .*, which takes pictures of any size"):
        frozen_base(config(path, tmp_path))
    assert frozen_base(config(path, tmp_path, image_size=SIDE)).decoding.size == SIDE
    fixed = convolutional(tmp_path / "fixed.onnx")
    with pytest.raises(InputError, match=r"expected image_size=16, the one that the graph of onnx"):
        frozen_base(config(fixed, tmp_path, image_size=32))


def test_settings_that_openvino_has_not_are_refused(network, tmp_path):
    for settings in ({"engine": "tensorflow"}, {"precision": "mixed_float16", "engine": "auto"}):
        with pytest.raises(InputError, match=r"expected --engine openvino or auto and --precision"):
            frozen_base(config(network, tmp_path, **settings))
    with pytest.raises(InputError, match=r"expected no weights beside .* received weights='none'"):
        frozen_base(config(network, tmp_path, weights="none"))
    with pytest.raises(InputError, match=r"expected a pooling of maps for VGG16"):
        frozen_base(FeaturesConfig(backbone="VGG16", weights="none", pooling="cls"))
    with pytest.raises(InputError, match=r"a base that Keras holds for .* received an ONNX file"):
        frozen_base(config(network, tmp_path)).build()


def test_a_base_that_differs_from_the_reference_is_not_used(network, tmp_path, monkeypatch):
    assert difference_from_reference("onnx", network, SIDE, "torch") < 1e-5
    module = "pipeline.backbones.given_openvino.difference_from_reference"
    monkeypatch.setattr(module, lambda *given: 0.1)
    for _ in range(2):  # it is remembered
        with pytest.raises(InputError, match=r"OpenVINO and ONNX Runtime to agree .* 1.0e-01"):
            features(network, tmp_path)


def test_what_is_known_is_read_again_and_who_looks_writes_nothing(network, tmp_path, monkeypatch):
    cache = tmp_path / "cache"
    resolve(config(network, cache), look=True)
    assert not cache.exists()
    first = frozen_base(config(network, cache))
    monkeypatch.setattr(given_module, "describe", lambda *given: pytest.fail("it was known"))
    assert frozen_base(config(network, cache)) == first
    (kept,) = (cache / "models").glob("given-*.json")
    kept.write_text('{"nodes": "none"}')
    monkeypatch.undo()
    assert frozen_base(config(network, cache)) == first


def test_a_run_makes_its_base_again_from_the_file_and_from_no_other(network, tmp_path):
    base = frozen_base(config(network, tmp_path))
    saved = base.to_dict()
    assert saved["weights"] == str(network)
    again = frozen_from_dict(saved)
    assert (again.recipe, again.layers) == (base.recipe, ("block1", "top"))
    assert frozen_from_dict(saved, look=True).recipe == base.recipe
    convolutional(network, scaled=True)
    with pytest.raises(WeightsError, match=r"expected the weights with digest .* was changed"):
        frozen_from_dict(saved)
    network.unlink()
    with pytest.raises(WeightsError, match=r"the file of the base onnx:.* with --weights FILE"):
        frozen_from_dict(saved)
    for name in ("other.bin", "other.xml"):
        (tmp_path / name).touch()
    with pytest.raises(WeightsError, match=r"expected the file of the base .*, one of ir"):
        resolve_weights(base.spec, str(tmp_path / "other.xml"))


def test_places_that_hold_no_network(tmp_path):
    for name in ("folder", "saved"):
        (tmp_path / name).mkdir()
    for name in ("net.pt", "net.xml", "saved/saved_model.pb"):
        (tmp_path / name).write_bytes(b"0" * 20)
    for name, sentence in (
        ("folder", "a folder"),
        ("saved", "a SavedModel"),
        ("net.pt", "a file of another format or damaged"),
        ("net.xml", r"expected net.bin, which holds the weights, beside"),
    ):
        with pytest.raises(WeightsError, match=sentence):
            kind_of(tmp_path / name)
    with pytest.raises(WeightsError, match=r"received gone.onnx, which is not there"):
        find_base("gone.onnx")
    with pytest.raises(WeightsError, match=r"expected a fine-tuned run, .* received run:gone"):
        find_base("run:gone", runs=tmp_path)
    with pytest.raises(UnknownNameError, match=r"unknown backbone 'VGG61'.* named by its file"):
        find_base("VGG61", "tf")


def test_a_gpu_that_is_not_used_is_told(network, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("pipeline.backbones.engines.may_have_gpu", lambda: True)
    with caplog.at_level(logging.WARNING):
        features(network, tmp_path)
    assert "is computed on the processor: OpenVINO sees no GPU" in caplog.text


def test_a_network_is_cut_at_any_node(network, tmp_path):
    model = graph_model("onnx", network, SIDE, [Cut("classes")], ["classes/avg"], "torch")
    assert model.output("classes/avg").get_partial_shape()[1].get_length() == 5


def test_several_bases_are_no_base():
    with pytest.raises(InputError, match="expected one base, received backbone='VGG16,VGG19'"):
        find_base("VGG16,VGG19")

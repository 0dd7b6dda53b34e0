"""Where weights come from, and that a model gets all of them or an error."""

import functools
import hashlib
import importlib.util
import os
import shutil
import urllib.error
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras.src.utils import file_utils

from pipeline.backbones import BACKBONES, Cut, parse_backbone, resolve_weights
from pipeline.backbones.build import build_base, build_classifier, build_extractor
from pipeline.backbones.torch_pickle import read_torch_pickle
from pipeline.errors import InputError, WeightsError

# Keras' own saving meets a newer NumPy.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SPEC = parse_backbone("MobileNet(alpha=0.25)")
B0 = parse_backbone("EfficientNetB0")
MATERIAL = Path(
    os.environ.get("PIPELINE_MATERIAL", Path(__file__).parents[3] / "shared" / "material")
)
IMAGENET_FILE = MATERIAL / "weights" / "mobilenet_2_5_224_tf_no_top.h5"
needs_material = pytest.mark.skipif(
    not IMAGENET_FILE.is_file(),
    reason=f"{IMAGENET_FILE} is absent; PIPELINE_MATERIAL names its folder",
)


@pytest.fixture
def keras_home(tmp_path, monkeypatch):
    """Give Keras' cache a folder of its own, and no network."""
    home = tmp_path / "keras"
    home.mkdir()
    monkeypatch.setenv("KERAS_HOME", str(home))
    monkeypatch.setattr(file_utils.config, "keras_home", lambda: str(home))
    monkeypatch.setattr(file_utils, "urlretrieve", _no_network)
    return home


def _no_network(*_args):
    raise urllib.error.URLError("no network here")


@functools.cache
def random_base(text="MobileNet(alpha=0.25)", seed=5, size=32, include_top=False):
    """Build a base once for all tests; they save it and change nothing."""
    spec = parse_backbone(text)
    return build_base(spec, resolve_weights(spec, "none", seed), size, include_top)


def assert_same_weights(model, other):
    for got, wanted in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(got, wanted)


# Finding


def test_none_has_a_digest_of_seed_and_version():
    first, second = (resolve_weights(SPEC, "none", seed) for seed in (1, 2))
    assert first == resolve_weights(SPEC, "none", 1)
    assert (first.kind, first.path, first.seed) == ("none", None, 1)
    assert first.digest != second.digest
    words = f"none seed=1 keras={keras.__version__}"
    assert first.digest == hashlib.sha256(words.encode()).hexdigest()


def test_the_default_of_lite0_is_packaged_and_intact():
    source = resolve_weights(parse_backbone("EfficientNetLite0"))
    assert (source.kind, source.seed) == ("packaged", None)
    # Its author named the file after its digest.
    assert source.path.name == f"efficientnet-lite0-{source.digest[:8]}.pth"
    again = resolve_weights(parse_backbone("EfficientNetLite0"), str(source.path))
    assert (again.kind, again.digest) == ("file", source.digest)


def test_a_missing_package_names_the_extra(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(WeightsError, match=r"pip install 'bottleneck-pipeline\[lite\]'"):
        resolve_weights(parse_backbone("EfficientNetLite1"))


def test_a_file_has_the_digest_of_its_bytes(tmp_path):
    path = tmp_path / "some.weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\nanything")
    source = resolve_weights(SPEC, str(path))
    assert (source.kind, source.path) == ("file", path)
    assert source.digest == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("weights", ["imagnet", "weights.npz", "weights.pth", ""])
def test_other_texts_are_refused(weights):
    with pytest.raises(InputError, match=f"default, imagenet, none.*weights={weights!r}"):
        resolve_weights(SPEC, weights)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(WeightsError, match=r"no weights file .*gone\.h5; choose default"):
        resolve_weights(SPEC, str(tmp_path / "gone.h5"))


def test_imagenet_is_taken_from_the_cache_of_keras(keras_home):
    path = keras_home / "models" / "mobilenet_2_5_160_tf_no_top.h5"
    path.parent.mkdir()
    random_base(size=160).save(path)
    source = resolve_weights(SPEC, "default", image_size=160)
    assert (source.kind, source.path) == ("imagenet", path)
    assert_same_weights(build_base(SPEC, source, 160), random_base())


@pytest.mark.parametrize(("name", "top"), [("MobileNet(alpha=0.25)", False), ("VGG16", True)])
def test_without_network_the_error_tells_file_place_and_way_out(keras_home, capsys, name, top):
    spec = parse_backbone(name)
    file = spec.weights_file(include_top=top)
    message = f"{keras_home}/models/{file}, .*no network here.*--weights PATH$"
    with pytest.raises(WeightsError, match=message) as raised:
        resolve_weights(spec, "imagenet", include_top=top)
    assert "\n" not in str(raised.value)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "Downloading data from https://" in printed.err


def test_a_download_through_keras_is_used(keras_home, tmp_path, monkeypatch):
    random_base().save(tmp_path / "published.h5")
    monkeypatch.setattr(
        file_utils,
        "urlretrieve",
        lambda _url, to, _hook: shutil.copy(tmp_path / "published.h5", to),
    )
    source = resolve_weights(SPEC, "imagenet")
    assert source.path == keras_home / "models" / "mobilenet_2_5_224_tf_no_top.h5"
    assert_same_weights(build_base(SPEC, source, 32), random_base())


# Loading


def save_legacy_model(model, path):
    model.save(path)


def save_legacy_weights(model, path):
    """Write what ``save_weights`` of Keras 2 wrote: the groups of a model file, at the root."""
    model.save(path)
    with h5py.File(path, "a") as file:
        weights = file["model_weights"]
        for key, value in weights.attrs.items():
            file.attrs[key] = value
        for name in list(weights):
            file.move(f"model_weights/{name}", name)
        del file["model_weights"]


def save_weights(model, path):
    model.save_weights(path)


def save_nested(model, path):
    """Save a base inside a model with a head of its own."""
    images = keras.Input((32, 32, 3))
    features = keras.layers.GlobalAveragePooling2D()(model(images))
    keras.Model(images, keras.layers.Dense(2)(features)).save(path)


def save_nested_weights(model, path):
    images = keras.Input((32, 32, 3))
    features = keras.layers.Conv2D(4, 3, padding="same")(model(images))
    keras.Model(images, features).save_weights(path)


FORMATS = {
    "model.h5": save_legacy_model,
    "old.weights.h5": save_legacy_weights,
    "new.weights.h5": save_weights,
    "weights.best.hdf5": save_legacy_weights,
    "new.weights.H5": save_weights,
    "model.keras": save_legacy_model,
    "model.KERAS": save_legacy_model,
    "nested.h5": save_nested,
    "nested.keras": save_nested,
    "nested.weights.h5": save_nested_weights,
}


@pytest.mark.parametrize("file", FORMATS)
def test_every_format_gives_every_weight(file, tmp_path):
    path = tmp_path / file
    written = path.with_suffix({".H5": ".h5", ".KERAS": ".keras"}.get(path.suffix, path.suffix))
    FORMATS[file](random_base(), written)
    loaded = build_base(SPEC, resolve_weights(SPEC, str(written.rename(path))), 32)
    assert_same_weights(loaded, random_base())


@pytest.mark.parametrize("file", ["model.h5", "new.weights.h5", "model.keras"])
def test_a_file_with_top_serves_with_and_without_top(file, tmp_path):
    saved = random_base(include_top=True)
    FORMATS[file](saved, tmp_path / file)
    source = resolve_weights(SPEC, str(tmp_path / file))
    assert_same_weights(build_base(SPEC, source, 32, include_top=True), saved)
    assert_same_weights(build_base(SPEC, source, 32), random_base())


@pytest.mark.parametrize("file", ["model.h5", "new.weights.h5", "model.keras"])
def test_a_file_without_top_does_not_serve_with_top(file, tmp_path):
    FORMATS[file](random_base(), tmp_path / file)
    source = resolve_weights(SPEC, str(tmp_path / file))
    with pytest.raises(WeightsError, match=r"has no weights for layer 'conv_preds'.*1,1,256,1000"):
        build_classifier(SPEC, source, 32)


@pytest.mark.parametrize("file", ["model.h5", "new.weights.h5", "model.keras"])
def test_automatic_names_are_matched_by_position(file, tmp_path):
    """Shortcuts of Xception are conv2d_4 and so on when it is not the process's first model."""
    size = 71
    keras.layers.Conv2D(1, 1)
    saved = keras.applications.Xception(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )
    assert "conv2d" not in [layer.name for layer in saved.layers]
    FORMATS[file](saved, tmp_path / file)
    spec = parse_backbone("Xception")
    loaded = build_base(spec, resolve_weights(spec, str(tmp_path / file)), size)
    assert_same_weights(loaded, saved)


def test_early_keras_3_files_without_names_are_matched_by_path(tmp_path):
    saved = random_base(include_top=True)
    path = tmp_path / "early.weights.h5"
    saved.save_weights(path)
    with h5py.File(path, "a") as file:
        for layer in file["layers"].values():
            layer["vars"].attrs.clear()
    assert_same_weights(build_base(SPEC, resolve_weights(SPEC, str(path)), 32), random_base())
    other = parse_backbone("MobileNet(alpha=0.5)")
    with pytest.raises(WeightsError, match=r"layer 'conv2d' expects \(3,3,3,16\)"):
        build_base(other, resolve_weights(other, str(path)), 32)


@pytest.mark.parametrize("file", ["model.h5", "new.weights.h5", "model.keras"])
def test_blocks_nested_in_the_base_get_their_weights(file, tmp_path):
    """The stem and the halvings of ConvNeXt are models inside the model."""
    saved = random_base("ConvNeXtTiny")
    FORMATS[file](saved, tmp_path / file)
    spec = parse_backbone("ConvNeXtTiny")
    loaded = build_base(spec, resolve_weights(spec, str(tmp_path / file)), 32)
    assert_same_weights(loaded, saved)


@pytest.mark.parametrize("file", ["model.h5", "new.weights.h5", "model.keras"])
@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        (
            "MobileNet(alpha=0.5)",
            r"layer 'conv1' expects \(3,3,3,16\) and the file has \(3,3,3,8\)",
        ),
        ("MobileNetV2", "has no weights for layer"),
        ("EfficientNetLite0", "has no weights for layer"),
    ],
)
def test_another_architecture_is_refused(file, wanted, message, tmp_path):
    FORMATS[file](random_base(), tmp_path / file)
    spec = parse_backbone(wanted)
    with pytest.raises(WeightsError, match=message) as raised:
        build_base(spec, resolve_weights(spec, str(tmp_path / file)), 32)
    assert str(tmp_path / file) in str(raised.value)


@pytest.mark.parametrize("file", ["model.h5", "new.weights.h5", "model.keras"])
def test_a_deeper_network_of_the_family_is_refused(file, tmp_path):
    """VGG19 has every layer of VGG16, with the same shapes, and four more."""
    FORMATS[file](random_base("VGG19"), tmp_path / file)
    spec = parse_backbone("VGG16")
    with pytest.raises(WeightsError, match=r"it also has a layer 'block[345]_conv4'"):
        build_base(spec, resolve_weights(spec, str(tmp_path / file)), 32)


def test_a_file_that_lacks_one_layer_is_refused(tmp_path):
    path = tmp_path / "less.h5"
    save_legacy_model(random_base(), path)
    with h5py.File(path, "a") as file:
        names = [n for n in file["model_weights"].attrs["layer_names"] if n != "conv_pw_6"]
        file["model_weights"].attrs["layer_names"] = names
    with pytest.raises(WeightsError, match="no weights for layer 'conv_pw_6'"):
        build_base(SPEC, resolve_weights(SPEC, str(path)), 32)


@pytest.mark.parametrize("file", ["model.h5", "new.weights.h5", "model.keras"])
@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_damaged_files_are_one_sentence(file, damage, tmp_path):
    path = tmp_path / file
    FORMATS[file](random_base(), path)
    content = path.read_bytes()
    path.write_bytes({"truncated": content[:5000], "text": b"<html>404", "empty": b""}[damage])
    with pytest.raises(WeightsError, match="damaged or of another format") as raised:
        build_base(SPEC, resolve_weights(SPEC, str(path)), 32)
    assert "\n" not in str(raised.value)


def test_hdf5_without_weights_is_refused(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["data"] = [1, 2, 3]
    with pytest.raises(WeightsError, match="neither 'layer_names' nor 'layers'"):
        build_base(SPEC, resolve_weights(SPEC, str(tmp_path / "other.h5")), 32)


def test_hdf5_that_keras_2_wrote_as_keras_3_does_is_told(tmp_path):
    with h5py.File(tmp_path / "early.weights.h5", "w") as file:
        file.create_group("_layer_checkpoint_dependencies/conv2d/vars")
    with pytest.raises(WeightsError, match=r"which Keras 2 wrote as \.weights\.h5; save them with"):
        build_base(SPEC, resolve_weights(SPEC, str(tmp_path / "early.weights.h5")), 32)


def test_hdf5_that_points_at_other_files_is_refused(tmp_path):
    save_legacy_weights(random_base(), tmp_path / "a.h5")
    with h5py.File(tmp_path / "b.h5", "w") as file, h5py.File(tmp_path / "a.h5") as original:
        for key, value in original.attrs.items():
            file.attrs[key] = value
        for name in original:
            file[name] = h5py.ExternalLink(str(tmp_path / "a.h5"), name)
        # The groups themselves live in the other file, where everything is inside.
        del file["conv1"]
        group = file.create_group("conv1")
        for key, value in original["conv1"].attrs.items():
            group.attrs[key] = value
        for key in original["conv1"].attrs["weight_names"]:
            group[key] = h5py.ExternalLink(str(tmp_path / "a.h5"), f"conv1/{key}")
    with pytest.raises(WeightsError, match="points outside the file"):
        build_base(SPEC, resolve_weights(SPEC, str(tmp_path / "b.h5")), 32)


def test_a_model_with_code_in_it_is_refused(tmp_path):
    images = keras.Input((32, 32, 3))
    model = keras.Model(images, keras.layers.Lambda(lambda x: x + 1)(images))
    model.save(tmp_path / "code.keras")
    with pytest.raises(WeightsError, match=r"loads in safe mode.*Keras 3[.\d]+ saved: .*Lambda"):
        build_base(SPEC, resolve_weights(SPEC, str(tmp_path / "code.keras")), 32)


def test_a_model_of_keras_2_is_one_sentence_that_names_the_version(tmp_path):
    with zipfile.ZipFile(tmp_path / "old.keras", "w") as file:
        file.writestr("metadata.json", '{"keras_version": "2.15.0"}')
        file.writestr("config.json", '{"module": "keras.src.engine", "class_name": "Functional"}')
    with pytest.raises(WeightsError, match=r"Keras 2\.15\.0 saved: files of Keras 2 differ; where"):
        build_base(SPEC, resolve_weights(SPEC, str(tmp_path / "old.keras")), 32)


def base_with_published_statistics():
    base = build_base(B0, resolve_weights(B0, "none", 5), 32)
    mean, std = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
    base.get_layer("normalization").set_weights([mean, std, np.array(0)])
    return base


def test_efficientnet_equals_what_keras_makes_of_its_own_file(keras_home, monkeypatch):
    """The published files hold a standard deviation as variance, and Keras makes up for it."""
    base = base_with_published_statistics()
    path = keras_home / "models" / "efficientnetb0_notop.h5"
    path.parent.mkdir()
    base.save(path)
    monkeypatch.setattr(file_utils, "validate_file", lambda *_args, **_kwargs: True)
    reference = keras.applications.EfficientNetB0(include_top=False, input_shape=(32, 32, 3))
    images = np.random.default_rng(0).uniform(0, 255, (2, 32, 32, 3)).astype(np.float32)
    source = resolve_weights(B0, "imagenet")
    ours = build_extractor(B0, source, 32, [Cut("top", "none")])(images)
    np.testing.assert_allclose(ours, reference(images), rtol=1e-4, atol=1e-5)


def test_a_corrected_efficientnet_is_not_corrected_twice(tmp_path):
    base = base_with_published_statistics()
    base.save_weights(tmp_path / "a.weights.h5")
    once = build_base(B0, resolve_weights(B0, str(tmp_path / "a.weights.h5")), 32)
    once.save_weights(tmp_path / "b.weights.h5")
    twice = build_base(B0, resolve_weights(B0, str(tmp_path / "b.weights.h5")), 32)
    assert_same_weights(once, twice)
    variance = once.get_layer("normalization").get_weights()[1]
    np.testing.assert_allclose(variance.ravel(), np.square([0.229, 0.224, 0.225]), rtol=1e-5)


@needs_material
def test_published_weights_of_mobilenet_equal_those_loaded_by_keras():
    images = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype(np.float32)
    source = resolve_weights(SPEC, str(IMAGENET_FILE))
    ours = build_extractor(SPEC, source, 64, [Cut("top", "none")])(images)
    reference = keras.applications.MobileNet(
        alpha=0.25, weights=str(IMAGENET_FILE), include_top=False, input_shape=(64, 64, 3)
    )
    np.testing.assert_allclose(ours, reference(images / 127.5 - 1), rtol=1e-4, atol=1e-4)


@needs_material
@pytest.mark.parametrize("text", ["MobileNetV2", "MobileNet(alpha=0.5)", "VGG16"])
def test_published_weights_do_not_fit_another_architecture(text):
    spec = parse_backbone(text)
    with pytest.raises(WeightsError, match=r"expected weights of .*mobilenet_2_5_224_tf_no_top"):
        build_base(spec, resolve_weights(spec, str(IMAGENET_FILE)), 32)


@pytest.mark.parametrize("name", [name for name, row in BACKBONES.items() if row.package])
def test_packaged_weights_load_completely(name):
    spec = parse_backbone(name)
    if importlib.util.find_spec(spec.backbone.package) is None:
        pytest.skip(f"{spec.backbone.package} is not installed")
    source = resolve_weights(spec, include_top=True)
    tensors = read_torch_pickle(source.path)
    model = build_base(spec, source, 32, include_top=True)
    assert model.count_params() == sum(
        tensor.size for key, tensor in tensors.items() if not key.endswith("num_batches_tracked")
    )
    kernel, bias = model.get_layer("predictions").get_weights()
    np.testing.assert_array_equal(kernel.T, tensors["_fc.weight"])
    np.testing.assert_array_equal(bias, tensors["_fc.bias"])
    other = "EfficientNetLite2" if name == "EfficientNetLite0" else "EfficientNetLite0"
    with pytest.raises(WeightsError, match=f"expected weights of {other}"):
        build_base(parse_backbone(other), source, 32)

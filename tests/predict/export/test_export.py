"""A run as one model: loaded by other programs, it says what the run says."""

import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipeline.cli import run
from pipeline.config import ExportConfig, PredictConfig
from pipeline.errors import InputError, RunError, UnknownNameError
from pipeline.heads import NetworkHead, softmax
from pipeline.heads.fitted import all_classes, centred
from pipeline.images import DecodeRecipe, ViewAverage, ViewRecipe, decode
from pipeline.images.own import note_own
from pipeline.predict.export.description import recipe_in_words
from pipeline.predict.export.export import export
from pipeline.predict.export.formats import find_format
from pipeline.predict.predict import predict
from pipeline.runs import load_bundle, save_head, save_model
from tests.conftest import write_picture
from tests.stored import reseal

pytest.importorskip("tf2onnx", reason="needs the extras onnx and tflite")
pytest.importorskip("ai_edge_litert", reason="needs the extras onnx and tflite")

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
HEADS = "logistic,knn,lda(prepare='sqrt-l2'),dense(hidden=(8,),epochs=2)"
CLASSES = ("blue", "green", "red")
SUFFIXES = {"keras": ".keras", "onnx": ".onnx", "openvino": "", "tflite": ".tflite"}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Three classes of which two are hard to tell apart; runs of four heads and a whole model."""
    root = tmp_path_factory.mktemp("project")
    for split, count in (("train", 14), ("test", 6)):
        for number, name in enumerate(CLASSES):
            for i in range(count):
                seed = 1000 * number + 100 * (split == "test") + i
                hue = 2 if name == "blue" else None
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=hue)
    flags = [*BASE, "--layers", "block2+block3", "--heads", HEADS, "--folds", "2"]
    assert run(["classify", str(root / "data"), *flags, *places(root), "--quiet"]) == 0
    return root


@pytest.fixture
def copy(project, tmp_path):
    return Path(shutil.copytree(project, tmp_path / "copy"))


def places(root):
    return ["--cache", str(root / "features"), "--runs", str(root / "runs")]


def run_of(root, head):
    (path,) = (root / "runs").glob(f"*-{head}*")
    return path


def exported(root, out, head="logistic", **settings):
    config = ExportConfig(cache=root / "features", runs=root / "runs", **settings)
    return export(config, run_of(root, head).name, out)


def with_whole_model(root):
    """Turn the logistic run's bundle into a whole model, as fine-tuning leaves one."""
    from pipeline.predict.export.writers import whole_model

    folder = run_of(root, "logistic") / "bundle"
    bundle = load_bundle(folder)
    model = whole_model(bundle)
    shutil.rmtree(folder)
    save_model(folder, model, bundle.classes, bundle.base)
    reseal(folder.parent)


def predicted(root, head):
    """Return the test pictures as arrays, and what `predict` says of them, in class order."""
    config = PredictConfig(cache=root / "features", runs=root / "runs", top=3)
    found = predict(config, run_of(root, head).name, [root / "data" / "test"]).predictions
    recipe = DecodeRecipe(32)
    images = np.stack([decode(Path(one.path).read_bytes(), recipe) for one in found])
    return images, np.array([[dict(one.top)[name] for name in CLASSES] for one in found])


def loaded(name, out):
    """Return a model in its format's own runtime."""
    from pipeline.predict.export.writers import WRITERS

    runtime = WRITERS[find_format(name, out).name][1](out)
    return lambda images: runtime(images)["probabilities"]


def leftovers(folder):
    return sorted(path.name for path in folder.iterdir())


# What is written says what the run says


@pytest.mark.parametrize(
    ("head", "name"), [*(("lda", name) for name in SUFFIXES), ("logistic", "onnx")]
)
def test_evidence_is_the_runs_own_and_adds_up(project, tmp_path, head, name):
    from pipeline.predict.export.writers import WRITERS

    out = tmp_path / f"model{SUFFIXES[name]}"
    result = exported(project, out, head, format=name, evidence=True)
    assert result.max_evidence_difference < 1e-4
    images, probabilities = predicted(project, head)
    found = WRITERS[name][1](out)(images)
    np.testing.assert_allclose(found["probabilities"], probabilities, atol=1e-5)
    about = json.loads(out.with_name(f"{out.name}.json").read_text())
    assert about["checked"]["max_evidence_difference"] == result.max_evidence_difference
    assert about["evidence"]["shape"] == [None, 8, 8, 3]
    assert found["evidence"].shape == (18, 8, 8, 3)  # of two grids, the finer one
    scores = found["evidence"].sum((1, 2)) + about["evidence"]["bias"]
    np.testing.assert_allclose(softmax(scores), probabilities, atol=1e-4)


@pytest.mark.parametrize("name", ["openvino", "tflite"])
def test_in_int8_it_is_the_answers_that_agree(project, tmp_path, monkeypatch, name):
    pytest.importorskip("nncf")
    monkeypatch.setattr("pipeline.predict.export.export.MOST_CHANGED", 1)  # weights are random
    out = tmp_path / f"model{SUFFIXES[name]}"
    result = exported(project, out, format=name, precision="int8")
    images, probabilities = predicted(project, "logistic")
    answers = loaded(name, out)(images).argmax(1)
    assert result.pictures == len(images) == 18
    assert result.changed == (answers != probabilities.argmax(1)).sum()
    assert result.max_abs_difference > 1e-5
    monkeypatch.setattr("pipeline.predict.export.export.MOST_CHANGED", -1)
    with pytest.raises(RunError, match=f"received others for {result.changed} of 18 pictures"):
        exported(project, tmp_path / f"more{SUFFIXES[name]}", format=name, precision="int8")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"format": "keras"}, "expected --format openvino or tflite for --precision int8"),
        ({"format": "tflite", "evidence": True}, "expected no --evidence for .* in int8"),
        ({"format": "tflite", "precision": "half"}, "expected precision float32 or int8 of a"),
    ],
)
def test_int8_that_cannot_be(project, tmp_path, settings, words):
    out = tmp_path / f"model{SUFFIXES[settings['format']]}"
    with pytest.raises(InputError, match=words):
        exported(project, out, **{"precision": "int8"} | settings)


def test_int8_needs_training_pictures_that_a_command_of_the_users_has_read(
    project, tmp_path, monkeypatch
):
    monkeypatch.setattr("pipeline.predict.export.int8.may_look", lambda place: False)
    with pytest.raises(InputError, match=r"expected the training pictures .* no command of yours"):
        exported(project, tmp_path / "model.tflite", precision="int8")


def test_evidence_is_of_linear_heads(project, tmp_path):
    with pytest.raises(RunError, match="expected a linear head on averages of maps for --evidence"):
        exported(project, tmp_path / "model.keras", "dense", evidence=True)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize(
    ("head", "name"),
    [
        *(("lda", name) for name in SUFFIXES),
        ("logistic", "onnx"),
        ("dense", "keras"),
        ("dense", "tflite"),
    ],
)
def test_probabilities_are_the_runs_own(project, tmp_path, head, name):
    out = tmp_path / f"model{SUFFIXES[name]}"
    result = exported(project, out, head, format=name)
    assert result.max_abs_difference < 1e-5
    assert (result.pictures, result.format) == (18, name)
    assert result.compared_on == "test pictures of data"
    images, expected = predicted(project, head)
    runtime = loaded(name, out)
    for part in (slice(0, 1), slice(1, 6), slice(6, 18)):
        np.testing.assert_allclose(runtime(images[part]), expected[part], rtol=0, atol=1e-5)
    assert expected.max(1).min() < 0.99
    assert leftovers(tmp_path) == sorted([out.name, f"{out.name}.json"])


@pytest.mark.parametrize("name", SUFFIXES)
def test_whole_models_too(copy, tmp_path, name):
    with_whole_model(copy)
    out = tmp_path / f"model{SUFFIXES[name]}"
    assert exported(copy, out, format=name).max_abs_difference < 1e-5
    images, expected = predicted(copy, "logistic")
    found = loaded(name, out)(images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


PLAIN = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "pipeline":
            raise ImportError(name)

sys.meta_path.insert(0, Blocked())
import keras
import numpy as np

model = keras.saving.load_model(sys.argv[1], safe_mode=True)
images = np.load(sys.argv[2])
found = [model.predict(given, verbose=0).tolist() for given in (images, images.astype("float32"))]
assert model.predict(images[:1], verbose=0).shape == (1, 3)
print(json.dumps(found))
"""


def in_plain_keras(path, images, tmp_path):
    """Load a model where this package cannot be imported; return its answers to two dtypes."""
    np.save(tmp_path / "images.npy", images)
    command = [sys.executable, "-c", PLAIN, str(path), str(tmp_path / "images.npy")]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    return np.array(json.loads(process.stdout.splitlines()[-1]))


def test_plain_keras_loads_it_without_this_package(project, tmp_path):
    out = tmp_path / "model.keras"
    exported(project, out, "lda")
    images, expected = predicted(project, "lda")
    for found in in_plain_keras(out, images, tmp_path):
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_bases_that_flip_channels_and_pool_by_powers(tmp_path):
    for number, name in enumerate(CLASSES):
        for i in range(6):
            split = "test" if i < 2 else "train"
            path = tmp_path / "data" / split / name / f"{i}.png"
            write_picture(path, 100 * number + i, hue=number)
    flags = ["--backbone", "VGG16", "--weights", "none", "--image-size", "32", "--pooling", "gem"]
    flags += ["--layers", "block1", "--heads", "ridge", "--folds", "2", "--resize", "pad"]
    data = str(tmp_path / "data")
    assert run(["classify", data, *flags, *places(tmp_path), "--quiet"]) == 0
    out = tmp_path / "model.keras"
    exported(tmp_path, out, "ridge")
    images, expected = predicted(tmp_path, "ridge")
    found, _ = in_plain_keras(out, images, tmp_path)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", SUFFIXES)
def test_what_converters_stumble_over(tmp_path, name):
    """Constants that are no variables (EfficientNet), groups and GELU (ConvNeXt)."""
    import keras

    from pipeline.predict.export.writers import WRITERS

    images = keras.Input((8, 8, 3), name="images")
    scaled = keras.layers.Normalization(mean=[90.0, 120.0, 150.0], variance=[1e3, 2e3, 3e3])(images)
    grouped = keras.layers.Conv2D(6, 3, groups=3, activation="gelu")(scaled)
    probabilities = keras.layers.Softmax()(keras.layers.GlobalAveragePooling2D()(grouped))
    model = keras.Model(images, probabilities)
    out = tmp_path / f"model{SUFFIXES[name]}"
    if name == "openvino":
        out.mkdir()
    WRITERS[name][0](out, model, {"classes": CLASSES})
    given = np.random.default_rng(0).integers(0, 256, (5, 8, 8, 3), np.uint8)
    expected = model.predict(given, verbose=0)
    np.testing.assert_allclose(loaded(name, out)(given), expected, atol=1e-6)


# Digits that are not lost


def test_centred_heads_say_the_same():
    rng = np.random.default_rng(0)
    kernels = (rng.normal(size=(5, 4)), rng.normal(size=(4, 3)) + 500 * rng.normal(size=(4, 1)))
    head = NetworkHead(kernels, (rng.normal(size=4), rng.normal(size=3) - 2000), "l2")
    features = rng.normal(size=(50, 5))
    expected = softmax(head.scores(features))
    np.testing.assert_allclose(softmax(centred(head).scores(features)), expected, atol=1e-6)
    assert np.abs(centred(head).biases[-1]).max() < 10
    assert np.abs(centred(head).kernels[-1]).max() < 10


def test_classes_never_seen_have_no_say_in_what_is_shared():
    kernel, bias = all_classes(np.array([[3.0, 5.0]]), np.array([1.0, 2.0]), np.array([0, 2]), 3)
    head = NetworkHead((kernel,), (bias,))
    found = centred(head)
    assert found.kernels[0].tolist() == [[-1.0, -4.0, 1.0]]
    features = np.array([[-2.0], [2.0]])
    expected = softmax(head.scores(features))
    np.testing.assert_allclose(softmax(found.scores(features)), expected, atol=1e-7)
    assert expected[:, 1].max() == 0


# What is said of it


def described_inside(name, out):
    """Return the description that a model holds, read as other programs would."""
    if name in ("keras", "tflite"):
        with zipfile.ZipFile(out) as archive:
            assert archive.read("labels.txt").decode().split() == list(CLASSES)
            return json.loads(archive.read("bottleneck.json"))
    if name == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(out, providers=["CPUExecutionProvider"])
        texts = session.get_modelmeta().custom_metadata_map
        assert json.loads(texts["classes"]) == list(CLASSES)
        assert session.get_inputs()[0].shape == ["n", 32, 32, 3]
        return json.loads(texts["bottleneck"])
    import openvino

    return json.loads(openvino.Core().read_model(out / "model.xml").get_rt_info("bottleneck").value)


@pytest.mark.parametrize("name", SUFFIXES)
def test_the_description_lies_inside_and_beside(project, tmp_path, name):
    out = tmp_path / f"model{SUFFIXES[name]}"
    result = exported(project, out, format=name)
    beside = json.loads((tmp_path / f"{out.name}.json").read_text())
    checked = beside.pop("checked")
    assert beside == described_inside(name, out)
    assert checked == {
        "changed": 0,
        "max_abs_difference": result.max_abs_difference,
        "pictures": 18,
        "compared_on": result.compared_on,
    }
    assert beside["classes"] == list(CLASSES)
    assert beside["input"]["shape"] == [None, 32, 32, 3]
    assert beside["input"]["dtype"] == ("float32" if name == "keras" else "uint8")
    assert beside["recipe"]["resize"] == "squash"
    assert "Resampling.BILINEAR" in beside["recipe"]["in_words"]
    assert beside["run"] == run_of(project, "logistic").name
    measured = json.loads((run_of(project, "logistic") / "metrics.json").read_text())
    assert beside["metrics"]["test"]["accuracy"] == measured["test"]["accuracy"]["value"]
    assert beside["threshold"] is None


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        (
            DecodeRecipe(96, "crop"),
            "as box, Image.crop rounds it), and scale that to 96 × 96 pixels",
        ),
        (DecodeRecipe(96, "pad", "lanczos"), "centre it on black, 96 × 96 pixels"),
        (DecodeRecipe(96, "pad", "lanczos"), "Resampling.LANCZOS"),
        (DecodeRecipe(96), "BILINEAR, but for one grey level in about every tenth value; give"),
        (DecodeRecipe(96, version=1), "Resampling.BILINEAR; give"),
        (DecodeRecipe(96, jpeg="scaled"), "JPEG: at a half, quarter or eighth"),
    ],
)
def test_recipes_in_words(recipe, words):
    assert words in recipe_in_words(recipe)


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_who_follows_the_words_gets_the_pixels_but_for_a_grey_level(resize):
    noise = np.random.default_rng(0).integers(0, 256, (90, 121, 3), np.uint8)
    picture = Image.fromarray(noise).resize((62, 45), Image.Resampling.BICUBIC)
    side, how = 32, Image.Resampling.BILINEAR
    if resize == "squash":
        followed = picture.resize((side, side), how)
    elif resize == "crop":
        followed = picture.resize((side, side), how, box=(8.5, 0, 53.5, 45))
    else:
        followed = Image.new("RGB", (side, side))
        followed.paste(picture.resize((side, round(45 * side / 62)), how), (0, 4))
    file = io.BytesIO()
    picture.save(file, "PNG")
    ours = decode(file.getvalue(), DecodeRecipe(side, resize))
    differ = np.abs(np.asarray(followed).astype(int) - ours)
    assert differ.max() <= 1
    assert np.mean(differ > 0) < 0.3  # in photos half as many


def test_views_to_judge_by_are_left_out_and_told(copy, tmp_path, capsys):
    folder = run_of(copy, "logistic") / "bundle"
    bundle = load_bundle(folder)
    shutil.rmtree(folder)
    judged = {"test_views": ViewAverage(3, ViewRecipe("crop,flip", 0)), "threshold": 0.75}
    save_head(folder, bundle.head, bundle.classes, bundle.base, **judged)
    reseal(folder.parent)
    out = tmp_path / "model"
    arguments = ["export", run_of(copy, "logistic").name, str(out), "--format", "openvino"]
    assert run([*arguments, *places(copy)]) == 0
    printed = capsys.readouterr().out
    assert "note: the model judges a picture as it is; the run" in printed
    assert "the mean over the picture and 3 views of it" in printed
    assert (
        "note: where the greatest probability is below 0.75, the run's answer is \"don" in printed
    )
    value = json.loads((tmp_path / "model.json").read_text())
    assert value["threshold"] == 0.75
    assert len(value["notes"]) == 3


def test_the_command_says_how_far_it_is_and_on_what(project, tmp_path, capsys):
    out = tmp_path / "model.keras"
    arguments = ["export", run_of(project, "logistic").name, str(out), *places(project)]
    capsys.readouterr()
    assert run([*arguments, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["path"] == str(out)
    assert (value["format"], value["pictures"]) == ("keras", 18)
    assert 0 <= value["max_abs_difference"] < 1e-5
    assert value["bytes"] == out.stat().st_size
    assert run([*arguments, "--overwrite"]) == 0
    printed = capsys.readouterr().out
    assert "on 18 pictures (test pictures of data)" in printed
    assert f"classes, recipe and figures: {out}.json" in printed


# Which pictures it is checked on


def test_pictures_that_changed_do_not_count(copy, tmp_path):
    shutil.move(copy / "data", tmp_path / "moved")
    moved = run_of(copy, "logistic") / "run.json"
    info = json.loads(moved.read_text())
    info["dataset"]["root"] = str(tmp_path / "moved")
    moved.write_text(json.dumps(info))
    reseal(moved.parent)
    write_picture(tmp_path / "moved/test/red/0.png", 9999)
    (tmp_path / "moved/test/red/1.png").unlink()
    # Where the pictures are now only the run says, which anybody may have written.
    assert exported(copy, tmp_path / "other.keras").compared_on == "made-up pictures"
    note_own(str(tmp_path / "moved"))
    assert exported(copy, tmp_path / "model.keras").pictures == 16


def test_made_up_pictures_where_all_are_gone(copy, tmp_path):
    path = run_of(copy, "logistic") / "run.json"
    info = json.loads(path.read_text())
    info["dataset"]["root"] = str(tmp_path / "nowhere")
    path.write_text(json.dumps(info))
    reseal(path.parent)
    result = exported(copy, tmp_path / "model.keras")
    assert (result.pictures, result.compared_on) == (4, "made-up pictures")
    assert result.max_abs_difference < 1e-5


def test_pictures_in_an_archive(project, tmp_path):
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for picture in sorted((project / "data").rglob("*.png")):
            archive.write(picture, picture.relative_to(project))
    flags = [*BASE, "--layers", "block2", "--heads", "ridge", "--folds", "2", "--quiet"]
    assert run(["classify", str(tmp_path / "pets.zip"), *flags, *places(tmp_path)]) == 0
    result = exported(tmp_path, tmp_path / "model.keras", "ridge")
    assert (result.pictures, result.compared_on) == (
        18,
        "test pictures of pets",
    )


# What is refused, and what stays


@pytest.mark.parametrize("name", ["keras", "openvino"])
def test_a_model_that_says_otherwise_is_not_kept(project, tmp_path, monkeypatch, name):
    monkeypatch.setattr("pipeline.predict.export.export.LIMITS", {"float32": -1.0})
    out = tmp_path / f"model{SUFFIXES[name]}"
    with pytest.raises(
        RunError, match=r"off by up to .* nothing was kept, choose another --format"
    ):
        exported(project, out, format=name)
    assert leftovers(tmp_path) == []


def test_operations_that_a_format_does_not_know(project, tmp_path, monkeypatch):
    def refuse(*given):
        raise ValueError("No Op registered for\n  Odd")

    from pipeline.predict.export.writers import WRITERS

    monkeypatch.setitem(WRITERS, "keras", (refuse, WRITERS["keras"][1]))
    words = "Keras knows every operation, it was refused: No Op registered for Odd; choose another"
    with pytest.raises(RunError, match=words):
        exported(project, tmp_path / "model.keras")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["keras", "openvino"])
def test_what_is_there_is_replaced_only_when_asked_and_only_by_what_is_right(
    project, tmp_path, monkeypatch, name
):
    out = tmp_path / f"model{SUFFIXES[name]}"
    exported(project, out, "logistic", format=name)
    there = leftovers(tmp_path)
    first = (tmp_path / f"{out.name}.json").read_text()
    with pytest.raises(InputError, match=r"exists; name another one, or use --overwrite"):
        exported(project, out, "dense", format=name)
    with monkeypatch.context() as patched:
        patched.setattr("pipeline.predict.export.export.LIMITS", {"float32": -1.0})
        with pytest.raises(RunError, match="nothing was kept"):
            exported(project, out, "dense", format=name, overwrite=True)
    images, expected = predicted(project, "logistic")
    found = loaded(name, out)(images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert (tmp_path / f"{out.name}.json").read_text() == first
    exported(project, out, "dense", format=name, overwrite=True)
    images, expected = predicted(project, "dense")
    found = loaded(name, out)(images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)
    assert leftovers(tmp_path) == there


@pytest.mark.parametrize(
    ("make", "out", "name", "words"),
    [
        (["model.keras/"], "model.keras", "keras", "model.keras exists; name another one$"),
        (["mine/notes.txt"], "mine", "openvino", "mine exists; name another one$"),
        (["mine"], "mine", "openvino", "mine exists; name another one$"),
        (["model.keras.json/"], "model.keras", "keras", r"keras\.json exists; name another one$"),
    ],
)
def test_the_users_own_is_never_overwritten(project, tmp_path, make, out, name, words):
    for text in make:
        path = tmp_path / text
        if text.endswith("/"):
            path.mkdir()
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=words):
        exported(project, tmp_path / out, format=name, overwrite=True)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "out", "kind", "words"),
    [
        (
            "onix",
            "m.onnx",
            UnknownNameError,
            "unknown format 'onix'; nearest: onnx, openvino; known:",
        ),
        ("onnx", "m.keras", InputError, r"ends in \.onnx for --format onnx, received out=.*rename"),
        ("onnx", "m", InputError, r"ends in \.onnx for --format onnx, received out=.*m; rename"),
        ("openvino", "m.xml", InputError, "folder for OpenVINO's model.xml .* name it without"),
        ("openvino", "m.onnx", InputError, "folder for OpenVINO's model.xml"),
        (None, "m.oonx", UnknownNameError, r"kind of model '\.oonx'; nearest: \.onnx; name a file"),
        (None, "m", UnknownNameError, "unknown kind of model 'm'.*--format openvino"),
    ],
)
def test_formats_that_cannot_be_meant(project, tmp_path, name, out, kind, words):
    with pytest.raises(kind, match=words):
        exported(project, tmp_path / out, format=name)
    assert leftovers(tmp_path) == []


def test_heads_that_are_no_layers(project, tmp_path):
    with pytest.raises(RunError, match=r"linear or dense head.*head='knn'.*take the folder .*knn"):
        exported(project, tmp_path / "m.onnx", "knn")
    assert leftovers(tmp_path) == []


def test_no_such_run(project, tmp_path, capsys):
    assert run(["export", "nothing", str(tmp_path / "m.onnx"), *places(project)]) == 2
    assert "received 'nothing': there is none; `pipeline compare`" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "package"), [("onnx", "tf2onnx"), ("tflite", "ai_edge_litert")])
def test_packages_that_are_missing(project, tmp_path, monkeypatch, name, package):
    import importlib.util

    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda wanted: None if wanted == package else find_spec(wanted)
    )
    words = rf"received no {package}; pip install 'bottleneck-pipeline\[{name}\]'"
    with pytest.raises(InputError, match=words):
        exported(project, tmp_path / f"m.{name}")


def test_whole_models_that_cannot_predict_are_refused(copy):
    with_whole_model(copy)
    folder = run_of(copy, "logistic") / "bundle"
    bundle = load_bundle(folder)
    model = bundle.model()
    for classes, spoil, words in (
        (
            ("a", "b", "c", "d"),
            lambda weight: weight,
            r"a model from \(32, 32",
        ),
        (bundle.classes, lambda weight: weight * np.nan, "NaN or infinity in its weights"),
    ):
        model.set_weights([spoil(weight) for weight in model.get_weights()])
        shutil.rmtree(folder)
        save_model(folder, model, classes, bundle.base)
        with pytest.raises(RunError, match=rf"expected a model of . classes in .*keras, .*{words}"):
            load_bundle(folder).model()

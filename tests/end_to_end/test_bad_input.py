"""What cannot be used exits with 2 and one sentence, and changes nothing on disk."""

import json
import shutil

import h5py
import pytest

from pipeline.cli import run
from pipeline.features.store.shard import FORMAT_VERSION
from tests.conftest import write_picture
from tests.stored import reseal


def snapshot(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def refused(capsys, root, arguments):
    """Run in ``root``; return the one sentence, after checking that nothing was changed."""
    before = snapshot(root)
    capsys.readouterr()
    assert run([*arguments, *folders(arguments[0], root)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    (sentence,) = [line for line in output.err.splitlines() if line.startswith("pipeline: ")]
    assert "Traceback" not in output.err
    assert len(sentence.replace(str(root), "")) < 600
    assert snapshot(root) == before
    return sentence


def folders(command, root):
    names = {
        "features": ("cache",),
        "classify": ("cache", "runs"),
        "finetune": ("cache", "runs"),
        "predict": ("cache", "runs"),
        "compare": ("runs",),
    }.get(command, ())
    return [part for name in names for part in (f"--{name}", str(root / name))]


SMALL = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]


def many_lonely_classes(root):
    for number in range(300):
        write_picture(root / f"data/species number {number}/1.png", number, size=4)


def many_clashing_classes(root):
    for number in range(150):
        for name in (f"Species number {number}", f"species number {number}"):
            write_picture(root / f"data/{name}/1.png", number, size=4)


def many_classes_in_test_alone(root):
    one_class(root)
    shutil.move(root / "data", root / "train")
    for number in range(300):
        write_picture(root / f"data/test/species number {number}/1.png", number, size=4)
    shutil.move(root / "train", root / "data/train")


def empty(root):
    (root / "data").mkdir()


def one_class(root):
    write_picture(root / "data/cats/1.png", 1)
    write_picture(root / "data/cats/2.png", 2)


def one_picture(root):
    one_class(root)
    write_picture(root / "data/dogs/1.png", 3)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (empty, ["pictures", "data"]),
        (one_class, ["two classes or more", "only 'cats'"]),
        (one_picture, ["two pictures or more of every class", "one of 'dogs'"]),
        (lambda root: None, ["data", "not"]),
    ],
)
@pytest.mark.parametrize("command", ["features", "classify", "finetune"])
def test_unusable_folders(tmp_path, capsys, make, words, command):
    make(tmp_path)
    sentence = refused(capsys, tmp_path, [command, str(tmp_path / "data")])
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (many_lonely_classes, ["'species number 0', 'species number 1', 'species", "297 more"]),
        (many_clashing_classes, ["differ clearly", "species number 0"]),
        (
            many_classes_in_test_alone,
            ["'species number 10' and 297 more in", "have no train picture"],
        ),
    ],
)
def test_of_hundreds_three_are_named(tmp_path, capsys, make, words):
    test_unusable_folders(tmp_path, capsys, make, words, "features")


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--backbone", "ResNet5"], ["unknown backbone 'ResNet5'", "nearest: ResNet50"]),
        (["--backbone", "MobileNet(alfa=1)"], ["alfa", "alpha"]),
        (["--backbone", "MobileNet(alpha"], ["MobileNet(alpha"]),
        ([*SMALL, "--layers", "block99"], ["unknown layer 'block99'", "block1 = ", "top = "]),
        ([*SMALL, "--layers", "top,,"], ["separated by commas"]),
        ([*SMALL[:-1], "8"], ["at least 32 pixels", "image_size=8"]),
        ([*SMALL, "--pooling", "mean"], ["unknown pooling 'mean'", "avg"]),
        ([*SMALL, "--resize", "stretch"], ["stretch", "squash"]),
        ([*SMALL, "--precision", "float16"], ["float32", "mixed_float16", "precision='float16'"]),
        ([*SMALL, "--engine", "onnx"], ["unknown engine 'onnx'", "tensorflow"]),
        ([*SMALL, "--batch-size", "0"], ["batch_size from 1 to 65536", "batch_size=0"]),
        (["--seed", "-1"], ["seed from 0 to 4294967295", "seed=-1"]),
        (["--weights", "nowhere.h5"], ["nowhere.h5"]),
        (["--weights", "weights.bin"], ["weights='weights.bin'"]),
        (["--imagesize", "32"], ["--imagesize", "--image-size"]),
        (["--image-size", "big"], ["big"]),
        (["--config", "nowhere.toml"], ["nowhere.toml"]),
    ],
)
def test_unusable_flags(pictures, tmp_path, capsys, flags, words):
    sentence = refused(capsys, tmp_path, ["features", str(pictures), *flags])
    assert all(word in sentence for word in words), sentence


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--heads", "logistik"], ["unknown head 'logistik'", "logistic"]),
        (["--heads", "knn(n=3)"], ["unknown parameter of knn 'n'", "knn knows k"]),
        (["--folds", "1"], ["folds at least 2", "folds=1"]),
    ],
)
def test_unusable_heads_are_refused_before_anything_is_computed(
    pictures, tmp_path, capsys, flags, words
):
    sentence = refused(capsys, tmp_path, ["classify", str(pictures), *SMALL, *flags])
    assert all(word in sentence for word in words), sentence


def test_missing_imagenet_weights_say_where_they_belong(pictures, tmp_path, capsys, monkeypatch):
    import urllib.error

    def no_network(*arguments, **more):
        raise urllib.error.URLError("no network")

    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("keras.src.utils.file_utils.urlretrieve", no_network)
    sentence = refused(capsys, pictures, ["features", str(pictures), "--backbone", "VGG16"])
    name = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
    for words in (name, str(tmp_path / "keras"), "--weights PATH"):
        assert words in sentence, sentence


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    root = tmp_path_factory.mktemp("project")
    for hue, name in enumerate(("blue", "red")):
        for i in range(20):
            write_picture(root / "data" / name / f"{i}.png", 100 * hue + i, hue=2 * hue)
    data = str(root / "data")
    arguments = ["classify", data, *SMALL, "--layers", "block2", "--heads", "ridge,knn"]
    assert run([*arguments, *folders("classify", root)]) == 0
    return root


@pytest.fixture
def copy(project, tmp_path):
    return shutil.copytree(project, tmp_path / "copy")


def run_of(root, head):
    (path,) = (root / "runs").glob(f"*-{head}-*")
    return path


def test_cache_of_a_newer_version(copy, capsys):
    (shard,) = (copy / "cache").glob("*/shard-*.h5")
    with h5py.File(shard, "r+") as file:
        file.attrs["format_version"] = FORMAT_VERSION + 1
    arguments = ["features", str(copy / "data"), *SMALL, "--layers", "block2"]
    sentence = refused(capsys, copy, arguments)
    assert f"received version {FORMAT_VERSION + 1} in" in sentence
    assert "update this program" in sentence


@pytest.mark.parametrize("damage", ["run.json", "metrics.json"])
def test_damaged_run_folder(copy, capsys, damage):
    path = run_of(copy, "ridge") / damage
    path.write_text(path.read_text()[:40])
    picture = str(copy / "data/red/0.png")
    for arguments in (["predict", "best", picture], ["predict", path.parent.name, picture]):
        assert f"{damage} damaged" in refused(capsys, copy, arguments)
    assert run(["compare", *folders("compare", copy)]) == 1
    told = capsys.readouterr()
    assert f"{damage} damaged" in told.err
    assert "knn" in told.out


@pytest.mark.parametrize("head", ["ridge", "knn"])
def test_altered_bundle(copy, capsys, head):
    folder = run_of(copy, head) / "bundle"
    payload = next(folder.glob("network.npz"), folder / "head.skops")
    data = bytearray(payload.read_bytes())
    data[len(data) // 2] ^= 1
    payload.write_bytes(data)
    arguments = ["predict", run_of(copy, head).name, str(copy / "data/red/0.png")]
    assert "it was altered or lost" in refused(capsys, copy, arguments)


def test_foreign_bundle(copy, capsys):
    path = run_of(copy, "ridge") / "bundle" / "bundle.json"
    value = json.loads(path.read_text())
    path.write_text(json.dumps({**value, "kind": "pickle"}))
    arguments = ["predict", run_of(copy, "ridge").name, str(copy / "data/red/0.png")]
    assert "bundle.json, received: it was altered since it" in refused(capsys, copy, arguments)
    reseal(run_of(copy, "ridge"))
    assert "as 'kind', received 'pickle'" in refused(capsys, copy, arguments)


def test_no_such_run(copy, capsys):
    sentence = refused(capsys, copy, ["predict", "nothing", str(copy / "data/red/0.png")])
    assert "received 'nothing': there is none; `pipeline compare` lists them" in sentence


def test_other_weights_are_not_chosen_for_a_run(copy, capsys):
    arguments = ["predict", "best", str(copy / "data/red/0.png"), "--weights", "nowhere.h5"]
    assert "there is no weights file nowhere.h5" in refused(capsys, copy, arguments)


def test_no_such_picture(copy, capsys):
    sentence = refused(capsys, copy, ["predict", "best", str(copy / "nowhere.png")])
    assert "nowhere.png, which is not there" in sentence


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--from", "data-MobileNet-alpha0.25-block2-knn"], ["head='knn'", "logistic"]),
        (["--unfreeze", "block3"], ["block3", "choose a lower --unfreeze"]),
        (["--unfreeze", "conv_pw_13"], ["'conv_pw_13'", "cut points: block1"]),
        (["--unfreeze", "9999"], ["layers (those with weights) to unfreeze, received 9999"]),
        (["--augment", "flipp"], ["unknown augmentation 'flipp'", "flip"]),
        (["--epochs", "0"], ["epochs at least 1"]),
        (["--validation-fraction", "1"], ["validation_fraction between 0 and 1"]),
    ],
)
def test_unusable_finetuning(copy, capsys, flags, words):
    sentence = refused(capsys, copy, ["finetune", str(copy / "data"), "--anyway", *flags])
    assert all(word in sentence for word in words), sentence


def test_weights_that_changed_since(tmp_path, pictures, capsys, monkeypatch):
    import keras

    weights = tmp_path / "own.weights.h5"
    keras.applications.MobileNet(
        (32, 32, 3), alpha=0.25, include_top=False, weights=None
    ).save_weights(weights)
    base = ["--backbone", "MobileNet(alpha=0.25)", "--weights", str(weights), "--image-size", "32"]
    arguments = ["classify", str(pictures), *base, "--heads", "ridge", "--layers", "block1"]
    assert run([*arguments, *folders("classify", tmp_path)]) == 0
    with h5py.File(weights, "r+") as file:
        file.attrs["note"] = "altered"
    # The converted base that is kept is the one of the run, whatever the file is now.
    new = tmp_path / "new.png"
    write_picture(new, 4711)
    assert run(["predict", "best", str(new), *folders("predict", tmp_path)]) == 0
    shutil.rmtree(tmp_path / "cache" / "models")
    sentence = refused(capsys, tmp_path, ["predict", "best", str(new)])
    assert "the file was changed since the run was made" in sentence
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "another user"))
    sentence = refused(capsys, tmp_path, ["predict", "best", str(new)])
    assert "which only the run says; name the file with --weights PATH" in sentence

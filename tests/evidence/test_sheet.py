"""The command: a map for each picture, exact where it can be, and bad input as for `predict`."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

import pipeline
from pipeline.cli import run
from pipeline.config import EvidenceConfig
from pipeline.errors import DataError, InputError, UnknownNameError
from pipeline.evidence.sheet import write_maps
from tests.conftest import write_picture

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--image-size", "32"]
HEADS = "logistic(prepare='sqrt-l2,pca(4)'),knn"


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two classes that cannot quite be told apart, and runs of a linear head and of neighbours."""
    root = tmp_path_factory.mktemp("project")
    for split, count in (("train", 12), ("test", 6)):
        for number, name in enumerate(("blue", "green")):
            for i in range(count):
                seed = 1000 * number + 100 * (split == "test") + i
                hue = number if i % 3 else None
                write_picture(root / "data" / split / name / f"{i}.png", seed, hue=hue)
    flags = [*BASE, "--layers", "block2+block3", "--heads", HEADS, "--folds", "2", "--quiet"]
    assert run(["classify", str(root / "data"), *flags, *places(root)]) == 0
    return root


def places(root):
    return ["--cache", str(root / "features"), "--runs", str(root / "runs")]


def run_of(root, head):
    (path,) = (root / "runs").glob(f"*-{head}*")
    return path


def written(root, paths, out, head="logistic", **more):
    config = EvidenceConfig(cache=root / "features", runs=root / "runs", **more)
    return write_maps(config, run_of(root, head).name, paths, out)


def test_the_command_writes_a_map_each_that_adds_up(project, tmp_path, capsys):
    out = tmp_path / "maps"
    arguments = ["evidence", run_of(project, "logistic").name, str(project / "data" / "test")]
    assert run([*arguments, "--out", str(out), *places(project), "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["method"]["name"] == "exact"
    assert len(value["pictures"]) == 12
    labels = [one["path"].split("/")[-2] for one in value["pictures"]]
    for one, label in zip(value["pictures"], labels, strict=True):
        assert one["sum"] + one["bias"] == pytest.approx(one["logit"], abs=1e-3)
        assert one["label"] == label
        assert {one["answer"], one["against"]} == {"blue", "green"}
        with Image.open(out / one["file"]) as image:
            assert image.text["method"].startswith("exact")
            assert image.text["answer"] == one["answer"]
    assert {path.name for path in out.iterdir()} == {
        "index.html",
        *(one["file"] for one in value["pictures"]),
    }
    page = (out / "index.html").read_text()
    assert page.count("<figure>") == 12
    assert page.count("a mistake") == sum(
        one["answer"] != one["label"] for one in value["pictures"]
    )


def test_answers_are_those_of_predict(project, tmp_path):
    found = written(project, [project / "data" / "test"], tmp_path / "maps").pictures
    loaded = pipeline.load_run(run_of(project, "logistic"), cache=project / "features")
    expected = loaded.predict_proba(project / "data" / "test")
    np.testing.assert_allclose([one.probability for one in found], expected.max(1), atol=1e-5)
    assert [one.answer for one in found] == loaded.predict(project / "data" / "test").tolist()


def test_neighbours_are_asked_by_occlusion(project, tmp_path):
    picture = project / "data" / "test" / "blue" / "1.png"
    found = written(project, [picture], tmp_path / "maps", "knn", grid=3)
    assert found.method["name"] == "occlusion"
    assert found.method["passes"] == 10
    (one,) = found.pictures
    assert (one.logit, one.bias, one.sum) == (None, None, None)
    assert "3 × 3 squares, 10 passes" in (tmp_path / "maps" / "index.html").read_text()


def test_maps_do_not_depend_on_the_batch(project, tmp_path):
    for size in (1, 5):
        written(project, [project / "data" / "test"], tmp_path / str(size), batch_size=size)
    for path in (tmp_path / "1").iterdir():
        assert path.read_bytes() == (tmp_path / "5" / path.name).read_bytes()


def test_odd_names_and_classes_do_nothing_on_the_page(project, tmp_path):
    odd = tmp_path / "<b>\x1b[31mé\n.png"
    shutil.copy(project / "data" / "test" / "blue" / "1.png", odd)
    found = written(project, [odd], tmp_path / "maps")
    page = (tmp_path / "maps" / "index.html").read_text()
    assert r"&lt;b&gt;\x1b[31mé\n.png" in page
    assert "\x1b" not in page
    (one,) = found.pictures
    assert one.file == "00001-_b___31m__.png"


def test_pictures_that_cannot_be_read_are_told(project, tmp_path):
    good, bad = tmp_path / "good.png", tmp_path / "bad.png"
    write_picture(good, 5)
    bad.write_bytes(good.read_bytes()[:60])
    found = written(project, [bad, good], tmp_path / "maps")
    assert [one["path"] for one in found.failed] == [str(bad)]
    assert [one.label for one in found.pictures] == [None]
    for paths, strict in (([bad, good], True), ([bad], False)):
        with pytest.raises(
            DataError, match=r"expected (every picture to be readable|pictures that can be read)"
        ):
            written(project, paths, tmp_path / "none", strict=strict)
        assert not (tmp_path / "none").exists()


def test_what_cannot_be_asked(project, tmp_path):
    picture = project / "data" / "test" / "blue" / "1.png"
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "mine.txt").touch()
    with pytest.raises(InputError, match=r"expected a new or empty folder, received out=.*taken"):
        written(project, [picture], tmp_path / "taken")
    with pytest.raises(UnknownNameError, match="unknown class 'bleu'; nearest: blue"):
        written(project, [picture], tmp_path / "maps", against="bleu")
    with pytest.raises(InputError, match="gone, which is not there"):
        written(project, [tmp_path / "gone"], tmp_path / "maps")
    with pytest.raises(InputError, match="expected a run, received 'imagenet:VGG16'"):
        write_maps(EvidenceConfig(), "imagenet:VGG16", [picture], tmp_path / "maps")
    with pytest.raises(InputError, match="expected grid from 2 to 32, received grid=1"):
        EvidenceConfig(grid=1)
    assert not (tmp_path / "maps").exists()


def test_an_empty_folder_is_filled(project, tmp_path):
    (tmp_path / "maps").mkdir()
    picture = project / "data" / "test" / "green" / "1.png"
    found = written(project, [picture], tmp_path / "maps", against="green")
    assert (tmp_path / "maps" / found.pictures[0].file).is_file()


# From Python


def test_arrays_are_the_maps(project, tmp_path):
    test = project / "data" / "test"
    loaded = pipeline.load_run(run_of(project, "logistic"), cache=project / "features")
    cells, found = loaded.evidence(test), written(project, [test], tmp_path / "maps").pictures
    assert cells.shape == (12, 8, 8)
    np.testing.assert_allclose(cells.sum((1, 2)), [one.sum for one in found], atol=1e-5)
    probabilities = np.sort(loaded.predict_proba(test), axis=1)
    odds = np.log(probabilities[:, 1] / probabilities[:, 0])
    instead = loaded.evidence(test, against="blue")
    assert not np.allclose(instead.sum((1, 2)), odds)  # the bias is no part of it
    bias = odds - instead.sum((1, 2))
    called_blue = loaded.predict(test) == "blue"
    np.testing.assert_allclose(np.abs(bias), np.abs(bias[0]), atol=1e-4)
    assert (np.sign(bias[called_blue]) != np.sign(bias[~called_blue][0])).all()


def test_pixels_will_do_and_bad_ones_are_told(project):
    loaded = pipeline.load_run(run_of(project, "knn"), cache=project / "features")
    images = np.random.default_rng(0).integers(0, 256, (2, 20, 30, 3), np.uint8)
    assert loaded.evidence(images, grid=2).shape == (2, 2, 2)
    with pytest.raises(UnknownNameError, match="unknown class 'red'"):
        loaded.evidence(images, against="red")
    gone = [project / "data" / "test" / "blue" / "1.png", project / "runs" / "bad.png"]
    gone[1].write_bytes(b"no picture")
    with pytest.raises(DataError, match="expected every picture to be readable, 1 of 2 are not"):
        loaded.evidence(gone, grid=2)
    cells = loaded.evidence(gone, grid=2, strict=False)
    gone[1].unlink()
    assert np.isfinite(cells[0]).all()
    assert np.isnan(cells[1]).all()

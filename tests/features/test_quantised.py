"""int8: made once, from the first pictures, kept, taken along, and refused where it is too far."""

import logging
import shutil

import numpy as np
import pytest

from pipeline.backbones.engines import open_engine, quantised
from pipeline.backbones.engines.kept import FILES, kept_models
from pipeline.backbones.engines.quantised import Agreement, read_beside, take_along
from pipeline.config import FeaturesConfig
from pipeline.errors import InputError, WeightsError
from pipeline.features.base import resolve
from pipeline.features.extract import extract
from pipeline.features.quantised import kept_for, settled
from pipeline.features.saved import frozen_from_dict
from pipeline.images import index
from tests.backbones.networks import SIDE, convolutional
from tests.conftest import write_picture

pytest.importorskip("nncf", reason="needs the extra int8")


def pictures(root, n, first=0):
    for number in range(first, first + n):
        for hue, label in enumerate("ab"):
            write_picture(root / label / f"{number}.png", 2 * number + hue, SIDE, hue)
    return index(root)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A network, twelve pictures, and their features in int8."""
    root = tmp_path_factory.mktemp("int8")
    convolutional(root / "network.onnx")
    dataset = pictures(root / "data", 6)
    extract(config(root), resolve(config(root)), dataset)
    return root


@pytest.fixture
def copy(project, tmp_path):
    return shutil.copytree(project, tmp_path / "copy")


def config(root, **settings):
    settings = {"precision": "int8", "preprocessing": "torch", "layers": "blocks"} | settings
    return FeaturesConfig(backbone=str(root / "network.onnx"), cache=root / "cache", **settings)


def kept(root):
    return [one for one in kept_models(root / "cache/models") if "int8" in one.folder.name]


def test_a_quantised_model_is_made_once_and_named_in_the_recipe(project, caplog):
    caplog.set_level(logging.INFO)
    (model,) = kept(project)
    base = resolve(config(project))
    cached = extract(config(project), base, index(project / "data"))
    assert cached.extraction.reused == 12
    assert cached.base.precision == model.identity["precision"]
    assert "making an int8 model" not in caplog.text
    assert "agreement" not in caplog.text
    assert kept_for(config(project), base, index(project / "data")) == cached.base
    plain = extract(config(project, precision="float32"), base.in_float, index(project / "data"))
    digests, cuts = cached.dataset.digests, [(cut.layer, cut.pooling) for cut in base.cuts]
    found = [one.caches.clean.blocks(cuts, digests).array() for one in (cached, plain)]
    assert not np.array_equal(*found)
    assert Agreement.of((found[0],), (found[1],)).good


def test_more_pictures_go_through_the_same_model(copy, caplog):
    caplog.set_level(logging.INFO)
    before = kept(copy)[0].identity
    dataset = pictures(copy / "data", 2, first=6)
    done = extract(config(copy), resolve(config(copy)), dataset).extraction
    assert (done.computed, done.reused) == (4, 12)
    assert [one.identity for one in kept(copy)] == [before]
    other = pictures(copy / "other", 3, first=50)
    assert extract(config(copy), resolve(config(copy)), other).extraction.computed == 6
    assert "int8, as made before: agreement with float32: cosine median" in caplog.text
    assert len(kept(copy)) == 1


def test_a_lost_model_is_made_again_to_the_last_bit(copy):
    (model,) = kept(copy)
    shutil.rmtree(model.folder)
    done = extract(config(copy), resolve(config(copy)), index(copy / "data")).extraction
    assert (done.computed, done.reused) == (0, 12)
    assert kept(copy)[0].identity == model.identity


def test_pictures_that_it_does_not_serve_get_another(copy, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    other = pictures(copy / "other", 3, first=50)
    judged = iter([Agreement(0.9, 0.2, 6), Agreement(0.99, 0.9, 6)])
    monkeypatch.setattr(Agreement, "of", lambda *_: next(judged))
    extract(config(copy), resolve(config(copy)), other)
    assert "does not serve these pictures: cosine median 0.900, least 0.200" in caplog.text
    assert len(kept(copy)) == 2


def test_too_far_from_float32_is_refused_with_the_figures(copy, monkeypatch):
    monkeypatch.setattr(Agreement, "good", False)
    with pytest.raises(InputError, match=r"expected int8 to agree with float32 on .* received cos"):
        extract(config(copy), resolve(config(copy)), pictures(copy / "other", 3, first=50))
    assert len(kept(copy)) == 1


def test_a_refusal_is_remembered_for_the_same_pictures(copy, monkeypatch):
    shutil.rmtree(copy / "cache")
    dataset = index(copy / "data")
    with monkeypatch.context() as patched:
        patched.setattr(Agreement, "good", False)
        with pytest.raises(InputError, match=r"received cosine median .* on 9 pictures; choose"):
            settled(config(copy), resolve(config(copy)), dataset)
        patched.setattr(quantised, "quantise", lambda *_, **__: pytest.fail("made again"))
        with pytest.raises(InputError, match=r"on 9 pictures, as found before; choose --prec"):
            settled(config(copy), resolve(config(copy)), dataset)
    more = pictures(copy / "data", 1, first=6)
    assert settled(config(copy), resolve(config(copy)), more).precision.startswith("int8:")


def test_without_nncf_it_is_said_how_to_get_it(copy, monkeypatch):
    shutil.rmtree(copy / "cache")
    monkeypatch.setattr("pipeline.system.startup.installed", lambda name: name != "nncf")
    with pytest.raises(InputError, match=r"expected nncf to make .* 'bottleneck-pipeline\[int8\]'"):
        settled(config(copy), resolve(config(copy)), index(copy / "data"))


def test_a_run_brings_its_model_along(copy, tmp_path):
    """Anybody may have written a run: what it brings is opened if it is what the recipe names."""
    base = settled(config(copy), resolve(config(copy)), index(copy / "data"))
    again = frozen_from_dict(base.to_dict(), look=True)
    assert again.recipe == base.recipe
    take_along(copy / "cache/models", base, tmp_path)
    images = np.zeros((1, SIDE, SIDE, 3), np.uint8)
    wanted = next(open_engine(base, "auto", base.precision, 8, copy / "cache/models").run([images]))
    engine = quantised.OpenVINOEngine(read_beside(tmp_path, base), base, 8)
    np.testing.assert_array_equal(next(engine.run([images]))[0], wanted[0])
    with (tmp_path / "quantised.bin").open("ab") as file:
        file.write(b"x")
    with pytest.raises(WeightsError, match="its SHA-256 is another one; restore its files"):
        read_beside(tmp_path, base)
    (tmp_path / "quantised.bin").unlink()
    with pytest.raises(WeightsError, match=r"no file quantised\.bin; restore its files"):
        read_beside(tmp_path, base)


@pytest.mark.parametrize("name", FILES)
def test_a_kept_model_of_somebody_else_is_not_opened(copy, name):
    base = settled(config(copy), resolve(config(copy)), index(copy / "data"))
    (model,) = kept(copy)
    text = (model.folder / "model.json").read_text()
    (model.folder / name).write_bytes(b"<net/>")
    digest = quantised.sha256(model.folder / name)
    (model.folder / "model.json").write_text(text.replace(model.files[name], digest))
    with pytest.raises(InputError, match=r"expected the int8 model of .* which is gone; run the"):
        open_engine(base, "auto", base.precision, 8, copy / "cache/models")


def test_agreement_is_of_the_worst_output_of_each_picture():
    ones, turned = np.ones((3, 2, 2)), np.array([[1.0, 0], [1, 1], [0, 0]])
    found = Agreement.of((ones, turned), (2 * ones, np.array([[1.0, 1], [1, 1], [0, 0]])))
    assert (found.n, round(found.least, 4), found.median) == (3, 0.7071, pytest.approx(1))
    assert Agreement.of((ones,), (ones * np.nan,)).least == -1
    assert Agreement.of((ones,), (ones * 0,)).least == 0
    assert str(found) == "cosine median 1.000, least 0.707, on 3 pictures"

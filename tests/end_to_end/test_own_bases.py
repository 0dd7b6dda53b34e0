"""A network of the user's own goes the whole way through the command line."""

import json

import pytest

from pipeline.cli import run
from tests.backbones.networks import SIDE, convolutional, transformer


def told(capsys, *arguments, code=0):
    capsys.readouterr()
    assert run([*map(str, arguments)]) == code
    output = capsys.readouterr()
    return json.loads(output.out) if code == 0 else output.err


@pytest.fixture
def places(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_onnx_goes_from_features_to_report(places, pictures, capsys):
    convolutional(places / "net.onnx")
    own = ("--backbone", "net.onnx", "--preprocessing", "torch", "--layers", "block1,top")
    features = told(capsys, "features", pictures, *own, "--json")
    assert (features["computed"], features["engine"]) == (36, "openvino")
    (places / "net.onnx").rename(places / "renamed.onnx")
    own = ("--backbone", "renamed.onnx", *own[2:])
    trained = told(capsys, "classify", pictures, *own, "--heads", "logistic,ridge", "--json")
    assert trained["data"]["computed"] == 0
    name = trained["best"]
    assert "onnx_" in name
    explained = told(capsys, "explain", pictures, *own[:3], "unit", *own[4:], "--json")
    assert explained["changed"] == {"preprocessing": {"cached": "torch", "wanted": "unit"}}
    told(capsys, "verify", "--json")
    labelled = told(capsys, "predict", name, pictures / "test" / "red", "--json")
    assert {one["label"] for one in labelled["predictions"]} == {"red"}
    written = told(capsys, "export", name, "model", "--format", "openvino", "--json")
    assert written["max_abs_difference"] < 1e-5
    error = told(capsys, "export", name, "model.onnx", code=2)
    assert f"expected --format openvino for {name}, whose base OpenVINO alone computes" in error
    error = told(capsys, "finetune", pictures, "--from", name, code=2)
    assert "a base that Keras holds for fine-tuning, received an ONNX file" in error
    told(capsys, "report", name, "--out", "report.html", "--json")
    page = (places / "report.html").read_text("utf-8")
    assert f"--backbone {places / 'renamed.onnx'} --preprocessing torch" in page


def test_a_base_that_has_moved_is_named_again(places, pictures, capsys):
    path = transformer(places / "vit.onnx")
    own = ("--backbone", path, "--preprocessing", "mean=0.5,std=0.5", "--pooling", "cls")
    trained = told(capsys, "classify", pictures, *own, "--heads", "ridge", "--json")
    name = trained["best"]
    elsewhere = path.rename(places / "elsewhere.onnx")
    asked = ("predict", name, pictures / "test" / "red", "--cache", "other")
    error = told(capsys, *asked, code=2)
    assert "expected the file of the base onnx:" in error
    assert "--weights FILE" in error
    convolutional(path)
    assert "received" in told(capsys, *asked, "--weights", path, code=2)
    labelled = told(capsys, *asked, "--weights", elsewhere, "--json")
    assert labelled["labelled"] == 6


def test_summary_lists_the_nodes_of_a_file(places, capsys):
    convolutional(places / "net.onnx", ("n", SIDE, SIDE, 3))
    listed = told(capsys, "summary", "net.onnx", "--json")
    points = {row["name"]: row["cut_points"] for row in listed["layers"] if row["cut_points"]}
    assert points == {"stage1_Add": ["block1"], "stage2_Add": ["block2", "top"]}
    assert listed["parameters"] == 1984
    assert run(["summary", "net.onnx"]) == 0
    assert "1,984 parameters\n" in capsys.readouterr().out


def test_files_are_compared_with_the_catalog(places, pictures, capsys):
    convolutional(places / "a.onnx")
    transformer(places / "b.onnx")
    settings = ("--backbone", "a.onnx,b.onnx", "--preprocessing", "unit", "--heads", "ridge")
    compared = told(capsys, "classify", pictures, *settings, "--json")
    assert [row["backbone"][:8] for row in compared["bases"]] == ["a.onnx (", "b.onnx ("]
    assert [row["n_parameters"] for row in compared["bases"]] == [1984, 776]

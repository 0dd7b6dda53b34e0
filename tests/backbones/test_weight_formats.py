"""What a weights file is, by its content, and the sentence about one that cannot be read."""

import json
import zipfile

import pytest

from pipeline.backbones.weight_formats import (
    HDF5,
    KERAS,
    TORCH,
    check_readable,
    not_loaded,
    stored_as,
)
from pipeline.errors import WeightsError

AS_HDF5 = b"\x89HDF\r\n\x1a\nand so on"
AS_TORCH = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


def packed(path, **members):
    with zipfile.ZipFile(path, "w") as file:
        for name, content in members.items():
            file.writestr(name.replace("__", "/").replace("_", "."), content)
    return path


@pytest.mark.parametrize("name", ["weights.best.hdf5", "a.H5", "b.weights.H5", "c.he5", "none"])
def test_hdf5_by_any_name(tmp_path, name):
    (tmp_path / name).write_bytes(AS_HDF5)
    assert stored_as(tmp_path / name) == HDF5
    check_readable(tmp_path / name, torch=False)


def test_the_others(tmp_path):
    (tmp_path / "a.bin").write_bytes(AS_TORCH)
    assert stored_as(tmp_path / "a.bin") == TORCH
    check_readable(tmp_path / "a.bin", torch=True)
    assert stored_as(packed(tmp_path / "b.h5", config_json="{}")) == KERAS
    check_readable(tmp_path / "b.h5", torch=False)


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.PTH", "x.safetensors", "x.onnx", "x.npz"])
def test_other_frameworks(tmp_path, name):
    (tmp_path / name).write_bytes(b"whatever")
    with pytest.raises(
        WeightsError, match=rf"received .*{name}, a file of .*model\.save_weights\("
    ):
        check_readable(tmp_path / name, torch=False)


@pytest.mark.parametrize("torch", [False, True])
def test_pytorch_by_content(tmp_path, torch):
    path = packed(tmp_path / "x.h5", archive__data_pkl="x")
    with pytest.raises(WeightsError, match=r"a file of PyTorch since 1\.6: get the weights into"):
        check_readable(path, torch)


def test_folders(tmp_path):
    with pytest.raises(WeightsError, match=f"received {tmp_path}, a folder: get the"):
        check_readable(tmp_path, torch=False)
    (tmp_path / "saved_model.pb").touch()
    with pytest.raises(WeightsError, match=f"received {tmp_path}, a SavedModel folder: get the"):
        check_readable(tmp_path, torch=False)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", r"is damaged or of another format; get"),
        (b"PK\3\4 cut short", r"is damaged or of another format; get"),
        (b"\n<!DOCTYPE html>", r"another format \(a web page, as a download that failed leaves\)"),
        (b"version https://git-lfs.github.com/spec/v1\n", r"a Git LFS pointer .*git lfs pull"),
    ],
)
def test_damaged_files(tmp_path, content, what):
    (tmp_path / "a.h5").write_bytes(content)
    with pytest.raises(WeightsError, match=what):
        check_readable(tmp_path / "a.h5", torch=False)


@pytest.mark.parametrize(
    ("saved_by", "words"),
    [
        (
            "2.15.0",
            r"which Keras 2\.15\.0 saved: files of Keras 2 differ; .*save_weights\('NAME.h5'\)",
        ),
        ("4.1.0", r"which Keras 4\.1\.0 saved: No class Foo; .*'NAME\.weights\.h5'"),
        (None, r"which Keras of another version saved: No class Foo;"),
    ],
)
def test_models_that_keras_does_not_load(tmp_path, saved_by, words):
    metadata = json.dumps({"keras_version": saved_by} if saved_by else {})
    path = packed(tmp_path / "x.keras", config_json="{}", metadata_json=metadata)
    sentence = str(not_loaded(path, "3.9.9", ValueError("No class Foo. " + "layers " * 9000)))
    assert len(sentence) < 400
    with pytest.raises(WeightsError, match=words):
        raise WeightsError(sentence)

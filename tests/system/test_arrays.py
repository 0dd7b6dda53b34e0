"""Arrays in a zip that anybody may have written."""

import io
import zipfile

import numpy as np
import pytest

from benchmarks.mutations import npz_mutations
from pipeline.system.arrays import read_array, read_arrays

ARRAYS = {
    "kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "weight/0": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "none": np.zeros((0, 5), np.int64),
    "text": np.array('{"a": "é"}'),
    "table": np.array([(1, 2.5)], [("left", "<i8"), ("value", "<f8")]),
}


@pytest.fixture
def path(tmp_path):
    with (tmp_path / "a.npz").open("wb") as file:
        np.savez(file, allow_pickle=False, **ARRAYS)
    return tmp_path / "a.npz"


def zipped(path, members, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as packed:
        for name, data in members:
            packed.writestr(name, data)
    return path


def saved(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def test_what_numpy_wrote_comes_back(path):
    read = read_arrays(path)
    assert read.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(read[name], array)
        assert (read[name].dtype, read[name].flags.writeable) == (array.dtype, True)
    assert read["weight/0"].flags.f_contiguous


ONE = saved(np.zeros(3))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (saved(np.array([None])), "is no array of numbers|an array"),
        (ONE[:-1], r"an array \(3,\) of '<f8' in 23 bytes"),
        (ONE.replace(b"(3,)", b"(9,)"), r"an array \(9,\)"),
        (ONE.replace(b"(3,), }  ", b"(999999999999, 8), }  "[:9]), "no array of numbers"),
        (ONE.replace(b"'<f8'", b"'|O8'"), "an array"),
        (ONE.replace(b"'<f8'", b"'<f9'"), "an array of '<f9'"),
        (ONE.replace(b"(3,)", b"-(3)"), "no array of numbers"),
        (ONE.replace(b"False", b"f()  "), "no array of numbers"),
        (b"", "no array of numbers"),
        (b"\x93NUMPY\x02\x00" + ONE[8:], "no array of numbers"),
    ],
)
def test_what_is_no_array_is_refused(data, words):
    with pytest.raises(ValueError, match=words):
        read_array(data)


def test_zips_that_promise_more_than_they_hold(tmp_path):
    big = saved(np.zeros(10**6))
    packed = zipped(tmp_path / "1", [("a.npy", big)], zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="a member that is compressed"):
        read_arrays(packed)
    with pytest.warns(UserWarning, match="Duplicate name"):
        twice = zipped(tmp_path / "2", [("a.npy", ONE), ("a.npy", ONE)])
    with pytest.raises(ValueError, match="same name twice"):
        read_arrays(twice)
    (tmp_path / "3").write_bytes(b"PK\x05\x06" + bytes(18))
    assert read_arrays(tmp_path / "3") == {}
    (tmp_path / "4").write_text("no zip")
    with pytest.raises(ValueError, match="not a zip file"):
        read_arrays(tmp_path / "4")


def test_mutations_are_read_or_refused(path):
    data, outcomes = path.read_bytes(), set()
    for _, mutated in npz_mutations(data, 0, 150):
        path.write_bytes(mutated)
        try:
            read_arrays(path)
            outcomes.add("read")
        except ValueError:
            outcomes.add("refused")
    assert outcomes == {"read", "refused"}

"""The digits data set that needs no download."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.errors import InputError
from pipeline.images import index, write_digits

# Of all paths and bytes with seed 0; neither the machine nor its compression library matters.
DIGITS_DIGEST = "820c7cacec64bf56f150bb9861d06579170c0ffb24e9be6fe9b7db9258a6ce8b"


@pytest.fixture(scope="module")
def digits_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("data") / "digits"
    report = write_digits(root)
    assert (report.root, report.n_written, report.n_kept) == (root, 1797, 0)
    return root


def contents(root):
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}


def test_all_digits_with_a_stratified_split(digits_dir):
    dataset = index(digits_dir)
    assert dataset.classes == tuple("0123456789")
    assert len(dataset.select("train")) == 1437
    assert len(dataset.select("test")) == 360
    assert dataset.given_splits
    assert dataset.n_leaked == 0
    assert dataset.ignored == ()
    per_class = np.bincount(dataset.labels[dataset.select("test")])
    assert per_class.min() >= 34
    assert per_class.max() <= 38


def test_pixels_are_the_originals_scaled(digits_dir):
    digits = load_digits()
    for number in (0, 1, 1796):
        name = f"{digits.target[number]}/{number:04d}.png"
        path = next(
            p for p in (digits_dir / "train" / name, digits_dir / "test" / name) if p.exists()
        )
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("L", (8, 8))
            np.testing.assert_array_equal(
                np.array(image), np.round(digits.images[number] * 255 / 16)
            )


def test_bytes_are_the_same_everywhere(digits_dir):
    everything = hashlib.sha256()
    for path, content in sorted(contents(digits_dir).items()):
        everything.update(Path(path).as_posix().encode() + content)
    assert everything.hexdigest() == DIGITS_DIGEST


def test_second_run_keeps_writes_what_is_missing_and_touches_nothing_else(digits_dir):
    before = contents(digits_dir)
    foreign = digits_dir / "train/3/mine.png"
    foreign.write_bytes(b"mine")
    next((digits_dir / "test/7").glob("*.png")).unlink()
    report = write_digits(digits_dir)
    assert (report.n_written, report.n_kept) == (1, 1796)
    assert foreign.read_bytes() == b"mine"
    foreign.unlink()
    assert contents(digits_dir) == before
    assert write_digits(digits_dir).n_written == 0


def test_another_split_in_the_same_folder_is_refused(digits_dir):
    before = contents(digits_dir)
    with pytest.raises(InputError, match=r"split by seed=1, but .*\.png is of another split: use"):
        write_digits(digits_dir, seed=1)
    assert contents(digits_dir) == before


def test_another_file_under_a_digits_name_is_refused_and_kept(tmp_path, digits_dir):
    name = next((digits_dir / "train/0").glob("*.png")).name
    other = tmp_path / "train/0" / name
    other.parent.mkdir(parents=True)
    other.write_bytes(b"mine")
    with pytest.raises(InputError, match=f"{name}, received another file: move it away"):
        write_digits(tmp_path)
    assert other.read_bytes() == b"mine"
    assert contents(tmp_path) == {Path("train/0") / name: b"mine"}


def test_a_file_instead_of_a_folder(tmp_path):
    (tmp_path / "digits").write_bytes(b"")
    with pytest.raises(InputError, match="digits is a file: give another path"):
        write_digits(tmp_path / "digits")

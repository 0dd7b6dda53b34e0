"""Folders that are made of tables."""

import pytest

from pipeline.config import DataConfig
from pipeline.errors import InputError
from pipeline.images import index, scan
from pipeline.images.tables.folders import tables_in
from tests.images.tables.written import put, text_of
from tests.images.test_sources import PLAIN, SPLIT, make


def labelled(root, folder, letter, header=("filename", " cat", " dog"), columns=("1010", "0101")):
    names = [f"{letter}{number}.jpg" for number in range(4)]
    put(root / folder, text_of(header, names, *columns), *names, name="_classes.csv")


def test_a_one_hot_table_in_each_split_folder(tmp_path):
    labelled(tmp_path, "train", "a")
    labelled(tmp_path, "valid", "b", ("filename", " dog", " cat"), ("0101", "1010"))
    labelled(tmp_path, "test", "c")
    put(tmp_path, "", name="README.txt")
    dataset = index(tmp_path)
    assert dataset.counts() == {
        "classes": {"cat": 6, "dog": 6},
        "splits": {"train": 4, "validation": 4, "test": 4},
    }
    assert dataset.paths[0] == "test/c0.jpg"
    assert dataset.read(0) == b"c0.jpg"
    assert dataset.classes[dataset.labels[dataset.paths.index("valid/b0.jpg")]] == "cat"
    assert dataset.reading.splits == {
        "test": "test",
        "train": "train",
        "valid": "validation",
    }
    assert dataset.reading.columns == {"path": "filename", "label": "one-hot"}
    one = scan(tmp_path / "train/_classes.csv")
    assert (one.splits, one.labels[0]) == ((None,) * 4, "cat")


def test_tables_that_differ(tmp_path):
    labelled(tmp_path, "train", "a")
    labelled(tmp_path, "test", "b", ("filename", "cat", "cow"))
    with pytest.raises(
        InputError, match=r"columns in .*'cow' in test/_cla.*'dog' in train/_cla.*: giv"
    ):
        scan(tmp_path)


def test_settings_reach_such_tables(tmp_path):
    labelled(tmp_path, "train", "a")
    labelled(tmp_path, "test", "b")
    assert set(scan(tmp_path, DataConfig(split_column="none")).splits) == {None}
    with pytest.raises(InputError, match="expected no classes_at with"):
        scan(tmp_path, DataConfig(classes_at=1))


@pytest.mark.parametrize(
    "paths",
    [
        SPLIT,
        ("a/1.jpg", "a/_classes.csv"),
        ("1.jpg", "x.parquet"),
        ("train/a/1.jpg", "train/_classes.csv"),
    ],
)
def test_folders_of_pictures_are_no_such(tmp_path, paths):
    assert tables_in(make(tmp_path, *paths)) == []


def test_a_table_of_numbers_beside_class_folders_is_no_table_of_pictures(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    make(tmp_path, *PLAIN)
    parquet.write_table(pyarrow.table({"row": [1, 2], "x": [3, 4]}), tmp_path / "x.parquet")
    assert scan(tmp_path).paths == PLAIN
    inside = pyarrow.table({"image": [b"\xff\xd8\xff\xe0" * 99], "label": ["a"]})
    parquet.write_table(inside, tmp_path / "y.parquet")
    with pytest.raises(InputError, match=r"tables with pictures inside, .* and 4 pictures in fold"):
        scan(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet", "extra-0.parquet"),
        ("data/train.parquet", "data/labeled.parquet"),
        ("train/0.parquet", "test/0.parquet", "extra/0.parquet"),
    ],
)
def test_tables_of_splits_beside_others_are_asked_about(tmp_path, names):
    with pytest.raises(InputError, match=r"are splits by their names, .* beside them none; rename"):
        tables_in(make(tmp_path, *names))

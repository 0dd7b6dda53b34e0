"""Classes that are left out for having too few pictures, however the data are laid out."""

import logging

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError
from pipeline.images import index
from tests.images.test_dataset import many, write
from tests.images.test_usable import gone


def small(n_small, n_large=2):
    """Large classes of ten pictures, and small ones of one."""
    files = many(10, [f"large{i}" for i in range(n_large)])
    return files | {f"small{i}/1.jpg": f"small{i}" for i in range(n_small)}


def test_single_pictures_name_the_way_out(tmp_path):
    with pytest.raises(
        DataError,
        match=r"received one of 'small0', 'small1', 'small10' and 9 more: add pictures or move .*; "
        "or leave such classes out with --min-per-class 2",
    ):
        index(write(tmp_path, small(12)))


def test_single_pictures_of_all_classes_but_one_have_no_such_way_out(tmp_path):
    with pytest.raises(DataError, match=r"received one of 'small0': add pictures or move .* away$"):
        index(write(tmp_path, small(1, n_large=1)))


def test_small_classes_are_left_out_and_named(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    plain = index(write(tmp_path / "plain", small(0)))
    dataset = index(write(tmp_path / "all", small(12)), DataConfig(min_per_class=5))
    assert dataset.classes == plain.classes
    assert dataset.paths == plain.paths
    assert dataset.splits.tolist() == plain.splits.tolist()
    assert dataset.digest == plain.digest
    assert dataset.reading.dropped_classes == dict.fromkeys(sorted(dataset_names(12)), 1)
    assert dataset.reading.to_dict()["dropped_classes"]["small3"] == 1
    assert dataset.indexing["min_per_class"] == 5
    assert caplog.messages == [
        "12 classes with fewer than 5 different pictures are left out (--min-per-class 5): "
        "'small0', 'small1', 'small10' and 9 more"
    ]


def dataset_names(n_small):
    return [f"small{i}" for i in range(n_small)]


def test_one_class_that_is_left_out(tmp_path):
    dataset = index(write(tmp_path, small(1)), DataConfig(min_per_class=2))
    assert dataset.reading.dropped == (
        "1 class with fewer than 2 different pictures is left out (--min-per-class 2): 'small0'"
    )


def test_nothing_is_said_where_every_class_is_large_enough(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    dataset = index(write(tmp_path, small(0)), DataConfig(min_per_class=10))
    assert (len(dataset), caplog.messages) == (20, [])
    assert dataset.reading.dropped == ""
    assert dataset.digest == index(tmp_path).digest


def test_copies_and_what_cannot_be_read_do_not_count(tmp_path):
    files = small(0, n_large=3) | {f"copies/{i}.jpg": "same" for i in range(9)}
    gone(write(tmp_path, files), *(f"large0/{i}.jpg" for i in range(7)))
    dataset = index(tmp_path, DataConfig(min_per_class=4))
    assert dataset.classes == ("large1", "large2")
    assert dataset.reading.dropped_classes == {"copies": 1, "large0": 3}
    assert dataset.left_out == ()


def test_given_splits_are_kept(tmp_path):
    files = {f"{split}/{path}": f"{split}{path}" for split in ("train", "test") for path in many(3)}
    files |= {"train/rats/1.jpg": "rat", "test/mice/1.jpg": "mouse"}
    with pytest.raises(DataError, match="every test class in train too, but 'mice'"):
        index(write(tmp_path, files))
    dataset = index(tmp_path, DataConfig(min_per_class=2))
    assert dataset.given_splits
    assert dataset.classes == ("cats", "dogs")
    assert dataset.counts()["splits"] == {"train": 6, "test": 6}


def test_tables_and_file_names(tmp_path):
    rows = [f"{name}{i}.jpg,{name},{name}{i}" for name in ("cat", "dog") for i in range(4)]
    rows.append("rat.jpg,rat,rat")
    write(tmp_path / "table", {row.split(",")[0]: row for row in rows})
    table = tmp_path / "table/pets.csv"
    table.write_text("\n".join(["path,label,group", *rows]))
    dataset = index(table, DataConfig(min_per_class=2))
    assert dataset.classes == ("cat", "dog")
    assert "rat" not in dataset.group_names
    names = {f"{name}.{i}.jpg": f"{name}{i}" for name in ("cat", "dog") for i in range(4)}
    flat = write(tmp_path / "flat", names | {"rat.0.jpg": "rat"})
    assert index(flat, DataConfig(min_per_class=2)).classes == ("cat", "dog")
    pattern = DataConfig(min_per_class=2, label_pattern="{label}.{}")
    assert index(flat, pattern).classes == ("cat", "dog")


@pytest.mark.parametrize("least", [11, 1000])
def test_fewer_than_two_classes_are_left(tmp_path, least):
    with pytest.raises(
        DataError,
        match=rf"at least {least} different pictures in .* received 0 of 5 \(min_per_class={least}"
        r"\): give a lower --min-per-class",
    ):
        index(write(tmp_path, small(3)), DataConfig(min_per_class=least))


def test_fewer_than_two_classes_are_left_once_copies_are_known(tmp_path):
    files = many(5, ["cats"]) | {f"dogs/{i}.jpg": "dog" for i in range(5)}
    with pytest.raises(DataError, match=r"at least 3 different pictures in .* received 1 of 2"):
        index(write(tmp_path, files), DataConfig(min_per_class=3))

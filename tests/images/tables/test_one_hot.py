"""Labels that stand as a 1 in one of several columns."""

import pytest

from pipeline.config import DataConfig
from pipeline.errors import DataError, InputError
from pipeline.images import scan
from tests.images.tables.written import LABELS, NAMES, SPLITS, put, text_of

CAT, DOG = "111000", "000111"


def read(root, header, *columns, name="t.csv", files=NAMES, **settings):
    return scan(put(root, text_of(header, *columns), *files, name=name), DataConfig(**settings))


def test_a_table_of_a_labelling_service(tmp_path):
    files = [f"train/{name}" for name in NAMES]
    header = ("filename", " cat", " dog")
    source = read(tmp_path, header, NAMES, CAT, DOG, name="train/_classes.csv", files=files)
    assert (source.paths, source.labels) == (NAMES, LABELS)
    assert source.reading.columns == {"path": "filename", "label": "one-hot"}
    assert source.reading.sentence == "path from column 'filename'; label from the column with a 1"


@pytest.mark.parametrize("marks", [("1.0", "0.0"), ("True", "False"), ("1", "0")])
def test_ways_to_write_a_mark(tmp_path, marks):
    columns = [
        [marks[0] if label == one else marks[1] for label in LABELS] for one in ("cat", "dog")
    ]
    assert read(tmp_path, ("image", "cat", "dog"), NAMES, *columns).labels == LABELS


def test_columns_of_splits_and_groups_are_no_classes(tmp_path):
    header = ("image", "cat", "dog", "is_train", "set")
    columns = (NAMES, CAT, DOG, "110110", SPLITS)
    source = read(tmp_path, header, *columns)
    assert (source.labels, source.splits) == (LABELS, ("train", "train", "test") * 2)


@pytest.mark.parametrize(
    ("dog", "message"),
    [
        ("010111", "received a 1 in 'cat', 'dog' of 'cat', 'dog' in row 3 of .* has one label"),
        ("000110", "received a 1 in none of 'cat', 'dog' in row 7 of .*--label-column NAME"),
    ],
)
def test_a_picture_has_one_label(tmp_path, dog, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, ("image", "cat", "dog"), NAMES, CAT, dog)


@pytest.mark.parametrize("label", ["cat|dog", "dog; cat", "cat,dog"])
def test_several_labels_in_a_cell(tmp_path, label):
    labels = (*LABELS[:5], f'"{label}"')
    with pytest.raises(
        DataError, match=r"one label for a picture, received .* in row 7 of .*'dog'"
    ):
        read(tmp_path, ("image", "label"), NAMES, labels)


def test_marks_in_a_label_that_is_one(tmp_path):
    labels = ["bed|room" if label == "cat" else label for label in LABELS]
    assert read(tmp_path, ("image", "label"), NAMES, labels).labels[0] == "bed|room"


def test_a_label_beside_marks(tmp_path):
    header = ("image", "diagnosis", "cat", "dog")
    assert read(tmp_path, header, NAMES, LABELS, CAT, DOG).reading.columns["label"] == "diagnosis"
    assert read(tmp_path, header, NAMES, LABELS, "101010", DOG).labels == LABELS
    with pytest.raises(InputError, match="--label-column diagnosis or --label-column one-hot"):
        read(tmp_path, header, NAMES, "aabbab", CAT, DOG)
    chosen = read(tmp_path, header, NAMES, "aabbab", CAT, DOG, label_column="one-hot")
    assert chosen.labels == LABELS
    with pytest.raises(InputError, match=r"expected columns of 0 and 1 in .*, received none: say"):
        read(tmp_path, ("image", "label"), NAMES, LABELS, label_column="one-hot")

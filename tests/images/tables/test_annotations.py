"""What is said about lists of labels that are no tables."""

import json

import pytest

from pipeline.errors import InputError
from pipeline.images import scan
from pipeline.images.tables.annotations import table_hint

CONTENTS = {
    "metadata.jsonl": '{"file_name": "0.jpg", "label": "cat"}\n{"file_name": "1.jpg"}\n',
    "coco.json": json.dumps(
        {
            "images": [{"id": 7, "file_name": "0.jpg"}],
            "annotations": [{"image_id": 7, "category_id": 2}],
            "categories": [{"id": 2, "name": "cat"}],
        }
    ),
    "by_path.json": '{"0.jpg": "cat"}',
    "by_class.json": '{"cat": ["0.jpg"]}',
    "records.json": '{"data": [{"width": 3, "image": "0.jpg", "class": "cat"}]}',
    "list.ndjson": '[{"image": "0.jpg", "class": "cat"}]',
}


@pytest.mark.parametrize("name", CONTENTS)
def test_json(tmp_path, name):
    (tmp_path / name).write_text(CONTENTS[name])
    with pytest.raises(
        InputError, match=rf"{name}, which is JSON: make .* path,label and 0.jpg,cat"
    ):
        scan(tmp_path / name)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '"a"', "3", '{"images": [], "annotations": []}'])
def test_json_without_an_example(tmp_path, text):
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(
        InputError, match=r"whose first two lines are path,label and images/1.jpg,c"
    ):
        scan(tmp_path / "x.json")


@pytest.mark.parametrize("name", ["labels.xlsx", "labels.pkl", "labels.feather"])
def test_tables_of_other_programs(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(InputError, match=r"expected a table as text or Parquet, .*save it as .csv"):
        scan(tmp_path / name)


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ("val_0.JPEG\tn03444034\t0\t32\t44\t62", "images/val_0.JPEG,n03444034"),
        ("a.png 3", "images/a.png,3"),
        ("cat, a.png", "images/a.png,cat"),
        ("12;'a.png';dog", "images/a.png,dog"),
    ],
)
def test_the_hint_shows_the_first_row(line, row):
    assert table_hint(["# comment", line], "images/").endswith(f"path,label and {row}")


def test_no_hint_where_no_picture_is_named():
    assert table_hint(["n01443537 goldfish", "a.png"]) is None

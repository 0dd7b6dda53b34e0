"""Settings of tables and of folders, each where it belongs; roots that runs keep."""

import os

import pytest

from pipeline.config import DataConfig
from pipeline.config.fields import to_dict
from pipeline.errors import InputError
from pipeline.images import index, scan
from pipeline.images.find import open_reader
from tests.images.tables.written import LABELS, NAMES, put, text_of

FILES = ("a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg")


@pytest.mark.parametrize(
    "name", ["path_column", "label_column", "split_column", "group_column", "root"]
)
def test_settings_of_tables_beside_a_folder(tmp_path, name):
    put(tmp_path, "", *FILES)
    with pytest.raises(
        InputError, match=f"expected no {name} with .*, which is no table; received"
    ):
        scan(tmp_path, DataConfig(**{name: "x"}))


@pytest.mark.parametrize(
    ("name", "value"), [("classes_at", 2), ("split_at", 0), ("group_at", 1), ("only", "a")]
)
def test_settings_of_folders_beside_a_table(tmp_path, name, value):
    table = put(tmp_path, text_of(("path", "label"), NAMES, LABELS), *NAMES)
    with pytest.raises(InputError, match=f"expected no {name} with .*, whose rows hold the labels"):
        scan(table, DataConfig(**{name: value}))


def test_a_root_is_kept_whole(tmp_path, monkeypatch):
    table = put(tmp_path, text_of(("path", "label"), NAMES, LABELS), *(f"in/{n}" for n in NAMES))
    monkeypatch.chdir(tmp_path)
    kept = index(table, DataConfig(root="in")).indexing
    assert kept["root"] == str(tmp_path / "in")
    monkeypatch.chdir("/")
    assert index(table, DataConfig(**kept)).paths == NAMES
    assert open_reader(str(table), DataConfig(**kept))("0.jpg") == b"in/0.jpg"
    monkeypatch.setenv("HOME", str(tmp_path))
    assert DataConfig(root="~/in").root == kept["root"]


def test_passwords_of_a_root_are_not_kept():
    config = DataConfig(root="ftp://me:secret@host/in")
    assert config.root == "ftp://me:secret@host/in"
    assert config.indexing["root"] == to_dict(config)["root"] == "ftp://me@host/in"


def test_a_table_that_is_a_link(tmp_path):
    table = put(tmp_path / "far", text_of(("path", "label"), NAMES, LABELS))
    put(tmp_path / "here", "", *NAMES, name="x")
    os.symlink(table, tmp_path / "here" / "t.csv")
    assert index(tmp_path / "here" / "t.csv").read(0) == b"0.jpg"

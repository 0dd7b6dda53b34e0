"""Who only looks reads what the user's own commands named, and of that what lies in it."""

import os

import pytest

from pipeline.config import DataConfig
from pipeline.images import index, scan
from pipeline.images.files import LocalFiles, leads_out
from pipeline.images.find import open_reader
from pipeline.images.own import is_own, may_look, note_own
from tests.images.test_sources import PLAIN, make


@pytest.fixture
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


def test_a_place_is_own_once_a_command_has_read_it(tmp_path, state):
    make(tmp_path / "pets", *PLAIN)
    root = str(tmp_path / "pets")
    for look in ({}, {"memory": tmp_path / "index", "remember": False}):
        index(root, **look)
        assert not is_own(root)
    (tmp_path / "link").symlink_to("pets")
    assert index(tmp_path / "link", memory=tmp_path / "index").location == root
    assert is_own(root)
    assert may_look(root)
    assert not is_own(f"{root}/cats")
    assert not is_own(str(tmp_path))


def test_the_root_of_a_table_is_own_too(tmp_path, state):
    make(tmp_path / "in", *PLAIN)
    rows = "".join(f"{path},{path[:3]}\n" for path in PLAIN)
    (tmp_path / "t.csv").write_text(f"path,label\n{rows}")
    index(tmp_path / "t.csv", DataConfig(root=str(tmp_path / "in")), memory=tmp_path / "index")
    assert is_own(str(tmp_path / "in"))
    assert is_own(str(tmp_path / "t.csv"))


def test_who_only_looks_reads_from_no_other_machine(state):
    note_own("https://host/pets")
    assert is_own("https://host/pets")
    assert not may_look("https://host/pets")


@pytest.mark.parametrize("place", ["", "~nobody/x", "a\0b", "/" + "a" * 5000, "dask://h", "\ud800"])
def test_any_text_may_be_asked_about(place, state):
    assert not is_own(place)
    assert not may_look(place)


def test_what_cannot_be_remembered_is_not_own(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for state in (str(tmp_path / "file"), "relative"):
        monkeypatch.setenv("XDG_STATE_HOME", state)
        note_own("/pets")
        assert not is_own("/pets")


@pytest.fixture
def linked(tmp_path):
    """Pictures of which some are links: to others of them, and to what lies elsewhere."""
    make(tmp_path / "pets", *PLAIN)
    make(tmp_path / "elsewhere", "cats/9.jpg", "secret.jpg")
    cats = tmp_path / "pets" / "cats"
    (cats / "in.jpg").symlink_to("1.jpg")
    (cats / "out.jpg").symlink_to(tmp_path / "elsewhere" / "secret.jpg")
    (cats / "zero.jpg").symlink_to("/dev/zero")
    (cats / "more").symlink_to(tmp_path / "elsewhere" / "cats")
    return tmp_path / "pets"


def test_links_out_are_followed_for_who_works_and_not_for_who_looks(linked):
    assert {"cats/in.jpg", "cats/out.jpg", "cats/more/9.jpg"} <= set(scan(linked).paths)
    looked = scan(linked, confined=True)
    assert set(looked.paths) == {*PLAIN, "cats/in.jpg"}


def test_rows_out_of_the_folder_have_their_reason(linked):
    (linked / "t.csv").write_text(
        "path,label\ncats/1.jpg,a\ncats/out.jpg,a\n../elsewhere/secret.jpg,a\ndogs/1.jpg,b\n"
        f"{linked.parent}/elsewhere/cats/9.jpg,b\n"
    )
    out = {"cats/out.jpg", f"{linked.parent}/elsewhere/cats/9.jpg"}
    assert not out & scan(linked / "t.csv").unreadable.keys()
    reasons = scan(linked / "t.csv", confined=True).unreadable
    assert {reasons[path] for path in out} == {"leads out of the folder"}
    assert reasons.keys() == {*out, "../elsewhere/secret.jpg"}


def test_paths_of_others_lead_to_what_is_listed(linked):
    read = open_reader(str(linked))
    assert read("cats/1.jpg") == read("cats/in.jpg") == (linked / "cats/1.jpg").read_bytes()
    outside = ("../elsewhere/secret.jpg", f"{linked.parent}/elsewhere/secret.jpg", "/dev/zero")
    for path in (*outside, "cats/out.jpg", "cats/more/9.jpg", "gone.jpg", "a\0b"):
        with pytest.raises(FileNotFoundError, match="No such file"):
            read(path)


def test_leading_out(linked):
    for path in ("..", "cats/../..", "cats/out.jpg", "/etc", "a\0b"):
        assert leads_out(linked, linked / path)
    for path in ("", "cats", "cats/../dogs", "gone", "cats/in.jpg"):
        assert not leads_out(linked, linked / path)


@pytest.mark.parametrize("name", ["zero", "pipe", "folder"])
def test_only_regular_files_are_read(tmp_path, name):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    files = LocalFiles(tmp_path)
    for read in (files.read, files.digest):
        with pytest.raises(OSError, match="Not a file"):
            read(name)

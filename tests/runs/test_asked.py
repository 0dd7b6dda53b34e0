"""``best`` is of the pictures that were asked about last, and asks where a name means several."""

import logging
import shutil

import pytest

from pipeline.errors import RunError
from pipeline.runs import choose, find_run, index_settings, note_asked, source_run
from tests.runs.test_folder import HITS, make_run
from tests.stored import change_json, reseal


@pytest.fixture
def runs(tmp_path):
    """Runs on /a/pets, then on /b/cars, then on /c/pets, which holds other pictures."""
    folder = tmp_path / "runs"
    make_run(folder, "pets", 0.9, HITS, data="d1", root="/a/pets")
    make_run(folder, "cars", 0.8, HITS, data="d2", root="/b/cars")
    make_run(folder, "pets-2", 0.7, HITS, data="d3", root="/c/pets")
    return folder


def test_without_a_memory_the_newest_run_says_it(runs):
    assert find_run(runs, "best").name == "pets-2"


def test_an_answer_from_disk_counts(runs, monkeypatch):
    for root, name, digest, best in (
        ("/a/pets", "pets", "d1", "pets"),
        ("/b/cars", "cars", "d2", "cars"),
        ("/a/pets", "pets", "d1", "pets"),
    ):
        note_asked(runs, root, name, digest)
        assert find_run(runs, "best").name == best
    monkeypatch.setattr(choose.logger, "disabled", True)  # what is logged must be text to be sent
    note_asked(runs, "/b/c\udce4rs", "c\udce4rs", "d2")
    assert find_run(runs, "best:c\udce4rs").name == find_run(runs, "best").name == "cars"
    make_run(runs, "trucks", 0.5, HITS, data="d4", root="/d/trucks")
    assert find_run(runs, "best").name == "trucks"


def test_the_memory_is_copied_with_the_runs(runs, tmp_path):
    note_asked(runs, "/a/pets", "pets", "d1")
    shutil.copytree(runs, tmp_path / "copy")
    assert find_run(tmp_path / "copy", "best").name == "pets"
    shutil.rmtree(tmp_path / "copy" / "pets")
    assert find_run(tmp_path / "copy", "best").name == "pets-2"


def test_who_looks_changes_nothing(runs):
    note_asked(runs, "/a/pets", "pets", "d1")
    before = {path: path.stat().st_mtime_ns for path in runs.rglob("*")}
    find_run(runs, "best")
    find_run(runs, "best:cars")
    assert {path: path.stat().st_mtime_ns for path in runs.rglob("*")} == before


def test_what_the_runs_say_themselves_is_not_written(runs):
    note_asked(runs, "/c/pets", "pets", "d3")
    assert not (runs / ".asked").exists()
    note_asked(runs, "/a/pets", "pets", "d1")
    (file,) = (runs / ".asked").iterdir()
    before = file.stat().st_mtime_ns
    note_asked(runs, "/a/pets", "pets", "d1")
    assert file.stat().st_mtime_ns == before


def test_a_damaged_run_elsewhere_does_not_end_who_has_an_answer(runs):
    (runs / "cars" / "run.json").write_text("{")
    note_asked(runs, "/a/pets", "pets", "d1")
    shutil.rmtree(runs / "cars")
    assert find_run(runs, "best").name == "pets"


def test_what_cannot_be_remembered_is_said_where_it_matters(runs, caplog):
    (runs / ".asked").write_text("no folder")
    with caplog.at_level(logging.WARNING):
        note_asked(runs, "/c/pets", "pets", "d3")
        assert not caplog.messages
        note_asked(runs, "/b/cars", "cars", "d2")
    (said,) = caplog.messages
    assert said.startswith(f"cannot write {runs / '.asked'}")
    assert said.endswith("until then best is of /c/pets: say best:/b/cars")


def test_a_damaged_memory_is_one_sentence(runs):
    note_asked(runs, "/a/pets", "pets", "d1")
    (file,) = (runs / ".asked").iterdir()
    file.write_text('{"root": 3}')
    with pytest.raises(
        RunError, match=r"asked about in .*\.json, received: expected a text as 'root'"
    ):
        find_run(runs, "best")


def test_a_name_that_means_several_data_sets_is_asked_about(runs):
    assert find_run(runs, "best:cars").name == "cars"
    way_out = "best:/a/pets, best:/c/pets, or the name of a run"
    with pytest.raises(RunError, match=rf"'best:pets', received 2 of that name .*{way_out}"):
        find_run(runs, "best:pets")
    assert find_run(runs, "best:/a/pets").name == "pets"
    assert find_run(runs, "best:/a/../c/pets/").name == "pets-2"
    for root in "ef":
        make_run(runs, root, 0.7, HITS, data=root, root=f"/{root}/pets")
    with pytest.raises(RunError, match=r"received 4 of that name .*best:/e/pets, …, or the name"):
        find_run(runs, "best:pets")


def test_the_same_pictures_elsewhere_are_no_second_data_set(runs):
    note_asked(runs, "/moved/cars", "cars", "d2")
    assert find_run(runs, "best:cars").name == find_run(runs, "best:/moved/cars").name == "cars"
    make_run(runs, "a-copy", 0.8, HITS, data="d2", root="/copied/vans")
    assert find_run(runs, "best:cars").name == "cars"
    assert find_run(runs, "best:vans").name == "a-copy", "of equals, the one from there"
    make_run(runs, "better", 0.85, HITS, data="d2", root="/copied/vans")
    assert find_run(runs, "best:cars").name == "better"


def test_pictures_that_were_added_are_no_second_data_set(runs):
    make_run(runs, "more-cars", 0.6, HITS, data="d5", root="/b/cars")
    assert find_run(runs, "best:cars").name == "more-cars"
    note_asked(runs, "/b/cars", "cars", "d2")  # they were taken away again
    assert find_run(runs, "best:cars").name == find_run(runs, "best:/b/cars").name == "cars"


@pytest.mark.parametrize("text", ["best:dogs", "best:", "best:/b", "best:cars/"])
def test_a_name_or_place_without_runs(runs, text, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match=rf"received '{text}'; there are runs on 'cars', 'pets'"):
        find_run(runs, text)


def test_places_are_said_as_pictures_are(runs, monkeypatch, tmp_path):
    here = tmp_path / "here"
    here.mkdir()
    make_run(runs, "here", 0.6, HITS, data="d6", root=str(here.resolve()))
    make_run(runs, "web", 0.6, HITS, data="d7", root="https://me@host/shop")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(here)
    for text in ("here", "./here", str(here), "link"):
        assert find_run(runs, f"best:{text}").name == "here"
    assert find_run(runs, "best:https://me:secret@host/shop/").name == "web"


def test_fine_tuning_starts_from_what_was_named(runs):
    assert source_run(runs, "best:cars", "/b/cars", "d2").name == "cars"
    assert source_run(runs, "best:pets", "/c/pets", "d3").name == "pets-2"
    with pytest.raises(RunError, match=r"on /b/cars, received 'best:/a/pets', which is of /a/pets"):
        source_run(runs, "best:/a/pets", "/b/cars", "d2")


def test_pictures_are_indexed_as_they_were_last(runs):
    """Not as the better run had them, whose labels were read otherwise."""
    for name, accuracy, seed in (("first", 0.99, 1), ("then", 0.5, 2)):
        make_run(runs, name, accuracy, HITS, data=name, root="/b/cars")
        path = runs / name / "run.json"
        change_json(path, lambda value, seed=seed: value["dataset"].update(indexing={"seed": seed}))
        reseal(path.parent)
    assert index_settings(runs, "best", "/b/cars") == {"seed": 2}
    note_asked(runs, "/b/cars", "cars", "first")
    assert index_settings(runs, "best", "/b/cars") == {"seed": 1}
    assert index_settings(runs, "best", "/nowhere") == {}

"""`benchmarks gpu` on a machine where parts fail, hang, or find the time up."""

import json
import sys
import zipfile
from time import monotonic

import pytest

from benchmarks import gpu
from benchmarks.gpu_table import table
from benchmarks.kit import unpack


@pytest.fixture
def session(tmp_path):
    machine = {"cards": [{"name": "A card", "memory": "9 GiB"}], "processor": "2 cores"}
    machine |= {"packages": {"jax": "1"}}
    return gpu.Session(tmp_path, tmp_path / "out.json", monotonic() + 100, 60, machine)


def test_part_that_fails_is_told_with_its_last_words_and_stops_no_other(session, capsys):
    assert session.run("no_such_part", engine="openvino") == []
    (entry,) = json.loads(session.out.read_text())["parts"]
    assert entry["failed"].startswith("ended with 1: AttributeError")
    assert "Traceback" in entry["log"]
    assert "no_such_part" in capsys.readouterr().out
    (note,) = session.run("prepare", n_photos=2)
    assert note["photos"] == 2
    written = json.loads(session.out.read_text())
    assert [part["part"] for part in written["parts"]] == ["no_such_part", "prepare"]
    assert "failed: no_such_part openvino: ended with 1" in table(written)


def test_part_that_takes_too_long_is_stopped_and_what_it_noted_is_kept(session, monkeypatch):
    slow = "import json, sys, time\ngiven = json.loads(sys.argv[-1])\n"
    slow += "open(given['notes'], 'w').write('{\"rate\": 1}\\n')\ntime.sleep(60)"
    start = gpu.subprocess.Popen
    monkeypatch.setattr(
        gpu.subprocess,
        "Popen",
        lambda command, **more: start([sys.executable, "-c", slow, command[-1]], **more),
    )
    assert session.run("decode", limit=5) == [{"rate": 1}]
    assert session.results["parts"][0]["failed"] == "stopped after 5 s: it said nothing"


def test_time_that_is_up_starts_nothing(session):
    session.deadline = monotonic() + 1
    assert session.run("prepare", n_photos=2) == []
    assert session.results["parts"][0]["failed"] == "not run: the time was up"


def test_table_has_a_row_for_each_measurement(session):
    waits = {"waited_for_pictures": 3.0, "waited_for_engine": 1.0, "waited_for_disk": 0.0}
    row = {"precision": "float32", "batch": 64, "ceiling": 8000.0}
    made = row | {"memory": 2_000_000_000, "difference": 1.2e-6}
    notes = [{"first_feature": 9.04, "device": "A card"}, made, row | waits]
    notes[2] |= {"rate": 7200.0, "share": 0.9}
    given = {"engine": "jax", "base": "ResNet50"}
    session.results["parts"] = [{"part": "speed", "given": given, "notes": notes}]
    lines = table(session.results).splitlines()
    assert lines[0].startswith("A card (9 GiB)")
    assert " ".join(lines[-2].split()) == "jax ResNet50 float32 64 8,000 2.0 GB 1.2e-06 9.0 s"
    assert " ".join(lines[-1].split()) == "jax ResNet50 float32 64 8,000 7,200 90% 75%"


def test_kit_unpacks_what_is_missing_here(tmp_path, monkeypatch, capsys):
    version = "cp{}{}".format(*sys.version_info[:2])
    for name, module, tags in (
        ("absent_here", "absent_here/__init__.py", "py3-none-any"),
        ("numpy", "numpy/__init__.py", "py3-none-any"),
        ("fits", "fits.so", f"{version}-{version}-linux"),
        ("old", "old.py", "cp27-cp27m-linux"),
        ("keras", "keras/__init__.py", "py3-none-any"),
    ):
        with zipfile.ZipFile(tmp_path / f"{name}-1.0-{tags}.whl", "w") as wheel:
            wheel.writestr(module, "")
    monkeypatch.setattr(sys, "argv", ["unpack.py", str(tmp_path), str(tmp_path / "site")])
    unpack.main()
    found = sorted(path.name for path in (tmp_path / "site").iterdir())
    assert found == ["absent_here", "fits.so", "keras"]
    assert "numpy: there already" in capsys.readouterr().out
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    with pytest.raises(SystemExit, match=r"expected Python 3\.11 to 3\.13"):
        unpack.main()

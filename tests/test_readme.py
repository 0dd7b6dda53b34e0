"""The README says what is: its commands parse, its targets exist, its tables match the code."""

import json
import re
import shlex
import subprocess
from pathlib import Path

import pytest

import pipeline
from pipeline.cli import app
from pipeline.images import write_digits
from tests.conftest import SLOW
from tests.stored import reseal

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8").replace("\\\n", " ")
COMMANDS = re.findall(
    r"^\$ (.+)$", README + (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.MULTILINE
)


def test_it_is_short():
    assert len(README.splitlines()) <= 150


def test_its_picture_is_small():
    (picture,) = re.findall(r"!\[.+\]\((.+)\)", README)
    assert (ROOT / picture).stat().st_size <= 150_000


def test_there_are_commands():
    assert {"make demo", "make report", "make test-fast"} < set(COMMANDS)


def test_it_lists_every_command():
    rows = re.findall(r"^\| (`pipeline .+?) \|", README, re.MULTILINE)
    listed = [name for row in rows for name in re.findall(r"`pipeline ([\w-]+)", row)]
    assert sorted(listed) == sorted(name for name in app if not name.startswith("-"))


@pytest.mark.parametrize("command", COMMANDS)
def test_targets_exist_and_call_the_program(command):
    dry = subprocess.run(
        [*shlex.split(command), "--dry-run", "--always-make"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ".venv/bin/" in dry.stdout


def dry_run(*arguments):
    command = ["make", "--dry-run", "--always-make", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["export"], "OUT is missing, the file to write RUN to: make export OUT=cats.keras"),
        (["classify", "DATA="], "DATA is empty; leave it out, or give it a value"),
        (["classify", "data=pictures"], "unknown variable data; known are DATA BACKBONE"),
    ],
)
def test_variables_that_are_missing_or_mistyped(arguments, told):
    command = ["make", "--dry-run", *arguments]
    process = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert process.returncode == 2
    assert told in process.stderr


def test_variables_become_flags():
    assert '"my pics" --backbone "VGG16"' in dry_run("features", "DATA=my pics", "BACKBONE=VGG16")
    assert '"x.onnx"' in dry_run("export", "OUT=x.onnx", "PYTHON=python3")


def test_who_tries_it_gets_no_development_tools():
    assert "[dev]" not in dry_run("features")
    assert "[dev]" in dry_run("test")


def test_what_is_left_out_of_the_fast_tests_is_there():
    assert [name for name in SLOW if not (ROOT / "tests" / name).exists()] == []


def test_every_make_target_documents_itself():
    targets = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert targets == set(re.findall(r"^  make ([\w-]+)", listed, re.MULTILINE))


@pytest.mark.slow
def test_the_python_example_runs(tmp_path, monkeypatch):
    """For who begins with it, and for who has made the demo, whose best run is fine-tuned."""
    monkeypatch.chdir(tmp_path)
    write_digits(Path("data/digits"))
    for name in range(10):  # a part is quicker, and shows as much
        for split, kept in (("train", 50), ("test", 10)):
            for path in sorted(Path(f"data/digits/{split}/{name}").iterdir())[kept:]:
                path.unlink()
    first = said_by_the_example()
    assert [values[0] for values in first[:2]] == ["lda", "knn"]
    assert all(0.7 < values[2] <= 1 for values in first[:2])
    assert first[2] == ((10, 10),)
    tuned = pipeline.fine_tune("data/digits", mode="frozen", epochs=1, anyway=True).run
    metrics = json.loads((tuned.path / "metrics.json").read_text("utf-8"))
    metrics["selection"]["accuracy"] = 1.0  # the demo's gains more, in minutes
    (tuned.path / "metrics.json").write_text(json.dumps(metrics), "utf-8")
    reseal(tuned.path)
    assert said_by_the_example() == first
    best = pipeline.load_run("best")
    assert (best.name, best.info["kind"]) == (tuned.name, "finetune")
    assert (best.head, best.layers) == ("lda", ("block3",))
    assert best.threshold is None
    assert pipeline.fine_tune("data/digits", mode="frozen", epochs=1, anyway=True).reused


def said_by_the_example():
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    said = []
    exec(
        compile(example, "README.md", "exec"),
        {"print": lambda *values: said.append(values)},
    )
    return said

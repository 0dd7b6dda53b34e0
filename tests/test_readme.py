"""The README says what is: its commands parse, its targets exist, its tables match the code."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest

from pipeline.cli import app
from pipeline.heads import HEADS
from pipeline.images import write_digits

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"^\$ (.+)$", README, re.MULTILINE)


def test_there_are_commands():
    assert {"make demo", "make test"} < set(COMMANDS)
    assert sum(command.startswith("pipeline ") for command in COMMANDS) >= 3


@pytest.mark.parametrize("command", [text for text in COMMANDS if text.startswith("pipeline ")])
def test_commands_parse(command):
    app.parse_args(shlex.split(command)[1:], exit_on_error=False, print_error=False)


@pytest.mark.parametrize("command", [text for text in COMMANDS if text.startswith("make ")])
def test_targets_exist_and_call_the_program(command):
    dry = subprocess.run(
        [*shlex.split(command), "--dry-run", "--always-make"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ".venv/bin/" in dry.stdout


def test_every_make_target_documents_itself():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    makefile = makefile.replace("\\\n", " ")
    targets = set(re.search(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)[1].split())
    listed = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert targets == set(re.findall(r"^  make ([\w-]+)", listed, re.MULTILINE))


def test_heads_are_the_catalogs():
    rows = re.findall(r"^\| `([\w-]+)` \| `(.+?)` \|", README, re.MULTILINE)
    documented = {name: defaults for name, defaults in rows if name in HEADS}
    expected = {
        head.name: ", ".join(f"{key}={value!r}" for key, value in head.defaults.items())
        for head in HEADS.values()
    }
    assert documented == expected


def test_modules_are_the_packages():
    table = README[README.index("## The code") : README.index("## Measured")]
    documented = set(re.findall(r"`(\w+)(?:\.py|/)`", table)) - {"pipeline"}
    present = {
        path.stem
        for path in (ROOT / "pipeline").iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert documented == present - {"__init__"}


def test_the_python_example_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_digits(Path("data/digits"))
    (example,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    said = {}
    exec(
        compile(example, "README.md", "exec"),
        {"print": lambda *values: said.update({len(said): values})},
    )
    assert said[0][0] == 1797
    assert said[0][1] == (1797, 40)
    assert [values[0] for values in said.values()][1:3] == ["lda", "knn"]
    assert list(said.values())[-1][0]["frozenfeatures__layer"] in ("block2", "block3")

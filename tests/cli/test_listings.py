"""What the command line tells of itself: settings with their defaults, examples, completion."""

import inspect
import os
import pty
import re
import shlex
import subprocess
import sys
import tomllib

import pytest
from cyclopts.config import Toml

from pipeline.cli import EXAMPLES, app, run
from pipeline.cli.listings import TABLES, as_toml, settings_of

PROGRAM = "pipeline"
REQUIRED = {
    "features": ["pictures"],
    "classify": ["pictures"],
    "finetune": ["pictures"],
    "check": ["pictures"],
    "similar": ["pool", "photo.jpg"],
    "suggest": ["pool", "--out", "next.csv"],
    "label": ["pictures", "--out", "page.html"],
    "predict": ["best", "pictures"],
    "evidence": ["best", "photo.jpg", "--out", "maps"],
    "export": ["best", "model.keras"],
    "report": ["--out", "report.html"],
}


def commands():
    return sorted(name for name in app if not name.startswith("-"))


def bound(tokens):
    _, arguments, *_ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    return {**arguments.arguments, **arguments.kwargs}


def of(name):
    """Return the settings that a command would get."""
    default = inspect.signature(app[name].default_command).parameters["config"].default
    return bound([name, *REQUIRED[name]]).get("config", default)


def test_every_command_has_examples():
    assert sorted(EXAMPLES) == commands()
    assert all(EXAMPLES.values())


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_examples_can_be_typed(line):
    words = shlex.split(
        line.removeprefix('eval "$(').removesuffix(')"') if "eval" in line else line.split(" >")[0]
    )
    assert words[0] == PROGRAM
    if "--config" in words:
        at = words.index("--config")
        del words[at : at + 2]
    bound(words[1:])
    assert len(line) <= 78, "would be wrapped in the help"


def test_help_shows_them(capsys):
    assert run(["classify", "--help"]) == 0
    shown = capsys.readouterr().out
    assert all(line in shown for line in EXAMPLES["classify"])


def test_settings_are_the_defaults(capsys, monkeypatch, tmp_path):
    """The file as it is written changes nothing."""
    assert run(["config"]) == 0
    text = capsys.readouterr().out
    assert text == as_toml()
    assert sorted(tomllib.loads(text)) == sorted(TABLES)
    path = tmp_path / "pipeline.toml"
    path.write_text(text, "utf-8")
    configs = {name: of(name) for name in TABLES}
    kinds = {re.sub("Config|Flags", "", type(c).__name__).lower() for c in configs.values()}
    assert sorted(kinds) == sorted(TABLES)
    monkeypatch.setattr(app, "config", (Toml(path, must_exist=True),))
    assert {name: of(name) for name in TABLES} == configs


def test_settings_name_every_flag_with_its_help():
    flags = {setting.name: setting for setting in settings_of("classify")}
    assert flags["image-size"].default is None
    assert flags["cache"].default == "features"
    assert flags["cache"].help == "Folder of the feature cache."
    assert not {"data", "json", "quiet"} & set(flags)
    assert all(setting.help for name in TABLES for setting in settings_of(name))


def test_settings_that_were_changed_count(capsys, tmp_path):
    out = tmp_path / "pipeline.toml"
    assert run(["config", "--out", str(out)]) == 0
    assert str(out) in capsys.readouterr().out
    changed = out.read_text("utf-8").replace('runs = "runs"', f'runs = "{tmp_path}/none"')
    out.write_text(changed, "utf-8")
    assert run(["export", "nosuch", str(tmp_path / "m.keras"), "--config", str(out)]) == 2
    assert f"{tmp_path}/none" in capsys.readouterr().err


def test_settings_are_not_overwritten(capsys, tmp_path):
    out = tmp_path / "mine.toml"
    out.write_text("# mine", "utf-8")
    assert run(["config", "--out", str(out)]) == 2
    assert "expected a new file, received out=" in capsys.readouterr().err
    assert out.read_text("utf-8") == "# mine"
    assert run(["config", "--out", str(out), "--overwrite"]) == 0
    assert out.read_text("utf-8") == as_toml()


def test_bash_reads_the_completion(capsys):
    assert run(["completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert "--head-epochs" in script
    asked = (
        "COMP_WORDS=(pipeline classify pictures --hea); COMP_CWORD=3; _pipeline; "
        "echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "-c", f"{script}\n{asked}"], capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["--heads"]


def on_a_terminal(words, **environment):
    """Return what a command prints where its output is a terminal."""
    leader, follower = pty.openpty()
    variables = {**os.environ, "TERM": "xterm-256color", **environment}
    process = subprocess.Popen(
        [sys.executable, "-m", PROGRAM, *words], stdout=follower, stderr=follower, env=variables
    )
    os.close(follower)
    parts = []
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:  # the other end was closed
            break
        if not part:
            break
        parts.append(part)
    os.close(leader)
    assert process.wait() == 0
    return b"".join(parts).decode()


def test_colours_only_where_they_are_wanted():
    words = ["summary", "EfficientNetLite0", "--help"]
    assert "\x1b[" in on_a_terminal(words)
    assert "\x1b[3" not in on_a_terminal(words, NO_COLOR="1")
    piped = subprocess.run(
        [sys.executable, "-m", PROGRAM, *words], capture_output=True, text=True, check=True
    )
    assert "\x1b" not in piped.stdout

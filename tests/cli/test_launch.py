import errno
import json
import logging
import os
import re
import signal
import subprocess
import sys
import time
from typing import get_args

import pytest

from pipeline.api.progress import Terminal
from pipeline.cli import app, launch, run
from pipeline.config import ClassifyConfig
from tests.conftest import write_picture

BASE = ["--backbone", "MobileNet(alpha=0.25)", "--weights", "none", "--layers", "block2"]


def features(root, *more):
    return ["features", str(root / "data"), *BASE, "--cache", str(root / "cache"), *more]


@pytest.fixture
def many(tmp_path):
    for i in range(1200):
        write_picture(tmp_path / "data" / "ab"[i % 2] / f"{i}.png", i, size=8)
    return tmp_path


@pytest.mark.parametrize(
    "name",
    [
        *("features", "classify", "finetune", "predict", "compare", "backbones", "summary"),
        *("digits", "check", "explain", "verify", "export", "export-features"),
    ],
)
def test_every_command_explains_itself(capsys, name):
    assert run([name, "--help"]) == 0
    assert f"pipeline {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "after"),
    [
        (["classify", ""], "classify"),
        (["features", " "], "features"),
        (["check", ""], "check"),
        (["predict", "best", ""], "best"),
        (["predict", ""], "predict"),
        (["classify", "x", "--cache", ""], "--cache"),
        (["classify", "x", "--runs="], "--runs"),
        (["compare", "--runs", ""], "--runs"),
        (["digits", ""], "digits"),
    ],
)
def test_an_empty_text_is_no_folder(tmp_path, monkeypatch, capsys, typed, after):
    monkeypatch.chdir(tmp_path)
    for i in range(4):
        write_picture(tmp_path / "ab"[i % 2] / f"{i}.png", i, size=8)
    assert run(typed) == 2
    assert f"expected a value after {after}, received an empty text" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_an_empty_text_in_a_file_of_settings(tmp_path, capsys):
    (tmp_path / "empty.toml").write_text('[classify]\nruns = ""\n')
    assert run(["classify", "x", "--config", str(tmp_path / "empty.toml")]) == 2
    assert "expected a value after --runs, received an empty" in capsys.readouterr().err


WHOLE = [
    (command, field)
    for command in sorted(name for name in app if not name.startswith("-"))
    for field in app[command].assemble_argument_collection()
    if int in (get_args(field.hint) or (field.hint,))
]


@pytest.mark.parametrize(
    ("command", "flag"), [(command, field.name) for command, field in WHOLE], ids=str
)
def test_a_fraction_is_no_whole_number(capsys, command, flag):
    name = flag.lstrip("-").replace("-", "_")
    for value in ("1.5", "0.4", "32.0"):
        assert run([command, "data", f"{flag}={value}"]) == 2
        assert f"expected {name} as a whole number, received {name}={value}" in (
            capsys.readouterr().err
        )


def test_every_command_with_whole_numbers_is_tried():
    flags = {field.name for _, field in WHOLE}
    assert {"--seed", "--folds", "--image-size", "--views", "--n", "--epochs", "--top"} <= flags


def test_a_fraction_in_a_file_of_settings_is_no_whole_number(tmp_path, capsys):
    (tmp_path / "s.toml").write_text("[classify]\nfolds = 1.5\n")
    assert run(["--config", str(tmp_path / "s.toml"), "classify", "data"]) == 2
    assert "expected folds as a whole number, received folds=1.5" in capsys.readouterr().err
    assert run(["classify", "data", "--seed=-0.5"]) == 2
    assert "received seed=-0.5" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["classify", "My", "pictures"], "received 'pictures': put quotes around a path with sp"),
        (["check", *"abcde"], "received 'b', 'c', 'd' and 1 more: put quotes"),
        (["export", "best", "my", "m.onnx"], "received 'm.onnx': put quotes"),
        (["suggest", "best", "my", "pool", "--out", "x.csv"], "3 names: put quotes around a path"),
        (["predict", "best", "my", "pictures"], "which is not there; put quotes around a path"),
        (["predict", "best", "x.png", "--labels", "x"], "Unknown option: --labels."),
        (["predict", "best", "x.png", "--labels=x"], "Unknown option: --labels=x."),
        (["predict", "best", "x.png", "--corrections", "x"], "Unknown option: --corrections."),
        (["predict", "best", "-"], "received -: nothing is read from standard input"),
        (["predict", "best", "*.png"], "and no pattern is filled in here: give the folder"),
        (["predict", "best", "x.csv"], "x.csv, which is a table: give the pictures themselves"),
        (["evidence", "best", "x.csv", "--out", "y"], "x.csv, which is a table"),
    ],
)
def test_what_was_typed_is_what_is_named(tmp_path, monkeypatch, capsys, typed, told):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("path\nx.png\n")
    assert run(typed) == 2
    assert told in capsys.readouterr().err


def test_help_and_version(capsys):
    assert run(["--help"]) == 0
    assert "Stage 1" in capsys.readouterr().out
    assert run(["--version"]) == 0


def test_unknown_command_names_the_nearest(capsys):
    assert run(["feature"]) == 2
    assert 'Did you mean "features"' in capsys.readouterr().err


def test_settings_from_a_file_and_flags_over_them(pictures, tmp_path, capsys):
    settings = tmp_path / "settings.toml"
    settings.write_text(
        '[features]\nbackbone = "MobileNet(alpha=0.25)"\nweights = "none"\nimage-size = 32\n'
        f'layers = "block1,block2"\ncache = "{tmp_path / "cache"}"\n'
    )
    arguments = ["features", str(pictures), "--config", str(settings), "--layers", "block1"]
    assert run([*arguments, "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["recipe"].startswith("MobileNet(alpha=0.25)-conv_pw_1_relu-avg-")
    assert (tmp_path / "cache" / value["recipe"] / "recipe.json").exists()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (
            '[classify]\nheads = "nowhere:Thing"',
            "names of modules, which are imported; type --heads",
        ),
        ('[classify]\nheads = ["ridge", "sklearn.svm:SVC"]', "names of modules"),
        ('[classify]\ncluster = "tcp://host:8786"', "the address of a scheduler.*; type --cluster"),
        ("[predict]\ntrust = true", "trust, by which a pickle runs its code; type --trust on the"),
        ('[predict]\ntrust = ["yes"]', "type --trust"),
        ("[predict]\nno-trust = true", "type --trust"),
    ],
)
def test_a_file_of_settings_runs_no_code_of_others(tmp_path, capsys, table, words):
    settings = tmp_path / "settings.toml"
    settings.write_text(f"{table}\n")
    command = ["predict", "best", "x"] if "predict" in table else ["classify", "x"]
    assert run([*command, "--config", str(settings)]) == 2
    error = capsys.readouterr().err
    assert "expected settings that run no code of others in config=" in error
    assert re.search(words, error)


def test_what_a_file_says_of_code_and_the_command_line_says_too_counts(tmp_path, capsys):
    settings = tmp_path / "settings.toml"
    settings.write_text('[classify]\nheads = "nowhere:Thing"\n[predict]\ntrust = false\n')
    arguments = ["--config", str(settings), "--runs", str(tmp_path)]
    assert run(["classify", "x", *arguments, "--heads", "nothing:Thing"]) == 2
    assert "a module that can be imported in 'nothing:Thing'" in capsys.readouterr().err
    assert run(["predict", "best", "x", *arguments]) == 2
    assert "received x, which is not there" in capsys.readouterr().err


def test_a_file_that_is_no_toml_is_one_sentence(tmp_path, capsys):
    for number, data in enumerate((b"\xff", b"[x", b"x = " + b"[" * 100_000, bytes(2 << 20))):
        path = tmp_path / f"{number}.toml"
        path.write_bytes(data)
        assert run(["compare", "--config", str(path)]) == 2
        assert f"expected a TOML file, received config={path}: " in capsys.readouterr().err


@pytest.mark.parametrize("given", ["32x32", "32,32", "32×32", "(32, 32)", "[32,32]", " 32 X 32 "])
def test_squares_as_people_write_them(given):
    command, bound, _ = app.parse_args(["classify", "x", "--image-size", given], print_error=False)
    assert command.__name__ == "classify"
    assert bound.arguments["config"] == ClassifyConfig(image_size=32)
    assert type(bound.arguments["config"].image_size) is int


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("32x48", "expected a square, as every base sees one, received image_size=32x48: give"),
        ("32x32x3", "expected image_size as one side in pixels, such as 224, or as 224x224, rec"),
        ("32x", "received image_size=32x"),
        ("-32", "received image_size=-32"),
    ],
)
@pytest.mark.parametrize("command", ["features", "check", "summary"])
def test_what_is_no_square(capsys, command, given, told):
    assert run([command, "VGG16", f"--image-size={given}"]) == 2
    assert told in capsys.readouterr().err


@pytest.mark.parametrize("written", ["[32, 32]", '"32x32"', "32"])
def test_lists_in_a_file_are_what_commas_are_in_a_flag(tmp_path, capsys, written):
    settings = tmp_path / "settings.toml"
    settings.write_text(f'[features]\nimage-size = {written}\nlayers = ["block1", "nowhere"]\n')
    assert run(["features", "x", "--config", str(settings)]) == 2
    assert "unknown layer 'nowhere'" in capsys.readouterr().err


def test_unknown_setting_in_a_file(pictures, tmp_path, capsys):
    settings = tmp_path / "settings.toml"
    settings.write_text('[features]\nbackbon = "VGG16"\n')
    assert run(["features", str(pictures), "--config", str(settings)]) == 2
    assert "backbon" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[featurs]\nseed = 1\n", "'featurs'; nearest: features"),
        ("seed = 1\n", "unknown table in"),
        ("[features\n", "expected a TOML file"),
    ],
)
def test_settings_that_would_be_ignored_are_refused(pictures, tmp_path, capsys, text, words):
    settings = tmp_path / "settings.toml"
    settings.write_text(text)
    assert run(["features", str(pictures), "--config", str(settings)]) == 2
    assert words in capsys.readouterr().err


def test_catalog_and_summary_as_json(capsys):
    assert run(["backbones", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["backbones"]
    assert len(rows) == 43
    assert {"name", "input_size", "min_size", "preprocessing", "cut_points"} <= rows[0].keys()
    assert run(["summary", "MobileNet(alpha=0.25)", "--image-size", "32", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["parameters"] == value["parameters_without_top"] == 218_544
    assert not value["with_top"]
    assert value["layers"][-1]["cut_points"] == ["block5", "top"]


def test_the_two_counts_of_parameters_are_named(capsys):
    assert run(["summary", "MobileNet", "--image-size", "32"]) == 0
    said = capsys.readouterr().out.splitlines()[-1]
    assert said.startswith("3,228,864 parameters without the top, which tells ImageNet's 1,000")
    assert run(["summary", "MobileNet", "--image-size", "32", "--top"]) == 0
    *layers, said = capsys.readouterr().out.splitlines()
    assert said == "4,253,864 parameters with the top, 3,228,864 parameters without the top"
    assert layers[-1].split() == ["predictions", "Activation", "1000", "0"]
    assert run(["backbones"]) == 0
    assert "  parameters without top  " in capsys.readouterr().out.splitlines()[0]
    assert run(["summary", "VGG16", "--image-size", "64", "--top"]) == 2
    assert "need image_size=224, received image_size=64; without the top" in capsys.readouterr().err


def wait_for(condition):
    for _ in range(2400):
        if condition():
            return
        time.sleep(0.05)
    raise TimeoutError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_interrupted_features_go_on_where_they_were(many, capsys, number):
    slowly = ["--image-size", "224", "--batch-size", "1", "--engine", "tensorflow"]
    arguments = features(many, *slowly)
    # A test run in the background ignores SIGINT, and its children would too.
    script = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "from pipeline.__main__ import main; main()"
    )
    command = [sys.executable, "-c", script, *arguments]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: list(many.glob("cache/*/recipe.json")))
    time.sleep(2.5)  # tracing comes first, and 1,200 single steps take far longer
    process.send_signal(number)
    _, printed = process.communicate()
    assert process.returncode == 130, printed
    assert "pipeline: interrupted: features and runs that were finished are kept" in printed
    assert "Traceback" not in printed
    assert run(features(many, "--image-size", "224", "--json")) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["reused"] > 0
    assert value["computed"] == 1200 - value["reused"]


def test_interruption_that_a_library_makes_an_error_of_its_own_is_one(monkeypatch, capsys):
    fault = SystemError("a function returned a result with an exception set")

    class Lost:
        def meta(self, tokens):
            raise fault

    monkeypatch.setattr(launch, "app", Lost())
    with pytest.raises(SystemError, match="exception set"):
        run(["features"])
    fault.__cause__ = KeyboardInterrupt()
    assert run(["features"]) == 130
    assert "pipeline: interrupted: " in capsys.readouterr().err


def test_two_processes_on_one_cache(many, capsys):
    command = [sys.executable, "-m", "pipeline", *features(many, "--image-size", "32")]
    both = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait() for process in both] == [0, 0]
    assert run(features(many, "--image-size", "32", "--json")) == 0
    value = json.loads(capsys.readouterr().out)
    assert (value["computed"], value["reused"]) == (0, 1200)


def test_output_may_be_cut_off_by_its_reader(tmp_path):
    process = subprocess.run(
        f"{sys.executable} -m pipeline backbones | head -1",
        shell=True,
        capture_output=True,
        text=True,
        check=True,
    )
    assert len(process.stdout.splitlines()) == 1
    assert process.stderr == ""


def test_no_native_notices_on_stderr(pictures, tmp_path):
    command = [
        sys.executable,
        "-m",
        "pipeline",
        "features",
        str(pictures),
        *BASE,
        "--image-size",
        "32",
        "--quiet",
        "--cache",
        str(tmp_path / "cache"),
    ]
    process = subprocess.run(
        command, capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"}
    )
    assert process.stderr == ""
    assert "36 pictures computed by" in process.stdout


@pytest.mark.parametrize("owned", [False, True])
def test_only_the_command_line_holds_stderr_back(owned):
    """What a native part writes there while TensorFlow comes in arrives in a library's user."""
    script = f"""
import os, sys
from pipeline.system.startup import import_tensorflow, own_stderr
class Noisy:
    def find_spec(self, name, *more):
        if name == "tensorflow":
            os.write(2, b"native notice")
sys.meta_path.insert(0, Noisy())
{"own_stderr()" if owned else ""}
import_tensorflow()
assert "tensorflow" in sys.modules
"""
    variables = {name: value for name, value in os.environ.items() if "PIPELINE" not in name}
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=variables
    )
    assert ("native notice" in process.stderr) is not owned


def test_progress_as_plain_lines(capsys, monkeypatch):
    monkeypatch.setattr("pipeline.api.progress.PLAIN_LINE_SECONDS", 0.0)
    terminal = Terminal()
    terminal.advance("features", 0, 12)
    capsys.readouterr()
    time.sleep(0.01)
    terminal.advance("features", 3, 12)
    printed = capsys.readouterr().err
    assert printed.startswith("features: 3/12 pictures, ")
    assert "pictures/s" in printed
    assert "s left" in printed


def test_notices_are_one_line_on_stderr(capsys):
    run(["backbones"])
    logging.getLogger("pipeline").warning("something %s", "odd")
    assert capsys.readouterr().err == "warning: something odd\n"


@pytest.mark.parametrize("module", ["pipeline.api.stages", "pipeline.cluster.worker"])
def test_library_and_workers_need_no_command_line_framework(module):
    """A worker, or a program that calls the stages, may live without the package for flags."""
    script = f"""
import sys
sys.modules["cyclopts"] = None
import {module}
import pipeline
assert set(pipeline.__all__) <= set(dir(pipeline)) and pipeline.extract_features
from pipeline.config import FinetuneConfig
assert FinetuneConfig().source == "best"
"""
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EMFILE, "Too many open files", "x.py"), "cannot read x.py: Too many open"),
        (OSError(errno.ELOOP, "Too many levels", "x"), "read x: Too many levels; links lead"),
        (MemoryError(), "cannot read what is needed: Cannot allocate memory; free some memory"),
    ],
)
def test_a_machine_that_is_used_up_is_one_sentence(tmp_path, capsys, monkeypatch, error, words):
    def fail(folder):
        raise error

    monkeypatch.setattr("pipeline.images.write_digits", fail)
    assert run(["digits", str(tmp_path)]) == 2
    assert words in capsys.readouterr().err


def test_a_folder_that_was_removed_below_the_terminal(tmp_path, monkeypatch, capsys):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert run(["compare"]) == 2
    assert "was removed: change into one that exists" in capsys.readouterr().err

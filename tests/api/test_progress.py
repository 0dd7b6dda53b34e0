"""Who is told of what, and that nothing is printed unasked."""

import errno
import io
import logging
import re
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.api import progress as module
from tests.api.conftest import BASE


def test_a_function_is_told_of_every_part(folder):
    told = []
    pipeline.train_classifier(
        "digits", heads="lda", folds=2, progress=lambda *news: told.append(news), **BASE
    )
    assert {"index", "classify"} <= {what for _, _, what in told}
    assert told[-1] == (1, 1, "classify")


def test_nothing_is_printed_unless_it_is_asked_for(trained, folder):
    script = """
import logging, sys, pipeline
base = {"image_size": 32, "layers": "block3", "cache": "cache"}
pipeline.extract_features("digits", **base)
pipeline.train_classifier("digits", heads="logistic,knn", folds=3, **base)
assert [type(one) for one in logging.getLogger("pipeline").handlers] == [logging.NullHandler]
assert logging.getLogger("pipeline").level == 0
assert logging.getLogger().handlers == []
loggers = [m.logger.name for name, m in sys.modules.items() if hasattr(m, "logger")
           and name.startswith("pipeline.")]
assert len(loggers) > 5 and all(name in sys.modules for name in loggers)
"""
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True
    )
    assert (process.stdout, process.stderr) == ("", "")


def test_progress_of_the_command_line_is_shown_on_stderr(trained, capsys, monkeypatch):
    monkeypatch.setattr("pipeline.api.progress.PLAIN_LINE_SECONDS", 0.0)
    handlers = list(logging.getLogger("pipeline").handlers)
    pipeline.extract_features("digits", progress=True, **BASE)
    out, err = capsys.readouterr()
    assert out == ""
    assert "index: 96/96 files" in err
    assert logging.getLogger("pipeline").handlers == handlers


@pytest.fixture
def shown(monkeypatch, capsys):
    """Return what tells a terminal of work at a time, and gives the line that it prints."""
    clock = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module, "PLAIN_LINE_SECONDS", 0.0)
    terminal = module.Terminal()

    def at(seconds, *told, unlike=False):
        clock[0] = 100.0 + seconds
        (terminal.advance_unlike if unlike else terminal.advance)(*told)
        return capsys.readouterr().err.strip()

    return at


def test_a_rate_is_that_of_the_work_that_was_left(shown):
    """What is remembered takes no time, and tells nothing of what is not."""
    assert shown(0, "index", 0, 1000, "files") == "index: 0/1000 files"
    shown(0, "index", 900, 1000, "files")
    assert shown(10, "index", 910, 1000, "files") == "index: 910/1000 files, 1.0 files/s, 90 s left"


def test_what_a_network_is_prepared_for_does_not_count_twice(shown):
    shown(0, "features", 0, 320)
    assert shown(60, "features", 32, 320) == "features: 32/320 pictures, 0.5 pictures/s, 9 min left"
    assert shown(61, "features", 64, 320) == "features: 64/320 pictures, 32.0 pictures/s, 8 s left"


def test_the_clock_starts_anew_with_less(shown):
    shown(0, "export", 500, 1000, "rows")
    shown(100, "export", 1000, 1000, "rows")
    shown(5000, "export", 500, 1000, "rows")
    assert shown(5001, "export", 750, 1000, "rows").endswith("250.0 rows/s, 1 s left")


def test_long_pieces_are_told_by_what_one_takes(shown):
    shown(0, "epoch 1", 0, 4, "steps")
    assert shown(300, "epoch 1", 1, 4, "steps") == "epoch 1: 1/4 steps, 5 min a step, 15 min left"


def test_pieces_that_are_not_alike_have_no_rate(shown):
    told = "classify", 1, 4, "experiments"
    assert shown(1541, *told, None, unlike=True) == "classify: 1/4 experiments"
    assert shown(1541, *told, 77.0, unlike=True) == "classify: 1/4 experiments, 77 s left"


def test_a_bar_of_unlike_pieces_goes_by_time_and_counts_down(monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    terminal = module.Terminal()
    terminal._console = module.Console(file=io.StringIO(), force_terminal=True, width=100)
    terminal.advance_unlike("search", 0, 50, "steps", None)
    clock[0] = 110.0
    terminal.advance_unlike("search", 40, 50, "steps", 30.0)
    (task,) = terminal._bars.tasks
    assert task.completed == 12.5  # a quarter of 50, for a quarter of the time
    assert task.fields["counts"] == "40/50"
    column = terminal._bars.columns[-1]
    assert column.render(task).plain == "30 s left"
    clock[0] = 122.0
    assert column.render(task).plain == "18 s left"
    clock[0] = 150.0
    assert column.render(task).plain == "0 s left"
    terminal.close()


class Full(io.StringIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_progress_that_cannot_be_shown_ends_nothing(monkeypatch):
    monkeypatch.setattr(module, "PLAIN_LINE_SECONDS", 0.0)
    monkeypatch.setattr(sys, "stderr", Full())
    with module.reporting(True) as reporter:
        reporter.advance("features", 1, 2)
        reporter.advance_unlike("search", 1, 2, "steps", None)


def test_every_module_logs_under_its_own_name():
    package = Path(pipeline.__file__).parent
    calls = {
        (path.relative_to(package).as_posix(), name)
        for path in package.rglob("*.py")
        for name in re.findall(r"getLogger\(([^()]+)\)", path.read_text("utf-8"))
    }
    assert {path for path, name in calls if name == '"pipeline"'} == {"cli/launch.py"}
    assert len([path for path, name in calls if name == "__name__"]) > 15
    foreign = {(path, name) for path, name in calls if name not in ("__name__", '"pipeline"')}
    libraries = {("images/decode.py", '"PIL"'), ("system/startup.py", '"nncf"')}
    assert foreign == {*libraries, ("cluster/local.py", "name")}

"""Who is told of what, and that nothing is printed unasked."""

import logging
import re
import subprocess
import sys
from pathlib import Path

import pipeline
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
    assert foreign == {("images/decode.py", '"PIL"'), ("cluster/local.py", "name")}

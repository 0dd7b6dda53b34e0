"""Who is told of what, and that nothing is printed unasked."""

import logging
import subprocess
import sys

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
import logging, pipeline
base = {"image_size": 32, "layers": "block3", "cache": "cache"}
pipeline.extract_features("digits", **base)
pipeline.train_classifier("digits", heads="logistic,knn", folds=3, **base)
assert logging.getLogger("pipeline").handlers == []
assert logging.getLogger("pipeline").level == 0
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

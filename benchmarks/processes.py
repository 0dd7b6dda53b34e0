"""Whole processes, timed: seconds of wall time, peak memory, and what they printed."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any


@dataclass(frozen=True)
class Finished:
    """A process that ended well.

    Args:
        seconds: Wall time from start to end.
        peak_bytes: Largest resident memory of the process.
        stdout: What it printed.
    """

    seconds: float
    peak_bytes: int
    stdout: str

    @property
    def json(self) -> Any:
        """Its output as JSON."""
        return json.loads(self.stdout)


def python(*arguments: str) -> Finished:
    """Run this Python with the arguments; raises CalledProcessError with its stderr on failure."""
    command = [sys.executable, *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        began = monotonic()
        process = subprocess.Popen(command, stdout=out, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        log.seek(0)
        text = out.read().decode()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command, text, log.read())
    return Finished(seconds, usage.ru_maxrss * 1024, text)


def pipeline(*arguments: str) -> Finished:
    """Run a command of the pipeline."""
    return python("-m", "pipeline", *arguments)


def best_of(runs: Sequence[Finished]) -> Finished:
    """Return the quickest."""
    return min(runs, key=lambda run: run.seconds)

"""Whole processes, timed: seconds of wall time, peak memory, and what they printed."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Any

POLL_SECONDS = 0.02


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


def python(*arguments: str, environment: Mapping[str, str] | None = None) -> Finished:
    """Run this Python with the arguments, and with more variables in the environment.

    Raises:
        CalledProcessError: The process failed; holds its stderr.
    """
    command = [sys.executable, *arguments]
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as log:
        began = monotonic()
        process = subprocess.Popen(
            command, stdout=out, stderr=log, env={**os.environ, **(environment or {})}
        )
        peak = _watch(process)
        seconds = monotonic() - began
        out.seek(0)
        log.seek(0)
        text = out.read().decode()
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, command, text, log.read())
    return Finished(seconds, peak, text)


def _watch(process: "subprocess.Popen[bytes]") -> int:
    """Wait for a process; return the largest resident memory that the kernel told of it.

    What ``getrusage`` says of a child is never less than what its parent had: not its own.
    """
    peak = 0
    while True:
        peak = max(peak, _peak_bytes(process.pid))
        try:
            process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return peak


def _peak_bytes(pid: int) -> int:
    try:
        rows = Path(f"/proc/{pid}/status").read_text("ascii").splitlines()
    except OSError:
        return 0
    return next((int(row.split()[1]) << 10 for row in rows if row.startswith("VmHWM:")), 0)


def pipeline(*arguments: str) -> Finished:
    """Run a command of the pipeline."""
    return python("-m", "pipeline", *arguments)


def best_of(runs: Sequence[Finished]) -> Finished:
    """Return the quickest."""
    return min(runs, key=lambda run: run.seconds)

import os
import subprocess
import sys
import time

import pytest

WORKERS = """
import os, time
from joblib import Parallel, delayed, parallel_config
from pipeline.system.processes import end_with_parent

def work(place):
    print(os.getpid(), flush=True)
    time.sleep(600)

if __name__ == "__main__":
    with parallel_config("loky", initializer=end_with_parent, initargs=(os.getpid(),)):
        Parallel(n_jobs=2)(delayed(work)(place) for place in range(2))
"""


def is_running(number):
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_end_with_a_parent_that_is_killed(tmp_path):
    script = tmp_path / "workers.py"
    script.write_text(WORKERS)
    with subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as parent:
        workers = [int(parent.stdout.readline()) for _ in range(2)]
        assert all(map(is_running, workers))
        parent.kill()
    until = time.monotonic() + 60
    while any(map(is_running, workers)) and time.monotonic() < until:
        time.sleep(0.1)
    assert not any(map(is_running, workers))


SIGNALLED = """
import signal, sys
from pipeline.system.processes import interrupt_on_signals

number = getattr(signal, sys.argv[1])
signal.signal(number, getattr(signal, sys.argv[2]))
interrupt_on_signals()
try:
    signal.raise_signal(number)
    print("goes on")
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("SIGTERM", "SIG_DFL", "interrupted"),
        ("SIGHUP", "SIG_DFL", "interrupted"),
        ("SIGHUP", "SIG_IGN", "goes on"),  # as under nohup
    ],
)
def test_what_asks_to_end_interrupts(name, before, after):
    command = [sys.executable, "-c", SIGNALLED, name, before]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == after


LOST = """
import signal
from pipeline.api.progress import Quiet, Terminal
from pipeline.system.processes import interrupt_on_signals

class Forgetful:
    def __del__(self):
        signal.raise_signal(signal.SIGTERM)

interrupt_on_signals()
Quiet().advance("epoch 1", 0, 9)
Forgetful()  # an exception in a finaliser is printed, and that is all
try:
    print("went on")
    {reporter}().advance("epoch 1", 1, 9)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("reporter", ["Quiet", "Terminal"])
def test_an_interruption_that_was_lost_is_made_good(reporter):
    script = LOST.replace("{reporter}", reporter)
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert ended.stdout.split("\n")[:2] == ["went on", "interrupted"]
    assert "Exception ignored in" in ended.stderr

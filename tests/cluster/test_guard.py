"""Who may start workers: what has a guard, and what Python does not import again."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
START = """
from pipeline.cluster.guard import main_for_workers
def start():
    with main_for_workers("local:2"):
        print("workers")
"""
GUARDED = [
    'if __name__ == "__main__":\n    start()',
    "def main():\n    start()\nif True:\n    if '__main__' == __name__:\n        main()",
    "import multiprocessing\nif multiprocessing.parent_process() is None:\n    start()",
    'if __name__ != "__main__":\n    pass\nelse:\n    start()',
]
BARE = [
    "start()",
    'if __name__ == "__main__":\n    pass\nstart()',
    "def main():\n    start()\nmain()",
    "import threading\none = threading.Thread(target=start)\none.start()\none.join()",
]


def python(*arguments, folder, **options):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, **options
    )


@pytest.mark.parametrize("how", GUARDED)
def test_a_script_with_a_guard_starts_workers(tmp_path, how):
    (tmp_path / "script.py").write_text(START + how)
    done = python("script.py", folder=tmp_path)
    assert (done.stdout, done.stderr) == ("workers\n", "")


@pytest.mark.parametrize("how", BARE)
def test_a_script_without_one_is_told_where(tmp_path, how):
    (tmp_path / "script.py").write_text(START + how)
    last = len((START + how).splitlines())
    for words in (["script.py"], ["-m", "script"]):
        done = python(*words, folder=tmp_path)
        assert done.stdout == ""
        told = re.search(r"without it in (.+), line (\d+): every worker", done.stderr)
        assert told[1] == str(tmp_path / "script.py")
        assert int(told[2]) in (last, last - 1)  # a thread runs while its script goes on


def test_what_is_not_imported_again_needs_none(tmp_path):
    (tmp_path / "module.py").write_text(START + "start()")
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(START + "start()")
    ways = [
        ["-c", START + "start()"],
        ["-"],
        ["-c", "import module"],
        ["-m", "package"],
        ["package"],
    ]
    for words in ways:
        done = python(*words, folder=tmp_path, input=START + "start()\n__file__")
        assert (done.stdout, done.stderr) == ("workers\n", ""), words


def test_it_is_asked_before_workers_start(tmp_path):
    script = """
from pipeline.cluster.connection import connected
with connected("local:2"):
    print("workers")
"""
    (tmp_path / "script.py").write_text(script)
    done = python("script.py", folder=tmp_path)
    assert done.stdout == ""
    last = "pipeline.errors.ClusterError: expected cluster='local:2' below `if __name__ =="
    assert done.stderr.splitlines()[-1].startswith(last)
    assert done.stderr.count("Traceback") == 1

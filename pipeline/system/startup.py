"""Importing TensorFlow and OpenVINO: late, once, and without what nobody asked them for.

TensorFlow's native notices are written to file descriptor 2, which belongs to whoever started the
process. The command line, and the processes that it starts, may redirect it; a program that imports
the package has it left alone.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from pipeline.errors import InputError

_OWNED = "PIPELINE_OWNS_STDERR"

_forked = False
_left_in_parent = False
"""Whether this process was forked from one in which TensorFlow had its threads running."""


def own_stderr() -> None:
    """Let this process, and those that it starts, hold back what native parts print."""
    os.environ[_OWNED] = "1"


def import_tensorflow() -> None:
    """Import TensorFlow; where stderr is ours, what it prints meanwhile is shown only on failure.

    The native notices (no CUDA driver, CPU instruction sets) come before any log level is obeyed
    and read like errors on every machine without a GPU.

    Raises:
        InputError: TensorFlow ran before this process was forked: it would wait for ever here.
    """
    if _left_in_parent:
        raise InputError(
            "expected a process in which TensorFlow can start, received one that was forked from "
            "a process that had used it; start workers with joblib, or with "
            "multiprocessing.get_context('spawn')"
        )
    if "tensorflow" in sys.modules:
        return
    if _OWNED not in os.environ:
        import tensorflow  # noqa: F401

        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with held_back_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
    # Else it warns of functions that are compiled often; for networks of many shapes that is meant.
    tf.get_logger().setLevel("ERROR")


def _look_at_fork() -> None:
    global _forked, _left_in_parent
    _forked = True
    module = sys.modules.get("tensorflow.python.eager.context")
    context = module.context_safe() if module else None
    _left_in_parent |= context is not None and context._initialized


os.register_at_fork(after_in_child=_look_at_fork)


@contextmanager
def safe_after_fork() -> Iterator[None]:
    """Let OpenMP compute with one thread in a forked process: others of its parent's are gone."""
    if not _forked:
        yield
        return
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="openmp"):
        yield


def import_openvino() -> Any:
    """Import OpenVINO, and return it, without its telemetry: this program is for use offline.

    OpenVINO sends an event to its maker when it is imported, unless the package that does so is
    not there. A program that imported OpenVINO before has it as it is.
    """
    absent = "openvino" not in sys.modules and "openvino_telemetry" not in sys.modules
    if absent:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return import_module("openvino")
    finally:
        if absent:
            del sys.modules["openvino_telemetry"]


@contextmanager
def held_back_stderr() -> Iterator[None]:
    """Hold back what comes on file descriptor 2, if that is ours; an exception lets it out."""
    if _OWNED not in os.environ:
        yield
        return
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except Exception:
            os.dup2(real, 2)
            held.seek(0)
            shutil.copyfileobj(held, sys.stderr.buffer)
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)

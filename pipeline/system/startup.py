"""Importing TensorFlow: late, once, and in a program of our own without its native notices.

Those are written to file descriptor 2, which belongs to whoever started the process. The command
line, and the processes that it starts, may redirect it; a program that imports the package has it
left alone.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

_OWNED = "PIPELINE_OWNS_STDERR"


def own_stderr() -> None:
    """Let this process, and those that it starts, hold back what native parts print."""
    os.environ[_OWNED] = "1"


def import_tensorflow() -> None:
    """Import TensorFlow; where stderr is ours, what it prints meanwhile is shown only on failure.

    The native notices (no CUDA driver, CPU instruction sets) come before any log level is obeyed
    and read like errors on every machine without a GPU.
    """
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

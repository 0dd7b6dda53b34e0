"""Importing TensorFlow: late, once, and without the notices that its native parts print."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def import_tensorflow() -> None:
    """Import TensorFlow and look for GPUs; what it prints meanwhile is shown only if that fails.

    The native notices (no CUDA driver, CPU instruction sets) come before any log level is obeyed
    and read like errors on every machine without a GPU.
    """
    if "tensorflow" in sys.modules:
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with held_back_stderr():
        import tensorflow as tf

        tf.config.list_physical_devices("GPU")
    # Else it warns of functions that are compiled often; for networks of many shapes that is meant.
    tf.get_logger().setLevel("ERROR")


@contextmanager
def held_back_stderr() -> Iterator[None]:
    """Send file descriptor 2 to a temporary file; copy that to the real one on an exception."""
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

"""Importing Keras, its frameworks and OpenVINO: late, once, without what nobody asked them for.

Keras reads what it runs on when it is imported, once a process: `prefer_keras` says it beforehand,
`import_keras` imports it.

TensorFlow's native notices are written to file descriptor 2, which belongs to whoever started the
process. The command line, and the processes that it starts, may redirect it; a program that imports
the package has it left alone.
"""

import importlib.util
import json
import logging
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib import import_module, metadata
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.errors import InputError

_OWNED = "PIPELINE_OWNS_STDERR"

EXTRAS = {"tensorflow": "gpu", "jax": "gpu-jax", "torch": "gpu-torch"}
"""What Keras can run on, the default first, and the extra that installs each for a GPU."""

_preferred: str | None = None

_forked = False
_left_in_parent = False
"""Whether this process was forked from one in which TensorFlow had its threads running."""


def own_stderr() -> None:
    """Let this process, and those that it starts, hold back what native parts print."""
    os.environ[_OWNED] = "1"


def installed(name: str) -> bool:
    """Return whether a package can be imported, without importing it."""
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):  # refused by who embeds us, or half imported
        return False


def imported_backend() -> str | None:
    """Return what Keras runs on in this process; None while it is not imported."""
    keras = sys.modules.get("keras")
    return None if keras is None else str(keras.config.backend())


def prefer_keras(backend: str | None) -> None:
    """Say what Keras is to run on once it is imported; None leaves it to `import_keras`."""
    global _preferred
    _preferred = backend


def keras_order() -> list[str]:
    """Return what Keras runs on here, or may run on, best first; all of it is installed.

    What was preferred comes first, then what the user configured Keras for, then the default.
    """
    if (backend := imported_backend()) is not None:
        return [backend]
    names = dict.fromkeys((_preferred, configured_backend(), *EXTRAS))
    return [name for name in names if name in EXTRAS and installed(name)]


def configured_backend() -> str | None:
    """Return what the user told Keras to run on; its own default is no such word."""
    if told := os.environ.get("KERAS_BACKEND"):
        return told
    home = os.environ.get("KERAS_HOME")
    path = (Path(home) if home else Path.home() / ".keras") / "keras.json"
    try:
        told = json.loads(path.read_text("utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):  # Keras too does without it
        return None
    return None if told == next(iter(EXTRAS)) else told


def import_keras(backend: str | None = None) -> None:
    """Import Keras on a framework, or on the first one of `keras_order`.

    Raises:
        InputError: It runs on another one already, or the framework is absent or broken.
    """
    there = imported_backend()
    if there is not None and backend not in (None, there):
        raise InputError(
            f"expected Keras on {backend}, received a process that has imported Keras on {there}, "
            f"which holds until it ends; use a process of its own, or set KERAS_BACKEND={backend} "
            f"before Keras is imported"
        )
    chosen = backend or next(iter(keras_order()), "tensorflow")
    import_framework(chosen, f"Keras on {chosen}")
    if there is None:
        _import_keras_on(chosen)


def _import_keras_on(backend: str) -> None:
    before = os.environ.get("KERAS_BACKEND")
    os.environ["KERAS_BACKEND"] = backend
    try:
        with held_back_stderr():
            import keras  # noqa: F401
    finally:  # what we start decides for itself
        os.environ.pop("KERAS_BACKEND")
        if before is not None:
            os.environ["KERAS_BACKEND"] = before


_ONLY_BESIDE = ("jax", "matplotlib", "pandas", "sklearn", "tensorflow")
"""What Keras imports if it is there, and building a model has no use for."""


def import_keras_to_build() -> None:
    """Import Keras on OpenVINO, in a process that is there to build models: a third of the time.

    It is imported without what it has for plots, data and frameworks; of SciPy's signals, which
    are most of what is left, its names alone.
    """
    without: dict[str, Any] = {name: None for name in _ONLY_BESIDE if name not in sys.modules}
    import_openvino()
    sys.modules.update(without | {(signals := "scipy.signal"): ModuleType(signals)})
    _import_keras_on("openvino")
    for name in (*without, signals):
        del sys.modules[name]


def require_framework(name: str, purpose: str) -> None:
    """Raise InputError where what is needed for a purpose is not installed; imports nothing."""
    if not installed(name):
        raise InputError(
            f"expected {name} for {purpose}, which is not installed; run: pip install {name}"
        )


def import_framework(name: str, purpose: str) -> Any:
    """Import what Keras runs on, and return it.

    Raises:
        InputError: It is not installed, or it is and cannot be imported.
    """
    require_framework(name, purpose)
    _let_memory_grow()
    try:
        if name == "tensorflow":
            import_tensorflow()
        return import_module(name)
    # A library that is missing, a version that does not fit another.
    except (ImportError, OSError, AttributeError, RuntimeError) as error:
        raise InputError(
            f"expected {name} for {purpose}, which is installed and cannot be imported "
            f"({type(error).__name__}: {' '.join(str(error).split())[:300]}); install it again, or "
            f"choose --engine openvino"
        ) from error


def _let_memory_grow() -> None:
    """Let JAX and TensorFlow take a GPU's memory as they need it, unless the user said otherwise.

    JAX takes three quarters at once and never more, TensorFlow all there is.
    """
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    if not {"XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_CLIENT_MEM_FRACTION"} & os.environ.keys():
        os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] = "0.95"


def installed_version(name: str) -> str | None:
    """Return a distribution's version; None where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


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
    return _without_telemetry("openvino")


def import_nncf() -> Any:
    """Import what quantises OpenVINO's models, and return it, silent and without its telemetry.

    Raises:
        InputError: It is not installed.
    """
    if not installed("nncf"):
        raise InputError(
            "expected nncf to make a model of int8, which is not installed; run: pip install "
            "'bottleneck-pipeline[int8]', or choose --precision bfloat16 or float32"
        )
    usual = logging.getLoggerClass()
    nncf = _without_telemetry("nncf")
    logging.setLoggerClass(usual)  # it makes its own that of the process
    logging.getLogger("nncf").setLevel(logging.CRITICAL)
    return nncf


def _without_telemetry(name: str) -> Any:
    absent = name not in sys.modules and "openvino_telemetry" not in sys.modules
    if absent:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    try:
        return import_module(name)
    finally:
        if absent:
            del sys.modules["openvino_telemetry"]


def compile_openvino(model: Any, settings: Mapping[str, str]) -> Any:
    """Compile a model of OpenVINO for the CPU, in a thread of its own.

    OpenVINO's plugin gives the thread in which it is loaded a stack for signals, and takes the
    memory away when it goes: where it is not the last one, or goes in another thread, signals of
    the first thread would find no stack, and end the process by a segmentation fault.
    """
    core = import_openvino().Core()
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(core.compile_model, model, "CPU", settings).result()


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

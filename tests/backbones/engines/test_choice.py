"""Which engine computes, from what is installed and what it sees; frameworks are stand-ins."""

import os
import sys

import pytest

from pipeline.backbones.engines import check_engine, choice, choose_engine
from pipeline.errors import InputError, UnknownNameError
from pipeline.system import startup

JAX = """
from types import SimpleNamespace
__version__ = "0.11"
card = SimpleNamespace(
    platform={platform!r},
    device_kind="NVIDIA H100",
    memory_stats=lambda: {{"bytes_limit": 85_000_000_000}},
)
devices = lambda: [card]
"""
TORCH = """
__version__ = "2.13"
from types import SimpleNamespace as N
backends = N(cuda=N(matmul=N()), cudnn=N())
cuda = N(
    is_available=lambda: True,
    device_count=lambda: 1,
    get_device_properties=lambda number: N(name="NVIDIA L4", total_memory=24_000_000_000),
)
class ones(N):
    def __init__(self, n, device): self.device = device
    def __add__(self, other): return N(item=lambda: ran.append(self.device))
ran = []
"""
TOO_OLD = """
def ones(n, device): raise RuntimeError("CUDA error: no kernel image is available")
"""
BUILT = {"cuda": "cuda: str | None = '13.0'\n", "cpu": "cuda = None\nhip = None\n"}


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine with a GPU, where Keras is not imported, and without any framework at first."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(choice, "may_have_gpu", lambda: True)
    for room in (choice, startup):
        monkeypatch.setattr(room, "imported_backend", lambda: None)
    monkeypatch.setattr(startup, "_preferred", None)
    monkeypatch.setenv("KERAS_TORCH_DEVICE", "cuda")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    there = {"openvino"}
    for room in (choice, startup):
        monkeypatch.setattr(room, "installed", there.__contains__)
    before = {name: sys.modules.pop(name, None) for name in ("jax", "torch")}

    def install(name, text, version=""):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text(text)
        (tmp_path / name / "version.py").write_text(version)
        there.add(name)

    install.there = there
    yield install
    for name, module in before.items():
        sys.modules.pop(name, None)
        if module is not None:
            sys.modules[name] = module


def test_first_that_sees_a_gpu_is_taken_and_no_other_is_imported(machine):
    machine("jax", JAX.format(platform="gpu"))
    machine.there.add("jax_plugins")
    machine("torch", TORCH, BUILT["cuda"])
    assert choose_engine("auto", "float32").engine == "jax"
    assert str(choice.device_of("jax")) == "NVIDIA H100 (85.0 GB)"
    assert "torch" not in sys.modules


def test_what_the_user_configured_keras_for_is_asked_first(machine, monkeypatch, tmp_path):
    machine("jax", JAX.format(platform="gpu"))
    machine.there.add("jax_plugins")
    machine("torch", TORCH, BUILT["cuda"])
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert choose_engine("auto", "float32").engine == "torch"
    assert str(choice.device_of("torch")) == "NVIDIA L4 (24.0 GB)"
    monkeypatch.delenv("KERAS_BACKEND")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/keras.json").write_text('{"backend": "torch"}')
    assert choose_engine("auto", "float32").engine == "torch"
    (tmp_path / "home/keras.json").write_text('{"backend": "tensorflow"}')  # Keras writes that
    assert choose_engine("auto", "float32").engine == "jax"


def test_builds_for_processors_are_not_imported(machine, monkeypatch):
    monkeypatch.setattr(choice.metadata, "entry_points", lambda group: ())
    machine("jax", "raise AssertionError")
    machine("torch", "raise AssertionError", BUILT["cpu"])
    chosen = choose_engine("auto", "float32")
    assert chosen.engine == "openvino"
    assert "no framework that is installed can use it" in chosen.reason


def test_tensorflow_without_cudas_libraries_is_not_imported(machine, monkeypatch, tmp_path):
    machine("tensorflow", "raise AssertionError('imported')")
    monkeypatch.setattr(choice, "find_library", lambda name: None)
    monkeypatch.setenv("LD_LIBRARY_PATH", f":{tmp_path}")
    chosen = choose_engine("auto", "float32")
    assert chosen.engine == "openvino"
    assert "no framework that is installed can use it" in chosen.reason
    assert not choice._can_use_gpu("tensorflow")
    (tmp_path / "libcudnn.so.9").touch()
    assert choice._can_use_gpu("tensorflow")
    (tmp_path / "libcudnn.so.9").unlink()
    monkeypatch.setattr(choice, "find_library", {"cudnn": "libcudnn.so.9"}.get)
    assert choice._can_use_gpu("tensorflow")


def test_driver_that_does_not_fit_is_told_and_the_next_is_asked(machine, caplog):
    machine("jax", JAX.format(platform="cpu"))
    machine.there.add("jax_plugins")
    machine("torch", TORCH, BUILT["cuda"])
    assert choose_engine("auto", "float32").engine == "torch"
    assert "jax is installed for a GPU, and sees none: its driver may not fit" in caplog.text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("raise ImportError('libcudart.so.13: no such file')", "ImportError: libcudart.so.13"),
        ("raise OSError('libnccl.so.2: cannot open')", "OSError: libnccl.so.2"),
        ("raise RuntimeError('jaxlib is too old')", "RuntimeError: jaxlib is too old"),
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all'"),
    ],
)
def test_broken_framework_is_told(machine, caplog, text, expected):
    machine("jax", text)
    machine.there.add("jax_plugins")
    assert choose_engine("auto", "float32").engine == "openvino"
    assert "expected jax for --engine jax, which is installed and cannot be imported" in caplog.text
    assert expected in caplog.text
    with pytest.raises(InputError, match="choose --engine openvino"):
        choice.device_of("jax")


def test_card_that_is_too_old_for_pytorch_is_told(machine, caplog):
    machine("torch", TORCH + TOO_OLD, BUILT["cuda"])
    assert choose_engine("auto", "float32").engine == "openvino"
    assert "expected torch to find what it computes on, it fails: CUDA error: no k" in caplog.text


@pytest.mark.parametrize(("told", "gpu"), [("cpu", False), ("cuda:1", True)])
def test_keras_and_pytorch_compute_on_one_device(machine, monkeypatch, told, gpu):
    monkeypatch.setenv("KERAS_TORCH_DEVICE", told)
    machine("torch", TORCH, BUILT["cuda"])
    assert choice.device_of("torch").gpu is gpu
    assert os.environ["KERAS_TORCH_DEVICE"] == ("cuda" if gpu else "cpu")
    assert sys.modules["torch"].ran == (["cuda:0"] if gpu else [])


def test_driver_that_fails_is_one_sentence(machine):
    machine("jax", "def devices():\n    raise RuntimeError('CUDA_ERROR_UNKNOWN')")
    with pytest.raises(InputError, match=r"fails: CUDA_ERROR_UNKNOWN; mend the driver, or choose"):
        choice.device_of("jax")


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("tensorflow", r"'bottleneck-pipeline\[gpu\]'"),
        ("jax", r"'bottleneck-pipeline\[gpu-jax\]'"),
        ("torch", r"'bottleneck-pipeline\[gpu-torch\]'"),
    ],
)
def test_engine_that_is_asked_for_and_absent_names_its_extra(machine, engine, expected):
    with pytest.raises(InputError, match=f"received engine={engine}; run: pip install {expected}"):
        check_engine(engine, "float32")


def test_nothing_to_compute_with_is_one_sentence(machine):
    machine.there.clear()
    with pytest.raises(InputError, match="expected one of openvino, tensorflow, jax, torch"):
        choose_engine("auto", "float32")


def test_without_a_gpu_nothing_is_imported(machine, monkeypatch):
    monkeypatch.setattr(choice, "may_have_gpu", lambda: False)
    machine("torch", "raise AssertionError", BUILT["cuda"])
    assert choose_engine("auto", "float32") == choice.ChosenEngine("openvino", "no GPU is seen")
    assert choose_engine("auto", "mixed_bfloat16").engine == "torch"
    machine.there.remove("openvino")
    assert choose_engine("auto", "float32").engine == "torch"


def test_keras_runs_on_what_an_explicit_engine_needs(machine):
    machine("jax", JAX.format(platform="gpu"))
    machine("torch", TORCH, BUILT["cuda"])
    machine.there.add("tensorflow")
    for engine, expected in (("jax", "jax"), ("torch", "torch"), ("openvino", "tensorflow")):
        choice.prefer_engine(engine)
        assert startup.keras_order()[0] == expected
    machine.there.add("jax_plugins")
    choice.prefer_engine("auto")
    assert startup.keras_order()[0] == "jax"


def test_unknown_engine_and_precision():
    with pytest.raises(UnknownNameError, match="unknown engine 'jaxx'; nearest: jax"):
        check_engine("jaxx", "float32")
    with pytest.raises(InputError, match="received precision='half'"):
        check_engine("auto", "half")

"""What is imported late: OpenVINO without its telemetry, and leaving nothing behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import pipeline
from pipeline.system import startup

SCRIPT = """
import sys
from pipeline.backbones.engines import openvino
from pipeline.system.startup import import_openvino
import openvino.tools.ovc.telemetry_utils as used
assert import_openvino() is sys.modules["openvino"]
assert "openvino_telemetry" not in sys.modules
print(used.tm.__name__)
"""


def test_openvino_reports_to_nobody():
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT], check=True, capture_output=True, text=True
    )
    assert process.stdout.strip().endswith("telemetry_stub")


ENGINES = """
import signal, sys
from threading import Thread
from openvino import Model, Type, opset13
from pipeline.backbones.engines import GivenNetwork
from pipeline.backbones.engines.openvino import OpenVINOEngine
from pipeline.system.processes import interrupt_on_signals

def opened(place):
    pictures = opset13.parameter([-1, 8, 8, 3], Type.u8, name="images")
    output = opset13.convert(pictures, Type.f32).output(0)
    output.set_names({"output"})
    network = GivenNetwork("base", {}, ("output",), lambda: None)
    engines[place] = OpenVINOEngine(Model([output], [pictures]), network, 4)

engines = {}
opened("one")
opened("other")
engines.pop("one")
engines.pop("other")
opened("third")
for act in (engines.clear, lambda: opened("fourth"), engines.clear):
    thread = Thread(target=act)
    thread.start()
    thread.join()
signal.signal(int(sys.argv[1]), signal.SIG_DFL)  # whoever runs this may ignore it
interrupt_on_signals()
try:
    signal.raise_signal(int(sys.argv[1]))
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_signals_find_their_stack_whichever_engines_went(number):
    """OpenVINO's plugin gives one to a thread, and took it away while it was in use."""
    command = [sys.executable, "-c", ENGINES, str(int(number))]
    ended = subprocess.run(command, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.strip()) == (0, "interrupted"), ended.stderr


def test_nothing_else_compiles_with_openvino():
    folder = Path(pipeline.__file__).parent
    texts = {path.name: path.read_text("utf-8") for path in folder.rglob("*.py")}
    assert [name for name, text in texts.items() if ".compile_model" in text] == ["startup.py"]


def test_frameworks_take_the_memory_of_a_gpu_as_they_need_it(monkeypatch):
    for name in ("XLA_PYTHON_CLIENT_MEM_FRACTION", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TF_FORCE_GPU_ALLOW_GROWTH", "false")
    monkeypatch.setenv("XLA_CLIENT_MEM_FRACTION", "0.5")
    startup.import_framework("tensorflow", "a test")
    assert os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] == "false"
    assert os.environ["TF_FORCE_GPU_ALLOW_GROWTH"] == "false"
    assert "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ
    monkeypatch.delenv("XLA_CLIENT_MEM_FRACTION")
    startup.import_framework("tensorflow", "a test")
    assert os.environ["XLA_PYTHON_CLIENT_MEM_FRACTION"] == "0.95"

"""What is imported late: OpenVINO without its telemetry, and leaving nothing behind."""

import subprocess
import sys

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

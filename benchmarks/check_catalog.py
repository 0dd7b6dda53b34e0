"""Hold every row of the backbone catalog against the installed Keras.

Takes about five minutes on two cores; the test suite does the same for one member per family.
Run from the root of the repository: ``python benchmarks/check_catalog.py``.
"""

import os
import sys

import pytest

if __name__ == "__main__":
    os.environ["PIPELINE_WHOLE_CATALOG"] = "1"
    sys.exit(pytest.main(["tests/backbones/test_catalog.py", "--durations=5"]))

"""Print the figures of this machine: ``python -m benchmarks [speed] [accuracy]``."""

import sys

from benchmarks import accuracy, speed

PARTS = {"speed": speed.main, "accuracy": accuracy.main}

if __name__ == "__main__":
    for name in sys.argv[1:] or PARTS:
        PARTS[name]()

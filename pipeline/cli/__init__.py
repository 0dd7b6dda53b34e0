"""The command line: flags, printing, exit codes, progress on stderr. No logic of its own.

Exit codes: 0 done; 2 the user's input cannot be used (one sentence on stderr); 130 interrupted.
"""

from pipeline.cli import completion, data, listings, products, settings, stages, stored
from pipeline.cli.app import EXAMPLES, app
from pipeline.cli.launch import run

__all__ = [
    "EXAMPLES",
    "app",
    "completion",
    "data",
    "listings",
    "products",
    "run",
    "settings",
    "stages",
    "stored",
]

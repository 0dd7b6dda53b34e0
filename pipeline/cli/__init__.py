"""The command line: flags, printing, exit codes, progress on stderr. No logic of its own.

Exit codes: 0 done; 2 the user's input cannot be used (one sentence on stderr); 130 interrupted;
of results that nobody could read: 1, and 141 if whoever read them had enough.
"""

from pipeline.cli import data, listings, pools, products, stages
from pipeline.cli.app import EXAMPLES, app
from pipeline.cli.launch import run

__all__ = ["EXAMPLES", "app", "data", "listings", "pools", "products", "run", "stages"]

"""Tables that are read on a terminal and pasted from it."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

MIN_TABLE_WIDTH, PLAIN_WIDTH = 110, 160


def interval(ci95: Sequence[float] | None) -> str:
    """Write an interval like ``0.962 – 0.991``."""
    return "" if ci95 is None else f"{ci95[0]:.3f} – {ci95[1]:.3f}"


def table(*headers: str) -> Table:
    """Return an empty table; what can be pasted into a shell is never broken."""
    made = Table(box=None, pad_edge=False)
    for header in headers:
        made.add_column(header, no_wrap=header == "run", overflow="fold")
    return made


def print_table(rows: Table) -> None:
    """Print a table at least wide enough for a run's name, without spaces at the ends of lines."""
    console = Console(highlight=False)
    console.width = max(console.width, MIN_TABLE_WIDTH) if console.is_terminal else PLAIN_WIDTH
    with console.capture() as captured:
        console.print(rows)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))

"""The one place that knows matplotlib's settings: a figure that becomes a file, and its colours.

Names of classes as they can stand in a figure.
"""

import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import InputError

if TYPE_CHECKING:
    from matplotlib.figure import Figure


COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito's palette, without yellow: seen apart with any eyes, and on paper."""

QUIET, GRID = "#767676", "#DDDDDD"

SEQUENTIAL = "Blues"

FORMATS = {".svg": {"Date": None, "Creator": None}, ".png": {"Software": None}}
"""By file name, with the metadata that would differ from one day or version to the next."""

STYLE: Mapping[str, Any] = {
    "svg.fonttype": "none",  # text stays text: it can be searched, copied and read aloud
    "svg.hashsalt": "pipeline",
    "text.parse_math": False,  # a class may be called $x_1$
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial", "sans-serif"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "axes.grid": False,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "figure.titlesize": 11,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "savefig.dpi": 110,
}


@contextmanager
def drawn(path: Path, title: str, width: float, height: float) -> Iterator["Figure"]:
    """Yield an empty figure that is written to ``path`` when the context ends well.

    Args:
        path: Ends with ``.svg`` or ``.png``; an OSError of writing it comes as it is.
        title: What the figure shows, of which split and how many pictures.
        width: In inches.
        height: In inches.

    Raises:
        InputError: The path ends otherwise.
    """
    if path.suffix not in FORMATS:
        raise InputError(
            f"expected a figure's path to end with {' or '.join(FORMATS)}, received path={path}; "
            f"rename it"
        )
    import matplotlib.style
    from matplotlib.figure import Figure

    with matplotlib.style.context(["default", dict(STYLE)]), _silent_about_glyphs():
        figure = Figure((width, height), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left")
        yield figure
        metadata = {"Title": title, **FORMATS[path.suffix]}
        figure.savefig(path, format=path.suffix[1:], metadata=metadata)


@contextmanager
def _silent_about_glyphs() -> Iterator[None]:
    """Let names have letters that the measuring font lacks: the one who reads the SVG has them."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font", UserWarning)
        warnings.filterwarnings("ignore", "Matplotlib currently does not support", UserWarning)
        yield


def titled(what: str, split: str, n: int) -> str:
    """Return a figure's title.

    >>> titled("Confusion", "test", 1200)
    'Confusion on test, n = 1,200'
    """
    return f"{what} on {split}, n = {n:,}"


def finish(axes: Any, x_label: str, y_label: str, title: str = "") -> None:
    """Name the axes and give them a quiet grid below what is drawn."""
    axes.set(xlabel=x_label, ylabel=y_label, title=title)
    axes.grid(True)
    axes.set_axisbelow(True)


def say(figure: "Figure", sentence: str) -> None:
    """Write a sentence where there is nothing to draw."""
    axes = figure.subplots()
    axes.set_axis_off()
    axes.text(0.5, 0.5, sentence, ha="center", va="center", color=QUIET, transform=axes.transAxes)


LONGEST = 24

ELLIPSIS = "…"


def shown(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Return names that fit and can be written as XML, still all different.

    Names that begin and end alike would become one by shortening, and get their number.

    Args:
        names: Any texts, also names of files that are not Unicode.
        longest: Most characters of a name.

    Example:
        >>> shown(["cat", "a very long name that nobody can read in a figure"], 16)
        ['cat', 'a very lo…figure']
    """
    texts = [shortened(clean(name), longest) for name in names]
    counts = Counter(texts)
    return [
        shortened(f"{number}: {clean(name)}", longest) if counts[text] > 1 else text
        for number, (name, text) in enumerate(zip(names, texts, strict=True))
    ]


def clean(name: str) -> str:
    """Return the name with signs that no font shows as blanks or replacement characters."""
    letters = (c if c.isprintable() else " " if c.isspace() else "\ufffd" for c in name)
    return "".join(letters)


def shortened(text: str, longest: int) -> str:
    """Leave out the middle of a text: names of classes differ at their ends as well."""
    if len(text) <= longest:
        return text
    last = (longest - 1) * 2 // 5
    return text[: longest - 1 - last] + ELLIPSIS + text[-last:]

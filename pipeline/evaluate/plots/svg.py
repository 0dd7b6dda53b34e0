"""Charts as SVG: in a page they take its colours, in a file they bring their own.

Lines, marks and cells have classes. A page styles them, in the dark as well; `write_figure` adds
colours for paper, Okabe and Ito's, which are seen apart with any eyes.
"""

import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from pipeline.system.visible import visible

WIDTH, HEIGHT = 360, 270
LEFT, RIGHT, TOP, BOTTOM = 66, 10, 10, 40
SQUARE = WIDTH - LEFT - RIGHT + TOP + BOTTOM
"""Height of a chart that is as high as it is wide between its axes."""

LETTER = 6.6
"""Pixels that a letter of a label takes, at most, on average."""

STEPS = 10
"""Shades of a cell; each has a colour of text that can be read on it."""

RIGHT_SHADES = (
    "#f0f5fa", "#dfeaf4", "#cbdeef", "#b2d0e8", "#94bfdf",
    "#74acd6", "#2f6fab", "#265f98", "#1c4e82", "#133d69",
)  # fmt: skip
WRONG_SHADES = (
    "#fdf1e7", "#fbe3cf", "#f9d4b4", "#f6c296", "#f0ab72",
    "#e6984f", "#a84d0c", "#934209", "#7c3706", "#662c04",
)  # fmt: skip
DARK = 6
"""The first shade on which text is white."""

COLOURS = ("#0072b2", "#c04f00", "#00805f", "#b0508a", "#946200", "#2a8fc7")
GAP, PADDING, TITLE, LINE = 20, 14, 34, 16

_STYLE = (
    'text{font:11.5px Arial,Helvetica,"Liberation Sans","DejaVu Sans",sans-serif;fill:#333}'
    ".title{font-size:14px;font-weight:600;fill:#000}.name,.caption{font-size:12px;fill:#000}"
    ".end{text-anchor:end}.mid{text-anchor:middle}.small{font-size:9px}.on{fill:#fff}"
    ".paper{fill:#fff}.grid{stroke:#ddd}.axis{stroke:#767676;fill:none}"
    ".line{fill:none;stroke-width:2;stroke-linejoin:round}.thin{stroke-width:1.2}"
    ".dashed{stroke-dasharray:4 3}.line.quiet{stroke:#767676;stroke-width:1}"
    ".mean{stroke:#000;stroke-width:2.5}.fq{fill:#767676;fill-opacity:.6}"
    ".band{fill:#56b4e9;opacity:.28}.best{fill:none;stroke:#c04f00;stroke-width:2.5}"
    ".untried{fill:#f5f5f2}.pixels{image-rendering:pixelated}"
    + "".join(f".c{i}{{stroke:{c}}}.f{i}{{fill:{c}}}" for i, c in enumerate(COLOURS))
    + "".join(f".right{i}{{fill:{c}}}" for i, c in enumerate(RIGHT_SHADES))
    + "".join(f".wrong{i}{{fill:{c}}}" for i, c in enumerate(WRONG_SHADES))
)

Scale = Callable[[float], float]


@dataclass(frozen=True)
class Block:
    """Something drawn from its own corner, as one of a figure's parts, below its caption."""

    width: float
    height: float
    body: Markup
    caption: str = ""


class Chart:
    """Axes from end to end, with things drawn on them."""

    def __init__(
        self,
        x: tuple[float, float],
        y: tuple[float, float],
        x_label: str,
        y_label: str,
        height: int = HEIGHT,
    ) -> None:
        self._height = height
        self._x = _scale(x, (LEFT, WIDTH - RIGHT))
        self._y = _scale(y, (height - BOTTOM, TOP))
        self._ends = (x, y)
        self._parts: list[Markup] = []
        self._labels = (x_label, y_label)
        self._said, self._caption = "", ""

    def ticks(self, x: Sequence[tuple[float, str]], y: Sequence[tuple[float, str]]) -> "Chart":
        """Draw the grid, and write what its lines stand for."""
        bottom = self._height - BOTTOM
        for value, text in y:
            at = _n(self._y(value))
            self._add('<path class="grid" d="M{} {}H{}"/>', LEFT, at, WIDTH - RIGHT)
            self._add('<text class="end" x="{}" y="{}" dy=".32em">{}</text>', LEFT - 6, at, text)
        for value, text in x:
            at = _n(self._x(value))
            self._add('<path class="grid" d="M{} {}V{}"/>', at, TOP, bottom)
            self._add('<text class="mid" x="{}" y="{}">{}</text>', at, bottom + 15, text)
        return self

    def line(self, points: Iterable[tuple[float, float]], kind: str) -> "Chart":
        """Draw a line through points."""
        path = "L".join(f"{_n(self._x(x))} {_n(self._y(y))}" for x, y in points)
        if path:
            self._add('<path class="line {}" d="M{}"/>', kind, path)
        return self

    def band(
        self, lows: Sequence[tuple[float, float]], highs: Sequence[tuple[float, float]]
    ) -> "Chart":
        """Fill what lies between two lines."""
        there = [*highs, *reversed(lows)]
        path = "L".join(f"{_n(self._x(x))} {_n(self._y(y))}" for x, y in there)
        return self._add('<path class="band" d="M{}Z"/>', path)

    def mark(self, x: float, y: float, kind: str, radius: float = 3.5, title: str = "") -> "Chart":
        """Draw a dot, with a text for those who point at it."""
        form = '<circle class="{}" cx="{}" cy="{}" r="{}">{}</circle>'
        return self._add(form, kind, _n(self._x(x)), _n(self._y(y)), radius, _title(title))

    def whisker(self, x: float, low: float, high: float, kind: str) -> "Chart":
        """Draw a vertical interval."""
        form = '<path class="line {}" d="M{} {}V{}"/>'
        return self._add(form, kind, _n(self._x(x)), _n(self._y(low)), _n(self._y(high)))

    def rule(self, x: float, kind: str) -> "Chart":
        """Draw a vertical line from end to end."""
        return self.whisker(x, *self._ends[1], kind)

    def bar(self, ends: tuple[float, float], y: float, kind: str, title: str = "") -> "Chart":
        """Draw a bar from the bottom up to ``y``."""
        left, right, top = self._x(ends[0]), self._x(ends[1]), self._y(y)
        form = '<rect class="{}" x="{}" y="{}" width="{}" height="{}">{}</rect>'
        width, height = max(right - left - 0.6, 0.4), self._height - BOTTOM - top
        return self._add(form, kind, _n(left), _n(top), _n(width), _n(height), _title(title))

    def picture(self, uri: str) -> "Chart":
        """Fill the axes with a picture, each of its pixels a rectangle."""
        width, height = WIDTH - LEFT - RIGHT, self._height - TOP - BOTTOM
        form = (
            '<image class="pixels" x="{}" y="{}" width="{}" height="{}" '
            'preserveAspectRatio="none" href="{}"/>'
        )
        return self._add(form, LEFT, TOP, width, height, uri)

    def _add(self, form: str, *values: object) -> "Chart":
        self._parts.append(Markup(form).format(*values))
        return self

    def tell(self, said: str, caption: str = "") -> "Chart":
        """Take a sentence for those who do not see it, and a line above it in a figure."""
        self._said, self._caption = said, caption
        return self

    def block(self) -> Block:
        """Return the chart as a part of a figure."""
        x_label, y_label = self._labels
        bottom, middle = self._height - BOTTOM, (TOP + self._height - BOTTOM) / 2
        axes = Markup(
            '<path class="axis" d="M{} {}V{}H{}"/>'
            '<text class="mid name" x="{}" y="{}">{}</text>'
            '<text class="mid name" transform="translate(11 {}) rotate(-90)">{}</text>'
        ).format(
            LEFT, TOP, bottom, WIDTH - RIGHT, (LEFT + WIDTH - RIGHT) / 2, self._height - 6, x_label,
            _n(middle), y_label,
        )  # fmt: skip
        return Block(WIDTH, self._height, Markup("").join([*self._parts, axes]), self._caption)

    def svg(self) -> Markup:
        """Return the chart for a page, whose style sheet has its colours."""
        form = '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
        return Markup(form).format(WIDTH, self._height, self._said, self.block().body)


def _title(text: str) -> Markup:
    return Markup("<title>{}</title>").format(text) if text else Markup("")


def _scale(domain: tuple[float, float], place: tuple[float, float]) -> Scale:
    low, high = domain
    begin, end = place
    span = (high - low) or 1.0
    return lambda value: begin + (value - low) / span * (end - begin)


def _n(value: float) -> str:
    """Write a place to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


def even_ticks(low: float, high: float, most: int = 6) -> list[tuple[float, str]]:
    """Return round numbers between two ends, with their texts.

    >>> [text for _, text in even_ticks(0.0, 1.0)]
    ['0', '0.2', '0.4', '0.6', '0.8', '1']
    """
    span = max(high - low, 1e-9)
    steps = (s * 10.0**e for e in range(-6, 7) for s in (1, 2, 5))
    step = next(step for step in steps if span / step < most)
    first = -(-round(low / step, 9) // 1)
    values = []
    while first * step <= high + step * 1e-6:
        values.append(round(first * step, 9))
        first += 1
    return [(value, f"{value:,g}") for value in values]


def step_of(share: float) -> int:
    """Return the shade of a share from 0 to 1."""
    return min(STEPS - 1, max(0, int(share * STEPS)))


def text_at(x: float, y: float, text: str, kind: str = "") -> Markup:
    """Return a text whose middle line is at ``y``."""
    form = '<text class="{}" x="{}" y="{}" dy=".35em">{}</text>'
    return Markup(form).format(kind, _n(x), _n(y), text)


def upright_at(x: float, y: float, text: str) -> Markup:
    """Return a text that ends at a point and runs upwards to it."""
    form = '<text class="end" transform="translate({} {}) rotate(-90)" dy=".35em">{}</text>'
    return Markup(form).format(_n(x), _n(y), text)


def rectangle(
    x: float, y: float, width: float, height: float, kind: str, title: str = ""
) -> Markup:
    """Return a rectangle, with a text for those who point at it."""
    form = '<rect class="{}" x="{}" y="{}" width="{}" height="{}">{}</rect>'
    return Markup(form).format(kind, _n(x), _n(y), _n(width), _n(height), _title(title))


def legend(title: str, entries: Sequence[tuple[str, str]]) -> Block:
    """Return names of lines: (classes of the line, text) each, under a title."""
    rows = [text_at(0, LINE / 2, title, "name")]
    for place, (kind, text) in enumerate(entries, 1):
        at = (place + 0.5) * LINE
        form = '<path class="line {}" d="M0 {}H22"/>'
        rows += [Markup(form).format(kind, _n(at)), text_at(28, at, text)]
    width = max(len(title) * LETTER, *(28 + len(text) * LETTER for _, text in entries))
    return Block(width, (len(entries) + 1) * LINE, Markup("").join(rows))


def sentence(text: str) -> Block:
    """Return a sentence that stands where there is nothing to draw."""
    return Block(len(text) * LETTER, 3 * LINE, text_at(0, 1.5 * LINE, text))


def titled(what: str, split: str, n: int) -> str:
    """Return a figure's title.

    >>> titled("Confusion", "test", 1200)
    'Confusion on test, n = 1,200'
    """
    return f"{what} on {split}, n = {n:,}"


def write_figure(path: Path, title: str, blocks: Sequence[Block], note: str = "") -> None:
    """Write blocks side by side as one SVG file that can be read, printed and pasted anywhere.

    The same blocks give the same bytes. Texts are texts: they can be searched and copied. The note
    is a sentence below the title. An OSError comes as it is.
    """
    width = max(sum(block.width + GAP for block in blocks) - GAP, 320.0, len(title) * 7.6)
    lines = textwrap.wrap(note, int(width / 5.8)) if note else []
    head = TITLE + LINE * len(lines)
    captioned = LINE * any(block.caption for block in blocks)
    parts = [text_at(PADDING, TITLE / 2, title, "title")]
    for number, line in enumerate(lines):
        parts.append(text_at(PADDING, TITLE + LINE * (number + 0.5), line))
    x = float(PADDING)
    for block in blocks:
        if block.caption:
            parts.append(text_at(x, head + LINE / 2, block.caption, "caption"))
        form = '<g transform="translate({} {})">{}</g>'
        parts.append(Markup(form).format(_n(x), _n(head + captioned), block.body))
        x += block.width + GAP
    size = width + 2 * PADDING, head + captioned + max(block.height for block in blocks) + PADDING
    path.write_text(_document(title, size, Markup("\n").join(parts)), "utf-8")


def _document(title: str, size: tuple[float, float], body: Markup) -> str:
    width, height = map(_n, size)
    return Markup(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<svg xmlns="http://www.w3.org/2000/svg" width="{}" height="{}" viewBox="0 0 {} {}" '
        'role="img">\n<title>{}</title>\n<style>{}</style>\n'
        '<rect class="paper" width="{}" height="{}"/>\n{}\n</svg>\n'
    ).format(width, height, width, height, title, Markup(_STYLE), width, height, body)


LONGEST = 24
ELLIPSIS = "…"


def shown(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Return names that can be seen and fit, still all different.

    Names that begin and end alike would become one by shortening, and get their number. They may be
    of files that are not Unicode.

    Example:
        >>> shown(["cat", "a very long name that nobody can read in a figure"], 16)
        ['cat', 'a very lo…figure']
    """
    texts = [shortened(visible(name), longest) for name in names]
    counts = Counter(texts)
    return [
        shortened(f"{number}: {visible(name)}", longest) if counts[text] > 1 else text
        for number, (name, text) in enumerate(zip(names, texts, strict=True))
    ]


def shortened(text: str, longest: int) -> str:
    """Leave out the middle of a text: names of classes differ at their ends as well."""
    if len(text) <= longest:
        return text
    last = (longest - 1) * 2 // 5
    return text[: longest - 1 - last] + ELLIPSIS + text[-last:]

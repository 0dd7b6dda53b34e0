"""Small charts as SVG that follow the page's colours, so that they can be read in the dark."""

from collections.abc import Callable, Iterable, Sequence

from markupsafe import Markup, escape

WIDTH, HEIGHT = 360, 270
LEFT, RIGHT, TOP, BOTTOM = 66, 10, 10, 40

Scale = Callable[[float], float]


class Chart:
    """Axes with things drawn on them. Lines and marks have classes; colours are the style sheet's.

    Args:
        x: Ends of the horizontal axis.
        y: Ends of the vertical axis.
        x_label: What it shows.
        y_label: What it shows.
        height: In pixels.
    """

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
        told = Markup("<title>{}</title>").format(title) if title else Markup("")
        form = '<circle class="{}" cx="{}" cy="{}" r="{}">{}</circle>'
        return self._add(form, kind, _n(self._x(x)), _n(self._y(y)), radius, told)

    def whisker(self, x: float, low: float, high: float, kind: str) -> "Chart":
        """Draw a vertical interval."""
        form = '<path class="line {}" d="M{} {}V{}"/>'
        return self._add(form, kind, _n(self._x(x)), _n(self._y(low)), _n(self._y(high)))

    def rule(self, x: float, kind: str) -> "Chart":
        """Draw a vertical line from end to end."""
        return self.whisker(x, *self._ends[1], kind)

    def bar(self, x: float, right: float, y: float, kind: str, title: str = "") -> "Chart":
        """Draw a bar from the bottom up to ``y``."""
        left, end, top = self._x(x), self._x(right), self._y(y)
        told = Markup("<title>{}</title>").format(title) if title else Markup("")
        form = '<rect class="{}" x="{}" y="{}" width="{}" height="{}">{}</rect>'
        width, height = max(end - left - 0.6, 0.4), self._height - BOTTOM - top
        return self._add(form, kind, _n(left), _n(top), _n(width), _n(height), told)

    def _add(self, form: str, *values: object) -> "Chart":
        self._parts.append(Markup(form).format(*values))
        return self

    def svg(self, said: str) -> Markup:
        """Return the chart, with a sentence for those who do not see it."""
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
        return Markup(
            '<svg class="chart" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>'
        ).format(WIDTH, self._height, said, Markup("").join(self._parts), axes)


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


__all__ = ["Chart", "escape", "even_ticks"]

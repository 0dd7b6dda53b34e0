"""Names of classes and files as figures and pages can show them."""

from collections import Counter
from collections.abc import Sequence

from pipeline.system.visible import visible

LONGEST = 24
ELLIPSIS = "…"


def shown(names: Sequence[str], longest: int = LONGEST) -> list[str]:
    """Return names that can be seen and fit, still all different.

    Names that begin and end alike would become one by shortening, and get their number.

    Args:
        names: Any texts, also names of files that are not Unicode.
        longest: Most characters of a name.

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

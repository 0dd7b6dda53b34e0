"""The page: views set into templates, style and script inlined, everything else forbidden."""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from pipeline.system.visible import visible

SCRIPTS = ("pictures.js", "tables.js", "confusion.js", "map.js", "copy.js")
_UNSAFE = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def page_file(name: str) -> str:
    """Return the text of a file of the page."""
    return files("pipeline.report").joinpath("page", name).read_text("utf-8")


def as_json(value: Any) -> Markup:
    r"""Return JSON that can stand inside a script element, whatever its texts are.

    >>> as_json("</script>")
    Markup('"\\u003c/script\\u003e"')
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return Markup(text.translate(_UNSAFE))


def sheet_style(sheets: Sequence[Sequence[str]]) -> str:
    """Return rules that give every sprite sheet a class: ``s<data set>-<sheet>``."""
    return "\n".join(
        f'.s{number}-{page}{{background-image:url("{image}")}}'
        for number, images in enumerate(sheets)
        for page, image in enumerate(images)
    )


def render(view: Mapping[str, Any], payload: Any, sheets: Sequence[Sequence[str]]) -> str:
    """Make the page of what its template shows and what its script works with.

    Sprite sheets are data URIs, one list a data set.
    """
    template = page_file("report.html")
    return filled(template, sheet_style(sheets), map(page_file, SCRIPTS), view, payload)


def filled(
    template: str, style: str, scripts: Iterable[str], view: Mapping[str, Any], payload: Any
) -> str:
    """Fill a page of this program's looks: the common style and its own, and scripts.

    Its policy lets no address be loaded: pictures are in it, and only the style and the script that
    it was made with may run.
    """
    style = f"{page_file('report.css')}\n{style}\n"
    script = "\n".join(["(() => {", '"use strict";', *scripts, "})();"])
    return (
        _environment()
        .from_string(template)
        .render(
            **view,
            style=Markup(style),
            script=Markup(script),
            policy=_policy(style, script),
            payload=as_json(payload),
        )
    )


def _policy(style: str, script: str) -> str:
    return (
        f"default-src 'none'; img-src data:; style-src {_hash(style)}; script-src {_hash(script)}; "
        f"base-uri 'none'; form-action 'none'"
    )


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(page_file),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = _figure
    environment.filters["interval"] = _interval
    environment.filters["percent"] = _percent
    environment.filters["counted"] = _counted
    environment.filters["sentence"] = lambda text: text[:1].upper() + text[1:]
    environment.filters["count"] = lambda value: f"{value:,}"
    return environment


def _shown(value: Any) -> Any:
    """Write a text of one line, in which every sign can be seen; what is markup already is ours."""
    return visible(value) if type(value) is str else value


def _figure(value: float | None, digits: int = 4) -> str:
    """Write a share or a loss; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _counted(n: int, one: str) -> str:
    return f"{n:,} {one}" if n == 1 else f"{n:,} {one}s"


def _interval(ci95: Sequence[float] | None) -> str:
    return "" if ci95 is None else f"{ci95[0]:.3f} – {ci95[1]:.3f}"

"""What ``benchmarks gpu`` found, as text for people."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.system.units import size_text

HEAD = ("engine", "base", "precision", "batch", "ceiling/s", "files/s", "share", "waited", "memory",
        "differs", "first")  # fmt: skip
Results = Mapping[str, Any]


def table(results: Results) -> str:
    """Return the results of a session: the machine, a row for each measurement, what failed."""
    return "\n".join(_lines(results)) + "\n"


def _lines(results: Results) -> Iterator[str]:
    cards = [f"{card['name']} ({card['memory']})" for card in results["cards"]]
    yield f"{', '.join(cards) or 'no GPU: never run on one'}; {results['processor']}"
    yield ", ".join(f"{name} {version}" for name, version in results["packages"].items())
    parts = results.get("parts", [])
    for _part, note in _notes(parts, "decode"):
        yield f"decoding by {note['by']}: {note['rate']:,.0f} pictures/s"
    for _part, note in _notes(parts, "reference"):
        yield f"{note['base']}: what differs, does so from {note['engine']} on the processor"
    yield from _columns([HEAD, *_rows(parts)])
    for _part, note in _notes(parts, "loader"):
        rate = f"{note['rate']:,.0f} pictures/s, {note['start']:.1f} s to the first batch"
        yield f"DataLoader: {note['base']}, {note['precision']}, {note['model']}: {rate}"
    for name in ("kill", "finetune"):
        for _part, note in _notes(parts, name):
            yield f"{name}: {', '.join(f'{key} {_short(value)}' for key, value in note.items())}"
    yield from (str(results[name]) for name in ("loader", "finetune") if name in results)
    for part in parts:
        if "failed" in part:
            given = " ".join(str(v) for v in part["given"].values() if isinstance(v, str))
            yield f"failed: {part['part']} {given}: {part['failed']}"


def _notes(parts: list[Results], name: str) -> Iterator[tuple[Results, Results]]:
    for part in parts:
        if part["part"] == name:
            yield from ((part, note) for note in part["notes"])


def _rows(parts: list[Results]) -> Iterator[tuple[str, ...]]:
    first = ""
    for part, note in _notes(parts, "speed"):
        if "first_feature" in note:
            first = f"{note['first_feature']:.1f} s"
            continue
        given, memory, differs = part["given"], note.get("memory"), note.get("difference")
        files = share = waited = ""
        if "rate" in note:
            files, share = f"{note['rate']:,.0f}", f"{note['share']:.0%}"
            waits = {name: note[f"waited_for_{name}"] for name in ("pictures", "engine", "disk")}
            waited = f"{waits['pictures'] / (sum(waits.values()) or 1):.0%}"
        yield (
            given["engine"], given["base"], note["precision"], str(note["batch"]),
            f"{note['ceiling']:,.0f}", files, share, waited,
            size_text(memory) if memory else "", f"{differs:.1e}" if differs else "", first,
        )  # fmt: skip
        first = ""


def _columns(rows: list[tuple[str, ...]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(
            f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)
        ).rstrip()


def _short(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, float) else str(value)

"""How results look: tables and sentences for people, JSON for programs."""

import json
import logging
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.api.progress import epoch_line
from pipeline.images.leftout import causes
from pipeline.system.files import is_stdout
from pipeline.system.streams import shows_exactly
from pipeline.system.units import counted, size_text
from pipeline.system.visible import escaped_json, told

Value = Mapping[str, Any]


def exported_model(value: Value) -> None:
    """Say what was written, how far it is from the run, and what a user of it has to know."""
    say(f"{value['path']}: {value['run']} as {value['format']}, {size_text(value['bytes'])}")
    say(
        f"greatest difference of a probability from the run's own: "
        f"{value['max_abs_difference']:.1e}, on {counted(value['pictures'], 'picture')} "
        f"({value['compared_on']})"
    )
    if value["changed"]:
        say(f"answered otherwise than by the run: {value['changed']} of {value['pictures']}")
    if value["max_evidence_difference"] is not None:
        say(f"greatest difference of the evidence: {value['max_evidence_difference']:.1e}")
    for note in value["notes"]:
        say(f"note: {note}")
    say(f"classes, recipe and figures: {value['description']}")


MIN_TABLE_WIDTH, PLAIN_WIDTH = 110, 160


def say(text: str) -> None:
    """Print one line, in which every sign can be seen; nothing in it does anything."""
    print(told(text))


def interval(ci95: Sequence[float] | None) -> str:
    """Write an interval like ``0.962 – 0.991``."""
    return "" if ci95 is None else f"{ci95[0]:.3f} – {ci95[1]:.3f}"


class LinesTable(Table):
    """A table whose cells are texts of one line, shown as they are."""

    def add_row(self, *cells: Any, **more: Any) -> None:
        """Add a row."""
        super().add_row(*(escape(told(cell)) for cell in cells), **more)


def table(*headers: str) -> Table:
    """Return an empty table; what can be pasted into a shell is never broken."""
    made = LinesTable(box=None, pad_edge=False)
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


MAX_LISTED = 20
MAX_SENTENCE = 1000


def error(text: str) -> None:
    """Print one sentence on stderr; of a long one, as other programs write them, the ends."""
    text = told(" ".join(text.split()))
    if len(text) > MAX_SENTENCE:
        text = f"{text[: MAX_SENTENCE - 300]} … {text[-300:]}"
    print(f"pipeline: {text}", file=sys.stderr)


def crashed(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Print a traceback, which is a fault of ours; what others wrote is in it too."""
    text = "".join(traceback.format_exception(kind, error, trace))
    print("\n".join(map(told, text.split("\n"))), end="", file=sys.stderr)


class LogHandler(logging.Handler):
    """Prints the program's own notices on stderr, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        print(f"{level}{told(record.getMessage())}", file=sys.stderr)


def result(value: Value, as_json: bool, human: Callable[[Value], None]) -> None:
    """Print a command's result: JSON alone, or for people; on stderr where stdout has its file."""
    out = value.get("csv") or value.get("path")
    with redirect_stdout(sys.stderr) if out and is_stdout(Path(out)) else nullcontext():
        if as_json:
            written = json.dumps(value, ensure_ascii=False)
            print(escaped_json(written) if shows_exactly(written) else json.dumps(value))
        else:
            human(value)


def digits(value: Value) -> None:
    """Say what was written."""
    say(f"{value['root']}: {value['written']} pictures written, {value['kept']} there already")


def features(value: Value) -> None:
    """Say what stage 1 found and did."""
    data(value)
    if value["computed"] or value["computed_views"]:
        views = f" and {counted(n, 'view')}" if (n := value["computed_views"]) else ""
        say(
            f"{counted(value['computed'], 'picture')}{views} computed by {value['engine']} at "
            f"{value['images_per_second']:.1f} a second, {value['reused']} reused, "
            f"{value['seconds']:.1f} s in all"
        )
        say(where_time_went(value["where"]))
        starved(value)
    elif value["reused"]:
        say(f"nothing to compute: features of all {value['reused']} pictures are cached")
    say(f"recipe {value['recipe']}")
    left_out(value["failed"], value["found"], pool=not value["labelled"])


def where_time_went(where: Value) -> str:
    """Say what the threads did and what the whole waited for."""
    return (
        f"reading {where['reading']:.1f} s and decoding {where['decoding']:.1f} s, in all threads; "
        f"waited for pictures {where['waited_for_pictures']:.1f} s, for the base "
        f"{where['waited_for_engine']:.1f} s, for the disk {where['waited_for_disk']:.1f} s"
    )


STARVED = 0.25
"""Share of the time waited for pictures from which that is told."""


def starved(value: Value) -> None:
    """Say that the engine could have done more, had pictures come faster."""
    waits = {name: seconds for name, seconds in value["where"].items() if "waited" in name}
    share = waits["waited_for_pictures"] / (sum(waits.values()) or 1.0)
    if share < STARVED or waits["waited_for_pictures"] < 1.0:
        return
    figures, rate = "", value["forecast"].get("engine_rate")
    if rate is not None and rate > value["images_per_second"]:
        figures = f": {value['images_per_second']:,.0f} of {rate:,.0f} pictures/s"
    say(
        f"waited for pictures {share:.0%} of the time{figures}; more cores, or --jpeg scaled for "
        f"large photos"
    )


def data(value: Value) -> None:
    """Say which pictures there are."""
    copies = f"; {value['copies']} are copies of others" if value["copies"] else ""
    if not value.get("labelled", True):
        say(f"{pictures(value)} without labels{copies}")
        not_used(value["ignored"], 3)
        return
    classes = ", ".join(f"{name} {count}" for name, count in value["classes"].items())
    if len(value["classes"]) > MAX_LISTED:
        classes = f"{len(value['classes'])} classes"
    splits = ", ".join(f"{name} {count}" for name, count in value["splits"].items())
    say(f"{pictures(value)}: {classes}; {splits}{copies}")
    not_used(value["ignored"], 3)


def pictures(value: Value) -> str:
    """Say how many pictures there are, and how many of those that were found are used."""
    found, used = value["found"], value["images"]
    if found == used:
        return f"{used} pictures"
    return f"{found} pictures found, {found - used} left out; {used} used"


def not_used(paths: Sequence[str], most: int) -> None:
    """Say which files and folders are no pictures, by at most so many names."""
    if paths:
        more = ", …" if len(paths) > most else ""
        say(f"{len(paths)} files or folders are not used: {', '.join(paths[:most])}{more}")


MAX_CAUSES = 5


def left_out(failed: Sequence[Value], n_found: int, each: bool = False, pool: bool = False) -> None:
    """Say how many pictures are left out, and why, with counts and an example of each reason.

    Args:
        failed: ``{"path", "reason"}`` of each.
        n_found: Of how many.
        each: Whether to list them as well, where reasons alone do not name all.
        pool: Whether they are of a pool, which has no labels to check.
    """
    if not failed:
        return
    are = "is" if len(failed) == 1 else "are"
    whose = " of the pool" if pool else ""
    say(f"{len(failed)} of {counted(n_found, 'picture')}{whose} {are} left out:")
    found = causes(failed)
    for cause in found[:MAX_CAUSES]:
        one = {"path": cause.examples[0], "reason": cause.reason}
        say(f"  {failure(one) if cause.pictures == 1 else cause}")
    if rest := sum(cause.pictures for cause in found[MAX_CAUSES:]):
        say(f"  {rest} × for other reasons")
    if len(failed) > min(len(found), MAX_CAUSES):
        if each:
            say("they are:")
            lines(failed, failure)
        else:
            say(f"{'--json' if pool else '`pipeline check DATA`'} lists them")


def failure(row: Value) -> str:
    """Write which picture cannot be used, and why."""
    return f"{row['path']}: {row['reason']}"


def listed(one: str, what: str, rows: Sequence[Value], line: Callable[[Value], str]) -> None:
    """Print how many rows there are of what, and a line for each; nothing where there are none."""
    if rows:
        say(f"{counted(len(rows), one)} {what}:")
        lines(rows, line)


def lines(rows: Sequence[Value], line: Callable[[Value], str]) -> None:
    """Print the first rows, a line for each, and how many more there are."""
    for row in rows[:MAX_LISTED]:
        say(f"  {line(row)}")
    if len(rows) > MAX_LISTED:
        say(f"  … and {len(rows) - MAX_LISTED} more (--json lists all)")


def finetuned(value: Value) -> None:
    """Print what fine-tuning started from, its epochs, and where it ended."""
    initial, test = value["initial"], value["test"]
    data(value["data"])
    if value["trained"]:
        say(f"from {value['from']}")
    else:
        say(f"nothing was trained: {value['outlook']['sentence']}; --anyway trains all the same")
    if initial is not None:  # runs of the first versions do not say it
        say(
            f"before training, on the {initial['n']} validation pictures: whole model "
            f"{initial['validation_accuracy']:.4f}, head on cached features "
            f"{initial['head_accuracy']:.4f}"
        )
    if value["reused"]:  # else each was printed as it ended
        for epoch in value["epochs"]:
            say(epoch_line(epoch))
    if value["trained"]:
        share = _best_share(value["mixtures"])
        mixed = "" if share is None else f", {share:.0%} of the way from the head to it"
        gained = "" if value["kept_epoch"] else ": nothing was gained, the model is as before"
        say(f"kept epoch {value['kept_epoch']}{mixed}{gained}")
        if (rate := value["learning_rate"]) is not None:  # runs of before do not say it here
            before = " and ".join(f"{one:g}" for one in value["given_up"])
            after = f", after {before} got no further" if before else ""
            say(f"{len(value['learned_layers'])} layers learned, in steps of {rate:g}{after}")
    whose = "run" if value["trained"] else "the head stays:"
    say(f"{whose} {value['run']}{' (from disk)' if value['trained'] and value['reused'] else ''}")
    say(
        f"accuracy on {test['n']} {test['split']} pictures: {test['accuracy']:.4f}, 95 % interval "
        f"{interval(test['ci95'])}"
    )
    left_out(value["failed"], value["data"]["found"])


def _best_share(mixtures: Sequence[Value]) -> float | None:
    """Return how much of the kept epoch is in the model; None where that is all of it."""
    best = min(mixtures, key=lambda one: one["validation_loss"], default={"share": 1.0})
    return None if best["share"] == 1 else best["share"]


def predictions(value: Value) -> None:
    """Print one line per picture, or where the table with a row for each is."""
    if "csv" in value:
        say(f"{value['csv']}: {counted(value['labelled'], 'picture')} labelled")
    for row in value["predictions"]:
        listed = ", ".join(f"{name} {probability:.3f}" for name, probability in row["top"])
        unsure = "don't know; " if row["label"] is None else ""
        unsure = "unknown; " if row["unknown"] else unsure
        say(f"{row['path']}: {unsure}{listed}")
    left_out(value["failed"], value["labelled"] + len(value["failed"]), each=True)


def evidence(value: Value) -> None:
    """Say where the maps are and how they were made, and of each picture what it was called."""
    for row in value["pictures"]:
        given = "" if row["label"] is None else f", given {row['label']}"
        answer = f"{row['answer']} {row['probability']:.3f}{given}"
        say(f"{row['path']}: {answer}; for it, and instead of {row['against']}: {row['file']}")
    say(f"{value['sheet']}: {counted(len(value['pictures']), 'map')}, {value['method']['about']}")
    for note in value["notes"]:
        say(f"note: {note}")
    left_out(value["failed"], len(value["pictures"]) + len(value["failed"]), each=True)


def backbones(value: Value) -> None:
    """Print the catalog."""
    counted_so = "parameters without top"
    rows = table("backbone", "size", "smallest", "preprocessing", counted_so, "cut points")
    for row in value["backbones"]:
        rows.add_row(
            row["name"],
            str(row["input_size"]),
            str(row["min_size"]),
            row["preprocessing"],
            f"{row['n_parameters']:,}",
            ", ".join(row["cut_points"]),
        )
    print_table(rows)


def layers(value: Value) -> None:
    """Print a backbone's layers."""
    rows = table("layer", "kind", "output", "parameters", "cut point")
    for row in value["layers"]:
        shape = "×".join(map(str, row["output_shape"]))
        points = ", ".join(row["cut_points"])
        rows.add_row(row["name"], row["class_name"], shape, f"{row['n_parameters']:,}", points)
    print_table(rows)
    without = f"{value['parameters_without_top']:,} parameters without the top"
    if value["parameters"] == value["parameters_without_top"] and value["with_top"]:
        say(f"{value['parameters']:,} parameters")  # a network of the user's own
    elif value["with_top"]:
        say(f"{value['parameters']:,} parameters with the top, {without}")
    else:
        say(f"{without}, which tells ImageNet's 1,000 classes: --top lists that too")


def text(value: str) -> None:
    """Print a text as it is."""
    print(value, end="" if value.endswith("\n") else "\n")


def settings(path: str | None, toml: str) -> None:
    """Print the file of settings, or say where it was written."""
    text(toml if path is None else f"{path}: every setting with its default")


def report(value: Value) -> None:
    """Say what was written, and what is missing with the command that would make it."""
    n, n_all = value["pictures"], value["pictures_in_all"]
    pictures = counted(n, "picture") if n == n_all else f"{n} of {n_all} pictures"
    say(
        f"{value['path']}: {counted(len(value['runs']), 'run')}, {len(value['detailed'])} in "
        f"detail, {pictures}, {size_text(value['bytes'])}"
    )
    left_out(value["failed"], value["pictures"])
    for one in value["missing"]:
        way_out = f"; {one['command']}" if one["command"] else ""
        say(f"without {one['section']} of {one['about']}: {one['reason']}{way_out}")

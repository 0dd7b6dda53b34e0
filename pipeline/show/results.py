"""How results look: tables and sentences for people, JSON for programs."""

import json
import logging
import sys
from collections.abc import Callable, Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.show.counters import epoch_line
from pipeline.units import counted

MAX_LISTED = 20
MIN_TABLE_WIDTH, PLAIN_WIDTH = 110, 160

Value = Mapping[str, Any]


def error(text: str) -> None:
    """Print one sentence on stderr."""
    print(f"pipeline: {text}", file=sys.stderr)


class LogHandler(logging.Handler):
    """Prints the program's own notices on stderr, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        level = "" if record.levelno <= logging.INFO else f"{record.levelname.lower()}: "
        print(f"{level}{record.getMessage()}", file=sys.stderr)


def result(value: Value, as_json: bool, human: Callable[[Value], None]) -> None:
    """Print a command's result: JSON alone, or for people."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False))
    else:
        human(value)


def digits(value: Value) -> None:
    """Say what was written."""
    print(f"{value['root']}: {value['written']} pictures written, {value['kept']} there already")


def features(value: Value) -> None:
    """Say what stage 1 found and did."""
    _data(value)
    if value["computed"] or value["computed_views"]:
        views = f" and {counted(n, 'view')}" if (n := value["computed_views"]) else ""
        print(
            f"{counted(value['computed'], 'picture')}{views} computed by {value['engine']} at "
            f"{value['images_per_second']:.1f} a second, {value['reused']} reused, "
            f"{value['seconds']:.1f} s in all"
        )
        print(where_time_went(value["where"]))
    elif value["reused"]:
        print(f"nothing to compute: features of all {value['reused']} pictures are cached")
    print(f"recipe {value['recipe']}")
    left_out(value["failed"])


def where_time_went(where: Value) -> str:
    """Say what the threads did and what the whole waited for."""
    return (
        f"reading {where['reading']:.1f} s and decoding {where['decoding']:.1f} s, in all threads; "
        f"waited for pictures {where['waited_for_pictures']:.1f} s, for the base "
        f"{where['waited_for_engine']:.1f} s, for the disk {where['waited_for_disk']:.1f} s"
    )


def _data(value: Value) -> None:
    classes = ", ".join(f"{name} {count}" for name, count in value["classes"].items())
    if len(value["classes"]) > MAX_LISTED:
        classes = f"{len(value['classes'])} classes"
    splits = ", ".join(f"{name} {count}" for name, count in value["splits"].items())
    copies = f"; {value['copies']} are copies of others" if value["copies"] else ""
    print(f"{value['images']} pictures: {classes}; {splits}{copies}")
    if value["ignored"]:
        more = ", …" if len(value["ignored"]) > 3 else ""
        listed = ", ".join(value["ignored"][:3])
        print(f"{len(value['ignored'])} files or folders are not used: {listed}{more}")


def left_out(failed: list[Value]) -> None:
    """List the pictures without features or predictions, and why."""
    if failed:
        print(f"{counted(len(failed), 'picture')} left out:")
        for failure in failed[:MAX_LISTED]:
            print(f"  {failure['path']}: {failure['reason']}")
        if len(failed) > MAX_LISTED:
            print(f"  … and {len(failed) - MAX_LISTED} more (--json lists all)")


def classification(value: Value) -> None:
    """Print one row per experiment, best first, and the best run."""
    _data(value["data"])
    rows = sorted(
        value["results"], key=lambda row: (-row["selection_accuracy"], row["selection_log_loss"])
    )
    table = _table("head", "layers", "selection", "test", "95 % interval", "log loss", "seconds")
    for row in rows:
        test = row["test"]
        seconds = "from disk" if row["reused"] else f"{row['seconds']:.1f}"
        table.add_row(
            escape(row["head"]),
            escape("+".join(row["layers"])),
            f"{row['selection_accuracy']:.4f}",
            f"{test['accuracy']:.4f}",
            interval(test["ci95"]),
            f"{test['log_loss']:.4f}",
            seconds,
        )
    _print(table)
    best = next(row for row in rows if row["run"] == value["best"])
    print(
        f"best by {best['selected_by']}: {value['best']}\n"
        f"accuracy on {best['test']['n']} {best['test']['split']} pictures: "
        f"{best['test']['accuracy']:.4f}, 95 % interval {interval(best['test']['ci95'])}"
    )
    for count, what in (
        (value["leaked"], "test pictures that are byte-identical to training pictures"),
        (value["contradictory"], "pictures that are byte-identical to one of another class"),
    ):
        if count:
            print(f"beware of {count} {what}")
    left_out(value["failed"])
    print(f"next: pipeline predict {value['best']} PICTURES, or pipeline finetune")


def interval(ci95: list[float]) -> str:
    """Write an interval like ``0.962 – 0.991``."""
    return f"{ci95[0]:.3f} – {ci95[1]:.3f}"


def finetuned(value: Value) -> None:
    """Print what fine-tuning started from, its epochs, and where it ended."""
    initial, test = value["initial"], value["test"]
    print(
        f"from {value['from']}\nbefore training, on the {initial['n']} validation pictures: whole "
        f"model {initial['validation_accuracy']:.4f}, head on cached features "
        f"{initial['head_accuracy']:.4f}"
    )
    if value["reused"]:  # else each was printed as it ended
        for epoch in value["epochs"]:
            print(epoch_line(epoch))
    print(
        f"kept epoch {value['kept_epoch']}\nrun {value['run']}"
        f"{' (from disk)' if value['reused'] else ''}\naccuracy on {test['n']} {test['split']} "
        f"pictures: {test['accuracy']:.4f}, 95 % interval {interval(test['ci95'])}"
    )
    left_out(value["failed"])


def predictions(value: Value) -> None:
    """Print one line per picture."""
    for row in value["predictions"]:
        listed = ", ".join(f"{name} {probability:.3f}" for name, probability in row["top"])
        print(f"{row['path']}: {listed}")
    left_out(value["failed"])


def leaderboard(value: Value) -> None:
    """Print one table per data set, best run first."""
    if not value["runs"]:
        print("no runs yet; `pipeline classify DATA` makes some")
    for root in dict.fromkeys(row["data"] for row in value["runs"]):
        rows = [row for row in value["runs"] if row["data"] == root]
        table = _table("run", "selection", "test", "95 % interval", "against the first")
        for row in rows:
            table.add_row(
                escape(row["run"]),
                f"{row['selection_accuracy']:.4f}",
                f"{row['test']['accuracy']:.4f}",
                interval(row["test"]["ci95"]),
                difference(row["difference"]),
            )
        print(f"{rows[0]['data_root']}: {rows[0]['test']['n']} {rows[0]['test']['split']} pictures")
        _print(table)


def difference(value: Value | None) -> str:
    """Write a paired difference of test accuracies, or why there is none."""
    if value is None:
        return ""
    if not value["distinguishable"]:
        return "not distinguishable"
    return f"{value['value']:+.4f} ({value['ci95'][0]:+.3f} to {value['ci95'][1]:+.3f})"


def backbones(value: Value) -> None:
    """Print the catalog."""
    table = _table("backbone", "size", "smallest", "preprocessing", "parameters", "cut points")
    for row in value["backbones"]:
        table.add_row(
            row["name"],
            str(row["input_size"]),
            str(row["min_size"]),
            row["preprocessing"],
            f"{row['n_parameters']:,}",
            ", ".join(row["cut_points"]),
        )
    _print(table)


def layers(value: Value) -> None:
    """Print a backbone's layers."""
    table = _table("layer", "kind", "output", "parameters", "cut point")
    for row in value["layers"]:
        shape = "×".join(map(str, row["output_shape"]))
        points = ", ".join(row["cut_points"])
        table.add_row(row["name"], row["class_name"], shape, f"{row['n_parameters']:,}", points)
    _print(table)
    print(f"{sum(row['n_parameters'] for row in value['layers']):,} parameters")


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for header in headers:
        table.add_column(header, no_wrap=header == "run", overflow="fold")
    return table


def _print(table: Table) -> None:
    """Print a table at least wide enough for a run's name, without spaces at the ends of lines."""
    console = Console(highlight=False)
    console.width = max(console.width, MIN_TABLE_WIDTH) if console.is_terminal else PLAIN_WIDTH
    with console.capture() as captured:
        console.print(table)
    print("\n".join(line.rstrip() for line in captured.get().splitlines()))

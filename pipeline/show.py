"""How results and progress look on a terminal, and as plain lines where there is none."""

import json
import logging
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table

PLAIN_LINE_SECONDS = 10.0
MAX_LISTED = 20

Value = Mapping[str, Any]


def _stdout() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=160)


def _stderr() -> Console:
    return Console(stderr=True, highlight=False)


def error(text: str) -> None:
    """Print one sentence on stderr."""
    print(f"pipeline: {text}", file=sys.stderr)


class LogHandler(logging.Handler):
    """Prints the program's own notices on stderr, one line each."""

    def emit(self, record: logging.LogRecord) -> None:
        """Print a record."""
        print(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)


def result(value: Value, as_json: bool, human: Callable[[Value], None]) -> None:
    """Print a command's result: JSON alone, or for people."""
    if as_json:
        print(json.dumps(value, ensure_ascii=False))
    else:
        human(value)


class Counter:
    """Progress of something countable, with its rate and the time that is left."""

    def __init__(self, name: str, unit: str, silent: bool) -> None:
        self._name, self._unit, self._silent = name, unit, silent
        self._began = self._said = monotonic()
        self._bar: Progress | None = None

    def update(self, done: int, total: int) -> None:
        """Tell that ``done`` of ``total`` are done."""
        if self._silent:
            return
        console = _stderr()
        if not console.is_terminal:
            self._line(done, total)
            return
        if self._bar is None:
            self._bar = _bar(console)
            self._bar.start()
            self._task = self._bar.add_task(self._name, total=total, rate="")
        self._bar.update(self._task, completed=done, total=total, rate=self._rate(done))

    def _rate(self, done: int) -> str:
        return f"{done / max(monotonic() - self._began, 1e-9):.1f} {self._unit}/s"

    def _line(self, done: int, total: int) -> None:
        now = monotonic()
        if now - self._said >= PLAIN_LINE_SECONDS:
            self._said = now
            left = (now - self._began) / max(done, 1) * (total - done)
            text = (
                f"{self._name}: {done}/{total} {self._unit}, {self._rate(done)}, {left:.0f} s left"
            )
            print(text, file=sys.stderr)

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._bar is not None:
            self._bar.stop()


def _bar(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TimeRemainingColumn(),
        console=console,
        transient=True,
    )


@contextmanager
def progress(name: str, unit: str, silent: bool) -> Iterator[Counter]:
    """Yield a counter that is closed whatever happens."""
    counter = Counter(name, unit, silent)
    try:
        yield counter
    finally:
        counter.close()


class Epochs:
    """Progress of a training: a counter within each epoch, a line after it."""

    def __init__(self, silent: bool) -> None:
        self._silent, self._n_images = silent, 0
        self._began = self._said = monotonic()

    def on_step(self, n_images: int) -> None:
        """Tell that a step has taken ``n_images`` pictures."""
        self._n_images += n_images
        now = monotonic()
        if not self._silent and now - self._said >= PLAIN_LINE_SECONDS:
            self._said = now
            rate = self._n_images / (now - self._began)
            print(f"  {self._n_images} pictures, {rate:.1f} pictures/s", file=sys.stderr)

    def on_epoch(self, epoch: Any) -> None:
        """Print an epoch's figures."""
        if not self._silent:
            print(epoch_line(vars(epoch)), file=sys.stderr)
        self._n_images, self._began, self._said = 0, monotonic(), monotonic()


def epoch_line(epoch: Value) -> str:
    """Return one line of an epoch's figures."""
    trained = "before training"
    if epoch["train_loss"] is not None:
        trained = f"train loss {epoch['train_loss']:.4f} accuracy {epoch['train_accuracy']:.4f}"
    return (
        f"epoch {epoch['epoch']:>2}: {trained}, validation loss {epoch['validation_loss']:.4f} "
        f"accuracy {epoch['validation_accuracy']:.4f} ({epoch['seconds']:.1f} s)"
    )


@contextmanager
def epochs(silent: bool) -> Iterator[Epochs]:
    """Yield what reports the epochs of a training."""
    yield Epochs(silent)


def digits(value: Value) -> None:
    """Say what was written."""
    print(f"{value['root']}: {value['written']} pictures written, {value['kept']} there already")


def features(value: Value) -> None:
    """Say what stage 1 did."""
    if value["computed"]:
        print(
            f"{value['computed']} pictures computed by {value['engine']} at "
            f"{value['images_per_second']:.1f} images/s, {value['reused']} reused, "
            f"{value['seconds']:.1f} s in all"
        )
    else:
        print(f"nothing to compute: features of all {value['reused']} pictures are cached")
    print(f"recipe {value['recipe']}")
    _failures(value["failed"])


def _failures(failed: list[Value]) -> None:
    if failed:
        print(f"{len(failed)} pictures left out:")
        for failure in failed[:MAX_LISTED]:
            print(f"  {failure['path']}: {failure['reason']}")
        if len(failed) > MAX_LISTED:
            print(f"  … and {len(failed) - MAX_LISTED} more (--json lists all)")


def classification(value: Value) -> None:
    """Print one row per experiment, best first, and the best run."""
    rows = sorted(value["results"], key=lambda row: -row["selection_accuracy"])
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
    _stdout().print(table)
    best = next(row for row in rows if row["run"] == value["best"])
    print(
        f"best by {best['selected_by']}: {value['best']}\n"
        f"accuracy on {best['test']['n']} {best['test']['split']} pictures: "
        f"{best['test']['accuracy']:.4f}, 95 % interval {interval(best['test']['ci95'])}"
    )
    if value["leaked"]:
        print(f"beware: {value['leaked']} test pictures are byte-identical to training pictures")
    _failures(value["failed"])


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


def predictions(value: Value) -> None:
    """Print one line per picture."""
    for row in value["predictions"]:
        listed = ", ".join(f"{name} {probability:.3f}" for name, probability in row["top"])
        print(f"{row['path']}: {listed}")
    _failures(value["failed"])


def leaderboard(value: Value) -> None:
    """Print one table per data set, best run first."""
    if not value["runs"]:
        print("no runs yet; `pipeline classify DATA` makes some")
    for root in dict.fromkeys(row["data"] for row in value["runs"]):
        rows = [row for row in value["runs"] if row["data"] == root]
        table = _table("run", "selection", "by", "test", "95 % interval", "against the first")
        for row in rows:
            table.add_row(
                escape(row["run"]),
                f"{row['selection_accuracy']:.4f}",
                row["selected_by"],
                f"{row['test']['accuracy']:.4f}",
                interval(row["test"]["ci95"]),
                difference(row["difference"]),
            )
        print(f"{rows[0]['data_root']}: {rows[0]['test']['n']} {rows[0]['test']['split']} pictures")
        _stdout().print(table)


def difference(value: Value | None) -> str:
    """Write a paired difference of test accuracies, or why there is none."""
    if value is None:
        return ""
    if not value["distinguishable"]:
        return "not distinguishable"
    return f"{value['value']:+.4f} ({value['ci95'][0]:+.3f} – {value['ci95'][1]:+.3f})"


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
    _stdout().print(table)


def layers(value: Value) -> None:
    """Print a backbone's layers."""
    table = _table("layer", "kind", "output", "parameters", "cut point")
    for row in value["layers"]:
        shape = "×".join(map(str, row["output_shape"]))
        points = ", ".join(row["cut_points"])
        table.add_row(row["name"], row["class_name"], shape, f"{row['n_parameters']:,}", points)
    _stdout().print(table)


def _table(*headers: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for header in headers:
        table.add_column(header, overflow="fold")
    return table

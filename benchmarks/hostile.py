"""Files of strangers, damaged and forged, before every command that reads them.

Each attempt is a process of its own on a copy of a small project: a file of it is mutated at
random, or something forged is put in, and a command is run as a user would. Counted is what must
never happen.
"""

import io
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.forgeries import forgeries
from benchmarks.mutations import json_mutations, mutations, npz_mutations
from pipeline.cli import run
from pipeline.system.startup import own_stderr

N_ATTEMPTS = 60
MOST_SECONDS, MOST_BYTES = 180, 2 << 30
PER_CPU_SECOND = 6
"""Seconds that a command may wait for one that it computes: machines have other things to do."""
HANGS = "hangs"
TRACEBACK = 70
SHARDS = "features/*/shard-*.h5"
CANARY = "canary"
"""A file that code of a stranger makes when it runs."""

SIZE = ["--image-size", "32"]
HEADS = "logistic,random-forest,dense(epochs=2)"

Mutate = Callable[[bytes, int, int], Iterator[tuple[str, bytes]]]


def _of_values(data: bytes, seed: int, n: int) -> Iterator[tuple[str, bytes]]:
    """Yield mutations of the values of JSON, and of its bytes, half of them each."""
    yield from json_mutations(data, seed, n - n // 2)
    yield from mutations(data, seed, n // 2)


def _of_arrays(data: bytes, seed: int, n: int) -> Iterator[tuple[str, bytes]]:
    yield from npz_mutations(data, seed, n - n // 2)
    yield from mutations(data, seed, n // 2)


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and the commands that read them.

    Args:
        pattern: Of the paths in the project.
        mutate: What is done to them.
        commands: Each is tried in its turn; ``RUN`` stands for the run that was mutated.
        cost: How many times the usual an attempt takes: so many fewer are made.
    """

    pattern: str
    mutate: Mutate
    commands: Sequence[Sequence[str]]
    cost: int = 1


COMPARE = ["compare", "--json"]
REPORT = ["report", "--out", "out.html", "--overwrite", "--json"]
PREDICT = ["predict", "RUN", "pictures/red/0.png", "--json"]
EXPORT = ["export", "RUN", "keras", "--out", "out.keras", "--json"]
CLASSIFY = ["classify", "pictures", *SIZE, "--heads", "logistic", "--json"]
ARRAYS = ["export-features", "pictures", *SIZE, "--out", "out.npz", "--overwrite", "--json"]
EXPLAIN = ["explain", "pictures", *SIZE, "--json"]
VERIFY = ["verify", "--json"]
FEATURES = ["features", "pictures", *SIZE, "--json"]
FINETUNE = ["finetune", "pictures", "--anyway", "--epochs", "2", "--mode", "tail", "--json"]
LONG = [
    "finetune",
    "pictures",
    "--anyway",
    "--epochs",
    "40",
    "--patience",
    "40",
    "--mode",
    "frozen",
    "--json",
]

KINDS = {
    "run.json": Kind("runs/*/run.json", _of_values, (COMPARE, REPORT, PREDICT, CLASSIFY)),
    "metrics.json": Kind("runs/*/metrics.json", _of_values, (COMPARE, REPORT, PREDICT)),
    "bundle.json": Kind("runs/*/bundle/bundle.json", _of_values, (PREDICT, PREDICT, REPORT)),
    "search.json": Kind("runs/*/search.json", _of_values, (REPORT, COMPARE)),
    "predictions.csv": Kind("runs/*/predictions.csv", mutations, (COMPARE, REPORT)),
    "network.npz": Kind("runs/*/bundle/network.npz", _of_arrays, (PREDICT,)),
    "head.skops": Kind("runs/*/bundle/head.skops", mutations, (PREDICT,)),
    "model.keras": Kind("runs/*/bundle/model.keras", mutations, (PREDICT,), 4),
    "checkpoints": Kind("runs/.checkpoints/*/checkpoint.npz", _of_arrays, (LONG,), 4),
    "recipe.json": Kind("features/[!m.]*/recipe.json", _of_values, (CLASSIFY, VERIFY, FEATURES)),
    "shards": Kind("features/*/shard-*.h5", mutations, (CLASSIFY, VERIFY, ARRAYS, EXPLAIN)),
    "kept models": Kind("features/models/*/*", mutations, (FEATURES, VERIFY, PREDICT)),
    "settings": Kind("settings.toml", mutations, ([*CLASSIFY, "--config", "settings.toml"],)),
    "pictures": Kind("pictures/*/*.png", mutations, (FEATURES, CLASSIFY, REPORT)),
    "tables": Kind("pictures.csv", mutations, (["features", "pictures.csv", *SIZE, "--json"],)),
}


@dataclass(frozen=True)
class Outcome:
    """How one attempt ended; ``code`` is None where it had to be killed."""

    code: int | None
    said: str
    answer: str
    peak_bytes: int
    events: tuple[str, ...]


def main() -> None:
    """Print the attempts by kind and what happened in them that must not."""
    found: dict[str, Counter[str]] = {}
    with tempfile.TemporaryDirectory(prefix="hostile") as name:
        home = Path(name)
        os.environ["XDG_STATE_HOME"] = str(home / "state")
        _make_project(home / "project")
        (home / "elsewhere").mkdir()
        Image.new("RGB", (8, 8), "red").save(home / "elsewhere/secret.png")
        for kind, what in KINDS.items():
            found[kind] = _mutated(home, what, N_ATTEMPTS // what.cost)
            print(_line(kind, found[kind]), flush=True)
        found["forged"] = _forged(home)
        print(_line("forged", found["forged"]), flush=True)
    print(_line("all", sum(found.values(), Counter())))


NEVER = (
    *("code run", "files outside touched", HANGS, "memory over 2 GiB"),
    *("tracebacks", "sound shards renamed", "wrong answers accepted"),
)


def _line(kind: str, counts: Counter[str]) -> str:
    told = ", ".join(f"{name} {counts[name]}" for name in NEVER)
    ways = f"{counts['refused']} refused, {counts['worked']} worked"
    return f"{kind}: {counts['attempts']} attempts, {ways}; {told}"


def _make_project(folder: Path) -> None:
    """Make pictures, a cache, runs of every kind of head, and a fine-tuned one."""
    rng = np.random.default_rng(0)
    for hue, name in enumerate(("red", "green", "blue")):
        (folder / "pictures" / name).mkdir(parents=True)
        for number in range(12):
            pixels = rng.integers(0, 150, (32, 32, 3), np.uint8)
            pixels[..., hue] += 60
            Image.fromarray(pixels).save(folder / "pictures" / name / f"{number}.png")
    rows = [f"pictures/{p.parent.name}/{p.name},{p.parent.name}" for p in folder.rglob("*.png")]
    (folder / "pictures.csv").write_text("\n".join(["path,label", *sorted(rows)]) + "\n", "utf-8")
    (folder / "settings.toml").write_text('[classify]\nheads = "knn"\nimage_size = 32\n', "utf-8")
    for command in (
        ["classify", "pictures", *SIZE, "--heads", HEADS],
        ["classify", "pictures", *SIZE, "--tune", "--heads", "ridge"],
        FINETUNE,
    ):
        outcome = _child(folder, command, 600)
        if outcome.code != 0:
            raise RuntimeError(f"cannot make the project with {command}: {outcome.said}")
    _child(folder, LONG, 600, lambda: _trained_epochs(folder) > 2)
    if not _trained_epochs(folder):
        raise RuntimeError("cannot make a checkpoint")


def _trained_epochs(folder: Path) -> int:
    """Return how far the training got that was killed; 0 where none was."""
    lines = [path.read_text("utf-8") for path in folder.glob("runs/.checkpoints/*/history.csv")]
    return lines[0].count("\n") - 1 if lines else 0


def _mutated(home: Path, kind: Kind, n: int) -> Counter[str]:
    """Try mutations of every file of a kind, each before one of the commands."""
    counts: Counter[str] = Counter()
    paths = _paths(home / "project", kind.pattern)
    expected: dict[tuple[str, ...], Outcome] = {}
    for turn in range(n):
        path = paths[turn % len(paths)]
        command = _for_run(kind.commands[turn // len(paths) % len(kind.commands)], path)
        data = (home / "project" / path).read_bytes()
        what, changed = random.Random(turn).choice([*kind.mutate(data, turn, 24)])
        if changed == data:
            continue
        if tuple(command) not in expected:
            expected[tuple(command)] = _on_copy(home, command, None, b"")[0]
        outcome, renamed = _on_copy(home, command, path, changed)
        bad = _judge(outcome, renamed)
        same = outcome.answer == expected[tuple(command)].answer
        # Whoever changes pictures, tables or settings asks for something else.
        free = kind.pattern.startswith(("pictures", "settings", "runs/.checkpoints"))
        named = path.name in outcome.said + outcome.answer
        if outcome.code == 0 and not (same or free or named):
            bad.append("wrong answers accepted")
        _count(counts, outcome, bad, f"{' '.join(command)}: {path}: {what}")
    return counts


def _paths(project: Path, pattern: str) -> list[Path]:
    found = (path.relative_to(project) for path in project.rglob("*") if path.is_file())
    return sorted(path for path in found if _fits(path, pattern))


def _fits(path: Path, pattern: str) -> bool:
    names = pattern.split("/")
    return len(names) == len(path.parts) and all(map(fnmatch, path.parts, names))


def _for_run(command: Sequence[str], path: Path) -> list[str]:
    name = path.parts[1] if path.parts[0] == "runs" else "best"
    return [name if word == "RUN" else word for word in command]


def _forged(home: Path) -> Counter[str]:
    """Try what was made on purpose; each has to be refused, or to do no harm."""
    counts: Counter[str] = Counter()
    shards = _paths(home / "project", SHARDS)
    for what, forge, command, accepted in forgeries():
        folder = home / "attempt"
        _copy(home / "project", folder)
        name = forge(folder)
        sound = [path for path in shards if _is_same(home / "project" / path, folder / path)]
        outcome = _child(folder, [name if word == "RUN" else word for word in command])
        bad = _judge(outcome, [str(path) for path in sound if not (folder / path).is_file()])
        if outcome.code == 0 and not accepted:
            bad.append("wrong answers accepted")
        _count(counts, outcome, bad, f"{' '.join(command)}: {what}")
        shutil.rmtree(folder)
    return counts


def _is_same(path: Path, other: Path) -> bool:
    return other.is_file() and path.read_bytes() == other.read_bytes()


def _count(counts: Counter[str], outcome: Outcome, bad: Sequence[str], what: str) -> None:
    counts["attempts"] += 1
    counts["worked" if outcome.code in (0, 1) else "refused"] += 1
    counts.update(bad)
    if bad:
        print(
            f"  {', '.join(bad)}: {what} {outcome.events}\n    {outcome.said[-1500:]}", flush=True
        )


def _judge(outcome: Outcome, renamed: Sequence[str]) -> list[str]:
    bad = [event.partition(":")[0] for event in outcome.events]
    if outcome.code in (None, -signal.SIGXCPU):
        bad.append(HANGS)
    elif outcome.code not in (0, 1, 2) or "Traceback" in outcome.said:
        bad.append("tracebacks")
    if outcome.peak_bytes > MOST_BYTES:
        bad.append("memory over 2 GiB")
    return bad + ["sound shards renamed"] * len(renamed)


def _copy(project: Path, folder: Path) -> None:
    """Copy a project; of the converted models, which are large, the files are shared."""
    shutil.copytree(project, folder, ignore=shutil.ignore_patterns("models"))
    shutil.copytree(project / "features/models", folder / "features/models", copy_function=os.link)


def _on_copy(
    home: Path, command: Sequence[str], path: Path | None, changed: bytes
) -> tuple[Outcome, list[str]]:
    """Run a command on a copy of the project in which one file is another."""
    folder = home / "attempt"
    _copy(home / "project", folder)
    if path is not None:
        (folder / path).unlink()
        (folder / path).write_bytes(changed)
    outcome = _child(folder, command)
    renamed = _renamed(home / "project", folder, path)
    shutil.rmtree(folder)
    return outcome, renamed


def _renamed(project: Path, folder: Path, changed: Path | None) -> list[str]:
    """Return the sound shards that are not where they were."""
    shards = _paths(project, SHARDS)
    return [str(path) for path in shards if path != changed and not (folder / path).is_file()]


def _child(
    folder: Path,
    command: Sequence[str],
    seconds: int = MOST_SECONDS,
    is_enough: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Run a command in a process of its own, in a folder, and watch it; kill it at the end."""
    said, answer, events = (folder.with_name(f"{folder.name}.{end}") for end in "123")
    number = os.fork()
    if number == 0:
        most = seconds // PER_CPU_SECOND
        resource.setrlimit(resource.RLIMIT_CPU, (most, most + 5))
        _inside(folder, command, said, answer, events)
    until, code, usage = time.monotonic() + seconds, None, None
    while time.monotonic() < until and not is_enough():
        ended, status, usage = os.wait4(number, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            break
        time.sleep(0.01)
    else:
        os.kill(number, signal.SIGKILL)
        _, _, usage = os.wait4(number, 0)
    texts = [_text(path) for path in (said, answer, events)]
    noted = tuple(sorted(set(texts[2].splitlines())))
    return Outcome(code, texts[0], texts[1], usage.ru_maxrss * 1024, noted)


def _text(path: Path) -> str:
    return path.read_text("utf-8", "replace") if path.exists() else ""


def _inside(folder: Path, command: Sequence[str], said: Path, answer: Path, events: Path) -> None:
    """Be the process: run the command and end."""
    os.chdir(folder)
    own_stderr()
    resource.setrlimit(resource.RLIMIT_DATA, (8 << 30, 8 << 30))
    # What native code prints goes with the rest.
    os.dup2(os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND), 2)
    sys.addaudithook(_Watch(folder, events))
    out, code = io.StringIO(), TRACEBACK
    try:
        err = said.open("a", encoding="utf-8", errors="replace")
        with err, redirect_stdout(out), redirect_stderr(err):
            code = run(list(command))
        if (folder / CANARY).exists():
            events.write_text("code run: the canary is there\n", "utf-8")
        answer.write_text(_settled(folder, out.getvalue()), "utf-8", "replace")
    except BaseException:  # noqa: BLE001 - whatever it is, a user would have seen it
        os.write(2, traceback.format_exc().encode("utf-8", "replace"))
    finally:
        os._exit(code)


class _Watch:
    """Notes what Python is asked to do that no command here has to."""

    CODE = ("os.system", "os.exec", "os.posix_spawn", "os.spawn", "subprocess.Popen")
    NETWORK = ("socket.connect", "socket.getaddrinfo", "urllib.Request")

    def __init__(self, folder: Path, events: Path) -> None:
        self._elsewhere = str(folder.parent / "elsewhere")
        self._events = os.open(events, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)

    def __call__(self, event: str, arguments: tuple[object, ...]) -> None:
        if event in self.CODE and arguments[0] != "lscpu":  # joblib counts cores with it
            self._note(f"code run: {event} {arguments[:1]!r}")
        elif event in self.NETWORK:
            self._note(f"files outside touched: {event} {arguments[-1]!r}")
        elif event == "open" and isinstance(arguments[0], str):
            self._opened(os.path.realpath(arguments[0]), int(str(arguments[2] or 0)))

    def _opened(self, path: str, flags: int) -> None:
        writes = flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        foreign = not path.startswith(("/dev/", "/proc/", tempfile.gettempdir()))
        if path.startswith(self._elsewhere) or path == "/dev/zero" or (writes and foreign):
            self._note(f"files outside touched: {path}")

    def _note(self, text: str) -> None:
        os.write(self._events, (text.replace("\n", " ") + "\n").encode("utf-8", "replace"))


VARYING = ("seconds", "second", "created", "when", "bytes", "free", "engine", "took", "size")
"""Words in the names of figures that differ from run to run, and say nothing of an answer."""


def _settled(folder: Path, text: str) -> str:
    """Return an answer without what differs from run to run, with the page that was written."""
    try:
        answer = json.dumps(_without_varying(json.loads(text)), sort_keys=True)
    except ValueError:
        answer = text
    page = folder / "out.html"
    return answer + (page.read_text("utf-8") if page.exists() else "")


def _without_varying(value: object) -> object:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if not any(word in k for word in VARYING)}
        return {key: _without_varying(one) for key, one in kept.items()}
    if isinstance(value, list):
        return [_without_varying(one) for one in value]
    return round(value, 5) if isinstance(value, float) else value

"""Stage 1 on every engine that is here, on a GPU where there is one: ``python -m benchmarks gpu``.

Every part runs in a process of its own with a time limit and writes its results as they come, so
that one that fails or hangs takes nothing with it. What is not reached before the time is up is
said. It works with one framework alone and needs no network. ``--budget SECONDS``, ``--out DIR``,
``--engines jax,torch``.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from time import monotonic, time
from typing import Any

from benchmarks.gpu_table import table
from benchmarks.machine import cards, machine
from pipeline.system.machine import core_count
from pipeline.system.startup import installed

BASES = ("EfficientNetLite0", "ResNet50", "VGG16", "ViT-S16")
ENGINES = ("jax", "torch", "tensorflow", "openvino")
SECONDS = {True: 300, False: 240}
"""In all; with a card, and without."""
LIMIT = {True: 150, False: 90}
"""Of one part."""
LEAST = 5
"""Seconds that a part is started for."""
PHOTOS_PER_CORE, MOST_PHOTOS, PHOTOS_WITHOUT_CARD = 1000, 16_000, 320
PROCESSES = "processes"
NO_CARD = {"CUDA_VISIBLE_DEVICES": "", "JAX_PLATFORMS": "cpu"}


@dataclass
class Session:
    """Parts that ran, what they found, and the time that is left.

    Args:
        work: Scratch folder.
        out: The file that results go to, after each part.
        deadline: When to stop, in seconds of `monotonic`.
        limit: Seconds of one part, at most.
        results: Everything so far.
    """

    work: Path
    out: Path
    deadline: float
    limit: float
    results: dict[str, Any] = field(default_factory=dict)

    def run(self, part: str, *, device: str = "card", limit: float = 0, **given: Any) -> list[Any]:
        """Run a part in a process of its own; return what it noted, whole or not."""
        name = " ".join([part, *map(str, given.values())])
        left = min(limit or self.limit, self.deadline - monotonic())
        entry: dict[str, Any] = {"part": part, "given": given, "device": device, "notes": []}
        if left < LEAST:
            entry["failed"] = "not run: the time was up"
        else:
            self._start(entry, left)
        self.results.setdefault("parts", []).append(entry)
        self.write()
        told = entry.get("failed") or "; ".join(json.dumps(note) for note in entry["notes"])
        print(f"{name}: {told.strip().splitlines()[-1] if told else 'done'}", flush=True)
        notes: list[Any] = entry["notes"]
        return notes

    def _start(self, entry: dict[str, Any], seconds: float) -> None:
        notes, log = self.work / "notes.jsonl", self.work / "log.txt"
        notes.unlink(missing_ok=True)
        given = {"work": str(self.work), "notes": str(notes), "began": time(), **entry["given"]}
        engine = entry["given"].get("engine", "torch" if entry["part"] == "loader" else "")
        backend = {"KERAS_BACKEND": engine} if engine not in ("", "openvino") else {}
        environment = {**os.environ, **backend, **(NO_CARD if entry["device"] == "cpu" else {})}
        command = [sys.executable, "-m", "benchmarks.gpu_parts", entry["part"], json.dumps(given)]
        began = monotonic()
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                command, stdout=stderr, stderr=stderr, env=environment, start_new_session=True
            )
            entry["failed"] = _failure(process, seconds)
        entry["seconds"] = round(monotonic() - began, 2)
        if entry["failed"] is None:
            del entry["failed"]
        else:
            entry["log"] = log.read_text("utf-8", "replace")[-4000:]
            entry["failed"] += f": {_last_line(entry['log'])}"
        if notes.exists():
            entry["notes"] = [json.loads(line) for line in notes.read_text("utf-8").splitlines()]

    def write(self) -> None:
        """Write everything so far, whole."""
        draft = self.out.with_suffix(".new")
        draft.write_text(json.dumps(self.results, indent=1), "utf-8")
        draft.replace(self.out)


def _failure(process: "subprocess.Popen[bytes]", seconds: float) -> str | None:
    """Wait for a process and all that it started; return why it is no success."""
    try:
        code = process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return f"stopped after {seconds:.0f} s"
    return f"ended with {code}" if code else None


def _last_line(log: str) -> str:
    return next((line for line in reversed(log.splitlines()) if line.strip()), "it said nothing")


def main() -> None:
    """Run what the time allows, print a line for each part and a table, and write JSON."""
    asked = argparse.ArgumentParser("benchmarks gpu")
    found = cards()
    asked.add_argument("--budget", type=float, default=SECONDS[bool(found)])
    asked.add_argument("--engines", default=",".join(ENGINES))
    asked.add_argument("--out", type=Path, default=Path("gpu-results"))
    arguments = asked.parse_args(sys.argv[2:])
    arguments.out.mkdir(parents=True, exist_ok=True)
    name = (found[0]["name"] if found else "no-gpu").replace(" ", "-")
    out = arguments.out / f"gpu-{name}-{date.today()}.json"
    with tempfile.TemporaryDirectory(prefix="gpu-bench-") as work:
        session = Session(
            Path(work), out, monotonic() + arguments.budget, LIMIT[bool(found)], machine()
        )
        try:
            _all(session, arguments.engines.split(","), has_card=bool(found))
        finally:
            session.write()
            text = table(session.results)
            out.with_suffix(".txt").write_text(text, "utf-8")
            print(text, f"\nwritten: {out}", sep="", flush=True)


def _all(session: Session, wanted: list[str], has_card: bool) -> None:
    """Run every part, what matters most first."""
    cores = core_count()
    n_photos = min(MOST_PHOTOS, PHOTOS_PER_CORE * cores) if has_card else PHOTOS_WITHOUT_CARD
    session.run("prepare", device="cpu", n_photos=n_photos)
    written = [bool(session.run("weights", device="cpu", base=base)) for base in BASES[1:]]
    bases = [base for base, there in zip(BASES, (True, *written), strict=True) if there]
    present = [name for name in ENGINES if name in wanted and installed(name)]
    session.results["engines"] = present
    engines = [name for name in present if name != "openvino" or not has_card]
    decode = session.run("decode", device="cpu", limit=30, n_cores=cores)
    ceiling = max((note["rate"] for note in decode if note["by"] != PROCESSES), default=None)
    for base in bases:
        if engines:
            session.run("reference", device="cpu", engine=present[-1], base=base)
        able = [
            engine
            for engine in engines
            if session.run(
                "speed", engine=engine, base=base, decode_ceiling=ceiling, has_card=has_card
            )
        ]
        if installed("torch"):
            session.run("loader", base=base, has_card=has_card, workers=cores)
        if base == bases[0] and able:
            quickest = able[0 if has_card else -1]
            session.run("kill", engine=quickest, n_photos=512 if has_card else 256)
            if installed("tensorflow"):
                session.run("finetune")
        engines = able
    if not installed("torch"):
        session.results["loader"] = "no DataLoader to compare with: PyTorch is not installed"
    if not installed("tensorflow"):
        session.results["finetune"] = "not run: fine-tuning runs on TensorFlow, not installed here"


@contextmanager
def notes_of(path: str) -> Iterator[Any]:
    """Give what appends a note to a file, at once."""
    with Path(path).open("a", encoding="utf-8") as file:

        def note(**values: Any) -> None:
            file.write(json.dumps(values) + "\n")
            file.flush()

        yield note

"""What to ask a person about pictures: labels that look wrong, mistakes, look-alikes, suggestions.

Each content is asked about once, under the first of these that it is found by.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from pipeline.check.check import DataCheck
from pipeline.errors import DataError, InputError, UnknownNameError
from pipeline.images import Dataset
from pipeline.images.corrections import DROP, rows_of_table
from pipeline.images.sources import PlacedFiles
from pipeline.images.splits import rows_of_bytes
from pipeline.report.album import RunPredictions
from pipeline.report.material import shared
from pipeline.system.cells import named_as, plain
from pipeline.system.units import named

SUSPECTS, MISTAKES, ALIKE, SUGGESTED = (
    "Labels that look wrong",
    "Surest mistakes of the run",
    "Copies and near-copies",
    "Suggestions",
)
SECTIONS = (SUSPECTS, MISTAKES, ALIKE, SUGGESTED)
MOST_OF_A_GROUP = 6


@dataclass(frozen=True)
class Question:
    """A picture that a person is asked about.

    Args:
        section: Why, one of `SECTIONS`.
        path: As a table of corrections names it.
        digest: Of its content.
        read: Returns its bytes; raises OSError.
        label: What it is labelled; None where it is not, or its copies differ.
        looks: What it looks like; None where nothing says it.
        why: The reason, in words.
        group: Number of the look-alikes that it belongs to; None where it has none.
        ours: Whether the data set has it, so that it can be dropped from there.
    """

    section: str
    path: str
    digest: bytes
    read: Callable[[], bytes]
    label: str | None = None
    looks: str | None = None
    why: str = ""
    group: int | None = None
    ours: bool = True


def about_data(checked: DataCheck, predictions: RunPredictions | None) -> Iterator[Question]:
    """Yield what a data set raises: suspect labels, a run's mistakes, look-alikes, the worst first.

    Args:
        checked: What was found in it.
        predictions: What a run says of its test pictures.
    """
    dataset = checked.dataset
    rows = _rows_of(dataset)
    labels = {one: {dataset.classes[dataset.labels[row]] for row in rows[one]} for one in rows}

    def ask(digest: bytes, section: str, **more: Any) -> Question:
        row, said = rows[digest][0], labels[digest]
        label = next(iter(said)) if len(said) == 1 else None
        read = partial(dataset.read, row)
        return Question(section, dataset.paths[row], digest, read, label, **more)

    for one in checked.suspects:
        looks = dataset.classes[one.suggested]
        why = (
            f"labelled {dataset.classes[dataset.labels[one.row]]} ({one.given_probability:.3f}), "
            f"looks like {looks} ({one.suggested_probability:.3f})"
        )
        yield ask(dataset.digests[one.row].tobytes(), SUSPECTS, looks=looks, why=why)
    if predictions is not None:
        digests, sure = rows_of_bytes(predictions.digests), predictions.confidence
        for row in predictions.surest_mistakes().tolist():
            called = predictions.classes[predictions.called[row]]
            if called not in labels.get(digests[row], {called}) and called in dataset.classes:
                why = f"the run calls it {called} ({sure[row]:.3f})"
                yield ask(digests[row], MISTAKES, looks=called, why=why)
    yield from _alike(checked, labels, ask)


def _alike(
    checked: DataCheck,
    labels: Mapping[bytes, set[str]],
    ask: Callable[..., Question],
) -> Iterator[Question]:
    """Yield look-alikes group by group; copies of one content are a question if labels differ."""
    dataset = checked.dataset
    for number, group in enumerate(checked.duplicates):
        contents = list(dict.fromkeys(rows_of_bytes(dataset.digests[group.rows])))
        apart = len({name for one in contents for name in labels[one]}) > 1
        if len(contents) == 1 and not apart:
            continue
        told = "copies" if group.exact else f"alike ({group.similarity:.3f})"
        if apart:
            said = [
                f"{dataset.paths[row]} {dataset.classes[dataset.labels[row]]}"
                for row in group.rows.tolist()
            ]
            told = f"{told} with different labels: {named(said)}"
        for digest in contents[:MOST_OF_A_GROUP]:
            yield ask(digest, ALIKE, why=told, group=number)


def _rows_of(dataset: Dataset) -> dict[bytes, list[int]]:
    rows: dict[bytes, list[int]] = {}
    for row, digest in enumerate(rows_of_bytes(dataset.digests)):
        rows.setdefault(digest, []).append(row)
    return rows


def suggested(
    file: str, classes: Sequence[str] | None, dataset: Dataset | None
) -> tuple[list[Question], list[str]]:
    """Read a table of suggestions.

    Args:
        file: As `pipeline suggest` writes it; a path for each row will do.
        classes: That there are; None where a table may name others.
        dataset: What is labelled already; None without one.

    Returns:
        The pictures, in order, and the paths of those that are not there.

    Raises:
        InputError: It is no such table, or none of its pictures is there.
        DataError: It says two labels of one picture.
        UnknownNameError: A label is no class.
    """
    folder, files = os.path.dirname(os.path.abspath(file)), PlacedFiles()
    found, lost, known = dict[bytes, Question](), [], dict[bytes, str]()
    if dataset is not None:
        names_ = (dataset.classes[label] for label in dataset.labels.tolist())
        known.update(zip(rows_of_bytes(dataset.digests), names_, strict=True))
    names = ("path", "digest", "label", "prediction", "probability", "reason")
    for number, row in rows_of_table(file, names, "suggestions"):
        path, said, label, prediction, probability, reason = row
        path = named_as(path, lambda one: _is_there(files, os.path.join(folder, one)))
        if classes is not None:
            label, prediction = (named_as(one, classes.__contains__) for one in (label, prediction))
        if label and classes is not None and label not in (*classes, DROP):
            hint = f"in row {number} of {file} give a class, or {DROP}, or nothing"
            raise UnknownNameError("label", label, [*classes, DROP], hint)
        place = os.path.join(folder, path)
        try:
            digest = bytes.fromhex(said) if len(said) == 64 else files.digest(place)
        except (OSError, ValueError):
            lost.append(path)
            continue
        looks = prediction if classes is None or prediction in classes else ""
        called = f"looks like {prediction} ({probability})" if prediction and probability else ""
        why = "; ".join(filter(None, (called, reason)))
        given = known.get(digest) if label in ("", DROP) else label
        one = Question(SUGGESTED, place, digest, partial(files.read, place), given)
        one = replace(one, looks=looks or None, why=why, ours=digest in known)
        if (other := found.setdefault(digest, one)).label != one.label:
            raise DataError(
                f"expected one label for a picture in {file}, received {other.label!r} and "
                f"{one.label!r} for {path}: keep one of the two"
            )
    if not found:
        raise InputError(
            f"expected pictures in {file}, received {named(lost) if lost else 'no rows'}"
            f"{', none of which is there' if lost else ''}: suggest some first"
        )
    return list(found.values()), lost


def _is_there(files: PlacedFiles, place: str) -> bool:
    try:
        return bool(files.digest(place))
    except (OSError, ValueError):
        return False


def once(
    questions: Iterable[Question], known: frozenset[bytes], most: int
) -> tuple[list[Question], int]:
    """Return questions about different pictures, at most so many, and how many there were.

    Every section gets its share; what a small one leaves goes to the others.
    """
    first: dict[bytes, Question] = {}
    for one in questions:
        if one.digest not in known:
            first.setdefault(one.digest, one)
    each = ([one for one in first.values() if one.section == name] for name in SECTIONS)
    sections = list(filter(None, each))
    shares = shared(most, [len(one) for one in sections])
    kept = [one[:share] for one, share in zip(sections, shares, strict=True)]
    return [one for part in kept for one in part], len(first)


def said_before(
    corrections: str | None, dataset: Dataset | None
) -> tuple[frozenset[bytes], list[tuple[str, str, str]]]:
    """Return what `--corrections` says already: the contents, and its rows, which are saved again.

    Paths that are relative to that table are absolute here, as the new one may lie elsewhere.
    """
    if corrections is None:
        return frozenset(), []
    folder = os.path.dirname(os.path.abspath(corrections))
    at = dict[str, bytes]()
    if dataset is not None:
        at.update(zip(dataset.paths, rows_of_bytes(dataset.digests), strict=True))
    files, known, rows = PlacedFiles(), set[bytes](), []
    names = ("path", "digest", "label")
    for _, (written, digest, label) in rows_of_table(corrections, names):
        # A table of its own, without data beside it, has no class that means to drop.
        if not label or (label == DROP and dataset is None):
            continue
        path = named_as(written, lambda one: one in at or os.path.exists(f"{folder}/{one}"))
        place = os.path.normpath(os.path.join(folder, path))
        whole = place if path and path not in at and os.path.exists(place) else path
        said = digest or (path if len(path) == 64 else "")
        try:
            content = bytes.fromhex(said) or at.get(path) or files.digest(place)
        except (OSError, ValueError):
            content = b""
        known.add(content)
        rows.append((plain(whole), label, content.hex() or digest))
    return frozenset(known), rows

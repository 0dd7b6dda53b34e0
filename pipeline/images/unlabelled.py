"""Pictures whose folders say no class: what to say of them, and where their labels may stand."""

import posixpath
from collections.abc import Callable, Sequence

from pipeline.errors import DataError
from pipeline.images.branches import Branch
from pipeline.images.doubts import BY_NAMES, Doubt, Way, names_kinds
from pipeline.images.layout import FOLDERS, HOW_TO, LAY_OUT
from pipeline.images.patterns import label_as_numbered
from pipeline.images.tables.annotations import table_hint
from pipeline.images.walk import Parts, Survey
from pipeline.system.units import named

_IN_NAMES = Way({"label_pattern": BY_NAMES}, "")
_UNSORTED = ("unknown", "unlabelled", "unlabeled")


def check_several(where: str, labels: set[str]) -> None:
    """Raise Doubt if all pictures are of one class: their names may say more."""
    if len(labels) == 1:
        (only,) = labels
        seen = f"expected two classes or more in {where}, received only {only!r}"
        raise Doubt(seen, [_IN_NAMES], FOLDERS.second_class, fits=False)


def check_labelled(
    where: str, survey: Survey, branches: Sequence[Branch], read: Callable[[str], bytes]
) -> None:
    """Refuse a source, or a split, whose pictures lie in no class folder.

    ``read`` reads a text that may say labels, for the message.

    Raises:
        DataError: There is no picture.
        Doubt: Their classes are said elsewhere, or nowhere.
    """
    if not survey.n_pictures():
        raise DataError(f"expected pictures in class folders in {where}, received none: {HOW_TO}")
    trained = {p[0] for b in branches if b.split == "train" for p, _ in b.held if p}
    if len(trained) == 1:  # one class is none where it is called images
        trained = {name for name in trained if not names_kinds(name)}
    loose = [is_numbered(survey, branch.parts) for branch in branches]
    by_names = any(loose) and not all(loose)
    bad = []
    for branch, numbered in zip(branches, loose, strict=True):
        classes = {parts[0] for parts, _ in branch.held if parts}
        if branch.split and all(_is_unsorted(branch, name) for name in classes - trained):
            classes &= trained
        if branch.held and not (numbered if branch.split and by_names else classes):
            bad.append(branch)
    if bad:
        raise _unlabelled(where, survey, bad, [b for b in branches if b not in bad], read)


def is_numbered(survey: Survey, parts: Parts) -> bool:
    """Return whether labels and numbers are the names of all pictures in a folder."""
    return label_as_numbered([(None, path) for path in survey.folders[parts].pictures]) is not None


def _is_unsorted(branch: Branch, name: str) -> bool:
    """Return whether a folder in a split folder says that its pictures have no class."""
    return names_kinds(name) or name.lower() in (branch.folder[-1].lower(), *_UNSORTED)


def _unlabelled(
    where: str,
    survey: Survey,
    bad: Sequence[Branch],
    others: Sequence[Branch],
    read: Callable[[str], bytes],
) -> Doubt:
    """Return what to ask about splits, or a source, without class folders."""
    first = bad[0]
    example = next(folder for folder in survey.below(first.parts) if folder.pictures).pictures[0]
    listed = _listed_labels(survey, example, read)
    if not first.split:
        seen = (
            f"expected class folders in {where}, received {survey.n_pictures(first.parts)} "
            f"pictures without any, e.g. {example}"
        )
        loose = not listed and not survey.children(first.parts)
        return Doubt(seen, [_IN_NAMES], listed or LAY_OUT, fits=False, loose=loose)
    names = ["/".join(branch.folder) for branch in bad]
    labelled = Way(
        {"only": ",".join("/".join(branch.folder) for branch in others)},
        f"if those in {named(names, 3, str)} have no labels",
    )
    return Doubt(
        f"expected class folders in {'/'.join((where.rstrip('/'), *first.parts))}, received "
        f"pictures without any, e.g. {example}",
        [labelled, _IN_NAMES],
        listed or f"move each to {names[0]}/<class>/",
        fits=False,
    )


def _listed_labels(survey: Survey, example: str, read: Callable[[str], bytes]) -> str | None:
    """Return how to give the labels if a text beside a picture without class lists them."""
    parts = tuple(example.split("/")[:-1])
    for depth in range(len(parts), -1, -1):
        start = "/".join((*parts[:depth], ""))
        for path in survey.folders[parts[:depth]].others:
            if path.lower().endswith((".csv", ".tsv", ".parquet")):
                return f"if {path} says the labels, give that table instead of the folder"
            if path.lower().endswith(".txt") and (hint := _hint(read, path, example, start)):
                return f"{path} seems to say the labels; {hint}"
    return None


def _hint(read: Callable[[str], bytes], path: str, example: str, start: str) -> str | None:
    try:
        text = read(path).decode("utf-8", "replace")
    except OSError:
        return None
    inner = posixpath.dirname(example[len(start) :])
    return table_hint(text.splitlines(), f"{inner}/" if inner else "")

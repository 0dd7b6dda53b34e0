"""What is in the data: classes, copies, leaks into the test, labels that look wrong.

Nothing of the user's is changed. Contents are compared by their digests, look-alikes and labels by
cached features; without features, the rest is said all the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from pipeline.check import (
    ClassBalance,
    Group,
    Leak,
    NearPairs,
    Suspect,
    accuracy_without,
    class_balance,
    components,
    duplicate_groups,
    find_leaks,
    near_pairs,
    suspect_labels,
    unseen_probabilities,
)
from pipeline.check.suspects import by_chance, check_apart
from pipeline.config import CheckConfig
from pipeline.errors import DataError
from pipeline.features import left_out_of
from pipeline.features.base import inputs_of
from pipeline.features.extract import CachedFeatures
from pipeline.features.table import FeatureTable, Input
from pipeline.images import SPLITS, Dataset
from pipeline.images.leftout import causes
from pipeline.images.remarks import noted
from pipeline.images.splits import content_numbers
from pipeline.images.usable import usable_rows
from pipeline.system.progress import SILENT, Reporter


def split_names(dataset: Dataset) -> Mapping[str, str]:
    """Return what the source calls each split, in the order of `SPLITS`."""
    return {split: split for split in SPLITS} | {"test": dataset.test_name}


def _picture(dataset: Dataset, row: int) -> dict[str, Any]:
    return {
        "path": dataset.paths[row],
        "split": split_names(dataset)[str(dataset.splits[row])],
        "label": dataset.classes[dataset.labels[row]],
    }


def _group(dataset: Dataset, group: Group) -> dict[str, Any]:
    pictures = [_picture(dataset, row) for row in group.rows.tolist()]
    return {
        "exact": group.exact,
        "similarity": group.similarity,
        "contradictory": len({picture["label"] for picture in pictures}) > 1,
        "across_splits": len({picture["split"] for picture in pictures}) > 1,
        "pictures": pictures,
    }


def _leak(dataset: Dataset, leak: Leak) -> dict[str, Any]:
    return {
        **_picture(dataset, leak.row),
        "other": _picture(dataset, leak.other),
        "exact": leak.exact,
        "similarity": leak.similarity,
        "n_others": leak.n_others,
    }


def _suspect(dataset: Dataset, suspect: Suspect) -> dict[str, Any]:
    return {
        **_picture(dataset, suspect.row),
        "probability": suspect.given_probability,
        "suggested": dataset.classes[suspect.suggested],
        "suggested_probability": suspect.suggested_probability,
    }


NO_PAIRS = NearPairs(np.empty((0, 2), int), np.empty(0), 1.0, "")


@dataclass(frozen=True)
class DataCheck:
    """What is in a data set; row numbers are the data set's.

    Args:
        dataset: The pictures.
        used: Those of them that are not left out, for counting.
        balance: Classes by number of used pictures.
        unreadable: Pictures that are left out, as they cannot be read or decoded: ``[{"path",
            "reason"}]``.
        duplicates: Groups of the same bytes, and groups that near-duplicates join.
        leaks: Pictures of test (or validation) that a picture beside it gives away.
        suspects: Labels that look wrong, the worst first.
        agreement: Share of pictures that the head which judged the labels, unseen, called as they
            are labelled; the lower, the less its suspicions mean. None where none judged.
        test: Accuracy with and without leaks, see `accuracy_without`; None without features.
        near: The pairs of near-duplicates, by number of content, with the rule; None without
            features.
        notes: What could not be looked at, and why.
        remarks: What pictures lose as they are decoded: ``[{"path", "reason"}]``.
    """

    dataset: Dataset
    used: Dataset
    balance: ClassBalance
    unreadable: tuple[Mapping[str, str], ...]
    duplicates: tuple[Group, ...]
    leaks: tuple[Leak, ...]
    suspects: tuple[Suspect, ...]
    agreement: float | None
    test: Mapping[str, Any] | None
    near: NearPairs | None
    notes: tuple[str, ...]
    remarks: tuple[Mapping[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the command's ``--json`` value."""
        dataset, balance, near = self.dataset, self.balance, self.near
        return {
            "images": len(self.used),
            "found": dataset.n_found,
            "classes": {name: dict(counts) for name, counts in balance.counts.items()},
            "splits": self.used.counts()["splits"],
            "imbalance": {"ratio": balance.ratio, "sentence": balance.sentence},
            "reading": dataset.reading.to_dict(),
            "corrections": dataset.corrections and dataset.corrections.to_dict(),
            "tree": dataset.tree(),
            "unused": list(dataset.ignored),
            "unreadable": [dict(failure) for failure in self.unreadable],
            "reasons": [cause.to_dict() for cause in causes(self.unreadable)],
            "duplicates": [_group(dataset, group) for group in self.duplicates],
            "leaks": [_leak(dataset, leak) for leak in self.leaks],
            "suspects": [_suspect(dataset, suspect) for suspect in self.suspects],
            "label_agreement": self.agreement,
            "test": None if self.test is None else {"split": dataset.test_name, **self.test},
            "near": None if near is None else {"rule": near.rule, "floor": near.floor},
            "notes": list(self.notes),
            "remarks": [dict(remark) for remark in self.remarks],
        }


def check(config: CheckConfig, cached: CachedFeatures, reporter: Reporter = SILENT) -> DataCheck:
    """Look at the pictures' contents, and at their features as far as they are cached.

    Args:
        config: Which features (the first of ``layers``), how alike near-duplicates are, folds and
            seed.
        cached: The pictures and their features.
        reporter: Told while near-duplicates are searched.
    """
    dataset, contents = cached.dataset, content_numbers(cached.dataset.digests)
    near, suspects, agreement, notes = NO_PAIRS, list[Suspect](), None, list[str]()
    joined = inputs_of(config, cached.base)[0]
    try:
        table = cached.table()
    except DataError as error:
        table = None
        notes.append(f"features were not looked at: {error}")
    if table is not None:
        rows = np.sort(np.concatenate([table.rows(split) for split in SPLITS]))
        features = table.features(joined, rows)
        near = _near(features, contents[rows], config.similarity, reporter)
        try:
            suspects, agreement, chance = _suspects(config, dataset, features, rows, near)
            if chance:
                notes.append(
                    f"labels cannot be judged from these pictures: heads call {agreement:.1%} of "
                    f"them, unseen, as they are labelled, which is no more than chance"
                )
        except DataError as error:
            notes.append(f"labels were not looked at: {error}")
    unreadable = _unreadable(cached)
    used = dataset.taking(usable_rows(dataset, (one["path"] for one in unreadable)))
    leaks = find_leaks(contents, dataset.splits, near.rows, near.similarities)
    exact, alike = duplicate_groups(contents, near.rows, near.similarities)
    return DataCheck(
        dataset=dataset,
        used=used,
        balance=class_balance(used.labels, used.splits, used.classes, split_names(dataset)),
        unreadable=unreadable,
        duplicates=tuple(sorted((*exact, *alike), key=lambda group: _harm(dataset, group))),
        leaks=tuple(leaks),
        suspects=tuple(suspects),
        agreement=agreement,
        test=None if table is None else _test(config, table, joined, leaks),
        near=None if table is None else near,
        notes=tuple(notes),
        remarks=_remarks(cached),
    )


def _near(
    features: np.ndarray, contents: np.ndarray, similarity: float | None, reporter: Reporter
) -> NearPairs:
    """Find near-duplicates among distinct contents; pairs are numbers of contents, lower first."""
    numbers, first = np.unique(contents, return_index=True)
    found = near_pairs(features[first], similarity, reporter)
    return replace(found, rows=numbers[found.rows])


def _suspects(
    config: CheckConfig,
    dataset: Dataset,
    features: np.ndarray,
    rows: np.ndarray,
    near: NearPairs,
) -> tuple[list[Suspect], float, bool]:
    """Judge every label by a head that has seen neither the picture nor its likes.

    Returns:
        The suspects, the share of pictures that the head called as they are labelled, and whether
        that is no more than chance; then nothing is suspect.
    """
    groups, labels = _together(dataset, near)[rows], dataset.labels[rows]
    check_apart(dataset.classes, labels, groups)
    alone = len(np.unique(groups)) == len(rows)
    probabilities = unseen_probabilities(
        features,
        labels,
        len(dataset.classes),
        None if alone else groups,
        config.folds,
        config.seed,
    )
    called = probabilities.argmax(1)
    chance = by_chance(called, labels)
    found = [] if chance else suspect_labels(probabilities, labels)
    suspects = [replace(one, row=int(rows[one.row])) for one in found]
    return suspects, float(np.mean(called == labels)), chance


def _together(dataset: Dataset, near: NearPairs) -> np.ndarray:
    """Number rows alike that copies, groups or near-duplicates join: (n,) int."""
    keys, contents = content_numbers(dataset.keys), content_numbers(dataset.digests)
    n_keys = int(keys.max()) + 1
    key_of = np.empty(int(contents.max()) + 1, int)
    key_of[contents] = keys
    return components(n_keys, key_of[near.rows])[keys]


def _test(
    config: CheckConfig, table: FeatureTable, joined: Input, leaks: Sequence[Leak]
) -> Mapping[str, Any]:
    train, test = (
        (table.features(joined, table.rows(split)), table.labels(split))
        for split in ("train", "test")
    )
    leaked = np.isin(table.rows("test"), [leak.row for leak in leaks])
    n_classes = len(table.dataset.classes)
    return accuracy_without(train, test, leaked, n_classes, config.seed)


def _unreadable(cached: CachedFeatures) -> tuple[Mapping[str, str], ...]:
    """Return what stage 1 left out, and what is known of pictures where it did not run."""
    known = left_out_of(cached.dataset, cached.caches.clean)
    found = {one.path: one.to_dict() for one in known}
    found |= {one["path"]: one for one in cached.extraction.failed}
    return tuple(found[path] for path in sorted(found))


def _remarks(cached: CachedFeatures) -> tuple[Mapping[str, str], ...]:
    found = noted(cached.caches.clean.remarks(cached.dataset.digests))
    return tuple({"path": cached.dataset.paths[row], "reason": found[row]} for row in found)


def _harm(dataset: Dataset, group: Group) -> tuple[Any, ...]:
    """Sort key: labels that contradict each other first, then several splits, then many rows."""
    n_labels = len(np.unique(dataset.labels[group.rows]))
    n_splits = len(np.unique(dataset.splits[group.rows]))
    return -n_labels, -n_splits, not group.exact, -len(group.rows), int(group.rows[0])

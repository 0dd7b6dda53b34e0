"""Split pictures by their content: stable under moving, renaming and adding.

Each picture draws a number in [0, 1) from a hash of its content digest and the seed; those below
the fraction are held out. Nothing else is looked at, so a picture stays where it is whatever
happens to the others. The price: the held-out part is only about the fraction asked for.

What is divided are components, here as in slices and folds: pictures of the same bytes, or of the
same group, or joined by a chain of both. So no copy and no group is on two sides.

Only a class that would be left with nothing on one side breaks the rule: one of its pictures, with
all that belongs to it, changes side. In so small a class an added picture may send that one back.
"""

import hashlib
from collections.abc import Sequence

import numpy as np

from pipeline.errors import InputError


def content_numbers(digests: np.ndarray) -> np.ndarray:
    """Number rows by content.

    Args:
        digests: uint8 (n, 32).

    Returns:
        int64 (n,), equal where the digests are; ascending in the order of the digests' bytes.
    """
    words = np.ascontiguousarray(digests).view(">u8").reshape(-1, 4)
    order = np.argsort(words[:, 0], kind="stable")
    first = words[order, 0]
    if (first[1:] == first[:-1]).any():  # copies, or (once in 2^64 pairs) a chance
        order = np.lexsort(words.T[::-1])
    ordered = words[order]
    fresh = np.ones(len(order), np.int64)
    fresh[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    fresh[:1] = 0
    numbers = np.empty(len(order), np.int64)
    numbers[order] = np.cumsum(fresh)
    return numbers


def component_keys(
    digests: np.ndarray, groups: np.ndarray | None, names: Sequence[str]
) -> np.ndarray:
    """Return what stands for each row's component in every draw.

    A picture of no group, with all its copies, draws by its content. A group draws by its name,
    so that adding a picture to it moves none; groups that a copy joins draw as the one whose hash
    is lowest.

    Args:
        digests: uint8 (n, 32), SHA-256 of each file's bytes.
        groups: int64 (n,), index into ``names``, below 0 for no group; None if there are none.
        names: Names of the groups.

    Returns:
        uint8 (n, 32), equal where two rows are of one component.
    """
    if groups is None:
        return digests
    content = content_numbers(digests)
    components = _joined(content, groups, len(names))
    lowest: dict[int, bytes] = {}
    for component, name in zip(components, names, strict=True):
        drawn = hashlib.sha256(b"group:" + encoded(name)).digest()
        lowest[component] = min(lowest.get(component, drawn), drawn)
    by_group = np.frombuffer(b"".join(map(lowest.__getitem__, components)), np.uint8)
    by_group = by_group.reshape(-1, 32)
    keys = digests.copy()
    # Any group of a content stands for its component: they are all joined.
    group_of = np.full(content.max(initial=0) + 1, -1)
    grouped = groups >= 0
    group_of[content[grouped]] = groups[grouped]
    group_of_row = group_of[content]
    keys[group_of_row >= 0] = by_group[group_of_row[group_of_row >= 0]]
    return keys


def _joined(content: np.ndarray, groups: np.ndarray, n_groups: int) -> list[int]:
    """Return, for each group, the number of the component that copies join it to."""
    from scipy.sparse import coo_array  # slow to import; few data sets have groups
    from scipy.sparse.csgraph import connected_components

    rows = np.flatnonzero(groups >= 0)
    rows = rows[np.argsort(content[rows], kind="stable")]
    copied = content[rows][1:] == content[rows][:-1]
    pairs = groups[rows][:-1][copied], groups[rows][1:][copied]
    joined = coo_array((np.ones(len(pairs[0])), pairs), (n_groups, n_groups))
    return connected_components(joined, directed=False)[1].tolist()


def encoded(name: str) -> bytes:
    """Return a name as bytes; names of files need not be valid text on every system."""
    return name.encode("utf-8", "surrogateescape")


def rows_of_bytes(keys: np.ndarray) -> list[bytes]:
    """Return the rows of keys, uint8 (n, 32), as bytes."""
    return np.ascontiguousarray(keys).view("V32").ravel().tolist()


def draws(keys: np.ndarray, purpose: str, seed: int) -> np.ndarray:
    """Map content digests to numbers in [0, 1), evenly and always the same.

    Args:
        keys: uint8 (n, 32), SHA-256 content digests, or what stands for components.
        purpose: What is drawn for; two purposes draw independently. Were it not there, a
            validation slice of train would be drawn from numbers that the test split has cut off.
        seed: Any whole number.

    Returns:
        float64 (n,), row-aligned.
    """
    salt = f"{purpose}:{seed}:".encode()
    drawn = [hashlib.sha256(salt + key).digest()[:8] for key in rows_of_bytes(keys)]
    # 53 bits are what a float holds exactly, so 1.0 cannot come out.
    return (np.frombuffer(b"".join(drawn), ">u8") >> 11) / 2**53


def hold_out(
    keys: np.ndarray, labels: np.ndarray, fraction: float, *, purpose: str, seed: int
) -> np.ndarray:
    """Choose the rows to hold out.

    Args:
        keys: uint8 (n, 32), what stands for each row's component: its content digest, if it is in
            no group.
        labels: integers (n,).
        fraction: Share to hold out, above 0 and below 1.
        purpose: What the split is for, e.g. ``"test"``.
        seed: Any whole number.

    Returns:
        bool (n,), True where the row is held out. Rows with the same key agree. Every class keeps
        a row that is not held out if that is possible at all, and every class with two different
        keys or more has a row held out unless its pictures are all needed elsewhere.

    Raises:
        InputError: If the fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise InputError(
            f"the {purpose} share must lie between 0 and 1, ends excluded; received "
            f"fraction={fraction!r}: give e.g. 0.2"
        )
    numbers = content_numbers(keys)
    n_keys = int(numbers.max(initial=-1)) + 1
    first = np.empty(n_keys, np.int64)
    first[numbers] = np.arange(len(numbers))
    drawn = draws(keys[first], purpose, seed)
    held = drawn < fraction
    members = _members(numbers, labels)
    for pictures in members:
        if held[pictures].all():
            # Numbers ascend with the keys' bytes, which decide between equal draws.
            held[pictures[np.lexsort((pictures, drawn[pictures]))[-1]]] = False
    _hold_some(members, drawn, held)
    return held[numbers]


def _members(numbers: np.ndarray, labels: np.ndarray) -> list[np.ndarray]:
    """Return the numbers of the distinct keys of each class, classes in order."""
    pairs = np.lexsort((numbers, labels))
    labels, numbers = labels[pairs], numbers[pairs]
    new = np.ones(len(labels), bool)
    new[1:] = (labels[1:] != labels[:-1]) | (numbers[1:] != numbers[:-1])
    labels, numbers = labels[new], numbers[new]
    return np.split(numbers, np.flatnonzero(labels[1:] != labels[:-1]) + 1) if len(labels) else []


def _hold_some(members: list[np.ndarray], drawn: np.ndarray, held: np.ndarray) -> None:
    """Hold out one picture of each class that has none held out, emptying no class by it."""
    if all(len(pictures) < 2 or held[pictures].any() for pictures in members):
        return
    classes_of: dict[int, list[int]] = {}
    for label, pictures in enumerate(members):
        for key in pictures.tolist():
            classes_of.setdefault(key, []).append(label)
    n_left = [int((~held[pictures]).sum()) for pictures in members]
    for pictures in members:
        if len(pictures) < 2 or held[pictures].any():
            continue
        for key in pictures[np.lexsort((pictures, drawn[pictures]))].tolist():
            if all(n_left[label] > 1 for label in classes_of[key]):
                held[key] = True
                for label in classes_of[key]:
                    n_left[label] -= 1
                break

"""Split pictures by their content: stable under moving, renaming and adding.

Each picture draws a number in [0, 1) from a hash of its content digest and the seed; those below
the fraction are held out. Nothing else is looked at, so a picture stays where it is whatever
happens to the others, and byte-identical pictures land on one side. The price: the held-out part
is only about the fraction asked for.

Only a class that would be left with nothing on one side breaks the rule: one of its pictures, with
all its copies, changes side. In so small a class an added picture may send that one back.
"""

import hashlib

import numpy as np

from pipeline.errors import InputError


def draw(digest: bytes, purpose: str, seed: int) -> float:
    """Map a content digest to a number in [0, 1), evenly and always the same.

    Args:
        digest: The 32 bytes of a SHA-256 content digest.
        purpose: What is drawn for; two purposes draw independently. Were it not there, a
            validation slice of train would be drawn from numbers that the test split has cut off.
        seed: Any whole number.
    """
    drawn = hashlib.sha256(f"{purpose}:{seed}:".encode() + digest).digest()
    # 53 bits are what a float holds exactly, so 1.0 cannot come out.
    return (int.from_bytes(drawn[:8], "big") >> 11) / 2**53


def hold_out(
    digests: np.ndarray, labels: np.ndarray, fraction: float, *, purpose: str, seed: int
) -> np.ndarray:
    """Choose the rows to hold out.

    Args:
        digests: uint8 (n, 32), SHA-256 of each file's bytes.
        labels: integers (n,).
        fraction: Share to hold out, above 0 and below 1.
        purpose: What the split is for, e.g. ``"test"``.
        seed: Any whole number.

    Returns:
        bool (n,), True where the row is held out. Rows with the same digest agree. Every class
        keeps a row that is not held out if that is possible at all, and every class with two
        different pictures or more has a row held out unless its pictures are all needed elsewhere.

    Raises:
        InputError: If the fraction is out of range.
    """
    if not 0 < fraction < 1:
        raise InputError(
            f"the {purpose} share must lie between 0 and 1, ends excluded; received "
            f"fraction={fraction!r}: give e.g. 0.2"
        )
    keys = [row.tobytes() for row in np.ascontiguousarray(digests)]
    draws = {key: draw(key, purpose, seed) for key in keys}
    held = {key for key, drawn in draws.items() if drawn < fraction}
    members = _members(keys, labels)
    _leave_some(members, draws, held)
    _hold_some(members, draws, held)
    return np.array([key in held for key in keys], dtype=bool)


def _members(keys: list[bytes], labels: np.ndarray) -> list[set[bytes]]:
    """Return the distinct digests of each class, classes in order."""
    members: dict[int, set[bytes]] = {}
    for key, label in zip(keys, labels.tolist(), strict=True):
        members.setdefault(label, set()).add(key)
    return [members[label] for label in sorted(members)]


def _leave_some(members: list[set[bytes]], draws: dict[bytes, float], held: set[bytes]) -> None:
    for pictures in members:
        if pictures <= held:
            held.remove(max(pictures, key=lambda key: (draws[key], key)))


def _hold_some(members: list[set[bytes]], draws: dict[bytes, float], held: set[bytes]) -> None:
    """Hold out one picture of each class that has none held out, emptying no class by it."""
    for pictures in members:
        if len(pictures) < 2 or pictures & held:
            continue
        for key in sorted(pictures, key=lambda key: (draws[key], key)):
            if not any(other - held == {key} for other in members if key in other):
                held.add(key)
                break

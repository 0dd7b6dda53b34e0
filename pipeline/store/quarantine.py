"""The quarantine: pictures that cannot be decoded, with the reason, beside the shards."""

import json
import uuid
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from pipeline.errors import DamagedShardError, StoreError
from pipeline.files import write_json
from pipeline.store.folders import OnDamage
from pipeline.store.keys import DIGEST_BYTES, picture_keys

QUARANTINES = "quarantine-*.json"


def write_quarantine(folder: Path, reasons: Mapping[str, str]) -> None:
    """Write ``{digest in hex: reason}`` as one more file of a recipe folder."""
    write_json(folder / f"quarantine-{uuid.uuid4().hex}.json", dict(reasons))


def read_quarantine(path: Path) -> dict[str, str]:
    """Read one quarantine file: ``{digest in hex: reason}``.

    Raises:
        DamagedShardError: It holds something else.
        StoreError: It may not be read, or is gone.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
        if not all(len(bytes.fromhex(digest)) == DIGEST_BYTES for digest in value):
            raise ValueError("keys that are no SHA-256")
        return {digest: str(reason) for digest, reason in value.items()}
    except OSError as error:
        raise StoreError(
            f"cannot read {path}: {error.strerror or error}; make it readable, nothing is lost"
        ) from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DamagedShardError(
            f"expected JSON of digests and reasons in {path}, received {error}; move that file "
            f"away, its pictures are tried again"
        ) from error


def read_quarantines(folder: Path, on_damage: OnDamage) -> dict[str, str]:
    """Return ``{digest in hex: reason}`` of every picture that a folder knows not to decode."""
    reasons: dict[str, str] = {}
    for path in sorted(folder.glob(QUARANTINES)):
        try:
            reasons.update(read_quarantine(path))
        except DamagedShardError as error:
            on_damage(path, error)
    return reasons


def quarantine_keys(reasons: Mapping[str, str]) -> np.ndarray:
    """Return the quarantined digests as a sorted table of keys: (n,) strings of 32 bytes."""
    digests = np.frombuffer(bytes.fromhex("".join(reasons)), np.uint8)
    return np.sort(picture_keys(digests.reshape(-1, DIGEST_BYTES)))

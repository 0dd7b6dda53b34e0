"""Write scikit-learn's handwritten digits as picture files: a data set that needs no download.

The 1,797 digits come with scikit-learn (from the UCI "Optical Recognition of Handwritten Digits"
test set). They are written as 8 × 8 grey PNG files to ``ROOT/{train,test}/<digit>/<index>.png``.
"""

import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipeline.errors import InputError

TEST_FRACTION = 0.2


@dataclass(frozen=True)
class DigitsReport:
    """What :func:`write_digits` did: the folder, files written, files that were there before."""

    root: Path
    n_written: int
    n_kept: int

    def to_dict(self) -> dict[str, str | int]:
        """Return plain JSON values."""
        return {"root": str(self.root), "written": self.n_written, "kept": self.n_kept}


def write_digits(root: str | Path, seed: int = 0) -> DigitsReport:
    """Write the digits, or what is missing of them.

    The same seed gives the same files, byte for byte. Other files in the folder are left alone.

    Args:
        root: Folder to write to; made if missing.
        seed: Of the stratified split into train (80 %) and test (20 %).

    Returns:
        How many files were written and how many were there already.

    Raises:
        InputError: If ``root`` is a file, if another file has the name of a digit, or if the
            folder holds the digits in another split already: both together would put test
            pictures into train.
    """
    root = Path(root)
    if root.exists() and not root.is_dir():
        raise InputError(
            f"expected a folder for the digits, but {root} is a file: give another path"
        )
    pictures = _pictures(root, seed)
    missing = [
        path for path, (png, twin) in pictures.items() if not _is_there(path, png, twin, seed)
    ]
    try:
        for path in missing:
            _write(path, pictures[path][0])
    except OSError as error:
        raise InputError(
            f"the digits cannot be written into {root}: {error.strerror or error}; make room or "
            "name another folder"
        ) from error
    return DigitsReport(root, len(missing), len(pictures) - len(missing))


def _pictures(root: Path, seed: int) -> dict[Path, tuple[bytes, Path]]:
    """Map each path to its content and to the path it would have in the other split."""
    # scikit-learn takes a second to import, which only this function should cost.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    numbers = np.arange(len(digits.target))
    _, test = train_test_split(
        numbers, test_size=TEST_FRACTION, stratify=digits.target, random_state=seed
    )
    in_test = set(test.tolist())
    pictures = {}
    for number, (image, digit) in enumerate(zip(digits.images, digits.target, strict=True)):
        places = [root / split / str(digit) / f"{number:04d}.png" for split in ("train", "test")]
        own, other = reversed(places) if number in in_test else places
        pictures[own] = (_grey_png(np.round(image * (255 / 16)).astype(np.uint8)), other)
    return pictures


def _is_there(path: Path, png: bytes, twin: Path, seed: int) -> bool:
    if twin.exists() and twin.read_bytes() == png:
        raise InputError(
            f"expected the digits as split by seed={seed}, but {twin} is of another split: use "
            "another folder, or remove this one first"
        )
    if not path.exists():
        return False
    if path.is_dir() or path.read_bytes() != png:
        raise InputError(
            f"expected no file or our own picture at {path}, received another file: move it away"
        )
    return True


def _write(path: Path, content: bytes) -> None:
    """Write under a hidden name and rename, so that half a file is never seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    os.replace(partial, path)


def _grey_png(pixels: np.ndarray) -> bytes:
    """Encode 8-bit grey pixels (height, width) as PNG.

    Written out here because pictures are known by the digest of their bytes: an encoder's bytes
    change with its compression library, while stored (uncompressed) blocks are the same anywhere.
    """
    height, width = pixels.shape
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    lines = b"".join(b"\0" + line.tobytes() for line in pixels)
    png = b"\x89PNG\r\n\x1a\n"
    for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(lines, 0)), (b"IEND", b"")):
        check = zlib.crc32(name + body)
        png += struct.pack(">I", len(body)) + name + body + struct.pack(">I", check)
    return png

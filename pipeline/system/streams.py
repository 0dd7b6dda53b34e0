"""What the program writes to a terminal: it shows what it can, and never ends the work.

What a terminal's encoding cannot show is replaced. What cannot be written, because the reader has
gone or the disk is full, is lost; the work goes on, and its end says so.
"""

import codecs
import io
import os
import sys
import time
from typing import Any, TextIO

_UTF8 = "utf-8"
_NAMES = "names-as-they-are"


class Heedless(io.RawIOBase):
    """Writes on; what fails is lost, and the first failure is kept."""

    def __init__(self, raw: io.RawIOBase) -> None:
        self._raw = raw
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """Answer yes."""
        return True

    def fileno(self) -> int:
        """Return the file descriptor."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether a person looks at it."""
        return self._raw.isatty()

    def write(self, data: Any) -> int:
        """Write what can be written; a pipe that is full for now is waited for."""
        try:
            while (written := self._raw.write(data)) is None:
                time.sleep(0.01)
        except OSError as error:
            self.failure = self.failure or error
            return memoryview(data).nbytes
        return written


def read_names_as_text() -> None:
    """Start the program again, with file names as UTF-8, where names beyond ASCII would be no text.

    Python does so by itself in most plain locales. What the terminal shows stays as it was.
    """
    if sys.getfilesystemencoding() == "ascii":
        if sys.stdout is not None:
            os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])


def own_streams() -> Heedless:
    """Make stdout and stderr of this process such streams; return what stdout is written to."""
    codecs.register_error(_NAMES, _as_it_is)
    _fill_closed_descriptors()
    results = Heedless(_raw(sys.stdout, 1))
    sys.stdout = _text(results, sys.stdout)
    sys.stderr = _text(Heedless(_raw(sys.stderr, 2)), sys.stderr, line_buffering=True)
    return results


def shows_exactly(text: str) -> bool:
    """Whether stdout shows a text to the last sign, as the UTF-8 that programs expect of JSON."""
    try:
        text.encode(_UTF8)
    except UnicodeEncodeError:
        return False
    return _is_utf8(sys.stdout.encoding or _UTF8)


def _fill_closed_descriptors() -> None:
    """Keep the numbers of closed standard streams from going to the files that are opened next."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            # Results that nobody can read are a failure as ever; notices that nobody reads are not.
            mode = os.O_WRONLY if number == 2 else os.O_RDONLY
            os.set_inheritable(os.open(os.devnull, mode), True)


def _raw(stream: TextIO | None, number: int) -> Any:
    """Return what a stream is written to without buffers; None is a stream that was closed."""
    if stream is None:
        return io.FileIO(number, "w", closefd=False)
    return getattr(stream.buffer, "raw", stream.buffer)


def _text(raw: Heedless, like: TextIO | None, line_buffering: bool = False) -> io.TextIOWrapper:
    encoding = _UTF8 if like is None else like.encoding
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding,
        # File names need not be text on every system; where they can be, they are printed so.
        errors=_NAMES if _is_utf8(encoding) else "replace",
        line_buffering=line_buffering or raw.isatty(),
        write_through=bool(getattr(like, "write_through", False)),
    )


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name == _UTF8


def _as_it_is(error: UnicodeError) -> tuple[str | bytes, int]:
    """Give the byte of a file name that is no text back, and a question mark for other signs."""
    assert isinstance(error, UnicodeEncodeError)
    sign = ord(error.object[error.start])
    return bytes([sign - 0xDC00]) if 0xDC80 <= sign <= 0xDCFF else "?", error.start + 1

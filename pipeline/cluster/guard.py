"""Worker processes import the main script again: one that would start over there is refused."""

import ast
import os
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline.errors import ClusterError

GUARD = re.compile(r"__name__|process\(")
"""What the test of a guard looks at: the module's name, or whose process this is."""


@contextmanager
def main_for_workers(cluster: str) -> Iterator[None]:
    """Refuse to start workers from a script that would start workers in each of them again.

    Python imports the script there as ``__mp_main__``. What is typed, or comes by ``-c``, in a
    notebook or on stdin, has no file to import.

    Raises:
        ClusterError: The script runs to here without a guard.
    """
    main = sys.modules["__main__"]
    path, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if path is None or (spec is not None and spec.name.endswith("__main__")):
        yield
    elif os.path.exists(path):
        _check(path, cluster)
        yield
    else:  # Python calls it "<stdin>", and workers would look for that file
        del main.__file__
        try:
            yield
        finally:
            main.__file__ = path


def _check(path: str, cluster: str) -> None:
    line = _running_line(path)
    if line is not None and not _is_guarded(path, line):
        raise ClusterError(
            f'expected cluster={cluster!r} below `if __name__ == "__main__":`, received a call '
            f"without it in {path}, line {line}: every worker imports that script, and would start "
            f"workers again; put what it does into that block"
        )


def _running_line(path: str) -> int | None:
    """Return the line of a script that its main thread is at; None if it is elsewhere."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    while frame is not None:
        code = frame.f_code
        if code.co_name == "<module>" and os.path.abspath(code.co_filename) == os.path.abspath(
            path
        ):
            return frame.f_lineno
        frame = frame.f_back
    return None


def _is_guarded(path: str, line: int) -> bool:
    """Return whether a line of a script is in a guard's block, or that cannot be said."""
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, ValueError, SyntaxError):
        return True
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If))
    return any(
        node.lineno <= line <= (node.end_lineno or line) and GUARD.search(ast.unparse(node.test))
        for node in blocks
    )

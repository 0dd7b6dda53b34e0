"""``python -m pipeline``: the same program as the console script."""

import os
import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from pipeline.cli import run
    from pipeline.system.startup import own_stderr

    own_stderr()
    # File names need not be text on every system; they are printed as they are.
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    sys.stderr.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    try:
        code = run(sys.argv[1:])
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output had enough, as `head` has
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    sys.exit(code)


if __name__ == "__main__":
    main()

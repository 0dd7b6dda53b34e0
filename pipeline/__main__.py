"""``python -m pipeline``: the same program as the console script."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    from pipeline.system.startup import own_stderr
    from pipeline.system.streams import own_streams, read_names_as_text

    read_names_as_text()
    own_stderr()
    results = own_streams()
    from pipeline.cli import run, show

    sys.excepthook = show.crashed

    code = run(sys.argv[1:])
    sys.stdout.flush()
    sys.exit(code or _code_of(results.failure))


def _code_of(failure: OSError | None) -> int:
    """Return the exit code of work that was done, by what became of its results on stdout."""
    from pipeline.cli import show

    if failure is None:
        return 0
    if isinstance(failure, BrokenPipeError):  # the reader of our output had enough, as `head` has
        return 141
    show.error(
        f"expected to write results to standard output, which failed: {failure.strerror}; what was "
        "computed is kept"
    )
    return 1


if __name__ == "__main__":
    main()

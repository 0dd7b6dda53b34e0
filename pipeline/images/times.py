"""Where the time of loading goes."""

import threading


class LoadTimes:
    """Seconds that loading threads spend, added up over the threads.

    Two threads that decode for one second make two seconds: divided by the number of threads it is
    wall time. All attributes may be read while threads are at work.

    Attributes:
        reading: Seconds of reading files.
        decoding: Seconds of checking, decoding and resizing, views included.
        n_files: Files read.
        n_bytes: Bytes read.

    >>> times = LoadTimes()
    >>> times.add(0.5, 1.0, 2000)
    >>> times.reading, times.decoding, times.n_files, times.n_bytes
    (0.5, 1.0, 1, 2000)
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reading = 0.0
        self.decoding = 0.0
        self.n_files = 0
        self.n_bytes = 0

    def add(self, reading: float, decoding: float, n_bytes: int) -> None:
        """Count one file.

        Args:
            reading: Seconds it took to read.
            decoding: Seconds of all that followed.
            n_bytes: Its length.
        """
        with self._lock:
            self.reading += reading
            self.decoding += decoding
            self.n_files += 1
            self.n_bytes += n_bytes

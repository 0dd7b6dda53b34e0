"""How long `similar` takes for a query: ``python -m benchmarks nearest``, on made features."""

from collections.abc import Iterator
from time import monotonic, process_time

import numpy as np

from pipeline.pool.nearest import Standard, nearest

WIDTH, BLOCK = 1280, 3276
SIZES = (10_000, 100_000)


def main() -> None:
    """Print seconds a query, one and ten at once, the product alone, and what a block needs."""
    rng = np.random.default_rng(0)
    for n in SIZES:
        features = rng.random((n, WIDTH), np.float32)
        standard = Standard.of(features[:20_000])

        def blocks(features: np.ndarray = features) -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for begin in range(0, len(features), BLOCK):
                some = features[begin : begin + BLOCK]
                yield np.arange(begin, begin + len(some)), some

        for n_queries in (1, 10):
            began, busy = monotonic(), process_time()
            found = nearest(features[:n_queries], standard, blocks, 41)
            took, cores = (monotonic() - began) / n_queries, (process_time() - busy) / n_queries
            assert [int(one[0, 0]) for one in found] == list(range(n_queries))
            print(
                f"{n} x {WIDTH}, {n_queries} at once: {took:.3f} s a query, {cores:.3f} s of a core"
            )
        began = monotonic()
        features @ features[:1].T
        alone = monotonic() - began
        print(f"  the product alone {alone:.3f} s; {2 * 4 * WIDTH * BLOCK / 1e6:.0f} MB a block")

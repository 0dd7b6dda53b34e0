"""The feature cache: shards of one recipe, and of wider recipes that hold the same values.

The index *is* the shards' columns of digests and views: there is no second file to disagree with
them. Opening writes nothing. Rows of another recipe are found when that recipe covers ours (same
everything, more cuts), so asking for fewer layers than before computes nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from pipeline.errors import DamagedShardError, StoreError
from pipeline.features.store.blocks import FeatureBlocks
from pipeline.features.store.folders import (
    SHARDS,
    covering_folders,
    prepare_folder,
    read_quarantines,
    write_quarantine,
)
from pipeline.features.store.keys import DIGEST_BYTES, ROW_KEY, picture_keys, positions, row_keys
from pipeline.features.store.reader import Shard, gather_rows, read_index
from pipeline.features.store.recipe import CutName, Recipe
from pipeline.features.store.writer import ShardWriter
from pipeline.images.remarks import N_NUMBERS
from pipeline.system.files import OnDamage, leave_damaged, matching, set_aside

ViewNumbers = np.ndarray | int
"""View numbers: one for all rows, or (n,) int; 0 is the clean picture."""

_Indexed = tuple[Shard, np.ndarray, np.ndarray | None]
"""A shard, the keys of its rows, and the remarks on them."""


class FeatureCache:
    """Features of one recipe, addressed by the content of the pictures and the view's number.

    Clean features are view 0 of a recipe whose view is ``{"policy": "clean"}``; augmented views
    are numbers 1 to K of a recipe that differs in its view alone.

    Args:
        root: Folder of all recipes.
        recipe: What the features must have been made with.
        set_aside_damaged: Rename what is damaged to ``damaged-…`` and go on without it, instead
            of raising, when the cache is opened; only `pipeline features` does.

    Raises:
        NewerFormatError: A newer version of this program wrote into the cache.
        DamagedShardError: A shard is damaged and ``set_aside_damaged`` is off.
        StoreError: A shard cannot be read, or two hold rows of different shapes.
    """

    def __init__(self, root: Path, recipe: Recipe, *, set_aside_damaged: bool = False) -> None:
        self.root, self.recipe = root, recipe
        self.folder = root / recipe.id
        self._on_damage: OnDamage = set_aside if set_aside_damaged else leave_damaged
        self._known: dict[Path, _Indexed] = {}
        self.refresh()

    def refresh(self) -> None:
        """Read what came since: shards may be of this or another process, and never change."""
        self.quarantined: dict[str, str] = {}
        known = {}
        for folder, recipe in covering_folders(self.root, self.recipe, self._on_damage):
            self.quarantined.update(read_quarantines(folder, self._on_damage))
            for path in matching(folder, SHARDS):
                found = self._known.get(path) or self._indexed(path)
                # A shard of another recipe that got there is never used.
                if found is not None and found[0].recipe.digest == recipe.digest:
                    known[path] = found
        self._known = known
        self._shards = [shard for shard, _, _ in known.values()]
        check_shapes(self._shards)
        self._locate([keys for _, keys, _ in known.values()])

    def _indexed(self, path: Path) -> _Indexed | None:
        """Return a shard and what is by row in it; None where it is damaged or gone."""
        try:
            index = read_index(path)
        except DamagedShardError as error:
            self._on_damage(path, error)
        except StoreError:
            if path.is_symlink() or path.exists():
                raise
            # another process set it aside meanwhile
        else:
            return index.shard, row_keys(index.digests, index.views), index.remarks
        return None

    def _locate(self, parts: Sequence[np.ndarray]) -> None:
        """Build the sorted table (digest, view) → (shard, row); of equal rows the first counts."""
        n_rows = np.array([len(part) for part in parts], int)
        keys = np.concatenate([np.empty(0, ROW_KEY), *parts])
        rows = np.concatenate(
            [np.empty(0, np.int32), *(np.arange(n, dtype=np.int32) for n in n_rows)]
        )
        order = np.argsort(keys, kind="stable")
        keys = keys[order]
        first = np.ones(len(keys), bool)
        first[1:] = keys[1:] != keys[:-1]
        order = order[first]
        self._table = keys[first]
        self._row_of = rows[order]
        self._shard_of = np.repeat(np.arange(len(n_rows), dtype=np.int32), n_rows)[order]

    def __len__(self) -> int:
        """Return the number of distinct rows (picture and view) that are cached."""
        return len(self._table)

    def has(self, digests: np.ndarray, views: ViewNumbers = 0) -> np.ndarray:
        """Return which of digests (n, 32) uint8 are cached, in one view or in (n,): (n,) bool."""
        return self._positions(digests, views) >= 0

    def _positions(self, digests: np.ndarray, views: ViewNumbers) -> np.ndarray:
        return positions(self._table, row_keys(digests, views))

    def remarks(self, digests: np.ndarray) -> np.ndarray:
        """Return what was lost of pictures (n, 32) uint8 when they were decoded, if it is known.

        Returns:
            (n, 4) int32, same order, see `pipeline.images.remarks`; zeros where nothing is known.
        """
        remarks = np.zeros((len(digests), N_NUMBERS), np.int32)
        found = self._positions(digests, 0)
        held = np.flatnonzero(found >= 0)
        held = held[np.argsort(self._shard_of[found[held]], kind="stable")]
        shards, rows = self._shard_of[found[held]], self._row_of[found[held]]
        for number, (_, _, known) in enumerate(self._known.values()):
            if known is not None:
                begin, end = np.searchsorted(shards, (number, number + 1))
                remarks[held[begin:end]] = known[rows[begin:end]]
        return remarks

    def engines(self) -> dict[str, int]:
        """Return how many rows each engine computed (provenance, not part of the key)."""
        counts: Counter[str] = Counter()
        for shard in self._shards:
            counts[shard.engine] += shard.n_rows
        return dict(counts)

    def sources(self, digests: np.ndarray) -> dict[str, int]:
        """Return from which recipe folders pictures would be read: ``{folder name: rows}``."""
        found = self._positions(digests, 0)
        numbers, counts = np.unique(self._shard_of[found[found >= 0]], return_counts=True)
        names: Counter[str] = Counter()
        for number, count in zip(numbers, counts, strict=True):
            names[self._shards[number].path.parent.name] += int(count)
        return dict(names)

    def read(self, cut: CutName, digests: np.ndarray, views: ViewNumbers = 0) -> np.ndarray:
        """Read one cut's features of digests (n, 32) uint8, in one view or in (n,) views.

        Returns:
            (n, d) or (n, h, w, c), in the order of ``digests`` and in the stored dtype: float32,
            or float16 where the recipe says so.

        Raises:
            StoreError: Some of them are not cached.
            DamagedShardError: A checksum does not hold.
        """
        return gather_rows(self._shards, cut, *self._places(digests, views))

    def _places(self, digests: np.ndarray, views: ViewNumbers) -> tuple[np.ndarray, np.ndarray]:
        """Return the shard of each row and its row there, (n,) int each."""
        self.require(digests, views)
        found = self._positions(digests, views)
        return self._shard_of[found], self._row_of[found]

    def require(self, digests: np.ndarray, views: ViewNumbers = 0) -> None:
        """Raise `StoreError` unless every row is cached."""
        missing = int(np.sum(~self.has(digests, views)))
        if missing or not self._shards:
            raise StoreError(
                f"expected features of all {len(digests)} pictures in {self.folder}, "
                f"{missing} are missing: run `pipeline features` first, or again where pictures "
                f"changed meanwhile"
            )

    def blocks(
        self,
        cuts: Sequence[CutName],
        digests: np.ndarray,
        views: ViewNumbers = 0,
        n_rows: int | None = None,
    ) -> FeatureBlocks:
        """Return features of digests (n, 32) uint8 to be read in blocks, however many there are.

        Cuts lie side by side, each flat. A block has ``n_rows`` at most, or 16 MiB of float32.

        Returns:
            What can be iterated over any number of times; each pass yields every place in
            ``digests`` once, with its features in float32.

        Raises:
            StoreError: Some of them are not cached.
        """
        where = self._places(digests, views)
        shapes = [self.row_shape(cut) for cut in cuts]
        return FeatureBlocks(self._shards, cuts, shapes, *where, n_rows)

    def row_shape(self, cut: CutName) -> tuple[int, ...]:
        """Return the shape of one picture's features of a cut: (d,) or (h, w, c).

        Raises StoreError if nothing is cached.
        """
        self.require(np.empty((0, 32), np.uint8))
        return gather_rows(self._shards, cut, *np.empty((2, 0), int)).shape[1:]

    def writer(self, engine: str, versions: Mapping[str, str]) -> ShardWriter:
        """Return a context manager that takes rows and publishes shards."""
        return ShardWriter(self.folder, self.recipe, engine, versions)

    def quarantine(self, reasons: Mapping[str, str]) -> None:
        """Remember pictures that cannot be decoded: ``{digest in hex: reason}``."""
        if reasons:
            prepare_folder(self.folder, self.recipe)
            write_quarantine(self.folder, reasons)
            self.quarantined.update(reasons)

    def is_quarantined(self, digests: np.ndarray) -> np.ndarray:
        """Return which of ``digests`` (n, 32) are known not to decode: (n,) bool, same order."""
        known = np.frombuffer(bytes.fromhex("".join(self.quarantined)), np.uint8)
        table = np.sort(picture_keys(known.reshape(-1, DIGEST_BYTES)))
        return positions(table, picture_keys(digests)) >= 0

    def reason(self, digest: bytes) -> str | None:
        """Return why the picture with this digest does not decode; None if it is not known to."""
        return self.quarantined.get(digest.hex())


def check_shapes(shards: Sequence[Shard]) -> None:
    """Raise `StoreError` where two shards hold rows of different shapes of the same cut.

    They are of one recipe and of others that cover it, all of which say the same of a cut.
    """
    seen: dict[CutName, Shard] = {}
    for shard in shards:
        for cut, shape in shard.shapes.items():
            first = seen.setdefault(cut, shard)
            if first.shapes[cut] != shape:
                raise StoreError(
                    f"expected rows of one shape of {':'.join(cut)}, received {shape} in "
                    f"{shard.path} and {first.shapes[cut]} in {first.path}; one of them is not "
                    f"what its recipe says: move that one out of the cache, its rows are computed "
                    f"again"
                )


def held_by(folder: Path, recipe: Recipe, digests: np.ndarray) -> np.ndarray:
    """Return which pictures (n, 32) uint8, as they are, the shards of one folder hold: (n,) bool.

    Nothing in it is changed; shards of another recipe that got there do not count.

    Raises:
        DamagedShardError: A shard cannot be read.
        NewerFormatError: A newer version of this program wrote one.
    """
    wanted, held = row_keys(digests, 0), np.zeros(len(digests), bool)
    for path in matching(folder, SHARDS):
        index = read_index(path)
        if index.shard.recipe.digest == recipe.digest:
            held |= np.isin(wanted, row_keys(index.digests, index.views))
    return held

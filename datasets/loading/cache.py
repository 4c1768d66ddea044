"""A disk cache of samples: what a data set and a transform make is kept, and made anew when either has
changed.
"""

from __future__ import annotations

import hashlib
import math
import operator
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, SupportsIndex

from spikeflow.datasets.loading import entry, source
from spikeflow.datasets.transforms.transform import transform_key
from spikeflow.errors import DataError
from spikeflow.files.opened import reading
from spikeflow.files.write import drafted
from spikeflow.version import __version__

SUFFIX = ".entry"
DRAFT = ".draft"
STALE_S = 3600  # a draft of this age was left behind by a writer that was killed
RECOUNT = 256  # entries written between two looks at what other processes have added


class CacheWarning(UserWarning):
    """The cache could not keep a sample, or found a damaged one; the sample itself is right."""


class Cached:
    """A data set whose samples are kept in a folder: ``[i] -> (transform(sample), label)``.

    An entry is found by a digest of: the content of the sample's file (or of the sample, where there is no
    file), its place in it, all settings of the data set, the transforms, and spikeflow's version. So a
    changed file or transform is never answered from the cache. An entry appears whole or not at all, under
    any number of processes; a damaged one is noticed by its checksum and made anew. Where the folder cannot
    be written to (a full disk), there is a warning and the sample is delivered all the same.

    A transform that draws random numbers would always draw the same ones: it is refused here, and applied
    after the cache instead, by the loader.

    Parameters
    ----------
    dataset : anything with a length and ``[i] -> (Events or array, label)``; its own transform is kept, too.
    folder : of the entries; made where there is none. Several caches may share it.
    transform : of what the data set gives, called with the sample and 0.
    limit_bytes : once the folder holds so much, nothing more is kept, and nothing thrown out: an epoch asks
        for every sample once, so throwing out the oldest would throw out what is asked for next. Other
        processes are counted every 256 entries.

    Raises
    ------
    DataError
        Where a transform or a setting of the data set has no stable key, or the transform draws.
    """

    def __init__(
        self,
        dataset: Any,
        folder: str | Path,
        transform: Callable[[Any, int], Any] | None = None,
        limit_bytes: int | None = None,
    ) -> None:
        self.dataset, self.folder, self.transform = dataset, Path(folder), transform
        self.limit_bytes = limit_bytes
        for one in (getattr(dataset, "transform", None), transform):
            if (seeded := _drawing(one)) is not None:
                raise DataError(
                    "cache",
                    f"{type(seeded).__name__}, which draws random numbers",
                    "transforms that draw nothing",
                    "it as transform of the DataLoader, after the cache",
                )
        said = transform_key(transform) if transform is not None else ""
        self._made_by = f"{__version__}\n{source.settings_key(dataset)}\n{said}"
        self._memory: source.Memory = {}
        self._used, self._written = 0, 0

    def __len__(self) -> int:
        return len(self.dataset)

    @property
    def labels(self) -> Any:
        """Of all samples, as the data set has them."""
        return self.dataset.labels

    def __getitem__(self, i: SupportsIndex) -> tuple[Any, int]:
        """Sample i and its label, from the cache or made and kept."""
        at = operator.index(i)
        if not -len(self) <= at < len(self):
            raise IndexError(f"sample {at} of {len(self)}")
        path = self._path(at % len(self))
        found = _read(path)
        if found is None:
            sample, label = self.dataset[at]
            found = (self.transform(sample, 0) if self.transform else sample), label
            self._keep(path, entry.to_bytes(*found))
        return found

    def clear(self) -> int:
        """Delete all entries of the folder, those of other data sets and transforms too; how many there were.

        Other processes may use the cache meanwhile. What a killed writer has left is deleted after an hour.
        """
        count = 0
        for path in _files(self.folder):
            if path.suffix == SUFFIX:
                path.unlink(missing_ok=True)
                count += 1
            elif time.time() - _facts(path)[1] > STALE_S:
                path.unlink(missing_ok=True)
        self._used = self._written = 0
        return count

    def size(self) -> int:
        """Bytes of all entries of the folder."""
        return sum(_facts(path)[0] for path in _files(self.folder))

    def _path(self, i: int) -> Path:
        what = f"{self._made_by}\n{source.sample_key(self.dataset, i, self._memory)}"
        name = hashlib.blake2b(what.encode(), digest_size=20).hexdigest()
        return self.folder / name[:2] / f"{name}{SUFFIX}"

    def _keep(self, path: Path, raw: bytes) -> None:
        if self.limit_bytes is not None and not self._fits(len(raw), self.limit_bytes):
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, raw)
        except OSError as error:
            text = (
                f"{self.folder}: a sample could not be kept ({error.strerror or error}); it is "
                "delivered all the same"
            )
            warnings.warn(text, CacheWarning, stacklevel=3)

    def _fits(self, more: int, limit: int) -> bool:
        if self._written % RECOUNT == 0:
            self._used = self.size()
        if self._used + more > limit:
            return False
        self._used, self._written = self._used + more, self._written + 1
        return True


def _read(path: Path) -> tuple[Any, int] | None:
    try:
        with reading(path) as file:
            return entry.from_bytes(file.read())
    except (OSError, entry.Damaged) as error:
        if isinstance(error.__context__, FileNotFoundError | NotADirectoryError):
            return None
        warnings.warn(f"{path}: a damaged entry of the cache, made anew", CacheWarning, stacklevel=3)
        return None


def _write(path: Path, raw: bytes) -> None:
    """To a draft of a name of its own, then moved: readers see all of it or nothing."""
    with drafted(path, durable=False) as draft:
        draft.file.write(raw)


def _files(folder: Path) -> Iterator[Path]:
    """Entries and drafts below a folder, and nothing else that may lie there."""
    for below in folder.glob("[0-9a-f][0-9a-f]"):
        yield from (path for path in below.iterdir() if path.suffix in (SUFFIX, DRAFT))


def _facts(path: Path) -> tuple[int, float]:
    """Size and time of change."""
    try:
        state = path.stat()
    except FileNotFoundError:  # another process has just moved or deleted it
        return 0, math.inf
    return state.st_size, state.st_mtime


def _drawing(transform: object) -> object | None:
    """The first part of a transform that has a seed."""
    if isinstance(transform, tuple):
        return next((found for part in transform if (found := _drawing(part)) is not None), None)
    if not is_dataclass(transform) or isinstance(transform, type):
        return None
    if getattr(transform, "seed", None) is not None:
        return transform
    return _drawing(tuple(getattr(transform, f.name) for f in fields(transform)))

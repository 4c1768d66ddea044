"""A data set on a disk: its samples found and counted against its metadata, read one by one, split
honestly.
"""

from __future__ import annotations

import copy
import operator
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Generic, SupportsIndex, TypeVar

import numpy as np

from spikeflow.datasets.sets.metadata import Archive, Metadata
from spikeflow.datasets.sets.splits import held_out
from spikeflow.errors import DataError, FileError, SpikeflowWarning
from spikeflow.moved import Renamed
from spikeflow.typing import Array

T = TypeVar("T")
Item = TypeVar("Item")  # what a sample is: Events; for a still image or a drive something else

__all__ = ["Archive", "Metadata", "Dataset", "Index", "NothingFound", "PartialCopy"]


class NothingFound(FileError):
    """A folder that holds no sample of a data set's split."""


class PartialCopy(SpikeflowWarning):
    """A data set was opened of which not all samples are there."""


@dataclass(frozen=True, eq=False)
class Index:
    """What a copy on the disk holds of one split.

    Parameters
    ----------
    root : folder to which `places` are relative.
    layout : in a word, such as ``original`` or ``tonic``.
    places : where each sample lies, as `Dataset.read` takes it: a path below `root` as text, or a value of
        another type (a row, a stretch of a file), best with such a `path`.
    labels : int, ``(samples,)``, index into the metadata's classes.
    groups : int, ``(samples,)``: who spoke or moved, or which image a sample was made of; None where not
        known.
    expected : samples of this split of a complete copy in this layout; None: as the metadata says.
    files : files below `root` that belong to the split beyond the places that are paths, such as tables of
        labels.
    """

    root: Path
    layout: str
    places: Sequence[Any]
    labels: Array
    groups: Array | None = None
    expected: int | None = None
    files: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("labels", "groups"):
            if getattr(self, name) is None:
                continue
            column = np.array(getattr(self, name), np.int64)
            column.setflags(write=False)
            object.__setattr__(self, name, column)
            if column.shape != (len(self.places),):
                raise DataError(f"{self.root}: {name}", column.shape, f"({len(self.places)},), one a sample")

    def take(self, chosen: Array) -> Index:
        """The samples at these positions, in this order."""
        return replace(
            self,
            places=[self.places[i] for i in chosen],
            labels=self.labels[chosen],
            groups=None if self.groups is None else self.groups[chosen],
        )


class Keeping:
    """What is read of files once and stays in memory; copies in other workers start without it."""

    @cached_property
    def _kept(self) -> dict[Any, Any]:
        return {}

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_kept"}

    def _once(self, path: Path, load: Callable[[Path], T]) -> T:
        """What `load` makes of a file, which is read when it is first asked for."""
        if path not in self._kept:
            self._kept[path] = load(path)
        made: T = self._kept[path]
        return made


class Dataset(Keeping, ABC, Generic[Item]):
    """Samples of one split, ``[i] -> (sample, label)``; a class gives `metadata`, `find` and `read`.

    Opening lists files and checks their number; events are read when asked for, so that a data set is small,
    may be pickled, and may be used by several workers at once.

    Parameters
    ----------
    folder : that holds the set, or a folder of several sets that holds it under its usual name.
    split : one of those that the metadata count.
    partial : open an incomplete copy, too, with a warning (`PartialCopy`) and a record in `facts`.
    transform : applied to every sample that `[i]` reads, not to its label.

    Raises
    ------
    DataError
        Where the metadata know no such split, or another number of samples.
    NothingFound
        Where there is nothing of it in the folder; a `FileError`.
    """

    metadata: Metadata
    card = Renamed("metadata")
    place = Renamed("locate")

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if isinstance(own := cls.__dict__.get("card"), Metadata):
            warnings.warn(
                f"{cls.__name__}.card is now {cls.__name__}.metadata", DeprecationWarning, stacklevel=2
            )
            cls.metadata = own
            del cls.card

    def __init__(
        self,
        folder: str | Path,
        split: str = "train",
        partial: bool = False,
        transform: Callable[[Item], Any] | None = None,
    ) -> None:
        self.folder, self.split, self.partial, self.transform = Path(folder), split, partial, transform
        self.selection = ""
        if split not in self.metadata.counts:
            raise DataError(
                f"{self.metadata.name}: split", split, f"one of {', '.join(self.metadata.counts)}"
            )
        if not self.folder.is_dir():
            raise NothingFound(folder, "no such folder", self._prepare_hint())
        index = self._found()
        if index is None:
            raise NothingFound(
                folder, f"holds nothing of {self.metadata.title}, {split}", self._prepare_hint()
            )
        self.index = index
        self.expected = self.metadata.counts[split] if index.expected is None else index.expected
        self._assert_complete()

    @abstractmethod
    def find(self, folder: Path, split: str) -> Index | None:
        """What this folder holds of a split, or None; only names of files and tables of labels are looked
        at.
        """

    @abstractmethod
    def read(self, place: Any) -> Item:
        """The sample at one of the index's places, as its file holds it."""

    def _found(self) -> Index | None:
        """In the folder, or in the one of the set's name below it, where `prepare` puts it."""
        for folder in (self.folder, self.folder / self.metadata.name):
            index = self.find(folder, self.split) if folder.is_dir() else None
            if index is not None and len(index.places):
                return index
        return None

    def _prepare_hint(self) -> str:
        return f"spikeflow data prepare {self.metadata.name} --from FOLDER"

    def _assert_complete(self) -> None:
        labels, classes, found = self.index.labels, len(self.metadata.classes), len(self.index.places)
        if labels.min() < 0 or labels.max() >= classes:
            raise DataError(
                f"{self.metadata.name}: label", f"{labels.min()} to {labels.max()}", f"0 to {classes - 1}"
            )
        self.found = found
        if found == self.expected:
            return
        what = f"{self.index.root}: samples of {self.metadata.name}, {self.split}"
        if found > self.expected:
            raise DataError(what, found, f"{self.expected}", "a folder of its own for each copy")
        if not self.partial:
            raise DataError(
                what, found, f"{self.expected}", "partial=True (--partial) opens an incomplete copy"
            )
        text = f"{what}: found {found}, a complete copy has {self.expected}"
        warnings.warn(text, PartialCopy, stacklevel=3)

    @property
    def labels(self) -> Array:
        """Of all samples, int64; read-only."""
        return self.index.labels

    @property
    def groups(self) -> Array | None:
        """Of all samples, int64, or None where the set does not tell."""
        return self.index.groups

    @property
    def root(self) -> Path:
        """The folder in which the samples were found."""
        return self.index.root

    def __len__(self) -> int:
        return len(self.index.places)

    def locate(self, i: SupportsIndex) -> Any:
        """Where sample i lies, relative to `root`."""
        at = operator.index(i)
        if not -len(self) <= at < len(self):
            raise IndexError(f"{self.metadata.name}, {self.split}: sample {at} of {len(self)}")
        return self.index.places[at]

    def path(self, i: SupportsIndex) -> Path:
        """The file that holds sample i, alone or with others."""
        place = self.locate(i)
        return self.root / getattr(place, "path", place)

    def sample(self, i: SupportsIndex) -> Item:
        """Sample i as its file holds it, without the transform."""
        return self.read(self.locate(i))

    def __getitem__(self, i: SupportsIndex) -> tuple[Any, int]:
        """Sample i, transformed where there is a transform, and its label."""
        sample = self.sample(i)
        return (self.transform(sample) if self.transform else sample), int(self.labels[i])

    def __iter__(self) -> Iterator[tuple[Any, int]]:
        return (self[i] for i in range(len(self)))

    def subset(self, chosen: Iterable[int] | Array, selection: str = "subset") -> Dataset[Item]:
        """The samples at these positions (or of a mask), as a data set; `selection` says in `facts` which
        they are.
        """
        positions = np.asarray(chosen if isinstance(chosen, np.ndarray) else list(chosen))
        if positions.dtype == bool and positions.shape == (len(self),):
            positions = np.flatnonzero(positions)
        if positions.size and (positions.min() < -len(self) or positions.max() >= len(self)):
            raise DataError("subset", f"{positions.min()} to {positions.max()}", f"0 to {len(self) - 1}")
        part = copy.copy(self)
        part.index = self.index.take(positions.astype(np.int64))
        part.selection = f"{self.selection}, {selection}" if self.selection else selection
        return part

    def validation(self, fraction: float = 0.1, seed: int = 0) -> tuple[Dataset[Item], Dataset[Item]]:
        """Training samples and validation samples, disjoint.

        The set's own validation split where it has one. Else a part of the training split, stratified by
        class, that shares no group with the rest (`splits.held_out`); whole groups may make it larger or
        smaller.

        Raises
        ------
        DataError
            Where this is not the training split, or as `splits.held_out` does.
        """
        if self.split != "train":
            raise DataError(f"{self.metadata.name}: validation", f"split {self.split}", "the training split")
        if "validation" in self.metadata.counts:
            return self, self._official_validation()
        chosen = held_out(self.labels, self.groups, fraction, seed)
        words = f"of validation(fraction={fraction:g}, seed={seed})"
        return self.subset(~chosen, f"training part {words}"), self.subset(chosen, f"held-out part {words}")

    def _official_validation(self) -> Dataset[Item]:
        other = copy.copy(self)  # keeps the transform and what a subclass was given
        Dataset.__init__(other, self.folder, "validation", self.partial, self.transform)
        return other

    def files(self) -> list[str]:
        """All files of this split, below `root`: each place that is a path, and the index's further files."""
        paths = {getattr(place, "path", place) for place in self.index.places}
        return sorted({path for path in paths if isinstance(path, str)}.union(self.index.files))

    def facts(self) -> dict[str, Any]:
        """What a result file records of the data it was obtained on."""
        return {
            "dataset": self.metadata.name,
            "split": self.split,
            "selection": self.selection or "all",
            "samples": len(self),
            "found": self.found,
            "expected": self.expected,
            "complete": self.found == self.expected,
            "layout": self.index.layout,
        }


def __getattr__(name: str) -> Any:
    if name == "Card":
        warnings.warn("Card is now Metadata", DeprecationWarning, stacklevel=2)
        return Metadata
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

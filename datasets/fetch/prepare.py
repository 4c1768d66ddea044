"""Bring a data set into place: adopt what a user has, unpack, download, or say exactly what to fetch."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikeflow.datasets.base import Dataset, NothingFound, PartialCopy
from spikeflow.datasets.fetch.download import Progress, download, verify
from spikeflow.datasets.fetch.unpack import drafted, unpack
from spikeflow.datasets.sets.catalog import data_folder, dataset_class
from spikeflow.datasets.sets.metadata import Archive, Metadata
from spikeflow.errors import DataError, FileError
from spikeflow.files.write import check_folder


@dataclass(frozen=True)
class Counted:
    """Samples of one split: found, expected, in which layout, below which folder."""

    found: int
    expected: int
    layout: str = ""
    root: str = ""


@dataclass(frozen=True)
class Prepared:
    """A data set in its place.

    Parameters
    ----------
    name : of the data set.
    folder : to open it with.
    splits : what was counted, for each split.
    done : what was done, in words; empty where all was there.
    """

    name: str
    folder: Path
    splits: Mapping[str, Counted]
    done: tuple[str, ...] = ()

    @property
    def complete(self) -> bool:
        """Whether every split has all its samples."""
        return all(split.found == split.expected for split in self.splits.values())

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "folder": str(self.folder), "complete": self.complete}

    def to_text(self) -> str:
        """A line for each thing done and each split."""
        lines = [*self.done]
        for name, split in self.splits.items():
            where = f", {split.layout} layout, in {split.root}" if split.found else ""
            lines.append(f"{self.name}, {name}: found {split.found} of {split.expected}{where}")
        return "\n".join(lines)


def prepare(
    name: str,
    source: str | Path | None = None,
    target: str | Path | None = None,
    progress: Progress | None = None,
    partial: bool = False,
) -> Prepared:
    """Make a data set ready to open, and count it.

    With `source`: files in any layout that its class knows are adopted where they are; with a `target`, too,
    they are linked (or, across disks, copied) to ``target/name``. Archives found instead are checked and
    unpacked into ``target/name``. Without `source`, missing archives are downloaded. `target` is
    `data_folder()` where None.

    Raises
    ------
    FileError
        Where nothing was found and a person must fetch it: the text says what, from where, and where to put
        it.
    DataError
        Where the copy is not complete, unless `partial`.
    """
    kind = dataset_class(name)
    home = (Path(target) if target else data_folder()) / kind.metadata.name
    if target or source is None:
        check_folder(home)  # a download takes hours
    if source is None:
        return _checked(kind, _obtain(kind, home, progress), partial)
    folder = _source(kind.metadata, Path(source))
    splits = survey(kind, folder)
    archives = [] if _whole(splits) else _archives_in(kind.metadata, folder)
    if archives:
        return _checked(kind, _unpacked(kind, archives, home, progress), partial)
    if not any(split.found for split in splits.values()):
        raise FileError(
            folder, f"holds nothing of {kind.metadata.title}", "\n" + instructions(kind.metadata, folder)
        )
    found = _checked(kind, Prepared(kind.metadata.name, folder, splits), partial)
    return _linked(kind, found, home) if target else found


def _checked(kind: type[Dataset[Any]], prepared: Prepared, partial: bool) -> Prepared:
    if not prepared.complete and not partial:
        missing = [
            f"{s}: {c.found} of {c.expected}" for s, c in prepared.splits.items() if c.found != c.expected
        ]
        hint = "partial=True (--partial) takes an incomplete copy"
        raise DataError(
            f"{prepared.folder}: {kind.metadata.name}", "; ".join(missing), "a complete copy", hint
        )
    return prepared


def survey(kind: type[Dataset[Any]], folder: Path) -> dict[str, Counted]:
    """Count every split in a folder; none found is 0."""
    counted: dict[str, Counted] = {}
    for split, expected in kind.metadata.counts.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PartialCopy)
                found = kind(folder, split, True)
            counted[split] = Counted(found.found, found.expected, found.index.layout, str(found.root))
        except NothingFound:
            counted[split] = Counted(0, expected)
    return counted


def instructions(metadata: Metadata, folder: Path) -> str:
    """What to fetch by hand and where to put it, a line for each file."""
    lines = [
        f"{metadata.title} ({metadata.licence}); put these into {folder}, then: spikeflow data prepare "
        f"{metadata.name} --from {folder}"
    ]
    for archive in metadata.archives:
        facts = [f"{archive.size} bytes"] if archive.size else []
        facts += [
            f"{kind} {value}" for kind, value in (("md5", archive.md5), ("sha256", archive.sha256)) if value
        ]
        why = f"; by hand, since {archive.by_hand}" if archive.by_hand else ""
        lines.append(
            f"  {archive.name} from {archive.url} ({', '.join(facts) or 'no checksum published'}){why}"
        )
    return "\n".join(lines)


def _source(metadata: Metadata, path: Path) -> Path:
    """The folder a user means: itself, or the one that holds the archive given."""
    if path.is_file():
        names = [archive.name for archive in metadata.archives]
        if path.name not in names:
            raise FileError(
                path, f"no archive of {metadata.title} by its name", f"a folder, or one of {', '.join(names)}"
            )
        return path.parent
    if not path.is_dir():
        raise FileError(path, "no such file or folder", "the folder that holds the files or archives")
    return path


def _obtain(kind: type[Dataset[Any]], home: Path, progress: Progress | None) -> Prepared:
    metadata = kind.metadata
    for folder in (home, home.parent):
        if folder.is_dir() and _whole(splits := survey(kind, folder)):
            return Prepared(metadata.name, folder, splits)
    by_hand = [a for a in metadata.archives if a.by_hand and not (home / a.name).is_file()]
    if by_hand or not metadata.archives:
        raise FileError(
            home, f"{metadata.title} must be fetched by hand", "\n" + instructions(metadata, home)
        )
    fetched = []
    for archive in metadata.archives:
        try:
            fetched.append((download(archive, home / archive.into, progress), archive))
        except FileError as error:
            raise FileError(archive.url, error.reason, "\n" + instructions(metadata, home)) from None
    prepared = _unpacked(kind, fetched, home, progress)
    for path, archive in fetched if prepared.complete else []:
        if archive.unpack:
            path.unlink()  # its content is there and counted
    return prepared


def _whole(splits: Mapping[str, Counted]) -> bool:
    return all(split.found == split.expected for split in splits.values())


def _archives_in(metadata: Metadata, source: Path) -> list[tuple[Path, Archive]]:
    """The archives of metadata that lie in a folder, or in that of the set below it; each checked."""
    found = []
    for archive in metadata.archives:
        for folder in (source, source / metadata.name, source / archive.into):
            if (folder / archive.name).is_file():
                verify(folder / archive.name, archive)
                found.append((folder / archive.name, archive))
                break
    return found


def _unpacked(
    kind: type[Dataset[Any]], archives: list[tuple[Path, Archive]], home: Path, progress: Progress | None
) -> Prepared:
    done = []
    for path, archive in archives:
        folder = home / archive.into
        if archive.unpack:
            unpack(path, folder, progress)
            done.append(f"{path} unpacked into {folder}")
        elif path.parent.resolve() != folder.resolve():
            folder.mkdir(parents=True, exist_ok=True)
            _link_or_copy(path, folder / path.name)
            done.append(f"{path} taken into {folder}")
    return Prepared(kind.metadata.name, home, survey(kind, home), tuple(done))


def _linked(kind: type[Dataset[Any]], prepared: Prepared, home: Path) -> Prepared:
    """Every file of every split found, linked to the same place below `home`."""
    files: dict[str, Path] = {}
    for split, counted in prepared.splits.items():
        if counted.found:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", PartialCopy)
                found = kind(prepared.folder, split, True)
            files |= {file: found.root / file for file in found.files()}
    with drafted(home) as draft:
        for file, path in files.items():
            (draft / file).parent.mkdir(parents=True, exist_ok=True)
            _link_or_copy(path, draft / file)
    done = f"{len(files)} files of {prepared.folder} adopted in {home}"
    return Prepared(kind.metadata.name, home, survey(kind, home), (done,))


def _link_or_copy(path: Path, target: Path) -> None:
    try:
        os.link(path.resolve(), target)
    except OSError:  # another disk, or one without hard links
        shutil.copyfile(path, target)

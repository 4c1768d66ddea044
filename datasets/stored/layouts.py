"""How data sets lie on a disk: folders of classes, files in the order of their numbers."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.read import read
from spikeflow.errors import FileError
from spikeflow.events import Events
from spikeflow.typing import Array


def roots(folder: Path, *names: str) -> Iterator[Path]:
    """The folder itself, then those below it (or beside, for ``a/b``) that exist: where a set may have been
    put.
    """
    yield folder
    for name in names:
        if (folder / name).is_dir():
            yield folder / name


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """Sorting key under which 9 comes before 10; the same on every machine, whatever order a disk lists."""
    return tuple(
        (part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"([0-9]+)", name)
    )


def listed(folder: Path, suffix: str) -> list[str]:
    """Names of the files in a folder that end in `suffix`, in natural order; hidden ones are left out."""
    try:
        with os.scandir(folder) as entries:
            names = [
                e.name for e in entries if e.name.lower().endswith(suffix) and not e.name.startswith(".")
            ]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(names, key=natural)


def classes_below(root: Path, below: str, classes: Sequence[str], suffix: str) -> tuple[list[str], Array]:
    """Paths below `root` and labels of all samples ``below/class/*suffix``, class after class."""
    places: list[str] = []
    labels: list[int] = []
    for label, name in enumerate(classes):
        inside = f"{below}/{name}" if below else name
        found = listed(root / inside, suffix)
        places += [f"{inside}/{file}" for file in found]
        labels += [label] * len(found)
    return places, np.array(labels, np.int64)


def number(place: str) -> int:
    """The last number in a file's name, such as 17 of ``image_0017.bin``.

    Raises
    ------
    FileError
        Where the name holds none.
    """
    digits = re.findall(r"[0-9]+", place.rsplit("/", 1)[-1].rsplit(".", 1)[0])
    if not digits:
        raise FileError(place, "no number in its name, by which its split is known")
    return int(digits[-1])


def events_of(path: Path, format: str, **options: Any) -> Events:
    """The events of a file that is one sample.

    Raises
    ------
    FileError
        Where it is not there or empty, which a layout without a header would take for no events; or as `read`
        does.
    """
    try:
        size = path.stat().st_size
    except OSError as error:
        raise FileError(path, f"a sample that cannot be read ({error.strerror})") from None
    if not size:
        raise FileError(path, "an empty file, where a sample should be")
    return read(path, format, **options)

"""What a sample is made of: a text that changes when the file, the data set's settings or the sample's place
do.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeflow.datasets.base import Dataset
from spikeflow.datasets.loading.entry import to_bytes
from spikeflow.datasets.transforms.transform import transform_key
from spikeflow.files.opened import reading

WHOLE = 1 << 26  # bytes of a file up to which all of it is looked at
PART = 1 << 20  # bytes of either end of a larger one
NOT_SETTINGS = {"folder", "split", "partial", "index", "selection", "found", "expected", "metadata"}
Memory = dict[str, tuple[tuple[int, ...], str]]


@dataclass(frozen=True)
class Settings:
    """What a data set was told beyond where it lies: encoders, thresholds, transform."""

    kind: str
    values: tuple[tuple[str, Any], ...]


def settings_key(dataset: Any) -> str:
    """The data set's class, and all that it was told, as text.

    Raises
    ------
    DataError
        Where a setting has no text that is the same in every process, such as a function.
    """
    # ours keep the name of the first caches, whatever room their class lies in
    module = type(dataset).__module__.replace("spikeflow.datasets.sets.", "spikeflow.datasets.")
    kind = f"{module}.{type(dataset).__qualname__}"
    if not isinstance(dataset, Dataset):
        return kind
    told = {k: v for k, v in vars(dataset).items() if not k.startswith("_") and k not in NOT_SETTINGS}
    return transform_key(Settings(kind, tuple(sorted(told.items(), key=lambda pair: pair[0]))))


def sample_key(dataset: Any, i: int, memory: Memory) -> str:
    """Of what sample i is made, as text: the content of its file, place and label; without a file, its own
    content.

    The digest of a file is kept in `memory` as long as size and time of change of the file stay the same. Of
    a file above 64 MiB size, time of change, and the first and the last MiB are taken.

    Raises
    ------
    FileError, DataError
        As the data set does, where the sample has to be made.
    """
    if isinstance(dataset, Dataset):
        path = dataset.path(i)
        if path.is_file():
            return f"{_digest(path, memory)} {dataset.locate(i)!r} {dataset.labels[i]}"
    sample, label = dataset[i]
    return hashlib.blake2b(to_bytes(sample, label)).hexdigest()


def _digest(path: Path, memory: Memory) -> str:
    state = os.stat(path)
    now = (state.st_size, state.st_mtime_ns, state.st_ino)
    known = memory.get(str(path))
    if known is not None and known[0] == now:
        return known[1]
    digest = hashlib.blake2b(digest_size=20)
    with reading(path) as file:
        if state.st_size <= WHOLE:
            digest.update(file.read())
        else:
            digest.update(f"{state.st_size} {state.st_mtime_ns}".encode() + file.read(PART))
            file.seek(-PART, os.SEEK_END)
            digest.update(file.read())
    memory[str(path)] = now, digest.hexdigest()
    return digest.hexdigest()

"""Pictures in the idx format of MNIST, with the labels that lie beside them."""

from __future__ import annotations

import re
from pathlib import Path

from spikeflow.errors import FileError
from spikeflow.samples import Samples

NAME = re.compile(r"(.*)-images[-.]idx3-ubyte(\.gz)?")


def is_idx(path: Path) -> bool:
    """Whether a file is named as MNIST names its pictures, such as ``t10k-images-idx3-ubyte.gz``."""
    return NAME.fullmatch(path.name) is not None and path.is_file()


def read(path: Path) -> Samples:
    """Pictures ``(N, 1, H, W)`` of bytes, and the labels of the file of that name, where there is one.

    Raises
    ------
    FileError
        Where a file is damaged, or holds other than pictures and one label for each.
    """
    from spikeflow.datasets.stored.idx import read_idx

    x, begin = read_idx(path), NAME.fullmatch(path.name)
    if x.ndim != 3 or begin is None:
        raise FileError(path, f"holds an array of shape {x.shape}, no pictures")
    names = [f"{begin[1]}-labels{dot}idx1-ubyte{end}" for dot in "-." for end in (".gz", "")]
    beside = next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)
    y = None if beside is None else read_idx(beside)
    if y is not None and y.shape != x.shape[:1]:
        raise FileError(beside or path, f"holds labels of shape {y.shape} for {len(x)} pictures")
    return Samples(x[:, None], y)

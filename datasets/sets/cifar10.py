"""CIFAR-10: photographs of ten kinds of things, 32 x 32 pixels in colour."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.base import Archive, Index, Metadata
from spikeflow.datasets.sets.images import Array, ImageDataset
from spikeflow.datasets.stored.layouts import listed, roots
from spikeflow.datasets.stored.pickled_arrays import load_pickled
from spikeflow.datasets.stored.rows import rows
from spikeflow.errors import DataError, FileError
from spikeflow.files.opened import read_regular, read_text, reading

SIZE = 32
RECORD = 1 + 3 * SIZE * SIZE  # of the binary version: the label, then all red, all green, all blue
STRIP = 1_000  # images in one PNG strip
MAX_BYTES = 256 << 20
BATCHES = {"train": tuple(f"data_batch_{n}" for n in range(1, 6)), "test": ("test_batch",)}
_URL = "https://www.cs.toronto.edu/~kriz/"
METADATA = Metadata(
    name="cifar10",
    title="CIFAR-10",
    kind="images",
    citation="Krizhevsky 2009, Learning multiple layers of features from tiny images, technical report, "
    "University of Toronto",
    licence="not stated",
    homepage=f"{_URL}cifar.html",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
    counts={"train": 50_000, "test": 10_000},
    split="official",
    width=SIZE,
    height=SIZE,
    archives=(
        Archive(
            "cifar-10-binary.tar.gz", f"{_URL}cifar-10-binary.tar.gz", md5="c32a1d4ab5d03f1284b67883e8d87530"
        ),
    ),
    notes="Still images in colour (`arrays()` gives N x 32 x 32 x 3, RGB); an encoder makes events of their "
    "luminance. Of cifar-10-python.tar.gz the pickles are read without running them. The set's 80 million "
    "tiny images were withdrawn; CIFAR-10 was not.",
)


class CIFAR10(ImageDataset):
    """CIFAR-10; the binary version, the Python version, or PNG strips of up to 1,000 images with a table of
    labels.
    """

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Images in the order of the files; only labels are looked at where the layout has them apart."""
        names = ("cifar-10-batches-bin", "cifar-10-batches-py", "cifar10", "CIFAR10")
        inner = tuple(f"{name}/{batch}" for name in names[2:] for batch in names[:2])
        for root in roots(folder, *names, *inner):
            for layout in (_binary, _python, _strips):
                if index := layout(root, split):
                    return index
        return None

    def load(self, path: Path) -> Array:
        """All images of one file, ``(images, 32, 32, 3)``, RGB."""
        if path.suffix == ".bin":
            return _records(path)[:, 1:].reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1)
        if path.suffix == ".png":
            return _strip(path)
        return _batch(path)["data"].reshape(-1, 3, SIZE, SIZE).transpose(0, 2, 3, 1)


def _index(root: Path, layout: str, parts: list[tuple[str, Array]], **rest: Any) -> Index | None:
    if not parts:
        return None
    places = [place for name, labels in parts for place in rows(name, len(labels))]
    return Index(root, layout, places, np.concatenate([labels for _, labels in parts]), **rest)


def _binary(root: Path, split: str) -> Index | None:
    there = [f"{name}.bin" for name in BATCHES[split] if (root / f"{name}.bin").is_file()]
    return _index(root, "binary", [(name, _records(root / name)[:, 0]) for name in there])


def _records(path: Path) -> Array:
    raw = read_regular(path, MAX_BYTES)
    if len(raw) % RECORD:
        raise FileError(path, f"{len(raw)} bytes are not whole records of {RECORD}")
    return np.frombuffer(raw, np.uint8).reshape(-1, RECORD)


def _python(root: Path, split: str) -> Index | None:
    there = [name for name in BATCHES[split] if (root / name).is_file()]
    return _index(root, "python", [(name, _batch(root / name)["labels"]) for name in there])


def _batch(path: Path) -> dict[str, Array]:
    """Labels and data of a pickled batch."""
    held = load_pickled(read_regular(path, MAX_BYTES), path)
    held = (
        {k.decode() if isinstance(k, bytes) else k: v for k, v in held.items()}
        if isinstance(held, dict)
        else {}
    )
    data, labels = held.get("data"), held.get("labels")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.shape[1:] != (RECORD - 1,):
        raise FileError(path, f"no data of n x {RECORD - 1} bytes")
    if not isinstance(labels, list) or len(labels) != len(data) or {type(n) for n in labels} - {int}:
        raise FileError(path, f"no list of {len(data)} labels")
    return {"data": data, "labels": np.array(labels, np.int64)}


def _strips(root: Path, split: str) -> Index | None:
    """``train.csv`` with the columns index and label, and ``train_00.png``, ``train_01.png`` and so on."""
    table = root / f"{split}.csv"
    strips = [name for name in listed(root, ".png") if name.startswith(f"{split}_")]
    if not table.is_file() or not strips:
        return None
    labels = _labels(table)
    parts = [(name, labels[n * STRIP : (n + 1) * STRIP]) for n, name in enumerate(strips)]
    if sum(len(part) for _, part in parts) != len(labels):
        raise DataError(f"{table}: rows", len(labels), f"as many as the images of {len(strips)} strips")
    return _index(root, "strips", parts, files=(table.name,))


def _labels(table: Path) -> Array:
    try:
        lines = read_text(table).splitlines()
        found = [(int(row["index"]), int(row["label"])) for row in csv.DictReader(lines)]
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(table, f"not a table with the columns index and label ({error})") from None
    if [at for at, _ in found] != list(range(len(found))):
        raise FileError(table, "its index does not count from 0")
    return np.array([label for _, label in found], np.int64)


def _strip(path: Path) -> Array:
    from PIL import Image, UnidentifiedImageError

    try:
        with reading(path) as file, Image.open(file, formats=("PNG",)) as image:
            width, height = image.size
            if image.mode != "RGB" or width != SIZE or height % SIZE or not 0 < height <= SIZE * STRIP:
                raise FileError(path, f"{image.mode}, {width} x {height} pixels; a strip is RGB, {SIZE} wide")
            return np.asarray(image).reshape(-1, SIZE, SIZE, 3)
    except (UnidentifiedImageError, OSError, SyntaxError) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(path, f"not a readable PNG ({error})") from None

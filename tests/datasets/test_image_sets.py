"""MNIST, Fashion-MNIST, CIFAR-10: every layout by hand, counts, what is refused; the real files where they are."""

from __future__ import annotations

import hashlib
import pickle
import shutil
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest

from spikeflow.datasets import synthetic
from spikeflow.datasets.base import PartialCopy
from spikeflow.datasets.encoded import Latency, Rate
from spikeflow.datasets.sets.cifar10 import CIFAR10, METADATA
from spikeflow.datasets.sets.mnist import MNIST, FashionMNIST
from spikeflow.datasets.stored.idx import write_idx
from spikeflow.errors import DataError, FileError, UnsafeFile

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 28, 28)).astype(np.uint8)
COLOURS = np.random.default_rng(1).integers(0, 256, (3, 32, 32, 3)).astype(np.uint8)
LABELS = np.array([7, 0, 9], np.uint8)


def mnist_files(folder: Path, images: np.ndarray = IMAGES, labels: int = 4, suffix: str = ".gz") -> Path:
    folder.mkdir(parents=True)
    write_idx(folder / f"train-images-idx3-ubyte{suffix}", images)
    write_idx(folder / f"train-labels-idx1-ubyte{suffix}", np.arange(labels, dtype=np.uint8))
    return folder


@pytest.mark.parametrize("below, suffix", [("", ".gz"), ("MNIST/raw", ".gz"), ("raw", ""), ("smnist", "")])
def test_mnist_in_every_folder(tmp_path: Path, below: str, suffix: str) -> None:
    mnist_files(tmp_path / "top" / below, suffix=suffix)
    with pytest.warns(PartialCopy, match="found 4, a complete copy has 60000"):
        digits = MNIST(tmp_path / "top", partial=True, encoder=Latency())
    x, y = digits.arrays()
    np.testing.assert_array_equal(x, IMAGES)
    np.testing.assert_array_equal(y, np.arange(4))
    np.testing.assert_array_equal(digits.image(2), IMAGES[2])
    events, label = digits[2]
    assert label == 2 and events.sha256 == Latency()(IMAGES[2], 2).sha256


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
def test_subsets_workers_and_transforms_keep_the_draws(tmp_path: Path) -> None:
    mnist_files(tmp_path / "m")
    digits = MNIST(tmp_path / "m", partial=True, transform=lambda events: len(events))
    part = digits.subset([3, 1])
    np.testing.assert_array_equal(part.arrays()[0], IMAGES[[3, 1]])  # type: ignore[attr-defined]
    assert part[0] == digits[3] == (len(Rate()(IMAGES[3], 3)), 3)
    digits.transform = None
    other = pickle.loads(pickle.dumps(digits))
    assert "_kept" not in other.__dict__ and other[1][0].sha256 == digits[1][0].sha256


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
@pytest.mark.parametrize(
    "images, labels, word",
    [(IMAGES[:2], 4, "2 images"), (IMAGES[:, :20], 4, "shape"), (IMAGES[:0], 0, "holds nothing")],
)
def test_mnist_files_that_do_not_fit(tmp_path: Path, images: np.ndarray, labels: int, word: str) -> None:
    mnist_files(tmp_path / "m", images, labels)
    with pytest.raises((FileError, DataError), match=word):
        MNIST(tmp_path / "m", partial=True).arrays()


def test_incomplete_or_wrong_is_said(tmp_path: Path) -> None:
    mnist_files(tmp_path / "m")
    with pytest.raises(DataError, match="60000"):
        MNIST(tmp_path / "m")
    with pytest.raises(FileError, match="holds nothing of MNIST, test"):
        MNIST(tmp_path / "m", "test", partial=True)
    write_idx(tmp_path / "m" / "train-labels-idx1-ubyte.gz", np.full(4, 10, np.uint8))
    with pytest.raises(DataError, match="label"):
        MNIST(tmp_path / "m", partial=True)


def cifar_binary(folder: Path) -> None:
    planes = COLOURS.transpose(0, 3, 1, 2).reshape(3, -1)
    raw = b"".join(bytes((label,)) + plane.tobytes() for label, plane in zip(LABELS, planes, strict=True))
    (folder / "data_batch_1.bin").write_bytes(raw[: 2 * 3073])
    (folder / "data_batch_2.bin").write_bytes(raw[2 * 3073 :])


def cifar_python(folder: Path) -> None:
    planes = COLOURS.transpose(0, 3, 1, 2).reshape(3, -1)
    for number, part in ((1, slice(0, 2)), (2, slice(2, 3))):
        held = {"labels": LABELS[part].tolist(), "data": planes[part], "batch_label": "x", "filenames": ["a"]}
        (folder / f"data_batch_{number}").write_bytes(pickle.dumps(held, 2))


def cifar_strips(folder: Path) -> None:
    (folder / "train.csv").write_text(
        "index,label,class,number_in_class\n0,7,horse,0\n1,0,a,0\n2,9,truck,0\n"
    )
    lines = b"".join(b"\0" + line.tobytes() for line in COLOURS.reshape(96, 96))
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 32, 96, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    )
    raw = b"".join(
        struct.pack(">I", len(d)) + n + d + struct.pack(">I", zlib.crc32(n + d)) for n, d in chunks
    )
    (folder / "train_00.png").write_bytes(b"\x89PNG\r\n\x1a\n" + raw)


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
@pytest.mark.parametrize(
    "make, below",
    [
        (cifar_binary, "cifar-10-batches-bin"),
        (cifar_python, "cifar10/cifar-10-batches-py"),
        (cifar_strips, "cifar10"),
    ],
)
def test_cifar_in_every_layout(tmp_path: Path, make, below: str) -> None:
    (tmp_path / below).mkdir(parents=True)
    make(tmp_path / below)
    pictures = CIFAR10(tmp_path, partial=True)
    x, y = pictures.arrays()
    np.testing.assert_array_equal(x, COLOURS)
    np.testing.assert_array_equal(y, LABELS)
    events, label = pictures[1]
    assert label == 0 and (events.width, events.height) == (32, 32)
    assert all((pictures.root / name).is_file() for name in pictures.files())


def test_cifar_pickles_run_nothing(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self):
            return Path.mkdir, (tmp_path / "made",)

    (tmp_path / "data_batch_1").write_bytes(pickle.dumps({"labels": Evil()}, 2))
    with pytest.raises(UnsafeFile, match="run code"):
        CIFAR10(tmp_path, partial=True)
    assert not (tmp_path / "made").exists()


@pytest.mark.filterwarnings("ignore::spikeflow.datasets.base.PartialCopy")
def test_cifar_files_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "data_batch_1.bin").write_bytes(bytes(3072))
    with pytest.raises(FileError, match="whole records"):
        CIFAR10(tmp_path, partial=True)
    (tmp_path / "data_batch_1.bin").unlink()
    for held, word in (
        ({"labels": [1]}, "no data"),
        ({"labels": [1], "data": COLOURS.reshape(3, -1)}, "3 labels"),
    ):
        (tmp_path / "data_batch_1").write_bytes(pickle.dumps(held, 2))
        with pytest.raises(FileError, match=word):
            CIFAR10(tmp_path, partial=True)
    (tmp_path / "data_batch_1").unlink()
    cifar_strips(tmp_path)
    (tmp_path / "train_00.png").write_bytes((tmp_path / "train_00.png").read_bytes()[:-40])
    with pytest.raises(FileError, match=r"train_00\.png"):
        CIFAR10(tmp_path, partial=True).arrays()
    (tmp_path / "train.csv").write_text("index,label\n0,7\n2,9\n")
    with pytest.raises(FileError, match="count from 0"):
        CIFAR10(tmp_path, partial=True)


def test_cards() -> None:
    assert METADATA.counts == {"train": 50_000, "test": 10_000}
    assert [a.size for a in MNIST.metadata.archives] == [9_912_422, 28_881, 1_648_877, 4_542]
    assert [len(metadata.classes) for metadata in (MNIST.metadata, FashionMNIST.metadata, METADATA)] == [10, 10, 10]


@pytest.mark.parametrize("kind, folder", [(MNIST, "MNIST"), (FashionMNIST, "FashionMNIST")])
def test_the_real_files_of_mnist(data_folder: Path, kind: type[MNIST], folder: str) -> None:
    for archive in kind.metadata.archives:
        raw = (data_folder / folder / "raw" / archive.name).read_bytes()
        assert (len(raw), hashlib.sha256(raw).hexdigest()) == (archive.size, archive.sha256)
    train, test = kind(data_folder), kind(data_folder, "test")
    assert (len(train), len(test)) == (60_000, 10_000) and train.root == data_folder / folder / "raw"
    assert np.bincount(test.labels).sum() == 10_000 and len(np.unique(train.labels)) == 10
    fit, held = train.validation(0.1)
    assert abs(len(held) - 6_000) <= 5 and len(fit) + len(held) == 60_000
    assert not set(map(tuple, fit.index.places)) & set(map(tuple, held.index.places))


def test_mnist_and_fashion_are_not_taken_for_each_other(data_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(data_folder / "FashionMNIST" / "raw", tmp_path / "raw")
    with pytest.raises(FileError, match="holds nothing of MNIST"):
        MNIST(tmp_path)
    assert len(FashionMNIST(tmp_path)) == 60_000


def test_the_real_strips_of_cifar(data_folder: Path) -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        pictures = CIFAR10(data_folder, "test", partial=True)
    assert [str(w.message).split(": ")[-1] for w in said] == ["found 9886, a complete copy has 10000"]
    x, y = pictures.arrays()
    assert x.shape == (9886, 32, 32, 3)
    np.testing.assert_array_equal(np.bincount(y), [1000] * 6 + [999, 997, 890, 1000])
    assert pictures.facts()["complete"] is False


def test_a_twin_of_mnist_is_not_mnist(tmp_path: Path) -> None:
    synthetic.write("mnist", tmp_path / "m", samples=2)
    with pytest.raises(DataError, match="60000"):
        MNIST(tmp_path / "m")

"""MNIST and Fashion-MNIST: written digits, and pieces of clothing, of 28 x 28 pixels."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from spikeflow.datasets.base import Archive, Index, Metadata
from spikeflow.datasets.sets.images import Array, ImageDataset
from spikeflow.datasets.stored.idx import read_idx
from spikeflow.datasets.stored.layouts import roots
from spikeflow.datasets.stored.rows import rows
from spikeflow.errors import FileError

SIZE = 28
FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
# of all labels, as bytes: both sets have files of the same names
LABELS_SHA256 = {
    "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13": "mnist",
    "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5": "mnist",
    "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7": "fashion_mnist",
    "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9": "fashion_mnist",
}
_DIGITS = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_CLOTHES = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
METADATA = Metadata(
    name="mnist",
    title="MNIST",
    kind="images",
    citation="LeCun, Bottou, Bengio, Haffner 1998, Gradient-based learning applied to document recognition, "
    "Proceedings of the IEEE 86:2278-2324",
    licence="not stated",
    homepage="http://yann.lecun.com/exdb/mnist/",
    classes=tuple("0123456789"),
    counts={"train": 60_000, "test": 10_000},
    split="official",
    width=SIZE,
    height=SIZE,
    archives=tuple(
        Archive(f"{name}.gz", f"{_DIGITS}{name}.gz", size, md5, sha256, unpack=False)
        for name, size, md5, sha256 in (
            (
                FILES["train"][0],
                9_912_422,
                "f68b3c2dcbeaaa9fbdd348bbdeb94873",
                "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            ),
            (
                FILES["train"][1],
                28_881,
                "d53e105ee54ea40749a09fcbcd1e9432",
                "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            ),
            (
                FILES["test"][0],
                1_648_877,
                "9fb629c4189551a2d022fa330f9573f3",
                "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            ),
            (
                FILES["test"][1],
                4_542,
                "ec29112dd5afa0611ce80d1b7f02629c",
                "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            ),
        )
    ),
    notes="Still images; an encoder makes events of them. The files do not tell who wrote a digit.",
)
FASHION_METADATA = Metadata(
    name="fashion_mnist",
    title="Fashion-MNIST",
    kind="images",
    citation="Xiao, Rasul, Vollgraf 2017, Fashion-MNIST: a novel image dataset for benchmarking machine "
    "learning algorithms, arXiv:1708.07747",
    licence="MIT",
    homepage="https://github.com/zalandoresearch/fashion-mnist",
    classes=(
        *("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    counts={"train": 60_000, "test": 10_000},
    split="official",
    width=SIZE,
    height=SIZE,
    archives=tuple(
        Archive(f"{name}.gz", f"{_CLOTHES}{name}.gz", size, md5, sha256, unpack=False)
        for name, size, md5, sha256 in (
            (
                FILES["train"][0],
                26_421_880,
                "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
                "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
            ),
            (
                FILES["train"][1],
                29_515,
                "25c81989df183df01b3e8a0aad5dffbe",
                "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
            ),
            (
                FILES["test"][0],
                4_422_102,
                "bef4ecab320f06d8554ea6380940ec79",
                "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
            ),
            (
                FILES["test"][1],
                5_148,
                "bb300cfdad3c16e7a12a480ee83cd310",
                "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
            ),
        )
    ),
    notes="Still images; an encoder makes events of them.",
)


class MNIST(ImageDataset):
    """MNIST; layout ``train-images-idx3-ubyte.gz`` and so on, gzipped or not: the original's, torchvision's,
    tonic's.
    """

    metadata = METADATA
    folders = ("MNIST/raw", "MNIST", "mnist", "mnist/raw", "raw", "smnist")

    def find(self, folder: Path, split: str) -> Index | None:
        """Images in the order of the files; labels are read, images are not."""
        for root in roots(folder, *self.folders):
            names = [_present(root, name) for name in FILES[split]]
            if names[0] is None or names[1] is None:
                continue
            labels = read_idx(root / names[1])
            if labels.ndim != 1:
                raise FileError(root / names[1], f"labels of shape {labels.shape}")
            digest = hashlib.sha256(labels.tobytes()).hexdigest()
            if LABELS_SHA256.get(digest, self.metadata.name) == self.metadata.name:
                places = rows(names[0], len(labels))
                return Index(root, "original", places, labels.astype(np.int64), files=(names[1],))
        return None

    def load(self, path: Path) -> Array:
        """All images of a file."""
        images = read_idx(path)
        if images.shape[1:] != (SIZE, SIZE):
            raise FileError(path, f"images of shape {images.shape[1:]}, not ({SIZE}, {SIZE})")
        return images


class FashionMNIST(MNIST):
    """Fashion-MNIST; the files are named and laid out as those of MNIST."""

    metadata = FASHION_METADATA
    folders = (
        "FashionMNIST/raw",
        "FashionMNIST",
        "fashion_mnist",
        "fashion-mnist",
        "fashion_mnist/raw",
        "raw",
    )


def _present(root: Path, name: str) -> str | None:
    for file in (f"{name}.gz", name):
        if (root / file).is_file():
            return file
    return None

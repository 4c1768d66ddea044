"""Networks that others trained, with their images: calibration without labels, a test that nothing is chosen on.

Where the data folder has a training and a test part, calibration takes the first of one and the test the first of the
other. The 660 recordings of keywords and the 500 ImageNet pictures have no parts: their first ones calibrate, the
others are the test.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import architectures
import cifar
import matplotlib.image
import numpy as np
import torch
from layered import Layered
from torch import nn

Array = np.ndarray


@dataclass(frozen=True)
class Images:
    """What calibrates, and what is tested with its labels."""

    calibration: Array
    x: Array
    y: Array


@dataclass(frozen=True)
class Given:
    """A trained network.

    Parameters
    ----------
    source : what `convert` takes: a file below ``pretrained``, where one is read as it is.
    arch : what makes the module of a state dict.
    module : the network as a torch module from the data folder, for converters that read no files.
    images : from the data folder and a number of test images.
    tested : how many test images by default.
    """

    images: Callable[[Path, int], Images]
    tested: int
    source: str = ""
    arch: str = ""
    module: Callable[[Path], nn.Module] | None = None

    def opened(self, data: Path) -> Path | nn.Module:
        """The file, or the module where there is no file that is read."""
        if self.source:
            return next((data / "pretrained").glob(self.source))
        assert self.module is not None
        return self.module(data).eval()


def _cifar(data: Path, tested: int) -> Images:
    test = cifar.load(data, "test", tested)
    return Images(cifar.load(data, "train", 256).x, test.x, test.y)


def _mnist(change: Callable[[Array], Array]) -> Callable[[Path, int], Images]:
    """Digits of which pixels were changed as in the network's training."""

    def read(path: Path, head: int, count: int) -> Array:
        with gzip.open(path) as file:
            return np.frombuffer(file.read(), np.uint8, offset=head)[:count]

    def images(data: Path, tested: int) -> Images:
        raw = data / "MNIST" / "raw"
        parts = [
            read(raw / f"{part}-images-idx3-ubyte.gz", 16, count * 784).reshape(-1, 1, 28, 28)
            for part, count in (("train", 256), ("t10k", tested))
        ]
        found = [np.ascontiguousarray(change(p.astype(np.float32)), np.float32) for p in parts]
        return Images(*found, read(raw / "t10k-labels-idx1-ubyte.gz", 8, tested).astype(np.int64))

    return images


def _keywords(data: Path, tested: int) -> Images:
    held = np.load(data / "speech_commands_mfcc" / "kws_mfcc.npz")
    x = ((held["mfcc_int8"].astype(np.float32) - held["zero_point"]) * held["scale"]).astype(np.float32)
    last = 160 + tested
    return Images(x[:160], x[160:last], held["label"][160:last])


def _pictures(prepared: Callable[[Path], Array]) -> Callable[[Path, int], Images]:
    def images(data: Path, tested: int) -> Images:
        folder = data / "imagenet_sample"
        with (folder / "labels.csv").open(newline="") as file:
            rows = list(csv.reader(file))[1 : 101 + tested]
        x = np.stack([prepared(next(folder.rglob(row[0]))) for row in rows]).astype(np.float32)
        return Images(x[:100], x[100:], np.array([int(row[1]) for row in rows[100:]]))

    return images


def _scaled(pixels: Array, size: int) -> Array:
    """``(H, W, 3)`` scaled by lines as Pillow does."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BILINEAR))


def _for_squeezenet(path: Path) -> Array:
    pixels = _scaled(matplotlib.image.imread(path)[:, :, :3], 256)[14:241, 14:241]
    return (pixels[:, :, ::-1].astype(np.float32) - np.array([104, 117, 123], np.float32)).transpose(2, 0, 1)


def _for_mobilenet(path: Path) -> Array:
    pixels = matplotlib.image.imread(path)[:, :, :3]
    rows, columns = (int(round(0.0625 * n)) for n in pixels.shape[:2])
    pixels = _scaled(np.ascontiguousarray(pixels[rows : len(pixels) - rows, columns : -columns or None]), 128)
    return pixels.astype(np.float32) / 127.5 - 1


def _state(make: Callable[[], nn.Module], pattern: str) -> Callable[[Path], nn.Module]:
    def module(data: Path) -> nn.Module:
        held = torch.load(next((data / "pretrained").glob(pattern)), map_location="cpu", weights_only=True)
        held = held.get("state_dict", held)
        made = make()
        made.load_state_dict({key.removeprefix("module."): value for key, value in held.items()})
        return made.eval()

    return module


def _of_state(name: str, pattern: str, images: Callable[[Path, int], Images], tested: int) -> Given:
    make = getattr(architectures, name)
    return Given(images, tested, pattern, f"architectures:{name}", _state(make, pattern))


def _layered(stem: str) -> Callable[[Path], nn.Module]:
    return lambda data: Layered(data / "pretrained" / stem).eval()


NETWORKS = {
    "lenet": _of_state("lenet", "mnist_lenet/*.pth", _mnist(lambda p: p / 255), 1000),
    "lenet5": Given(_mnist(lambda p: p / 127.5 - 1), 1000, "mnist_lenet5_onnx/*.onnx"),
    "no-bias": _of_state("no_bias", "mnist_cnn_nobias/*.pt", _mnist(lambda p: p / 255), 1000),
    "ds-cnn": Given(
        _keywords,
        500,
        "speech_commands_dscnn/*.tflite",
        module=_layered("speech_commands_dscnn/dscnn"),
    ),
    "mobilenet": Given(_pictures(_for_mobilenet), 100, "imagenet_mobilenet_v1_0.25_128/*.tflite"),
    "resnet20": _of_state("resnet20", "cifar10_resnet/resnet20-*.th", _cifar, 500),
    "resnet32": _of_state("resnet32", "cifar10_resnet/resnet32-*.th", _cifar, 300),
    "squeezenet": Given(
        _pictures(_for_squeezenet), 20, module=_layered("imagenet_squeezenet1.0/squeezenet1.0")
    ),
}

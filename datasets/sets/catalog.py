"""All data sets by name; a set's module is loaded when it is asked for."""

from __future__ import annotations

import os
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

from spikeflow.datasets.base import Dataset
from spikeflow.datasets.sets.metadata import Metadata
from spikeflow.errors import DataError

# name on the command line: module below spikeflow.datasets.sets, class
TABLE: dict[str, tuple[str, str]] = {
    "nmnist": ("nmnist", "NMNIST"),
    "ncaltech101": ("ncaltech101", "NCaltech101"),
    "cifar10_dvs": ("cifar10_dvs", "CIFAR10DVS"),
    "dvs_gesture": ("dvs_gesture", "DVSGesture"),
    "dvs_lip": ("dvs_lip", "DVSLip"),
    "asl_dvs": ("asl_dvs", "ASLDVS"),
    "poker_dvs": ("poker_dvs", "PokerDVS"),
    "ncars": ("ncars", "NCars"),
    "dsec": ("dsec", "DSEC"),
    "shd": ("shd", "SHD"),
    "ssc": ("ssc", "SSC"),
    "ntidigits": ("ntidigits", "NTIDIGITS"),
    "spoken_digits": ("spoken_digits", "SpokenDigits"),
    "braille": ("braille", "Braille"),
    "speech_commands": ("speech_commands", "SpeechCommands"),
    "mnist": ("mnist", "MNIST"),
    "fashion_mnist": ("mnist", "FashionMNIST"),
    "cifar10": ("cifar10", "CIFAR10"),
}


def names() -> tuple[str, ...]:
    """Names of all data sets, in the order of the table."""
    return tuple(TABLE)


def dataset_class(name: str) -> type[Dataset[Any]]:
    """The class of the data set of this name; dashes, dots and capitals do not matter.

    Raises
    ------
    DataError
        Where there is none.
    """
    key = _plain(name)
    for known, (module, kind) in TABLE.items():
        if _plain(known) == key:
            return getattr(import_module(f"spikeflow.datasets.sets.{module}"), kind)
    raise DataError("data set", name, f"one of {', '.join(TABLE)}")


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter.isalnum())


def card(name: str) -> Metadata:
    """The old name of `metadata`."""
    warnings.warn("catalog.card is now catalog.metadata", DeprecationWarning, stacklevel=2)
    return metadata(name)


def metadata(name: str) -> Metadata:
    """What the data set of this name is."""
    return dataset_class(name).metadata


def load(
    name: str, folder: str | Path | None = None, split: str = "train", partial: bool = False, **options: Any
) -> Dataset[Any]:
    """Open a data set; `folder` is `data_folder()` where None, `options` are further arguments of its class.

    Raises
    ------
    DataError, FileError
        As `Dataset` does.
    """
    return dataset_class(name)(folder or data_folder(), split, partial, **options)


def data_folder() -> Path:
    """Where data sets lie unless the user says otherwise: ``SPIKEFLOW_DATA``, else a folder in the user's
    home.
    """
    told = os.environ.get("SPIKEFLOW_DATA")
    if told:
        return Path(told)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "spikeflow"

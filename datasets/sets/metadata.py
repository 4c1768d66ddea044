"""Metadata: what a data set is, written down once; what is found on a disk is held against it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from spikeflow.errors import DataError

KINDS = ("events", "spikes", "audio", "images", "touch")


@dataclass(frozen=True)
class Archive:
    """One file to fetch.

    Parameters
    ----------
    name : of the file, as it is kept on the disk.
    url : from where; a page for people where `by_hand` says why.
    size : bytes, or None where its makers do not say.
    md5, sha256 : in hexadecimal, or None where not known.
    by_hand : why a program may not or cannot fetch it (a licence to accept, a page to log in to); empty where
        it can.
    unpack : whether it is unpacked (zip, tar, gz) or used as it is.
    into : folder below the data set's own, in which it is unpacked or kept.
    """

    name: str
    url: str
    size: int | None = None
    md5: str | None = None
    sha256: str | None = None
    by_hand: str = ""
    unpack: bool = True
    into: str = ""


@dataclass(frozen=True)
class Metadata:
    """What a data set is.

    Parameters
    ----------
    name : as the command line takes it, such as ``nmnist``.
    title : as its makers write it.
    kind : what was recorded, one of `KINDS`.
    citation : the paper, with its year and where it stands.
    licence : as its makers state it; "not stated" where they do not.
    homepage : where its makers describe it.
    classes : name of every label, in the order of labels.
    counts : samples of each split of the complete set.
    split : where the splits come from: "official", or that there is none and which one this is, and what
        papers use.
    width, height : of the sensor; None where it differs from sample to sample. A cochlea or skin: channels
        and 1.
    archives : what to fetch.
    notes : what else a user must know (other layouts and their counts, groups that are not known).
    """

    name: str
    title: str
    kind: str
    citation: str
    licence: str
    homepage: str
    classes: tuple[str, ...]
    counts: Mapping[str, int]
    split: str
    width: int | None = None
    height: int | None = None
    archives: tuple[Archive, ...] = ()
    notes: str = ""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"{self.name}: kind", self.kind, f"one of {', '.join(KINDS)}")

    def to_json(self) -> dict[str, Any]:
        """The metadata as plain values, for a result file."""
        return asdict(self)


def __getattr__(name: str) -> Any:
    if name == "Card":
        warnings.warn("Card is now Metadata", DeprecationWarning, stacklevel=2)
        return Metadata
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

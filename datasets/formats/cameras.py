"""Cameras that AEDAT files name, by what their chip's class or device is called."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.datasets.formats.aedat_header import TextHeader
from spikeflow.errors import FileError
from spikeflow.files.opened import reading

PIECE = 1 << 17  # records looked at at a time
DVS128_BITS, COCHLEA_BITS = 15, 10  # of an address


@dataclass(frozen=True)
class Camera:
    """One camera.

    Parameters
    ----------
    name : as AEDAT 3 names the device.
    chip : class of the chip in jAER, as AEDAT 2.0 names it.
    width, height : of its sensor.
    """

    name: str
    chip: str
    width: int
    height: int

    @property
    def is_davis(self) -> bool:
        """Whether it takes frames, too, and so lays out addresses in 32 bits instead of 15."""
        return self.name.startswith("DAVIS")


DVS128 = Camera("DVS128", "ch.unizh.ini.jaer.chip.retina.DVS128", 128, 128)
CAMERAS = (
    DVS128,
    Camera("DAVIS240C", "eu.seebetter.ini.chips.davis.DAVIS240C", 240, 180),
    Camera("DAVIS346B", "eu.seebetter.ini.chips.davis.Davis346B", 346, 260),
    Camera("DAVIS208", "eu.seebetter.ini.chips.davis.Davis208PixelParade", 208, 192),
    Camera("DAVIS640", "eu.seebetter.ini.chips.davis.Davis640", 640, 480),
    Camera("DAVIS128", "eu.seebetter.ini.chips.davis.Davis128", 128, 128),
)
DAVIS128 = CAMERAS[-1]
SIZES = ", ".join(f"{camera.width}x{camera.height} ({camera.name})" for camera in CAMERAS[:-1])


def by_name(text: str) -> Camera | None:
    """The camera of this family, such as DAVIS240 for ``eu.seebetter.ini.chips.davis.DAVIS240C``."""
    family = re.match(r"DVS128|DAVIS\d{3}", text.strip().rpartition(".")[2].upper())
    found = [camera for camera in CAMERAS if family and camera.name.startswith(family.group())]
    return found[0] if found else None


def by_size(width: int | None, height: int | None) -> Camera | None:
    """The camera with this sensor; of the two with 128x128 the DVS128, of which there are far more files."""
    return next((camera for camera in CAMERAS if (camera.width, camera.height) == (width, height)), None)


@dataclass(frozen=True, eq=False)
class Asked:
    """A file of which the camera is wanted.

    Parameters
    ----------
    record : type of an event: ``address`` and ``t``.
    size : of the sensor as the user says, each None where not.
    """

    path: Path
    text: TextHeader
    record: np.dtype[Any]
    size: tuple[int | None, int | None]


def of_aedat(asked: Asked) -> tuple[Camera, tuple[str, ...]]:
    """The camera that gives addresses of AEDAT 1 and 2 their meaning, and what a user must hear where it is
    guessed.

    Raises
    ------
    FileError
        Where neither header nor user tells it, and addresses are not those of a DVS128.
    """
    chip = asked.text.fields.get("AEChip", "")
    if chip and (named := by_name(chip)):
        return named, ()
    said = by_size(*asked.size)
    if said is DVS128 and not _fit(asked, DVS128_BITS, most_only=True):
        return DAVIS128, (
            f"{asked.path}: a sensor of 128x128 with addresses of 32 bits is taken as a DAVIS128's",
        )
    if said is not None:
        return said, ()
    hint = f"width= and height= (--sensor) of one of {SIZES}"
    if chip:
        raise FileError(asked.path, f"the camera {chip}, whose addresses are not known here", hint)
    if not _fit(asked, DVS128_BITS):
        raise FileError(asked.path, "no word which camera made it", hint)
    if _fit(asked, COCHLEA_BITS):
        reason = (
            f"no word which camera made it; its addresses have {COCHLEA_BITS} bits, as a silicon "
            "cochlea's, and would be the top rows of a DVS128"
        )
        raise FileError(
            asked.path, reason, "--sensor 128x128 (width=, height=) if it is a DVS128 all the same"
        )
    return DVS128, (
        f"{asked.path}: no camera is named: a DVS128 is assumed, which all addresses fit (--sensor "
        "128x128 says it)",
    )


def _addresses(asked: Asked) -> Iterator[np.ndarray]:
    with reading(asked.path) as file:
        file.seek(asked.text.begin)
        while data := file.read(PIECE * asked.record.itemsize):
            whole = len(data) // asked.record.itemsize
            yield np.frombuffer(data, asked.record, whole)["address"]


def _fit(asked: Asked, bits: int, most_only: bool = False) -> bool:
    """Whether no address has more bits; or, with `most_only`, not more than half of the first ones."""
    for addresses in _addresses(asked):
        above = addresses >> bits != 0
        if most_only:
            return 2 * int(above.sum()) <= len(above)
        if above.any():
            return False
    return True

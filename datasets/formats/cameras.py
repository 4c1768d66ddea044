"""Cameras that AEDAT files name, by what their chip's class or device is called."""

from __future__ import annotations

import re
from dataclasses import dataclass


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
SIZES = ", ".join(f"{camera.width}x{camera.height} ({camera.name})" for camera in CAMERAS[:-1])


def by_name(text: str) -> Camera | None:
    """The camera of this family, such as DAVIS240 for ``eu.seebetter.ini.chips.davis.DAVIS240C``."""
    family = re.match(r"DVS128|DAVIS\d{3}", text.strip().rpartition(".")[2].upper())
    found = [camera for camera in CAMERAS if family and camera.name.startswith(family.group())]
    return found[0] if found else None


def by_size(width: int | None, height: int | None) -> Camera | None:
    """The camera with this sensor; of the two with 128x128 the DVS128, of which there are far more files."""
    return next((camera for camera in CAMERAS if (camera.width, camera.height) == (width, height)), None)

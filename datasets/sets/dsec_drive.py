"""One drive of DSEC: its events, rectification, optical flow, disparity and masks, each read when asked for.

Sources: https://dsec.ifi.uzh.ch/data-format/ and https://dsec.ifi.uzh.ch/optical-flow-submission-format/.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from spikeflow.datasets.formats import hdf5_file
from spikeflow.datasets.read import open_recording
from spikeflow.datasets.recording import Recording
from spikeflow.datasets.stored.layouts import listed
from spikeflow.datasets.stored.png import read_png
from spikeflow.errors import DataError, FileError
from spikeflow.events import Events
from spikeflow.files.hdf5_open import open_hdf5
from spikeflow.files.opened import read_text
from spikeflow.typing import Array

WIDTH, HEIGHT = 640, 480


def _official(inside: str, *archives: str) -> tuple[str, ...]:
    """Where a file or folder of a drive lies: in an archive unpacked on its own, or in one folder for all."""
    unpacked = [
        f"{a}/{sub}{{drive}}/{inside}" for a in archives for sub in ("", f"{a.split('_')[0]}/", f"{a}/")
    ]
    return (*unpacked, f"train/{{drive}}/{inside}", f"test/{{drive}}/{inside}", f"{{drive}}/{inside}")


def _both(what: str) -> tuple[str, str]:
    return f"train_{what}", f"test_{what}"


def _timed(name: str) -> str:
    """Where tonic keeps times: a file of the drive's name in a folder of their own."""
    return f"{{drive}}/{name}/{{drive}}_{name}.txt"


PLACES: dict[str, tuple[str, ...]] = {
    **{
        f"{file}_{side}": (
            *_official(f"events/{side}/{file}.h5", *_both("events")),
            *_official(f"events_{side}/{file}.h5", *_both("events")),
        )
        for file in ("events", "rectify_map")
        for side in ("left", "right")
    },
    **{
        f"flow_{way}": (
            *_official(f"flow/{way}", "train_optical_flow"),
            f"{{drive}}/optical_flow_{way}_event",
        )
        for way in ("forward", "backward")
    },
    **{
        f"flow_{way}_times": (
            *_official(f"flow/{way}_timestamps.txt", "train_optical_flow"),
            _timed(f"optical_flow_{way}_timestamps"),
        )
        for way in ("forward", "backward")
    },
    "disparity_event": (*_official("disparity/event", "train_disparity"), "{drive}/disparity_event"),
    "disparity_image": (*_official("disparity/image", "train_disparity"), "{drive}/disparity_image"),
    "disparity_times": (
        *_official("disparity/timestamps.txt", "train_disparity"),
        _timed("disparity_timestamps"),
    ),
    **{
        f"masks_{n}": (
            *_official(f"semantic/left/{n}classes/data", *_both("semantic_segmentation")),
            *_official(f"{n}classes", *_both("semantic_segmentation")),
        )
        for n in (11, 19)
    },
    "masks_times": (
        *_official("semantic/timestamps.txt", *_both("semantic_segmentation")),
        *_official("{drive}_semantic_timestamps.txt", *_both("semantic_segmentation")),
    ),
}


def located(root: Path, drive: str, what: str) -> Path | None:
    """The file or folder of a drive that holds `what`, one of `PLACES`, or None."""
    paths = (root / place.replace("{drive}", drive) for place in PLACES[what])
    return next((path for path in paths if path.exists()), None)


def files_of(root: Path, drive: str) -> list[str]:
    """All files of a drive, below `root`."""
    found = [path for what in PLACES if (path := located(root, drive, what))]
    single = [path for path in found if path.is_file()]
    pictures = [path / name for path in found if path.is_dir() for name in listed(path, ".png")]
    return sorted({path.relative_to(root).as_posix() for path in (*single, *pictures)})


@dataclass(frozen=True, eq=False)
class Flow:
    """Optical flow of one stretch of time, in the rectified view of the left event camera.

    Parameters
    ----------
    start_us, stop_us : of the stretch; a point at (x, y) at the start is at (x, y) + displacement at the
        stop.
    displacement : float32, ``(height, width, 2)``, pixels along x and y.
    valid : bool, ``(height, width)``: where the displacement is known.
    """

    start_us: int
    stop_us: int
    displacement: Array
    valid: Array


@dataclass(frozen=True)
class Drive:
    """One drive.

    Parameters
    ----------
    name : such as ``zurich_city_02_a``.
    paths : of everything that is there of it, by the names of `PLACES`.
    """

    name: str
    paths: Mapping[str, Path]

    def has(self, what: str) -> bool:
        """Whether a copy holds this, one of `PLACES`."""
        return what in self.paths

    def path(self, what: str) -> Path:
        """Where this lies.

        Raises
        ------
        DataError
            Where it is not there; many drives have no flow or masks.
        """
        if what not in self.paths:
            raise DataError(f"dsec: {self.name}: {what}", "nothing", f"one of {', '.join(self.paths)}")
        return self.paths[what]

    def recording(self, side: str = "left") -> Recording:
        """The events of a camera, opened, as the file holds them; to be closed."""
        return open_recording(self.path(f"events_{side}"), width=WIDTH, height=HEIGHT)

    def events(self, start_us: int, stop_us: int, side: str = "left") -> Events:
        """The events with ``start_us <= t < stop_us``, in the clock of flow, disparity and masks."""
        with self.recording(side) as recording:
            # the file's times count from the start of the drive
            offset = int(recording.header.fields.get("t_offset", 0))
            events = recording.between(start_us - offset, stop_us - offset)
        return replace(events, t=events.t + offset)

    def rectify_map(self, side: str = "left") -> Array:
        """Where each pixel lies in the rectified view: float32 of shape ``(height, width, 2)``, x and y."""
        path = self.path(f"rectify_map_{side}")
        with open_hdf5(path) as file, hdf5_file.damage(path):
            table = hdf5_file.checked(hdf5_file.member(file, "rectify_map"), path)
            if table.shape != (HEIGHT, WIDTH, 2) or table.dtype.kind != "f":
                raise FileError(path, f"rectify_map is not of shape ({HEIGHT}, {WIDTH}, 2)")
            return np.asarray(table[()], np.float32)

    def flow_times(self, way: str = "forward") -> Array:
        """Start and stop of each flow, int64 of shape ``(flows, 2)``, microseconds."""
        return _times(self.path(f"flow_{way}_times"), 2)

    def flow(self, i: int, way: str = "forward") -> Flow:
        """Flow number i: ``(value - 2^15) / 128`` pixels, red along x, green along y; blue tells what is
        known.
        """
        start, stop = self.flow_times(way)[i]
        picture = self._picture(f"flow_{way}", i, len(self.flow_times(way)))
        if picture.dtype != np.uint16 or picture.shape[2] != 3:
            raise FileError(self.path(f"flow_{way}"), f"flow number {i} is no RGB picture of 16 bits")
        displacement = (picture[..., :2].astype(np.float32) - 2**15) / 128
        return Flow(int(start), int(stop), displacement, picture[..., 2] > 0)

    def disparity_times(self) -> Array:
        """Time of each disparity, int64, microseconds."""
        return _times(self.path("disparity_times"), 1)[:, 0]

    def disparity(self, i: int, view: str = "event") -> Array:
        """Disparity number i in pixels: value / 256, float32 of shape ``(height, width)``; 0 where not
        known.
        """
        return (
            self._picture(f"disparity_{view}", i, len(self.disparity_times()))[..., 0].astype(np.float32)
            / 256
        )

    def masks_times(self) -> Array:
        """Time of each mask, int64, microseconds."""
        return _times(self.path("masks_times"), 1)[:, 0]

    def mask(self, i: int, classes: int = 11) -> Array:
        """Class of each pixel at time i, uint8 of shape ``(height, width)``; 255 where none."""
        return self._picture(f"masks_{classes}", i, len(self.masks_times()))[..., 0]

    def _picture(self, what: str, i: int, count: int) -> Array:
        names = listed(folder := self.path(what), ".png")
        if len(names) != count:
            raise FileError(folder, f"holds {len(names)} pictures, its table of times has {count} rows")
        if not -count <= i < count:
            raise IndexError(f"{self.name}: {what} number {i} of {count}")
        return read_png(folder / names[i])


def _times(path: Path, columns: int) -> Array:
    """Whole numbers of a text file, a row a line, separated by commas; lines that begin with # are
    remarks.
    """
    try:
        lines = [line for line in read_text(path).splitlines() if line.strip() and line[0] != "#"]
        rows = [[int(word) for word in line.split(",")] for line in lines]
    except (OSError, ValueError) as error:
        raise FileError(path, f"not a table of times ({error})") from None
    if any(len(row) != columns for row in rows):
        raise FileError(path, f"a row that has not {columns} column(s)")
    return np.array(rows, np.int64).reshape(-1, columns)

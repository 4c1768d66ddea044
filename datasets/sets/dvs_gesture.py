"""DVS128 Gesture: eleven gestures of hands and arms, by 29 people under three lights, before an event
camera.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spikeflow.datasets.base import Archive, Dataset, Index, Metadata
from spikeflow.datasets.read import open_recording
from spikeflow.datasets.stored.layouts import events_of, listed, natural, roots
from spikeflow.errors import FileError
from spikeflow.events import Events
from spikeflow.files.opened import MAX_TEXT, read_regular, read_text

_URL = "https://ibm.ent.box.com/s/3hiq58ww1pbbjrinh367ykfdf60xsfm8/folder/50167556794"
METADATA = Metadata(
    name="dvs_gesture",
    title="DVS128 Gesture",
    kind="events",
    citation="Amir, Taba, Berg, Melano, McKinstry, Di Nolfo, Nayak, Andreopoulos, Garreau, Mendoza, "
    "Kusnitz, DeBole, "
    "Esser, Delbruck, Flickner, Modha 2017, A low power, fully event-based gesture recognition system, CVPR",
    licence="CC BY 4.0",
    homepage="https://research.ibm.com/interactive/dvsgesture/",
    classes=(
        "hand clapping",
        "right hand wave",
        "left hand wave",
        "right arm clockwise",
        "right arm counter-clockwise",
        "left arm clockwise",
        "left arm counter-clockwise",
        "arm roll",
        "air drums",
        "air guitar",
        "other gestures",
    ),
    counts={"train": 1_176, "test": 288},
    split="official: trials_to_train.txt (users 1 to 23) and trials_to_test.txt (users 24 to 29)",
    width=128,
    height=128,
    archives=(
        Archive(
            "DvsGesture.tar.gz",
            _URL,
            md5="8a5c71fb11e24e5ca5b11866ca6c00a1",
            by_hand="IBM's Box page serves people only",
        ),
    ),
    notes="98 and 24 trials of twelve labelled stretches: arm roll is there forwards and backwards. tonic's "
    "copy (times in ms) keeps one stretch of each class of a trial: 1,077 and 264. Groups are the users.",
)
TONIC = {"train": ("ibmGestureTrain", 1_077), "test": ("ibmGestureTest", 264)}
LAST_TRAINING_USER = 23


@dataclass(frozen=True)
class Stretch:
    """The events of a file with ``start_us <= t < stop_us``."""

    path: str
    start_us: int
    stop_us: int


class DVSGesture(Dataset[Events]):
    """DVS128 Gesture; as downloaded, as tonic or SpikingJelly leave it, or as single files of 40-bit events.

    ``DvsGesture/userNN_light.aedat`` with ``_labels.csv``; ``ibmGestureTrain/userNN_light/N.npy``;
    ``events_np/train/N/userNN_light_M.npz``; ``dvs128_gesture/NN_name.bin``. Labels are the gesture's number
    - 1.
    """

    metadata = METADATA

    def find(self, folder: Path, split: str) -> Index | None:
        """Samples trial after trial (original, tonic) or class after class; groups are users."""
        names = ("DvsGesture", "DVSGesture", "DVS128Gesture", "dvs_gesture", "dvs128_gesture")
        inner = ("extract/DvsGesture", "DVS128Gesture/extract/DvsGesture", "dvs_gesture/DvsGesture")
        layouts: tuple[Callable[[Path, str], Index | None], ...] = (
            _original,
            _tonic,
            _spikingjelly,
            _samples,
        )
        for layout in layouts:
            for root in roots(folder, *names, *inner):
                if index := layout(root, split):
                    return index
        return None

    def read(self, place: str | Stretch) -> Events:
        """Events of one gesture; of the original, times as in the recording it was cut from."""
        size = {"width": METADATA.width, "height": METADATA.height}
        if isinstance(place, Stretch):
            with open_recording(self.root / place.path, "aedat3", **size) as recording:
                return recording.between(place.start_us, place.stop_us)
        if place.endswith(".npy"):
            return events_of(self.root / place, "npy", columns="xypt", unit_us=1000, **size)
        return events_of(self.root / place, "npz" if place.endswith(".npz") else "bin5", **size)


def _by_users(names: list[str]) -> list[tuple[str, int]]:
    """Those of the names that tell a user, as ``user01_fluorescent`` does, each with the user's number."""
    found = [(name, re.match(r"user([0-9]+)_", name)) for name in names]
    return [(name, int(match[1])) for name, match in found if match]


def _index(
    root: Path,
    layout: str,
    samples: Sequence[tuple[str | Stretch, int, int]],
    expected: int | None = None,
    files: tuple[str, ...] = (),
) -> Index | None:
    """The index of samples, each a place, a label and a user; None where there is none."""
    if not samples:
        return None
    places, labels, users = zip(*samples, strict=True)
    return Index(root, layout, list(places), np.array(labels), np.array(users), expected, files)


def _original(root: Path, split: str) -> Index | None:
    trials, files = _trials(root, split)
    samples: list[tuple[str | Stretch, int, int]] = []
    for trial, user in _by_users(trials):
        table = f"{trial.removesuffix('.aedat')}_labels.csv"
        if not (root / trial).is_file():
            continue  # counted as missing samples
        samples += [(Stretch(trial, start, stop), label, user) for label, start, stop in _table(root / table)]
        files += [trial, table]
    return _index(root, "original", samples, files=tuple(files))


def _trials(root: Path, split: str) -> tuple[list[str], list[str]]:
    """Names of a split's recordings, and the list that told them; by user where the list is not there."""
    there = listed(root, ".aedat")
    if not there:
        return [], []
    table = f"trials_to_{split}.txt"
    if (root / table).is_file():
        lines = read_regular(root / table, MAX_TEXT).decode(errors="replace").split()
        return [name for name in lines if "/" not in name], [table]
    return [n for n, user in _by_users(there) if (user <= LAST_TRAINING_USER) == (split == "train")], []


def _table(path: Path) -> Iterator[tuple[int, int, int]]:
    """Label, start and stop of each row ``class,startTime_usec,endTime_usec``."""
    try:
        lines = read_text(path).splitlines()
    except FileError as error:
        raise FileError(path, f"cannot be read ({error})", "the whole archive DvsGesture.tar.gz") from None
    for row in csv.DictReader(lines):
        try:
            label, start, stop = (int(row[n]) for n in ("class", "startTime_usec", "endTime_usec"))
        except (KeyError, TypeError, ValueError):
            raise FileError(path, f"a row {dict(row)}, not class, startTime_usec, endTime_usec") from None
        if not 1 <= label <= len(METADATA.classes) or not 0 <= start < stop:
            raise FileError(
                path, f"class {label} from {start} to {stop}; classes are 1 to 11, times increase"
            )
        yield label - 1, start, stop


def _tonic(root: Path, split: str) -> Index | None:
    name, expected = TONIC[split]
    samples: list[tuple[str | Stretch, int, int]] = []
    folder = root / name
    if not folder.is_dir():
        return None
    for trial, user in _by_users(sorted((d.name for d in folder.iterdir() if d.is_dir()), key=natural)):
        for file in listed(folder / trial, ".npy"):
            if file[:-4].isdigit():
                samples.append((f"{name}/{trial}/{file}", int(file[:-4]), user))
    return _index(root, "tonic", samples, expected=expected)


def _spikingjelly(root: Path, split: str) -> Index | None:
    samples: list[tuple[str | Stretch, int, int]] = []
    for label in range(len(METADATA.classes)):
        inside = f"events_np/{split}/{label}"
        samples += [
            (f"{inside}/{file}", label, user) for file, user in _by_users(listed(root / inside, ".npz"))
        ]
    return _index(root, "spikingjelly", samples)


def _samples(root: Path, split: str) -> Index | None:
    """Single gestures ``NN_name.bin``, NN the gesture's number, of one person not named, here taken for
    training.
    """
    if split != "train":
        return None
    found = [(name, re.match(r"([0-9]{2})_[a-z_]+\.bin$", name)) for name in listed(root, ".bin")]
    return _index(root, "samples", [(name, int(m[1]) - 1, 0) for name, m in found if m])

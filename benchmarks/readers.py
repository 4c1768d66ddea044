"""The readers of event files that `decode.py` compares: each one function of a path that gives all events as numpy arrays.

One as its makers' documentation shows it. What it gives is brought into common columns outside the measured time, only
to be compared. A new format, or a new reader, is one line in `READERS`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Columns = tuple[Any, Any, Any, Any]  # t, x, y, p


@dataclass(frozen=True)
class Reader:
    """How one package reads one format.

    Parameters
    ----------
    who : the package.
    format : as spikeflow names it.
    read : all events of a file, in the package's own form; this is timed.
    columns : of that form, t, x, y, p with p = 1 for on.
    """

    who: str
    format: str
    read: Callable[[Path], Any]
    columns: Callable[[Any], Columns]


def _fields(t: str, x: str, y: str, p: str) -> Callable[[Any], Columns]:
    return lambda array: (array[t], array[x], array[y], array[p])


def _spikeflow(path: Path) -> Any:
    from spikeflow.datasets import read

    return read(path)


def _expelliarmus(encoding: str) -> Callable[[Path], Any]:
    def read(path: Path) -> Any:
        from expelliarmus import Wizard

        return Wizard(encoding=encoding).read(path)

    return read


def _faery(path: Path) -> Any:
    import faery

    return faery.events_stream_from_file(path).to_array()


def _evlib(path: Path) -> Any:
    import evlib

    # its events unsorted, as the others' are; columns of the frame are numpy arrays without a copy
    frame = evlib.load_events(str(path), sort=False).collect()
    return {name: frame[name].to_physical().to_numpy() for name in ("t", "x", "y", "polarity")}


def _evlib_columns(frame: Any) -> Columns:
    return frame["t"], frame["x"], frame["y"], frame["polarity"] > 0


def _tonic_bin5(path: Path) -> Any:
    from tonic.io import events_struct, read_mnist_file

    return read_mnist_file(str(path), events_struct)


def _tonic_aedat2(path: Path) -> Any:
    from tonic.io import get_aer_events_from_file, make_structured_array, read_aedat_header_from_file

    # what its read_dvs_128 does, which cannot unpack what its own function for the header returns
    version, start, _ = read_aedat_header_from_file(str(path))
    events = get_aer_events_from_file(str(path), version, start)
    address = events["address"]
    return make_structured_array(
        (address >> 8) & 0x7F, (address >> 1) & 0x7F, events["timeStamp"], address & 1
    )


def _tonic_aedat4(path: Path) -> Any:
    from tonic.io import read_aedat4

    return read_aedat4(str(path))


def _event_stream(path: Path) -> Any:
    import event_stream

    with event_stream.Decoder(str(path)) as decoder:
        return np.concatenate(list(decoder))


def _dv_processing(path: Path) -> Any:
    import dv_processing as dv

    recording, batches = dv.io.MonoCameraRecording(str(path)), []
    while (batch := recording.getNextEventBatch()) is not None:
        batches.append(batch.numpy())
    return np.concatenate(batches)


READERS = (
    *(
        Reader("spikeflow", format, _spikeflow, lambda e: (e.t, e.x, e.y, e.p))
        for format in ("evt2", "evt21", "evt3", "dat", "bin5", "aedat2", "aedat4", "es")
    ),
    *(
        Reader("expelliarmus", f, _expelliarmus(f), _fields("t", "x", "y", "p"))
        for f in ("evt2", "evt3", "dat")
    ),
    *(
        Reader("faery", format, _faery, _fields("t", "x", "y", "on"))
        for format in ("evt2", "evt21", "evt3", "dat", "aedat4", "es")
    ),
    *(
        Reader("evlib", format, _evlib, _evlib_columns)
        for format in ("evt2", "evt21", "evt3", "aedat2", "aedat4")
    ),
    Reader("tonic", "bin5", _tonic_bin5, _fields("t", "x", "y", "p")),
    Reader("tonic", "aedat2", _tonic_aedat2, _fields("t", "x", "y", "p")),
    Reader("tonic (aedat)", "aedat4", _tonic_aedat4, _fields("t", "x", "y", "on")),
    Reader("dv_processing", "aedat4", _dv_processing, _fields("timestamp", "x", "y", "polarity")),
    Reader("event_stream", "es", _event_stream, _fields("t", "x", "y", "on")),
)


def find(who: str, format: str) -> Reader:
    """The reader of this package and format."""
    return next(reader for reader in READERS if (reader.who, reader.format) == (who, format))

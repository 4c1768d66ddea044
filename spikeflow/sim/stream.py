"""Long records: written to a file piece by piece while a live run goes on (`spikeflow.sim.record_file`)."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence

from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.files.write import PathLike, drafted
from spikeflow.sim import Live
from spikeflow.sim.inputs import RunInputs
from spikeflow.sim.record_file import written_records
from spikeflow.sim.records import Asked, named
from spikeflow.sim.result import Counts
from spikeflow.sim.unbounded import Unbounded, in_run, later_found, merged, unbounded_warnings


def stream(
    path: PathLike, live: Live, pieces: Iterable[tuple[RunInputs, int]], record: Sequence[Asked]
) -> Mapping[str, Counts]:
    """Advance a live run through all pieces and write what is recorded to a file; the counts of all of them.

    Parameters
    ----------
    pieces : inputs, and for how many steps; made one after the other, they need no more memory than the
        largest.
    record : as for `spikeflow.sim.run`.

    Warns
    -----
    SpikeflowWarning
        For values beyond float32, as `spikeflow.sim.run` does.

    Raises
    ------
    FileError
        Where the file cannot be written, such as on a full disk; what was there before is then still there.
        The run stands behind the piece that could not be written.
    DataError
        Where nothing is recorded, or there are no pieces.
    """
    if not record:
        raise DataError("record", "nothing", "the names of nodes, states or ports")
    counts: dict[str, Counts] = {}
    states: tuple[Unbounded, ...] = ()
    values: list[Unbounded] = []
    done = 0
    keys = list(named(record))
    with drafted(path) as draft, written_records(path, draft.file, record) as writer:
        for inputs, steps in pieces:
            found = live.advance(inputs, steps, record)
            counts = {n: c + counts[n] if n in counts else c for n, c in found.counts.items()}
            writer.add({name: found.recorded[name] for name in keys}, 0, done, steps)
            states = later_found(states, found.unbounded, done)
            values += [u.later(done) for u in (*in_run(found.outputs), *found.beyond())]
            done += steps
        if not counts:
            raise DataError("pieces", "none", "at least one")
    for text in unbounded_warnings((*states, *merged(values))):
        warnings.warn(text, SpikeflowWarning, stacklevel=2)
    return counts

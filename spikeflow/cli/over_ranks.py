"""A command on several ranks: ``mpirun -n 4 spikeflow run ...``, of which the first prints and writes."""

from __future__ import annotations

import io
from collections.abc import Generator, Sequence
from contextlib import contextmanager, redirect_stderr
from typing import TYPE_CHECKING

import click

from spikeflow.sim.ranks import launched
from spikeflow.sim.record_file import sink_of
from spikeflow.sim.records import Asked

if TYPE_CHECKING:
    from spikeflow.sim.batch import Sink

RANKS = click.option(
    "--ranks",
    default=None,
    metavar="N|mpi",
    help="Spread one network over N processes of this machine, or over the ranks of mpirun, which is the "
    "default under it. Results do not depend on it.",
)


def asked(ranks: str | None) -> tuple[int | str, bool]:
    """Over which ranks to run, and whether this process prints and writes.

    MPI begins here, before anything can fail, so that one rank's error reaches the others.
    """
    if ranks == "mpi" or (ranks is None and launched() > 1):
        from spikeflow.sim.ranks import mpi

        return "mpi", mpi.world().rank == 0
    if ranks is None:
        return 1, True
    if not ranks.isdecimal() or not int(ranks):
        raise click.BadParameter(f"{ranks!r} is neither a number above 0 nor mpi.", param_hint="--ranks")
    return int(ranks), True


@contextmanager
def recording(path: str | None, leads: bool, record: Sequence[Asked]) -> Generator[Sink | None]:
    """Where records go: to a file on the first rank; the others make them as well, and drop them."""
    if leads:
        with sink_of(path, record) as sink:
            yield sink
        return
    with redirect_stderr(io.StringIO()):  # the first tells what is to be told
        yield None if path is None else lambda recorded, sample, step, steps: None

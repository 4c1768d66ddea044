"""One network over several processes ("ranks"), each of which holds a part of its neurons.

    mpirun -n 4 python script.py          # in it: sim.run(graph, inputs, steps, ranks="mpi")
    sim.run(graph, inputs, steps, ranks=4)     # four processes of this machine

A rank owns a range of the neurons of every population of spikes, and the synapses onto them, which it draws
or picks itself. Spikes go to all ranks once for each smallest delay. All ranks run the same program and get
the same `Result`, which is bit for bit that of one process. What is no such population (readouts, dense
layers) each rank computes whole, from the spikes of all; what reads the sums of a part alone is refused by
name.

`exchange` is what ranks say to each other; `mpi` and `local` carry it; `engine` runs a part; `join` makes one
result of the parts; `processes` starts ranks of this machine and `child` is what these run.
"""

from __future__ import annotations

import os

from spikeflow.errors import DataError
from spikeflow.ir.graph import Graph
from spikeflow.sim.ranks import mpi
from spikeflow.sim.ranks.engine import RankEngine
from spikeflow.sim.ranks.processes import Processes

LAUNCHED = ("OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS")  # how many ranks an MPI launcher started


def launched() -> int:
    """How many ranks the MPI launcher started that this process is one of; 1 where there was none."""
    sizes = (os.environ.get(name, "") for name in LAUNCHED)
    return max((int(size) for size in sizes if size.isdecimal()), default=1)


def prepare(graph: Graph, ranks: int | str, threads: int = 0) -> RankEngine | Processes:
    """A graph made ready over ranks, as `spikeflow.sim.prepare` says."""
    if ranks == "mpi":
        return RankEngine(graph, mpi.world(), threads)
    if isinstance(ranks, bool) or not isinstance(ranks, int) or not 1 <= ranks <= 256:
        raise DataError("ranks", ranks, '"mpi", or a number of processes of this machine, 1 to 256')
    return Processes(graph, ranks, threads)

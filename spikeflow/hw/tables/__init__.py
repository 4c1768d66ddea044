"""The tables of a mapping: what each core, the host's inputs and the read-out would load.

`records` are the tables, `build` makes them, `check` validates them, `rebuild` runs them backwards into a
graph, `file` keeps a `mapping`, `origin` knows whose it is.
"""

from spikeflow.hw.tables.records import (
    AxonTable,
    CoreTable,
    InputTable,
    Layout,
    NeuronKind,
    OutputTable,
    Projection,
    RouteTable,
    SliceTable,
    TrafficRecord,
)

__all__ = [
    "AxonTable",
    "CoreTable",
    "InputTable",
    "Layout",
    "NeuronKind",
    "OutputTable",
    "Projection",
    "RouteTable",
    "SliceTable",
    "TrafficRecord",
]

"""spikeflow: neural networks to neuromorphic hardware, with the truth on the way.

What is listed here is stable (``docs/stability.md``) and loaded when it is first asked for, so that importing
the package loads nothing heavy::

    import spikeflow

    made = spikeflow.convert(model, x, y, steps=64)
    mapping = spikeflow.map_network(made.network, "loihi2", x)
"""

from __future__ import annotations

import sys

# As in `typing`, which takes longer to load than the rest of this file: a command has to come quickly to the
# line that takes Ctrl-C (`spikeflow.__main__`).
TYPE_CHECKING = False

if TYPE_CHECKING:
    from spikeflow.convert import Conversion, ConvertOptions, agreement, capture_trained, convert
    from spikeflow.errors import SpikeflowError, SpikeflowWarning
    from spikeflow.events import Events, Spikes
    from spikeflow.hw import Mapping, map_network
    from spikeflow.hw.integer.quantise import quantise, quantize
    from spikeflow.hw.tables.file import read_mapping, write_mapping
    from spikeflow.ir.difference import difference
    from spikeflow.ir.file import read as read_network
    from spikeflow.ir.file import write as write_network
    from spikeflow.ir.graph import Edge, Graph
    from spikeflow.ir.record import Network, RunRecord
    from spikeflow.neurons import (
        IF,
        LIF,
        CubaLIF,
        Integrator,
        Net,
        Neuron,
        NeuronModel,
        Recurrent,
        Residual,
        Sequential,
        TwoPointLIF,
    )
    from spikeflow.sim import Constant, Dense, Result, State, run
    from spikeflow.sim.classify import RunOptions, classify
    from spikeflow.sim.record_file import read_records
    from spikeflow.version import __version__

__all__ = [
    "Constant",
    "Conversion",
    "ConvertOptions",
    "CubaLIF",
    "Dense",
    "Edge",
    "Events",
    "Graph",
    "IF",
    "Integrator",
    "LIF",
    "Mapping",
    "Net",
    "Network",
    "Neuron",
    "NeuronModel",
    "Recurrent",
    "Residual",
    "Result",
    "RunOptions",
    "RunRecord",
    "Sequential",
    "SpikeflowError",
    "SpikeflowWarning",
    "Spikes",
    "State",
    "TwoPointLIF",
    "__version__",
    "agreement",
    "capture_trained",
    "classify",
    "convert",
    "difference",
    "map_network",
    "quantise",
    "quantize",
    "read_mapping",
    "read_network",
    "read_records",
    "run",
    "write_mapping",
    "write_network",
]

# module: the names that it gives, `stable=inside` where it has another one there; the same as above (a test)
_HOMES = {
    "convert": "Conversion ConvertOptions agreement capture_trained",
    "errors": "SpikeflowError SpikeflowWarning",
    "events": "Events Spikes",
    "hw": "Mapping map_network",
    "hw.integer.quantise": "quantise quantize",
    "hw.tables.file": "read_mapping write_mapping",
    "ir.difference": "difference",
    "ir.file": "read_network=read write_network=write",
    "ir.graph": "Edge Graph",
    "ir.record": "Network RunRecord",
    "neurons": "IF LIF CubaLIF Integrator Net Neuron NeuronModel Recurrent Residual Sequential TwoPointLIF",
    "sim": "Constant Dense Result State run",
    "sim.classify": "RunOptions classify",
    "sim.record_file": "read_records",
    "version": "__version__",
}


class _OldNames:
    """Finds modules by the names that they had before, see `spikeflow.moved`."""

    @staticmethod
    def find_spec(fullname: str, path: object = None, target: object = None) -> object:
        """A spec for an old name, None for any other."""
        if not fullname.startswith("spikeflow.") or fullname in ("spikeflow.moved", "spikeflow.__main__"):
            return None
        from spikeflow.moved import spec_of

        return spec_of(fullname)


if not any(getattr(finder, "__name__", "") == "_OldNames" for finder in sys.meta_path):
    # first: a folder of pages would be found as an empty package under the old name of a module
    sys.meta_path.insert(0, _OldNames)  # type: ignore[arg-type]  what it needs of a finder, without its base class


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name == "convert":  # the package, which can be called as its function
        return import_module("spikeflow.convert")
    for module, names in _HOMES.items():
        for listed in names.split():
            stable, _, inside = listed.partition("=")
            if stable == name:
                globals()[name] = found = getattr(import_module(f"spikeflow.{module}"), inside or stable)
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

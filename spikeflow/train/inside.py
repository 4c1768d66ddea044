"""What lies within a network: layers of neurons and layers with synapses, by the names of `record`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch import nn

from spikeflow.errors import UnsupportedLayer
from spikeflow.neurons.integrator import Integrator
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.leaky_integrator import LeakyIntegrator
from spikeflow.neurons.members import bare, is_opened
from spikeflow.neurons.net import Net
from spikeflow.neurons.wiring import FIRST, chain, source_of

SYNAPSES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def network(net: nn.Module) -> Net:
    """The network within its wrappers.

    Raises
    ------
    UnsupportedLayer
        For a module that is no network of this package.
    """
    inner = bare(net)
    if not isinstance(inner, Net):
        raise UnsupportedLayer("the network", type(inner).__name__, "a spikeflow Sequential or Net")
    return inner


def _parts(inner: Any) -> Iterator[tuple[str, str, nn.Module]]:
    """Of a network, or of a container that is run as one: name, path and module of every node."""
    if isinstance(inner, Net):
        yield from ((name, inner.path_of(name), module) for name, module in inner.modules_by_name().items())
    elif is_opened(inner):
        yield from ((name, name, child) for name, child in inner.named_children())


def _joined(path: str, name: str) -> str:
    return ".".join(filter(None, (path, name)))


def members(net: nn.Module, path: str = "") -> Iterator[tuple[str, nn.Module]]:
    """Every layer that is no network, by the name under which `record` hands on what it gives, in order."""
    inner = bare(net)
    parts = list(_parts(inner))
    for _, own, module in parts:
        yield from members(module, _joined(path, own))
    if not parts:
        yield path, inner


def drivers(net: nn.Module) -> dict[str, tuple[str, ...]]:
    """For each layer of neurons the nearest layers with parameters that bring it currents, by `members`."""
    flow = _Flow({})
    plain = network(net)
    flow.through("", plain, dict.fromkeys(plain.ports, frozenset[str]()))
    return {name: tuple(sorted(found)) for name, found in flow.found.items()}


class _Flow:
    """Sets of layers follow the edges, as values would: a layer with parameters begins a new one, neurons end
    it.
    """

    def __init__(self, found: dict[str, frozenset[str]]) -> None:
        self.found = found

    def through(
        self, path: str, module: nn.Module, ports: dict[str, frozenset[str]]
    ) -> dict[str, frozenset[str]]:
        """What comes out of a node, by the names of its outputs."""
        inner: Any = bare(module)
        arrived = frozenset[str]().union(*ports.values())
        if isinstance(inner, Net) or is_opened(inner):
            return self._network(path, inner, ports)
        if isinstance(inner, Neuron) or getattr(inner, "spikes", False):
            self.found[path] = self.found.get(path, frozenset()) | arrived
            return {"out": frozenset()}
        return {"out": frozenset({path}) if any(True for _ in inner.parameters()) else arrived}

    def _network(self, path: str, inner: Any, ports: dict[str, frozenset[str]]) -> dict[str, frozenset[str]]:
        parts = {name: (_joined(path, own), module) for name, own, module in _parts(inner)}
        wiring = inner.wiring if isinstance(inner, Net) else chain(tuple(parts))
        known = {port or wiring.inputs[0]: found for port, found in ports.items()}
        order = [name for part in wiring.parts for name in part.names]
        for _ in range(2):  # what comes back on a cycle is known the second time
            for name in order:
                own, module = parts[name]
                into = {p: self._arriving(edges, known) for p, edges in wiring.incoming[name].items()}
                made = self.through(own, module, into)
                known |= {
                    name if key == "out" or len(made) == 1 else f"{name}.{key}": v for key, v in made.items()
                }
        return {n: self._arriving(wiring.incoming[n][FIRST], known) for n in wiring.outputs}

    @staticmethod
    def _arriving(edges: Any, known: dict[str, frozenset[str]]) -> frozenset[str]:
        return frozenset[str]().union(*(known.get(source_of(e), frozenset()) for e in edges))


def neurons(net: nn.Module) -> dict[str, Neuron]:
    """The layers of neurons by name."""
    return {name: layer for name, layer in members(net) if isinstance(layer, Neuron)}


def is_read_out(layer: nn.Module) -> bool:
    """Whether a layer of neurons only adds up what it is given; of a graph's neurons their model's name
    says so.
    """
    return isinstance(layer, Neuron) and layer.model.name in (Integrator.__name__, LeakyIntegrator.__name__)


def spiking(net: nn.Module) -> dict[str, Neuron]:
    """The layers of neurons that hand on spikes or graded events, without read-outs."""
    return {name: layer for name, layer in neurons(net).items() if not is_read_out(layer)}


def synapses(net: nn.Module) -> dict[str, nn.Module]:
    """The layers with synapses by the path that torch gives them."""
    return {path: layer for path, layer in net.named_modules() if isinstance(layer, SYNAPSES)}

"""Net: a network of torch modules wired as a graph."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from spikeflow.errors import DataError, GraphError, ShapeError
from spikeflow.ir.graph import Edge
from spikeflow.neurons.advance import Members, NetState, advance, inside_of
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.members import Timed, bare, check_member, outputs_of, ports_of
from spikeflow.neurons.stretch import check_stretch
from spikeflow.neurons.wiring import FIRST, Wiring, wire


class Net(Timed):
    """Modules at named nodes, wired by edges: ``(outputs, states) = net(x, states=None, record=())``.

    A node is a layer of neurons, a network, or a torch module without neurons, which sees steps times samples
    as one batch. Edges are those of `ir.graph`: an edge of delay d brings the value of d steps ago, 0 before
    the first step; several edges into one port add up, left to right. Neurons have the ports of their model
    (``basal``, ``apical``), a network those of its inputs; a network of several outputs is read by
    ``src_port``.

    What lies on no cycle runs over all steps at once, a cycle step by step. There batch norm and dropout are
    refused while they train: they would take statistics and draw a mask anew in every step. Elsewhere batch
    norm takes its statistics over steps and samples, and dropout draws one mask for a sequence.

    Parameters
    ----------
    nodes : modules by name.
    edges : between nodes; from an input; to an output.
    inputs, outputs : their names.

    Raises
    ------
    GraphError
        For names and ports that do not exist or are used twice, what reads nothing or is read by nobody, and
        a cycle without delay, by name of all its nodes.
    UnsupportedLayer
        For a module that holds neurons and is no network, and for torch layers that relate steps and samples.
    """

    records = True

    def __init__(
        self,
        nodes: Mapping[str, nn.Module],
        edges: Iterable[Edge],
        inputs: Iterable[str] = ("input",),
        outputs: Iterable[str] = ("output",),
    ) -> None:
        super().__init__()
        if not isinstance(nodes, Mapping):
            raise GraphError("Net", f"nodes {nodes!r:.80} are not named", "a dict, {'cells': Neuron(LIF())}")
        for name, module in nodes.items():
            check_member(str(name), module)
        ends = names_of("inputs", inputs), names_of("outputs", outputs)
        plain = wire(tuple(nodes), tuple(edges), *ends)
        self.wiring = wire(plain.names, [_resolved(edge, nodes) for edge in plain.edges], *ends)
        _check_ports(self.wiring, nodes)
        _check_outputs(nodes)
        self.nodes = nn.ModuleDict({key: nodes[name] for name, key in _keys(tuple(nodes)).items()})

    @property
    def ports(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the inputs."""
        return self.wiring.inputs

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """Names of the outputs."""
        return self.wiring.outputs

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges, in order."""
        return self.wiring.edges

    def extra_repr(self) -> str:
        """The edges."""
        return "\n".join(_shown(edge) for edge in self.edges)

    def modules_by_name(self) -> dict[str, nn.Module]:
        """The nodes."""
        return {name: self.nodes[key] for name, key in _keys(self.wiring.names).items()}

    def path_of(self, name: str) -> str:
        """What a node is called within a larger network, after this network's own name."""
        return name

    def forward(self, x: Any, states: Any = None, record: Iterable[str] = ()) -> tuple[Any, Any]:
        """A stretch of time ``(T, B, *shape)`` through the network, and the state after it.

        Parameters
        ----------
        x : a tensor, or several by name of the input.
        states : as the network gave them for the stretch before; None to start.
        record : names of nodes whose values are wanted too; of a state of neurons as ``cells.v``, of a node
            within a network as ``block.cells``. With them the outputs are a dict.

        Returns
        -------
        The output; a dict by name where there are several, or where something is recorded. And the state:
        `nodes` by name, and the `past` of what is read with a delay.

        Raises
        ------
        ShapeError, DataError, GraphError
            For inputs or a state that are not this network's, edges of several shapes into one port, names of
            nothing to record.
        """
        record = names_of("record", record)
        members = Members(self.wiring, self.modules_by_name(), record, inside_of(self.wiring, record))
        values, after = advance(members, self._given(x), self._before(states))
        return answered(values, self.outputs, record), after

    def _given(self, x: Any) -> dict[str, torch.Tensor]:
        named = dict(x) if isinstance(x, Mapping) else {self.ports[0]: x}
        if set(named) != set(self.ports):
            got = sorted(map(str, named)) if isinstance(x, Mapping) else f"one input, {type(x).__name__}"
            raise ShapeError("the network", f"inputs {got}", f"a dict by name, of {self.ports}")
        for name, value in named.items():
            check_stretch(name, value)
        if len(sizes := {tuple(value.shape[:2]) for value in named.values()}) > 1:
            raise ShapeError("inputs", f"(T, B) of {sorted(sizes)}", "the same steps and samples for all")
        return named

    def _before(self, states: Any) -> NetState:
        if states is None:
            return NetState({}, {})
        nodes, past = states if isinstance(states, tuple) and len(states) == 2 else (None, None)
        if not isinstance(nodes, Mapping) or not isinstance(past, Mapping):
            raise DataError("states", type(states).__name__, "what the network gave", "states=None to start")
        unknown = [n for n in (*nodes, *past) if n not in self.wiring.names and n not in self.wiring.depth]
        cells = [n for n, module in self.modules_by_name().items() if isinstance(bare(module), Neuron)]
        missing = [n for n in self.wiring.depth if n not in past] + [n for n in cells if n not in nodes]
        if unknown or missing:
            got = f"states of {sorted(map(str, (*nodes, *past)))}"
            raise ShapeError("states", got, f"those that this network gave; not so: {(unknown + missing)[0]}")
        return NetState(dict(nodes), dict(past))


def answered(values: Mapping[str, Any], outputs: tuple[str, ...], record: Iterable[str]) -> Any:
    """The only output; where there are several or something was recorded, a dict by name."""
    wanted = [*outputs, *record]
    return values[wanted[0]] if len(wanted) == 1 else {name: values[name] for name in wanted}


def names_of(what: str, names: Any) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise GraphError(what, f"{names!r:.80} is no list of names", f"{what}=({names!r:.40},)")
    found: tuple[str, ...] = tuple(names)
    return found


def _keys(names: tuple[str, ...]) -> dict[str, str]:
    """Under which word torch keeps each node: it takes no dots, and no word that it uses itself."""
    keys: dict[str, str] = {}
    for name in names:
        key = name.replace(".", "/")
        while hasattr(nn.ModuleDict, key) or key in keys.values():
            key += "_"
        keys[name] = key
    return keys


def _resolved(edge: Edge, nodes: Mapping[str, nn.Module]) -> Edge:
    """The edge with the names that its ends use; GraphError for ports that they lack."""
    port, source = edge.port, edge.src_port
    ports: tuple[str, ...] = ports_of(nodes[edge.dst]) if edge.dst in nodes else ("in",)
    outputs: tuple[str, ...] = outputs_of(nodes[edge.src]) if edge.src in nodes else ("out",)
    if port not in ports and (port != FIRST and (port != "in" or len(ports) > 1)):
        raise GraphError(edge.dst, f"has no port {port!r} for {edge.src}", f"one of {', '.join(ports)}")
    if source not in outputs and (source != "out" or len(outputs) > 1):
        raise GraphError(edge.src, f"has no output {source!r} for {edge.dst}", f"one of {', '.join(outputs)}")
    return replace(
        edge, port=port if port in ports[1:] else FIRST, src_port="out" if len(outputs) == 1 else source
    )


def _check_ports(wiring: Wiring, nodes: Mapping[str, nn.Module]) -> None:
    """Every input of a network is needed; neurons read 0 at a port that nothing reaches."""
    for name, module in nodes.items():
        if isinstance(module, Timed) and not module.silent:
            named = {port or ports_of(module)[0] for port in wiring.incoming[name]}
            for port in ports_of(module):
                if port not in named:
                    raise GraphError(name, f"nothing is connected to its input {port!r}", "an edge to it")


def _check_outputs(nodes: Mapping[str, nn.Module]) -> None:
    """What a node of several outputs hands on is called NAME.OUTPUT, which is no other node's name."""
    for name, module in nodes.items():
        found = outputs_of(module)
        for output in found if len(found) > 1 else ():
            if f"{name}.{output}" in nodes:
                reason = f"is a node, and the output {output!r} of {name}"
                raise GraphError(f"{name}.{output}", reason, "another name for one of them")


def _shown(edge: Edge) -> str:
    source = edge.src if edge.src_port == "out" else f"{edge.src}.{edge.src_port}"
    reader = edge.dst if edge.port in (FIRST, "in") else f"{edge.dst}.{edge.port}"
    return f"{source} -> {reader}" + (f", {edge.delay} step(s) later" if edge.delay else "")

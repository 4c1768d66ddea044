"""What a chip can take: small rules, all of them run, every violation reported at once.

A rule is a function of a composed (and adapted) graph at stage snn and a chip that yields violations. A chip
may bring rules of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import prod

import numpy as np

from spikeflow.errors import HardwareError, SpikeflowError, Violation
from spikeflow.hw.chips.chip import Chip
from spikeflow.hw.integer.translate import operations
from spikeflow.hw.passes.adapt import VARIANTS, reset_of
from spikeflow.hw.passes.advice import (
    Finding,
    Rule,
    Way,
    broken,
    plain_instead,
    read_by_integrators,
    reset_to_zero,
    spikes_in,
    spiking_instead,
    without_bias,
)
from spikeflow.hw.passes.compose import Constants
from spikeflow.hw.passes.retime import retime
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input, Output, Poisson, Population, Synaptic
from spikeflow.ir.outputs import reads_states
from spikeflow.ir.plastic import plastic_nodes
from spikeflow.ir.synapses import fan_in as most_synapses
from spikeflow.neurons.cuba_lif import CubaLIF
from spikeflow.neurons.integrator import Integrator


def check_rules(graph: Graph, chip: Chip, chips: int = 1) -> tuple[Violation, ...]:
    """Every violation, in the order of the rules; empty where the chip can take the graph as far as rules
    tell.

    Parameters
    ----------
    graph : composed, at stage snn; adapted to the chip.
    chips : the most that may be used.
    """
    found = broken(RULES, graph, chip)
    return (*found, *neurons(graph, chip, chips))


def states_read(graph: Graph) -> tuple[Violation, ...]:
    """Edges that read a state of a population; asked before anything is composed."""
    limit, hint = "what neurons hand on", "a population of its own that hands it on, such as an Integrator"
    needs = ((e.src, f"to hand on its state {e.src_port} to {e.dst}") for e in reads_states(graph))
    return tuple(Violation(name, need, limit, hint) for name, need in needs)


def learning(graph: Graph) -> tuple[Violation, ...]:
    """Synapses that learn, of which the tables say nothing."""
    limit, hint = "weights that stay", "sim.with_weights(graph, state, learns=False), what was learned"
    needs = ((name, "synapses that learn while the network runs") for name, _, _ in plastic_nodes(graph))
    return tuple(Violation(name, need, limit, hint) for name, need in needs)


def changes(graph: Graph) -> tuple[Violation, ...]:
    """Neurons of differential code: integers have no division by the step, and chips no spikes that fade."""
    hint = "spikes that all stand for the same (convert --alphabet signed, or binary)"
    needs = {
        name: f"spikes worth {node.values.worth} in step t (alphabet {node.alphabet})"
        for name, node in _populations(graph)
        if node.values is not None and node.values.differential
    }
    return tuple(Violation(name, need, "spikes of one worth", hint) for name, need in needs.items())


def random_drive(graph: Graph) -> tuple[Violation, ...]:
    """Sources that draw their spikes themselves; no chip's table has such a generator."""
    hint = "an Input in its place, into which the host sends the spikes"
    return tuple(
        Violation(name, "random drive", "spikes that are sent", hint) for name in graph.of_kind(Poisson)
    )


BEFORE = (states_read, learning, random_drive, changes)  # asked before anything is composed


def inputs(graph: Graph, chip: Chip) -> Iterator[Violation]:
    """The kinds of input that the chip takes."""
    for name in graph.inputs:
        node = graph.nodes[name]
        assert isinstance(node, Input)
        if node.kind not in chip.inputs:
            yield Finding(
                name,
                f"a {node.kind} in every step",
                f"{' or '.join(chip.inputs)} on {chip.title}",
                ways=(Way("--input rate, or --input onoff where values are negative", spikes_in(name)),),
            )


def models(graph: Graph, chip: Chip) -> Iterator[Violation]:
    """Neurons: a listed model with a listed reset, or a program of the operations of a programmable chip."""
    constants = Constants(graph)
    for name, node in _populations(graph):
        yield from _programmed(constants, name, node, chip) if chip.operations else _listed(name, node, chip)


def _listed(name: str, node: Population, chip: Chip) -> Iterator[Violation]:
    kind = reset_of(node)
    if node.model not in chip.models or (kind is None and node.program not in _FIXED_PROGRAMS):
        yield Finding(
            name,
            _called(node),
            f"{', '.join(chip.models)} on {chip.title}",
            ways=(Way("a LIF that resets to zero in its place, trained again", plain_instead(name)),),
        )
    elif kind is not None and kind not in chip.resets:
        yield Finding(
            name,
            f"reset by {kind}ion" if kind == "subtract" else f"reset to {kind}",
            f"reset to {' or '.join(chip.resets)} on {chip.title}",
            ways=(Way("--reset zero", reset_to_zero(name)),),
        )


def _called(node: Population) -> str:
    """The neuron, and what sets it apart from the plain form of its model."""
    plain = next(iter(VARIANTS.get(node.model, {}).values()), None)
    if plain is None or reset_of(node) is not None:
        return f"the neuron {node.model}"
    states = [s for s in node.program.states if s not in plain.states()]
    params = [p for p in node.program.params if p not in plain.params()]
    kinds = {"state": states, "parameter": params}
    more = [f"the {kind}{'s'[: len(found) - 1]} {', '.join(found)}" for kind, found in kinds.items() if found]
    return f"the neuron {node.model} with {' and '.join(more) or 'another step than its plain form'}"


_FIXED_PROGRAMS = (Integrator().program(), CubaLIF().program())


def _programmed(constants: Constants, name: str, node: Population, chip: Chip) -> Iterator[Violation]:
    try:
        biases = {p: constants.at(name, p) for p in node.ports}
        used = operations(name, node, biases, chip.formats.arithmetic)
    except HardwareError as error:
        yield from error.violations
        return
    missing = sorted(used - chip.operations)
    if missing:
        yield Finding(
            name,
            f"the operations {', '.join(missing)} ({node.model})",
            f"{', '.join(sorted(chip.operations))} on {chip.title}",
        )


def currents(graph: Graph, chip: Chip) -> Iterator[Violation]:
    """Biases into a current that is kept, on a chip without programs of its own."""
    if chip.operations:
        return
    constants = Constants(graph)
    for name, node in _populations(graph):
        kept = node.model == "CubaLIF" and reset_of(node) and np.any(node.params["decay_current"])
        if kept and constants.at(name, "in") is not None:
            yield Finding(
                name,
                "a bias into the current that it keeps",
                f"biases into the membrane on {chip.title}",
                ways=(Way("training without this bias", without_bias(name)),),
            )


def messages(graph: Graph, chip: Chip) -> Iterator[Violation]:
    """Neurons send spikes to each other; an Output reads neurons."""
    for name, node in _populations(graph):
        listeners = [e.dst for e in graph.outputs_of(name) if not isinstance(graph.nodes[e.dst], Output)]
        if listeners and not node.spikes:
            yield Finding(
                name,
                f"to hand on its state to {listeners[0]}",
                "spikes, or whole numbers of an alphabet (ILIF of up to 16 levels), between neurons"
                if chip.operations
                else "spikes of 0 or 1 between neurons",
                ways=(Way("a spiking population in its place", spiking_instead(name)),),
            )
    for name in graph.outputs:
        for edge in graph.inputs_of(name):
            if not isinstance(graph.nodes[edge.src], Population):
                yield Finding(
                    name,
                    f"to read {edge.src}, which is not a population",
                    "states or spikes of neurons",
                    ways=(Way("an Integrator as the read-out", read_by_integrators(name)),),
                )


def delays(graph: Graph, chip: Chip) -> Iterator[Violation]:
    """Delays that the chip can carry once every connection has its minimum."""
    try:
        retime(graph, chip)
    except HardwareError as error:
        yield from error.violations
    except SpikeflowError as error:
        yield Violation("graph", str(error), "a composed graph")


def fan_in(graph: Graph, chip: Chip) -> Iterator[Violation]:
    """A single neuron that would not fit an empty core, by its input axons or by its synaptic memory."""
    for name, node in _populations(graph):
        sources = [graph.nodes[e.src] for p in node.ports for e in graph.inputs_of(name, p)]
        counts = [most_synapses(s, zeros=False) for s in sources if isinstance(s, Synaptic)]
        axons, limit, states = sum(counts), int(chip.axons_in.value), len(node.program.states)
        room, memory = int(chip.memory.limit.value), _neuron_bits(axons, states, chip)
        # what one synapse more takes is the same for each, so the most that fit can be counted
        each = _neuron_bits(1, states, chip) - _neuron_bits(0, states, chip)
        most = min(limit, (room - _neuron_bits(0, states, chip)) // max(1, each))
        hint = f"at most {most} inputs for each neuron" if most > 0 else ""
        if axons > limit:
            yield Violation(name, f"{axons} input axons for one neuron", f"{limit} of a core", hint)
        if memory > room:
            yield Violation(name, f"{memory} bits of memory for one neuron", f"{room} of a core", hint)


def _neuron_bits(axons: int, states: int, chip: Chip) -> int:
    m = chip.memory
    lists = int(m.list_bits(np.ones(1, np.int64), m.synapse_bits(0, 0))[0])
    return int(m.overhead.value + states * m.state_word.value + axons * (m.axon.value + lists))


def neurons(graph: Graph, chip: Chip, chips: int) -> Iterator[Violation]:
    """All neurons on so many chips."""
    total = sum(prod(node.shape) for _, node in _populations(graph))
    room = int(chip.neurons.value) * chip.grid.cores * chips
    if total > room:
        yield Violation(
            "neurons",
            str(total),
            f"{room} of {chips} chip{'s' * (chips > 1)}",
            # no less; how many there must be in the end, `partition` tells, which counts every limit
            f"--chips {-(-total // (room // chips))} at least, or a smaller network",
        )


def _populations(graph: Graph) -> Iterator[tuple[str, Population]]:
    for name, node in graph.nodes.items():
        if isinstance(node, Population):
            yield name, node


RULES: tuple[Rule, ...] = (inputs, models, currents, messages, delays, fan_in)

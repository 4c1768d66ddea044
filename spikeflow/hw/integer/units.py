"""Units: what 1 in each read-out of an integer network stands for, so that a mapped regression answers in
real numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from spikeflow.hw.integer.quantisation import Quantisation
from spikeflow.ir.record import Network, OutputRecord


def with_units(found: Quantisation) -> Network:
    """The integer network, its run record saying for each output the value of 1 in its accumulator.

    A read-out adds up integers, each a real value times one scale for the whole population.
    """
    network = found.network
    scales = {layer.name: layer.scale for layer in found.layers}
    outputs = tuple(_with_unit(network, output, scales) for output in network.outputs)
    return replace(network, record=replace(network.record, outputs=outputs))


def _with_unit(
    network: Network, output: OutputRecord, scales: Mapping[str, Mapping[str, tuple[float, float]]]
) -> OutputRecord:
    values = {
        scale
        for edge in network.graph.inputs_of(output.node)
        for pair in scales.get(edge.src, {}).values()
        for scale in pair
    }
    # spikes, and what is no population, are what they are
    return replace(output, unit=output.unit / values.pop()) if len(values) == 1 else output

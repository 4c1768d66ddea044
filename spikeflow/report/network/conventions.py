"""What the operations of a network cost by the field's convention, before any chip is chosen.

The convention counts arithmetic only: no memory, no routing, no idle time. It makes networks comparable and
says nothing about a device, so the report prints it apart from the costs of a mapping.
"""

from __future__ import annotations

from collections.abc import Sequence

from spikeflow.report.network.facts import NOT_PUBLISHED, CostFacts, CostLine, LayerFacts

# M. Horowitz, "Computing's energy problem", ISSCC 2014: float32 addition 0.9 pJ, multiplication 3.7 pJ, 45 nm
ACCUMULATE_PJ = 0.9
MULTIPLY_ACCUMULATE_PJ = 4.6
SOURCE = "Horowitz, ISSCC 2014: float32 arithmetic at 45 nm"


def convention_costs(layers: Sequence[LayerFacts]) -> tuple[CostFacts, ...]:
    """The spiking run, and one dense pass over the same synapses, which is what the ANN would do."""
    return (_spiking(layers), _dense(sum(layer.connections for layer in layers)))


def _spiking(layers: Sequence[LayerFacts]) -> CostFacts:
    adds = sum(layer.accumulates for layer in layers)
    products = sum(layer.multiply_accumulates for layer in layers)
    lines = (
        _line("accumulates", adds, ACCUMULATE_PJ),
        _line("multiply-accumulates", products, MULTIPLY_ACCUMULATE_PJ),
    )
    joule = 1e-12 * (adds * ACCUMULATE_PJ + products * MULTIPLY_ACCUMULATE_PJ)
    notes = (
        "arithmetic only: no memory, no routing, no neuron updates",
        "no time: it would be that of another machine than the energy's",
    )
    return CostFacts("spiking network, arithmetic at 45 nm", joule, None, lines, notes, NOT_PUBLISHED)


def _dense(products: float) -> CostFacts:
    lines = (_line("multiply-accumulates", products, MULTIPLY_ACCUMULATE_PJ),)
    return CostFacts(
        "one dense pass over the same connections, arithmetic at 45 nm",
        1e-12 * products * MULTIPLY_ACCUMULATE_PJ,
        None,
        lines,
        ("what a network without spikes would compute for one step; time not defined",),
        NOT_PUBLISHED,
    )


def _line(what: str, count: float, picojoule: float) -> CostLine:
    return CostLine(what, count, picojoule, "pJ", SOURCE)

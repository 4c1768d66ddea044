"""What quantisation lost, layer by layer, and what the calibration samples could not tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from spikeflow.hw.chips.arithmetic import Arithmetic
from spikeflow.hw.integer import registers, weights
from spikeflow.hw.integer.incoming import Float, Incoming
from spikeflow.hw.integer.observe import Observed
from spikeflow.hw.integer.quantisation import EdgeReport, LayerReport, Quantisation
from spikeflow.hw.integer.scales import current_ports
from spikeflow.ir import answer
from spikeflow.ir.arrays import Array, Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.nodes import LINEAR_KINDS, Input, Population
from spikeflow.ir.record import Network
from spikeflow.sim.fidelity import correlation


@dataclass(frozen=True, eq=False)
class Finished:
    """A network before and after.

    Parameters
    ----------
    network, fixed : in float and in integers; run, seen : what they did on the calibration samples.
    edges, scales, counts : of each population and port: its edges, and for each group its scale and how much
        it counts; rounds : how often a population's scales were lowered.
    """

    network: Network
    fixed: Network
    run: Observed
    seen: Observed
    edges: Mapping[tuple[str, str], Sequence[Incoming]]
    scales: Mapping[tuple[str, str], Float]
    counts: Mapping[tuple[str, str], Float]
    rounds: Mapping[str, int]


def report(done: Finished, inputs: Mapping[str, Fixed], x: Array, arithmetic: Arithmetic) -> Quantisation:
    """The integer network with its losses, and what the samples could not tell."""
    layers = tuple(_layer(done, n, arithmetic) for n in done.network.graph.of_kind(Population))
    warned = (*_blind(x), *_silent(done, layers))
    found = MappingProxyType(dict(inputs))
    return Quantisation(done.fixed, layers, found, done.run.samples, _agreement(done), warned)


def _agreement(done: Finished) -> float:
    """Share of the samples that both answer alike, of the output where it is least; 1 without classes."""
    shares = [1.0]
    for output in done.network.outputs:
        a, b = done.run.outputs[output.node], done.seen.outputs[output.node]
        kind = answer.kind_of(a.shape[1:], output.answer)
        if kind != answer.VALUE:
            same = answer.predictions(a, kind) == answer.predictions(b, kind)
            shares.append(float(same.mean()))
    return min(shares)


def _layer(done: Finished, name: str, arithmetic: Arithmetic) -> LayerReport:
    before, node = done.network.graph.nodes[name], done.fixed.graph.nodes[name]
    assert isinstance(node, Population) and isinstance(before, Population)
    scales = {p: done.scales[name, p] for p in before.ports}
    edges = tuple(_edge(e, done, (name, p)) for p in before.ports for e in done.edges[name, p])
    shift = 2.0**arithmetic.state_shift
    stored, counts = node.params.get("threshold"), done.seen.counts[name]
    low = registers.low_clips(node, counts, list(current_ports(before.program)))
    return LayerReport(
        name,
        edges,
        {p: (float(s.min() * shift), float(s.max() * shift)) for p, s in scales.items()},
        None if stored is None else (int(stored.min()), int(stored.max())),
        done.run.rate(name),
        done.seen.rate(name),
        done.rounds.get(name, 0),
        correlation(done.seen.spikes[name], done.run.spikes[name]) if name in done.run.spikes else None,
        low,
        sum(counts.narrowed.values()) - low,
    )


def _edge(edge: Incoming, done: Finished, at: tuple[str, str]) -> EdgeReport:
    node = done.fixed.graph.nodes[edge.name]
    assert isinstance(node, LINEAR_KINDS) and isinstance(node.weight, Quantised)
    lost = weights.loss(edge, node, done.scales[at], done.counts[at])
    bits = node.weight.format.bits
    return EdgeReport(
        edge.name, node.exponent, bits, lost.error, lost.stored_error, lost.zeroed, lost.clipped
    )


def _blind(x: Array) -> Iterator[str]:
    """What samples without any difference leave open."""
    if not np.any(x):
        yield (
            "all values of the calibration samples are zero: ranges of inputs and layers are not known "
            "from them"
        )
    elif len(x) > 1 and bool((x == x[:1]).all()):
        yield f"the {len(x)} calibration samples are all equal: ranges are known from one sample only"


def _silent(done: Finished, layers: Sequence[LayerReport]) -> Iterator[str]:
    spiking = [layer for layer in layers if layer.name in done.run.spikes]
    for layer in spiking:
        if layer.rate == 0:
            yield (
                f"layer {layer.name} never spikes on the {done.run.samples} calibration samples: "
                "what its integers lose is not known"
            )
        elif layer.rate_fixed == 0:
            yield f"layer {layer.name} is silent in integers and spikes in float on the calibration samples"
    for name, spikes in done.run.spikes.items():
        if isinstance(done.network.graph.nodes[name], Input) and not spikes.any():
            yield f"input {name} never spikes on the calibration samples"

"""Quantisation: an integer network and, layer by layer, what it lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikeflow.ir.fixed import Fixed
from spikeflow.ir.record import Network


@dataclass(frozen=True)
class EdgeReport:
    """What became of the weights of one synapse node: `error` is relative, root mean square."""

    name: str
    exponent: int
    bits: int
    error: float


@dataclass(frozen=True)
class LayerReport:
    """What became of one population.

    Parameters
    ----------
    scale : for each port the smallest and largest integer for the real value 1, after the state's shift.
    thresholds : smallest and largest threshold as the chip stores it; none for a read-out.
    rate, rate_fixed : spikes a neuron and step on the calibration samples, in float and in integers.
    halvings : how often its room was doubled until no register overflowed.
    """

    name: str
    edges: tuple[EdgeReport, ...]
    scale: Mapping[str, tuple[float, float]]
    thresholds: tuple[int, int] | None
    rate: float
    rate_fixed: float
    halvings: int


@dataclass(frozen=True, eq=False)
class Quantisation:
    """The integer network and what it lost.

    Parameters
    ----------
    agreement : share of the calibration samples that both networks answer alike.
    """

    network: Network
    layers: tuple[LayerReport, ...]
    inputs: Mapping[str, Fixed]
    samples: int
    agreement: float

    def __str__(self) -> str:
        lines = [f"{self.agreement:.1%} of {self.samples} samples are answered as in float"]
        for layer in self.layers:
            edges = ", ".join(
                f"{e.name}: {e.bits} bits, exponent {e.exponent}, error {e.error:.2%}" for e in layer.edges
            )
            lines.append(f"  {layer.name}: rate {layer.rate:.4f} -> {layer.rate_fixed:.4f}; {edges}")
        return "\n".join(lines)

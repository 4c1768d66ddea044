"""Quantisation: an integer network and, layer by layer, what it lost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikeflow.frozen import Frozen
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.record import Network


@dataclass(frozen=True)
class EdgeReport:
    """What became of the weights of one synapse node.

    Parameters
    ----------
    error : relative, root mean square, each weight weighed by what its source sends and how often its target
        spikes on the calibration samples.
    stored_error : the same with all weights alike, those of silent neurons too.
    zeroed : weights that were not 0 and are; `clipped` : weights larger than the largest integer.
    """

    name: str
    exponent: int
    bits: int
    error: float
    stored_error: float = 0.0
    zeroed: int = 0
    clipped: int = 0


@dataclass(frozen=True)
class LayerReport:
    """What became of one population.

    Parameters
    ----------
    scale : for each port the smallest and largest integer for the real value 1, after the state's shift.
    thresholds : smallest and largest threshold as the chip stores it; none for a read-out.
    rate, rate_fixed : spikes a neuron and step on the calibration samples, in float and in integers.
    halvings : how often the scale of some of its neurons was lowered until no register overflowed.
    correlation : of the spike counts in integers with those in float, over samples and neurons; None for a
        layer that is constant, such as a silent one, and for a read-out.
    low_clips : how often a membrane clipped at its low end, which changes nothing while its neuron stays
        silent.
    overflows : values of any other register that overflow changed: 0 on calibration samples.
    """

    name: str
    edges: tuple[EdgeReport, ...]
    scale: Mapping[str, tuple[float, float]]
    thresholds: tuple[int, int] | None
    rate: float
    rate_fixed: float
    halvings: int
    correlation: float | None = None
    low_clips: int = 0
    overflows: int = 0

    @property
    def error(self) -> float:
        """The largest error of its edges' weights."""
        return max((e.error for e in self.edges), default=0.0)

    @property
    def zeroed(self) -> int:
        """Weights that were not 0 and are."""
        return sum(e.zeroed for e in self.edges)

    @property
    def silent(self) -> bool:
        """Whether it never spikes, in float or in integers."""
        return self.rate == 0 or self.rate_fixed == 0


@dataclass(frozen=True, eq=False)
class Quantisation(Frozen):
    """The integer network and what it lost.

    Parameters
    ----------
    agreement : share of the calibration samples that both networks answer alike.
    warnings : what a user should know before trusting it.
    """

    network: Network
    layers: tuple[LayerReport, ...]
    inputs: Mapping[str, Fixed]
    samples: int
    agreement: float
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"{self.agreement:.1%} of {self.samples} samples are answered as in float"]
        for layer in self.layers:
            edges = ", ".join(
                f"{e.name}: {e.bits} bits, exponent {e.exponent}, error {e.error:.2%}" for e in layer.edges
            )
            alike = "" if layer.correlation is None else f", correlation {layer.correlation:.4f}"
            lines.append(f"  {layer.name}: rate {layer.rate:.4f} -> {layer.rate_fixed:.4f}{alike}; {edges}")
        return "\n".join([*lines, *(f"warning: {w}" for w in self.warnings)])

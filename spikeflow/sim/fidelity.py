"""Fidelity: how faithfully a network answers as the one it came from, on samples that set none of its
numbers.

The share of samples answered alike stands with Wilson's interval (two-sided, 95 %), so that few samples
cannot look like many. A sample whose answer the tested network leaves tied counts as answered otherwise, and
a network that gives one class to everything, where its original tells several apart, agrees in nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from spikeflow.calibration import FEW, PART
from spikeflow.frozen import ADDED
from spikeflow.ir import answer
from spikeflow.ir.interval import shown, wilson
from spikeflow.typing import Array

ENOUGH = f"{PART * FEW} calibration samples"
LEAST = 0.95  # agreement, and correlation of a layer, below which something is told
MOST_ERROR = 0.1  # error of the outputs above which it is told, though the answers agree


@dataclass(frozen=True)
class OutputFidelity:
    """One output of the network.

    Parameters
    ----------
    kind : of its answer, see ``ir.answer``.
    agreement : share of the samples (of a map: of its places) answered alike; of values 1 - error.
    low, high : 95 % interval of `agreement`; both equal it where the answer is a value.
    error : sum of |y - reference| over sum of |reference|, of the output's numbers; None where the reference
        is all 0.
    tied : share of the samples that the tested network leaves undecided.
    constant : whether it gives one class to every sample where the reference gives several.
    spread_error : of values, sum of |y - reference| over sum of |reference - its mean over the samples|: a
        large value that all samples share hides nothing here; None for classes, and where the reference does
        not vary.
    """

    name: str
    kind: str
    agreement: float
    low: float
    high: float
    error: float | None
    tied: float = 0.0
    constant: bool = False
    spread_error: float | None = field(default=None, metadata=ADDED)


@dataclass(frozen=True)
class LayerFidelity:
    """One spiking layer: `rate` in spikes a neuron and step, and what it has in common with the original.

    Parameters
    ----------
    correlation : Pearson's, of spike counts (for an ANN: of its activations) over samples and neurons; None
        where one of the two sides is constant.
    silent : whether it never spiked.
    """

    name: str
    rate: float
    correlation: float | None
    silent: bool = False


@dataclass(frozen=True)
class Fidelity:
    """A network against the one it came from.

    Parameters
    ----------
    reference : what it was compared with, in words.
    samples : held-back samples that were run; 0 where nothing was measured.
    steps : of the tested network.
    outputs : empty where nothing was measured.
    over_steps : agreement of the first output after so many steps, as text.
    error_over_steps : its error after so many steps; empty where it is not defined.
    """

    reference: str
    samples: int
    steps: int
    outputs: tuple[OutputFidelity, ...] = ()
    layers: tuple[LayerFidelity, ...] = ()
    over_steps: Mapping[str, float] = field(default_factory=dict)
    error_over_steps: Mapping[str, float] = field(default_factory=dict, metadata=ADDED)

    @property
    def worst(self) -> OutputFidelity | None:
        """The output of the lowest agreement: it counts for the network."""
        return min(self.outputs, key=lambda o: o.agreement, default=None)

    def first_lost(self) -> LayerFidelity | None:
        """The first layer whose correlation lies below 0.95; else the one where it falls most below the
        layer before.

        A layer that never spikes, or whose counts are constant, counts as lost.
        """
        for layer in self.layers:
            if layer.correlation is None or layer.correlation < LEAST:
                return layer
        before = [1.0, *(layer.correlation or 0.0 for layer in self.layers)]
        falls = [b - (layer.correlation or 0.0) for b, layer in zip(before, self.layers, strict=False)]
        return self.layers[int(np.argmax(falls))] if falls else None

    def to_json(self) -> dict[str, Any]:
        """The same facts as plain values, with those of the worst output at the top."""
        worst = self.worst
        top = {} if worst is None else {k: v for k, v in asdict(worst).items() if k not in ("name", "kind")}
        return {
            "agreement": None,
            "error": None,
            **top,
            "reference": self.reference,
            "samples": self.samples,
            "steps": self.steps,
            "outputs": [asdict(o) for o in self.outputs],
            "layers": [asdict(layer) for layer in self.layers],
            "over_steps": dict(self.over_steps),
            "error_over_steps": dict(self.error_over_steps),
        }

    def __str__(self) -> str:
        if not self.outputs:
            return f"agreement with {self.reference}: not measured (no samples held back)"
        lines = [
            f"agreement with {self.reference}{_of(o, self.outputs)}: {shown(o.agreement, (o.low, o.high))}, "
            f"on {self.samples} held-back samples at {self.steps} steps; error of the outputs "
            f"{_part(o.error)}"
            + (
                f", {_part(o.spread_error)} of their spread over the samples"
                if o.spread_error is not None
                else ""
            )
            + (f"; {_part(o.tied)} left undecided" if o.tied else "")
            for o in self.outputs
        ]
        return "\n".join(lines)


def _of(output: OutputFidelity, outputs: tuple[OutputFidelity, ...]) -> str:
    return f" ({output.name})" if len(outputs) > 1 else ""


def _part(share: float | None) -> str:
    return "not defined" if share is None else f"{100 * share:.2f} %"


def compare_outputs(name: str, tested: Array, reference: Array, kind: str) -> OutputFidelity:
    """Both networks' numbers for the same samples, ``(N, *shape)``, in the same unit."""
    tested, reference = tested.astype(np.float64), reference.astype(np.float64)
    size = float(np.abs(reference).sum())
    error = float(np.abs(tested - reference).sum()) / size if size > 0 else None
    if kind == answer.VALUE:
        alike = max(0.0, 1 - error) if error is not None else float(not tested.any())
        spread = float(np.abs(reference - reference.mean(axis=0)).sum())
        missed = float(np.abs(tested - reference).sum()) / spread if spread > 0 else None
        return OutputFidelity(name, kind, alike, alike, alike, error, spread_error=missed)
    ours, theirs = answer.predictions(tested, kind), answer.predictions(reference, kind)
    ties = answer.tied(tested, kind)
    constant = len(np.unique(ours)) == 1 and len(np.unique(theirs)) > 1
    alike = 0.0 if constant else float(((ours == theirs) & ~ties).mean())
    low, high = wilson(alike, len(tested))
    return OutputFidelity(name, kind, alike, low, high, error, float(ties.mean()), constant)


def compare_layer(name: str, tested: Array, reference: Array, steps: int) -> LayerFidelity:
    """Spike counts ``(samples, neurons)`` of both; the reference may be an ANN's activations."""
    return LayerFidelity(name, float(tested.mean()) / steps, correlation(tested, reference), not tested.any())


def correlation(a: Array, b: Array) -> float | None:
    """Pearson's correlation over all entries; None where one side is constant."""
    x, y = (v.astype(np.float64).ravel() for v in (a, b))
    if x.size == 0 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.clip(np.corrcoef(x, y)[0, 1], -1.0, 1.0))


def lossy(fidelity: Fidelity) -> bool:
    """Whether a user is told of a loss: answers or outputs differ by more than is usual."""
    worst = fidelity.worst
    return worst is not None and (
        worst.agreement < LEAST or (worst.error or 0.0) > MOST_ERROR or _flattened(fidelity) is not None
    )


def _flattened(fidelity: Fidelity) -> OutputFidelity | None:
    """The output of values that tells its samples apart worst, where it does so by less than is usual."""
    found = [o for o in fidelity.outputs if (o.spread_error or 0.0) > MOST_ERROR]
    return max(found, key=lambda o: o.spread_error or 0.0, default=None)


def fidelity_warnings(fidelity: Fidelity, hint: str = "") -> tuple[str, ...]:
    """What a user has to be warned of: not or hardly measured, or answers that differ."""
    worst, of = fidelity.worst, fidelity.reference
    if worst is None:
        return (
            f"agreement with {of} is not measured: no sample was held back for it. Try: --data, {ENOUGH} "
            "or more",
        )
    found = []
    if fidelity.samples < FEW:
        found.append(
            f"agreement with {of} is measured on {fidelity.samples} held-back samples only. Try: "
            f"{ENOUGH} or more"
        )
    if worst.agreement < LEAST:
        found.append(_lost(fidelity, worst, hint))
    elif worst.error is not None and worst.error > MOST_ERROR and worst.kind != answer.VALUE:
        found.append(
            f"the outputs differ from {of} by {_part(worst.error)} on {fidelity.samples} held-back samples, "
            f"though {100 * worst.agreement:.0f} % of the answers agree." + (f" Try: {hint}" if hint else "")
        )
    flat = _flattened(fidelity)
    if flat is not None and worst.agreement >= LEAST:
        found.append(
            f"the values{_of(flat, fidelity.outputs)} differ from {of} by {_part(flat.spread_error)} of "
            "their spread over "
            f"{fidelity.samples} held-back samples, though by {_part(flat.error)} of their size only."
            + (f" Try: {hint}" if hint else "")
        )
    silent = [layer.name for layer in fidelity.layers if layer.silent]
    if silent:
        found.append(f"never spikes on the held-back samples: {', '.join(silent)}")
    return tuple(found)


def _lost(fidelity: Fidelity, worst: OutputFidelity, hint: str) -> str:
    name = f" of output {worst.name}" if len(fidelity.outputs) > 1 else ""
    alike = shown(worst.agreement, (worst.low, worst.high))
    where = where_lost(fidelity)
    text = (
        f"agreement with {fidelity.reference}{name} is {alike} on {fidelity.samples} held-back samples"
        f"{'; ' if where else ''}{where}."
    )
    return f"{text} Try: {hint}" if hint else text


def where_lost(fidelity: Fidelity) -> str:
    """The layer to look at, in words; empty where no layer spikes."""
    layer = fidelity.first_lost()
    if layer is None:
        return ""
    if layer.correlation is None or layer.correlation < LEAST:
        return f"the first layer that differs is {layer.name} ({lost_by(layer)})"
    return f"no layer's correlation is below {LEAST:g}; it falls most at {layer.name} ({lost_by(layer)})"


def lost_by(layer: LayerFidelity) -> str:
    """What a layer lost, in words."""
    if layer.silent:
        return "it never spikes"
    return "its counts are constant" if layer.correlation is None else f"correlation {layer.correlation:.3f}"

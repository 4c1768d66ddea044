"""Pass: run what was converted on the calibration samples that set no threshold, and say how well it
answers.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import torch

from spikeflow.convert.passes.forward import forward, outputs_of
from spikeflow.convert.passes.work import samples_tried
from spikeflow.errors import SpikeflowWarning
from spikeflow.ir import answer
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Activation, Population
from spikeflow.ir.record import LEAST_READ, Network, OutputRecord
from spikeflow.sim.classify import Evaluation, Progress, RunOptions, evaluate
from spikeflow.sim.fidelity import (
    LEAST,
    Fidelity,
    LayerFidelity,
    OutputFidelity,
    compare_layer,
    compare_outputs,
    fidelity_warnings,
    lossy,
)
from spikeflow.sim.spike_counts import samples_counted, spike_counts
from spikeflow.typing import Array

VERIFIED = 200  # held-back samples that are run at most
LONGER = 4  # times the steps that are tried as advice
MAX_LONGER = 1024
FEWEST = 8  # samples that advice is tried on where more would take too long
HELPS = 0.25  # an option helps that takes a quarter of the error away, or brings 1 % more answers
_BATCH = 100
_AT_ONCE = 32  # samples whose membranes are held

Alternatives = Mapping[str, Callable[[], Network]]


@dataclass(frozen=True, eq=False)
class Case:
    """A converted network, the graph of stage ann it came from, and samples that set none of its thresholds.

    Parameters
    ----------
    alternatives : for each option that may help, what makes the network with it.
    for_steps : makes the network for another number of steps, where these decide more than when it ends.
    """

    network: Network
    ann: Graph
    x: Array
    alternatives: Alternatives = field(default_factory=dict)
    for_steps: Callable[[int], Network] | None = None


def verify(case: Case, progress: Progress | None = None) -> tuple[Fidelity, tuple[str, ...]]:
    """How faithfully the spiking network answers as the ANN, and what a user is to be told of that.

    Advice is given only where it was tried on the same samples and helped.
    """
    steps = case.network.record.steps
    if len(case.x) == 0:
        nothing = Fidelity("the ANN", 0, steps)
        return nothing, fidelity_warnings(nothing)
    x = case.x[:VERIFIED]
    logits = ann_outputs(case.ann, x)
    run = evaluate(case.network, x, RunOptions(batch=_AT_ONCE), progress)
    found = _judged(case.network, run, logits, len(x))
    whole = replace(found, layers=layers_against(case.network, case.ann, x))
    advice = ""
    if lossy(found):
        few = samples_tried(case.ann, LONGER * steps, FEWEST, len(x))
        advice = _advice(case, x[:few], logits, run)
    return whole, fidelity_warnings(whole, advice)


def warn(texts: tuple[str, ...]) -> None:
    """Each text as a SpikeflowWarning."""
    for text in texts:
        warnings.warn(text, SpikeflowWarning, stacklevel=4)  # beyond `as_usual`, too


def ann_outputs(ann: Graph, x: Array) -> dict[str, Array]:
    """The answers of a graph of stage ann, by the name of the Output node."""
    parts = [outputs_of(ann, x[i : i + _BATCH]) for i in range(0, len(x), _BATCH)]
    return {name: np.concatenate([part[name] for part in parts]) for name in ann.outputs}


def _judged(network: Network, run: Evaluation, logits: Mapping[str, Array], samples: int) -> Fidelity:
    """A run against the ANN on the first samples."""
    few = {name: values[:samples] for name, values in logits.items()}
    outputs = tuple(alike(run, output, few[output.node], run.steps) for output in network.outputs)
    first = network.outputs[0]
    over = {str(t): alike(run, first, few[first.node], t) for t in moments(run)}
    agreement = {t: output.agreement for t, output in over.items()}
    errors = {t: output.error for t, output in over.items() if output.error is not None}
    return Fidelity("the ANN", samples, run.steps, outputs, (), agreement, errors)


def alike(run: Evaluation, output: OutputRecord, logits: Array, steps: int) -> OutputFidelity:
    """One output after so many steps against the ANN's ``(N, *shape)`` of the first N samples, both before
    what was left off at the end.
    """
    kind = answer.kind_of(logits.shape[1:], output.answer)
    got = run.in_units(steps, output.name)[: len(logits)].reshape(logits.shape)
    return compare_outputs(output.name, got, logits, kind)


def moments(run: Evaluation) -> list[int]:
    """1, 2, 4, ... and the last step."""
    return sorted({2**k for k in range(run.steps.bit_length())} | {run.steps})


def layers_against(
    network: Network,
    ann: Graph,
    x: Array,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> tuple[LayerFidelity, ...]:
    """The spiking layers of a converted network against the activations of its graph of stage ann, on few
    samples.
    """
    names = tuple(n for n in network.graph.of_kind(Population) if isinstance(ann.nodes.get(n), Activation))
    few = x[: samples_counted(network, names, len(x))]
    counts = spike_counts(network, few, names, options)
    activations: dict[str, list[Array]] = {name: [] for name in names}

    def keep(name: str, value: torch.Tensor) -> None:
        if name in activations:
            activations[name].append(value.numpy().reshape(len(value), -1))

    for first in range(0, len(few), _BATCH):
        forward(ann, few[first : first + _BATCH], keep)
    steps = options.steps or network.record.steps
    return tuple(
        compare_layer(n, counts[n], np.concatenate(activations[n]) / theta(network.graph, n), steps)
        for n in names
    )


def theta(graph: Graph, name: str) -> Array:
    """The threshold of each neuron, which is what one of its spikes stands for, ``(neurons,)``."""
    node = graph.nodes[name]
    assert isinstance(node, Population)
    return np.broadcast_to(node.params["threshold"], node.shape).ravel().astype(np.float64)


def _advice(case: Case, x: Array, logits: Mapping[str, Array], run: Evaluation) -> str:
    """The first option that, tried on the same samples, needs no warning; else the best of those that
    help. `run` is that of the network itself.
    """
    found = _judged(case.network, run, logits, len(x))
    tried: list[tuple[float, str]] = []
    for option, make in case.alternatives.items():
        network = make()
        other = _judged(network, _run_of(network, case, x, run), logits, len(x))
        share, error = _figures(other)
        of = " of their spread" if other.worst is not None and other.worst.spread_error is not None else ""
        them = "them" if len(x) == len(case.x[:VERIFIED]) else f"the first {len(x)}"
        near = f"an error of {100 * error:.1f} %{of}"
        text = f"{option}, which agrees in {100 * share:.1f} % of {them} with {near}"
        if lossy(found) and not lossy(other):
            return text
        if _helps(found, other):
            tried.append((share - error, text))
    return max(tried, default=(0.0, ""))[1]


def _run_of(network: Network, case: Case, x: Array, run: Evaluation) -> Evaluation:
    """The run of an alternative; where it differs in when it is read alone, the same run."""
    record, own = network.record, case.network.record
    if network.graph is case.network.graph and replace(record, read_from=own.read_from) == own:
        return replace(run, read_from=record.read_from)
    return evaluate(network, x, RunOptions(batch=_AT_ONCE))


def _helps(before: Fidelity, after: Fidelity) -> bool:
    (share, error), (new_share, new_error) = _figures(before), _figures(after)
    # outputs that come closer do not help where answers are lost and stay lost
    closer = share >= LEAST and new_share >= share and new_error < (1 - HELPS) * error
    return new_share >= share + 0.01 or closer


def _figures(fidelity: Fidelity) -> tuple[float, float]:
    """Agreement and error of the worst output; of values the error in their spread, which no offset hides."""
    worst = fidelity.worst
    if worst is None:
        return 0.0, 1.0
    error = worst.error if worst.spread_error is None else worst.spread_error
    return worst.agreement, 1.0 if error is None else error


def later(network: Network) -> dict[str, Callable[[], Network]]:
    """The first half of the steps not read, in which deep layers wait for those before them, as an
    alternative where all are.
    """
    half = network.record.steps // 2
    if network.record.read_from or network.record.exit is not None or half < LEAST_READ:
        return {}
    record = replace(network.record, read_from=half)
    return {f"--read-from {half}": lambda: replace(network, record=record)}


def in_levels(network: Network, ann: Graph) -> dict[str, Callable[[], Network]]:
    """As many steps as the activations of the ANN have levels, as an alternative: in more, neurons come to
    the clip itself.
    """
    nodes = (ann.nodes[name] for name in ann.of_kind(Activation))
    levels = max((node.levels for node in nodes if isinstance(node, Activation)), default=0)
    if not levels or levels == network.record.steps or network.record.read_from >= levels:
        return {}
    record = replace(network.record, steps=levels)
    return {f"--steps {levels}": lambda: replace(network, record=record)}


def longer(
    network: Network, for_steps: Callable[[int], Network] | None = None
) -> dict[str, Callable[[], Network]]:
    """More steps, as an alternative; `for_steps` makes the network for them where they decide more."""
    steps = min(LONGER * network.record.steps, MAX_LONGER)
    if steps <= network.record.steps:
        return {}
    if for_steps is not None:
        return {f"--steps {steps}": partial(for_steps, steps)}
    record = replace(network.record, steps=steps)
    return {f"--steps {steps}": lambda: replace(network, record=record)}

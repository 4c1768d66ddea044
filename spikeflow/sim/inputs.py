"""What a run takes: spikes, a value for each step, or one value repeated in every step."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeflow.errors import DataError, SimulationError, SpikeflowWarning
from spikeflow.events import Spikes
from spikeflow.intake import array_of
from spikeflow.ir import stages
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Input
from spikeflow.ir.whole import counted_inputs
from spikeflow.typing import Array


@dataclass(frozen=True, eq=False)
class Dense:
    """A value for each step: ``(T, B, *shape)``; integers at stage fixed."""

    values: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", array_of("Dense", self.values))


@dataclass(frozen=True, eq=False)
class Constant:
    """The same value in every step: ``(B, *shape)``; integers at stage fixed."""

    values: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", array_of("Constant", self.values))


RunInput = Dense | Constant | Spikes
RunInputs = RunInput | Mapping[str, RunInput]
_KINDS = "Constant(x) for the same x (B, *shape) in every step, Dense(x) for x (T, B, *shape)"


def samples_of(x: RunInput) -> int:
    """Number of samples."""
    if isinstance(x, Spikes):
        return x.samples
    return int(x.values.shape[1 if isinstance(x, Dense) else 0])


def rows_in(named: Mapping[str, RunInput], rows: int | None) -> int:
    """How many samples a run has: as its inputs; a graph without an Input as many as its state, or one."""
    if named:
        return samples_of(next(iter(named.values())))
    return 1 if rows is None else rows


class Expected:
    """What a graph expects of its inputs, found once for many runs."""

    def __init__(self, graph: Graph) -> None:
        self.nodes = {name: graph.nodes[name] for name in graph.inputs}
        self.fixed = stages.stage_of(graph) == "fixed"
        self.counted = counted_inputs(graph)

    def by_name(self, inputs: RunInputs, steps: int) -> dict[str, RunInput]:
        """The inputs by the name of their Input node, checked against shape, kind, number of steps and
        samples.

        Raises
        ------
        DataError
            Where an input is missing, of the wrong shape, too short, empty or not finite, or no whole
            numbers where some node adds them up over the steps.
        """
        names = tuple(self.nodes)
        if not isinstance(inputs, Mapping):
            if len(names) != 1:
                raise DataError("inputs", "one input", f"one for each of {names}")
            inputs = {names[0]: inputs}
        if inputs.keys() != self.nodes.keys():
            raise DataError("inputs", sorted(inputs), sorted(names))
        for name, x in inputs.items():
            if not isinstance(x, Dense | Constant | Spikes):
                raise DataError(name, f"a {type(x).__name__}", "Constant, Dense or Spikes", _KINDS)
        if len({samples_of(x) for x in inputs.values()}) > 1:
            raise DataError("inputs", "different numbers of samples", "one number for all")
        checked = {n: _checked(n, node, inputs[n], steps, self.fixed) for n, node in self.nodes.items()}
        for name in self.counted:
            x = checked[name]
            _expect_counts(name, x.value if isinstance(x, Spikes) else x.values)
        return checked


def _expect_counts(name: str, values: Array) -> None:
    if values.dtype.kind == "f" and (np.floor(values) != values).any():
        raise DataError(
            name, "fractions", "whole numbers, as a node behind it counts them", "mode 'any' there"
        )


def between(x: RunInput, first: int, last: int) -> RunInput:
    """The steps from first to last, not included, counted from there."""
    if isinstance(x, Constant):
        return x
    if isinstance(x, Dense):
        return Dense(x.values[first:last])
    on = (x.step >= first) & (x.step < last)
    columns = x.sample[on], x.step[on] - first, x.neuron[on], x.value[on]
    return Spikes(*columns, x.samples, last - first, x.shape, x.integers)


def one_sample(x: RunInput, sample: int) -> RunInput:
    """One of the samples alone."""
    if isinstance(x, Constant):
        return Constant(x.values[sample : sample + 1])
    if isinstance(x, Dense):
        return Dense(x.values[:, sample : sample + 1])
    on = x.sample == sample
    columns = x.sample[on] - sample, x.step[on], x.neuron[on], x.value[on]
    return Spikes(*columns, 1, x.steps, x.shape, x.integers)


def rows_of(x: RunInput, rows: Array) -> RunInput:
    """Some of the samples, in rising order, numbered anew."""
    if isinstance(x, Constant):
        return Constant(x.values[rows])
    if isinstance(x, Dense):
        return Dense(x.values[:, rows])
    number = np.full(x.samples, -1)
    number[rows] = np.arange(len(rows))
    on = number[x.sample] >= 0
    columns = number[x.sample[on]], x.step[on], x.neuron[on], x.value[on]
    return Spikes(*columns, len(rows), x.steps, x.shape, x.integers)


def expected_steps(steps: object) -> int:
    """How many steps are run; SimulationError unless there is something to run."""
    if isinstance(steps, bool) or not isinstance(steps, int | np.integer) or steps < 1:
        raise SimulationError("run", f"{steps} steps", "at least one step, a whole number")
    return int(steps)


def within(inputs: RunInputs, steps: object, level: int = 3) -> tuple[RunInputs, int]:
    """The steps that are run, and of the inputs what comes within them; what comes later is told by a
    warning, `level` calls above: more steps were meant, or a shorter input.
    """
    count = expected_steps(steps)
    if not isinstance(inputs, Mapping):
        return _cut("the input", inputs, count, level + 1), count
    cut: dict[str, RunInput] = {}
    for name, x in inputs.items():  # a comprehension would be a call more in Python 3.11
        cut[name] = _cut(name, x, count, level + 1)
    return cut, count


def _cut(name: str, x: RunInput, steps: int, level: int) -> RunInput:
    if isinstance(x, Spikes) and (late := int((x.step >= steps).sum())):
        what, given = f"{late} of {x.count} spikes come", x.steps
    elif isinstance(x, Dense) and x.values.ndim and np.any(x.values[steps:]):
        what, given = "values that are not 0 come", len(x.values)
    else:
        return x
    text = f"{name}: {what} after the {steps} steps that are run. Try: steps={given}"
    warnings.warn(text, SpikeflowWarning, stacklevel=level)
    return between(x, 0, steps)


def expect_rows(named: Mapping[str, RunInput], rows: int) -> None:
    """Raise DataError unless the inputs have a sample for each row of the state."""
    samples = samples_of(next(iter(named.values()))) if named else rows
    if samples != rows:
        raise DataError("inputs", f"{samples} samples", f"{rows}, one for each row of the state")


def _checked(name: str, node: Any, x: RunInput, steps: int, fixed: bool) -> RunInput:
    assert isinstance(node, Input)
    if isinstance(x, Spikes):
        if x.shape != node.shape or x.steps < steps:
            raise DataError(name, f"spikes of {x.shape} over {x.steps} steps", f"{node.shape} over {steps}")
        if fixed:
            _whole(name, node, x.value)
        return x
    lead = 2 if isinstance(x, Dense) else 1
    if x.values.shape[lead:] != node.shape or (lead == 2 and x.values.shape[0] < steps):
        raise DataError(
            name, f"an array of {x.values.shape}", ("steps, " if lead == 2 else "") + f"samples, {node.shape}"
        )
    if samples_of(x) == 0:
        raise DataError(name, "no samples", "at least one")
    if x.values.dtype.kind == "f" and not np.isfinite(x.values).all():
        raise DataError(name, "NaN or infinite values", "finite values")
    return type(x)(_whole(name, node, x.values) if fixed else x.values.astype(np.float32, copy=False))


def _whole(name: str, node: Input, values: Array) -> Array:
    """Stage fixed: int64, inside the format of the Input where it has one."""
    whole = values.astype(np.int64)
    if (whole != values).any():
        raise DataError(
            name, "fractions", "integers, as the network computes in them", "Input.format.quantise(x)"
        )
    if node.format is None:
        return whole
    if whole.size and (whole.min() < node.format.low or whole.max() > node.format.high):
        raise DataError(name, f"{whole.min()} to {whole.max()}", f"{node.format.low} to {node.format.high}")
    return whole

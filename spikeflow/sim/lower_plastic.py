"""Synapses that learn, handed to the engine: who is joined, and the programs of the rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikeflow.ir.arrays import Codes
from spikeflow.ir.nodes import Linear, Shape, Sparse
from spikeflow.ir.plastic import Plastic
from spikeflow.ir.plasticity import MODULATOR, SUM, Plasticity, faded
from spikeflow.ir.program import Program
from spikeflow.ir.program_arrays import program_arrays

_PARTS = (
    "pre",
    "post",
    "at_pre",
    "at_post",
    "at_modulator",
    "scaling",
)  # as src/engine/plastic.hpp numbers them
_PRE, _POST, _SPIKE, _MODULATOR, _SUM = range(5)  # and its Reading::From


def add_plastic(
    network: Any, name: str, node: Linear | Sparse, out: Shape, numbers: dict[str, int], largest: int = 0
) -> int:
    """The node, added to a network of floats; its number there.

    Parameters
    ----------
    numbers : of the operations.
    largest : of codes: the largest magnitude that may arrive.
    """
    plastic = node.plastic
    assert plastic is not None
    rule = plastic.rule
    programs = [_program(rule, rule.programs.get(part), numbers) for part in _PARTS]
    shape = node.in_shape if isinstance(node, Sparse) else (node.columns,)
    return network.plastic(
        name,
        shape,
        out,
        _synapses(node),
        np.ascontiguousarray(node.stored_weights.reshape(-1), np.float32),
        node.bias,
        programs,
        [faded(decay) for decay in rule.eligibility.values()],
        rule.every,
        rule.bounds,
        _codes(node, plastic, largest),
    )


def _synapses(node: Linear | Sparse) -> tuple[Any, Any, Any, Any]:
    """Row pointers, targets, the place of each synapse among the stored weights, and its delay, by source."""
    if isinstance(node, Sparse):
        delays = None if node.delays is None else np.ascontiguousarray(node.each_delay())
        return node.indptr, node.targets, None, delays
    rows, columns = node.weight.shape
    place = np.arange(rows * columns, dtype=np.int32).reshape(rows, columns).T
    delays = None
    if node.delays is not None:
        each = np.broadcast_to(node.delays, node.weight.shape)
        delays = np.ascontiguousarray(each.T, np.int32).reshape(-1)
    pointers = np.arange(columns + 1, dtype=np.int64) * rows
    targets = np.tile(np.arange(rows, dtype=np.int32), columns)
    return pointers, targets, np.ascontiguousarray(place).reshape(-1), delays


def _codes(node: Linear | Sparse, plastic: Plastic, largest: int) -> tuple[float, tuple[float, float], int]:
    """The scale, the lowest and the highest code, and the largest magnitude that arrives; 0 without codes."""
    if not isinstance(node.weight, Codes):
        return 0.0, (0.0, 0.0), 0
    low, high = plastic.codes
    return node.weight.scale, (float(low), float(high)), largest


def _program(rule: Plasticity, program: Program | None, numbers: dict[str, int]) -> Any:
    """A program of the rule as numbers: its params, and where its inputs come from."""
    if program is None:
        return None
    code, constants = program_arrays(program, numbers)
    counts = (len(program.inputs), len(program.states), len(program.params), program.output)
    params = [rule.params[name] for name in program.params]
    inputs = [_reading(rule, name) for name in program.inputs]
    return code, constants, counts, np.asarray(program.next_states, np.int64), params, inputs


def _reading(rule: Plasticity, name: str) -> tuple[int, int]:
    """What an input is, and the number of the trace."""
    side, _, trace = name.partition(".")
    if side in ("pre", "post") and trace:
        return (_PRE, _POST)[side == "post"], getattr(rule, side).states.index(trace)
    return {"spike": _SPIKE, MODULATOR: _MODULATOR, SUM: _SUM}[name], 0

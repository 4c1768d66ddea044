"""A program as arrays of numbers, as the C++ core reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from spikeflow.ir.fixed import ROUNDINGS
from spikeflow.ir.program import Instruction, Program


def numbered(words: Sequence[str]) -> dict[str, int]:
    """The number of each operation, from their words in the order of the core's table."""
    return {word: number for number, word in enumerate(words)}


def program_arrays(
    program: Program, numbers: Mapping[str, int]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Rows of (operation, a, b, c, name, mode, value), and the constants, which the core rounds to its type.

    Parameters
    ----------
    numbers : of the operations in the core's table, by their word here.
    """
    rows = [_row(program, i, numbers) for i in program.code]
    constants = [float(i.value) if i.op == "const" else 0.0 for i in program.code]
    return np.asarray(rows, np.int64), np.asarray(constants, np.float64)


def _row(program: Program, i: Instruction, numbers: Mapping[str, int]) -> tuple[int, ...]:
    row = i.operation
    assert row is not None, "programs are checked where graphs are made"
    args = (*i.args, 0, 0, 0)[:3]
    name = list(getattr(program, row.names)).index(i.name) if row.names else 0
    mode = (row.modes or ROUNDINGS).index(i.mode) if i.mode else 0
    value = int(i.value) if row.takes and isinstance(i.value, int) else 0
    return (numbers[row.name], *args, name, mode, value)

"""
Layers of neurons over a stretch of time; built from src/ and used by spikeflow.neurons.compiled alone.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray


def isa() -> int:
    """The best set of kernels here: 0 plain, 1 AVX2, 2 AVX-512."""

def operations() -> list[str]:
    """The operations by number."""

class Program32:
    """
    A program of floats, compiled; sizes: steps, elements, population, interval, threads, isa, chunk.
    """

    def __init__(self, code: Annotated[NDArray[numpy.int64], dict(shape=(None, 7), order='C', device='cpu', writable=False)], constants: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], counts: Sequence[int], next_states: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

    def forward(self, sizes: Sequence[int], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], out: int, after: Sequence[int], kept: int) -> int:
        """
        All steps of a stretch. Returns how many were settled in chunks of time.
        """

    def backward(self, adjoint: Program32, gathered: Program32 | None, sizes: Sequence[int], wanted: Sequence[Sequence[int]], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], kept: int, cotangents: Sequence[tuple[int, int]], into: Sequence[Sequence[int]]) -> None:
        """
        Back through a stretch. wanted: ports and parameters by number; cotangents: of the output, then of the states behind it; into: for the wanted ports, the states, the wanted parameters.
        """

    def scan(self, jacobian: Program32, adjoint: Program32, sizes: Sequence[int], wanted: Sequence[Sequence[int]], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], kept: int, cotangents: Sequence[tuple[int, int]], into: Sequence[Sequence[int]]) -> bool:
        """
        Back through a stretch, all steps side by side but for what is carried; whether that could be done.
        """

class Program64:
    """
    A program of floats, compiled; sizes: steps, elements, population, interval, threads, isa, chunk.
    """

    def __init__(self, code: Annotated[NDArray[numpy.int64], dict(shape=(None, 7), order='C', device='cpu', writable=False)], constants: Annotated[NDArray[numpy.float64], dict(shape=(None,), order='C', device='cpu', writable=False)], counts: Sequence[int], next_states: Annotated[NDArray[numpy.int64], dict(shape=(None,), order='C', device='cpu', writable=False)]) -> None: ...

    def forward(self, sizes: Sequence[int], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], out: int, after: Sequence[int], kept: int) -> int:
        """
        All steps of a stretch. Returns how many were settled in chunks of time.
        """

    def backward(self, adjoint: Program64, gathered: Program64 | None, sizes: Sequence[int], wanted: Sequence[Sequence[int]], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], kept: int, cotangents: Sequence[tuple[int, int]], into: Sequence[Sequence[int]]) -> None:
        """
        Back through a stretch. wanted: ports and parameters by number; cotangents: of the output, then of the states behind it; into: for the wanted ports, the states, the wanted parameters.
        """

    def scan(self, jacobian: Program64, adjoint: Program64, sizes: Sequence[int], wanted: Sequence[Sequence[int]], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], kept: int, cotangents: Sequence[tuple[int, int]], into: Sequence[Sequence[int]]) -> bool:
        """
        Back through a stretch, all steps side by side but for what is carried; whether that could be done.
        """

def active(values: int, count: int, threads: int) -> int:
    """How many of float32 values are not 0."""

def product(sizes: Sequence[int], s: int, weight: int, bias: int, y: int) -> None:
    """
    y = s weight^T + bias, of what is active; sizes: rows, inputs, outputs, threads, isa.
    """

def product_weight(sizes: Sequence[int], s: int, cotangent: int, to_weight: int) -> None:
    """The gradient of the weight."""

def recurrent(program: Program32, fed: tuple[int, int, int, int], sizes: Sequence[int], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], into: Sequence[int], after: Sequence[int]) -> None:
    """
    A layer whose outputs come back. fed: weight, bias, last outputs, number of the port; into: outputs, states kept, currents.
    """

def recurrent_back(program: Program32, again: Program32, adjoint: Program32, fed: tuple[int, int, int, int], sizes: Sequence[int], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], kept: int, cotangents: Sequence[tuple[int, int]], total: int) -> None:
    """
    Into `total` the cotangents of the outputs: those given, and what comes back through the feedback.
    """

def driven(program: Program32, drive: tuple[int, int, int, int, int], sizes: Sequence[int], ports: Sequence[tuple[int, int]], params: Sequence[tuple[int, int, int]], state: Sequence[int], out: int, after: Sequence[int], kept: int) -> None:
    """
    A product of spikes and the layer that it drives. drive: x, weight, bias, number of inputs, number of the port; kept: as many numbers for each state and element as the interval goes into the steps, rounded up.
    """

def driven_back(programs: tuple[Program32, Program32, Program32], wanted: Sequence[int], drive: tuple[int, int, int, int, int], sizes: Sequence[int], seen: tuple[Sequence[tuple[int, int]], Sequence[tuple[int, int, int]], Sequence[int], int], cotangents: Sequence[tuple[int, int]], to: Sequence[int], into: Sequence[Sequence[int]]) -> None:
    """
    Back through both. wanted: parameters by number; seen: ports, params, state, kept; to: weight, bias, currents, 0 where not wanted; into: for the states, the wanted parameters.
    """

"""
The event-driven engine; built from src/ and used by spikeflow.sim.engine alone.
"""

from collections.abc import Sequence
from typing import Annotated, overload

import numpy
from numpy.typing import NDArray


def isa() -> int:
    """The best set of kernels here: 0 plain, 1 AVX2, 2 AVX-512."""

def build() -> str:
    """How the engine was compiled."""

def rows_layout() -> str:
    """How kept rows lie in memory, in one line."""

def operations() -> list[tuple[str, int, bool, bool]]:
    """
    The operations by number: name, arguments, whether they take real numbers and whole ones.
    """

def reach_of_sources(name: str, sources: int, targets: int, projections: Sequence[tuple[Sequence[int], Sequence[float]]], first: int, last: int) -> NDArray[numpy.int32]:
    """
    The longest delay of each source's synapses by rule onto some of the targets.
    """

class Counters:
    """What one node did, summed over samples and steps."""

    @property
    def spikes(self) -> int: ...

    @property
    def accumulates(self) -> int: ...

    @property
    def multiplies(self) -> int: ...

    @property
    def cached(self) -> int: ...

    @property
    def updates(self) -> int: ...

    @property
    def idle(self) -> int: ...

    @property
    def skipped(self) -> int: ...

    @property
    def narrowed(self) -> list[list[int]]: ...

    @property
    def parts(self) -> list[Counters]: ...

    @property
    def unbounded(self) -> list[list[int]]: ...

class FloatLive:
    """A batch under way."""

    def advance(self, steps: int, samples: int, feeds: Sequence[tuple[str, Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], recorded: Sequence[tuple[int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], traces: Sequence[tuple[int, int, int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]]], threads: int, progress: object | None, exchange: object | None = None) -> tuple: ...

    def save(self, end: Sequence[tuple[int, Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]]]]) -> None:
        """Write the state into the arrays given."""

class Int32Live:
    """A batch under way."""

    def advance(self, steps: int, samples: int, feeds: Sequence[tuple[str, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], recorded: Sequence[tuple[int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], traces: Sequence[tuple[int, int, int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]]], threads: int, progress: object | None, exchange: object | None = None) -> tuple: ...

    def save(self, end: Sequence[tuple[int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]]]]) -> None:
        """Write the state into the arrays given."""

class Int64Live:
    """A batch under way."""

    def advance(self, steps: int, samples: int, feeds: Sequence[tuple[str, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], recorded: Sequence[tuple[int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], traces: Sequence[tuple[int, int, int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]]], threads: int, progress: object | None, exchange: object | None = None) -> tuple: ...

    def save(self, end: Sequence[tuple[int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]]]]) -> None:
        """Write the state into the arrays given."""

class FloatNetwork:
    """A network in float32."""

    def __init__(self, isa: int = 2, shares: int = 1, own: Sequence[int] | None = None) -> None:
        """
        isa: 0 plain, 1 AVX2, 2 AVX-512; never more than the processor has. shares: into how many a sample's neurons are cut; own: which of them this process holds, first to before last, where it is not all.
        """

    @property
    def shares(self) -> int: ...

    @property
    def own(self) -> tuple[int, int]:
        """The shares that this process holds."""

    @property
    def period(self) -> int:
        """Steps that shares run between two meetings."""

    def held(self, node: int, first: int, last: int) -> tuple[int, int]:
        """
        The neurons of a node that these shares hold; all, where it is not cut.
        """

    def input(self, name: str, shape: Sequence[int], current: bool) -> int: ...

    def output(self, name: str, shape: Sequence[int]) -> int: ...

    def poisson(self, name: str, shape: Sequence[int], thresholds: Annotated[NDArray[numpy.uint32], dict(order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], table: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], seed: int, number: int, weight: float, analog: bool) -> int: ...

    def linear(self, name: str, sources: int, out: Sequence[int], weights: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, delays: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, exponent: int) -> int: ...

    def sparse(self, name: str, inputs: Sequence[int], out: Sequence[int], indptr: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], targets: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, delays: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, exponent: int, scopes: Sequence[int]) -> int: ...

    def by_rule(self, name: str, inputs: Sequence[int], out: Sequence[int], projections: Sequence[tuple[Sequence[int], Sequence[float]]], bias: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, bits: int, scale: float) -> int: ...

    def conv(self, name: str, inputs: Sequence[int], out: Sequence[int], weights: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int, exponent: int) -> int: ...

    def move(self, name: str, inputs: Sequence[Sequence[int]], out: Sequence[int], sources: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]) -> int: ...

    def pool(self, name: str, inputs: Sequence[int], out: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> int: ...

    def joint(self, kind: str, name: str, inputs: Sequence[Sequence[int]], out: Sequence[int], lists: Sequence[Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]], numbers: Sequence[int]) -> int: ...

    def scale(self, name: str, shape: Sequence[int], factor: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], exponent: int) -> int: ...

    def population(self, name: str, shape: Sequence[int], code: Annotated[NDArray[numpy.int64], dict(shape=(None, 7), order='C', device='cpu', writable=False)], constants: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], counts: Sequence[int], next_states: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], tables: Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]], params: Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)]], initial: Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)]], start: int) -> int: ...

    def kept(self, node: int) -> object:
        """
        The rows of a node as (type of a weight, numbers, arrays as bytes); None where it has none.
        """

    def reach(self, node: int) -> object:
        """
        The longest delay of each source of a node with rows; None of any other.
        """

    def of_kept(self, name: str, inputs: Sequence[int], out: Sequence[int], kept: tuple[str, Sequence[int], Sequence[Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu', writable=False)]]], bias: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, exponent: int) -> int:
        """A node of rows that were kept, checked; they are not copied."""

    def connect(self, source: int, target: int, port: int, delay: int) -> None: ...

    def divide(self, node: int, parts: int, indptr: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], part: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], count: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]) -> None:
        """
        Count what a node does by parts: of a population the part of each neuron, of synapses what each source reaches.
        """

    def seal(self) -> None:
        """No more nodes or edges: check that nothing is missing."""

    def run(self, steps: int, samples: int, feeds: Sequence[tuple[str, Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], recorded: Sequence[tuple[int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], traces: Sequence[tuple[int, int, int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]]], threads: int, progress: object | None, begun: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], numbers: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], start: Sequence[tuple[int, Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)]]]], end: Sequence[tuple[int, Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')] | None, Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu')]]]], exchange: object | None = None) -> tuple:
        """
        Outputs, counters of each node, and (sample, step, neuron, value) of each recorded node.
        """

    def live(self, samples: int, begun: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], numbers: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], start: Sequence[tuple[int, Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)]]]]) -> FloatLive:
        """A batch that keeps its state between stretches of steps."""

    @overload
    def coded(self, sums: Int32Network, scale: float, largest: int, most: int, bias: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None) -> int: ...

    @overload
    def coded(self, sums: Int64Network, scale: float, largest: int, most: int, bias: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None) -> int:
        """The one node of a network of integers, its sums times a scale."""

    def bundle(self, nodes: Sequence[tuple[str, Sequence[int], Sequence[int], Sequence[tuple[Sequence[int], Sequence[float]]], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], tuple[float, int, int], Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None]], bits: int, kept: tuple[str, Sequence[int], Sequence[Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu', writable=False)]]] | None) -> Bundled:
        """
        Nodes by rule that share sources, for `bundled` to add; of rows that were kept, where these are given.
        """

    def bundled(self, bundle: Bundled, number: int) -> int: ...

    def plastic(self, name: str, inputs: Sequence[int], out: Sequence[int], synapses: tuple[Annotated[NDArray, dict(order='C', device='cpu', writable=False)], Annotated[NDArray, dict(order='C', device='cpu', writable=False)], Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None], weights: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)] | None, parts: Sequence[tuple[Annotated[NDArray[numpy.int64], dict(shape=(None, 7), order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], Sequence[int], Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Sequence[float], Sequence[Sequence[int]]] | None], eligibility: Sequence[Annotated[NDArray[numpy.float32], dict(order='C', device='cpu', writable=False)]], every: int, bounds: Sequence[float] | None, codes: tuple[float, Sequence[float], int]) -> int:
        """
        Synapses that learn: (row pointers, targets, places, delays) by source, weights in stored order.
        """

    def teach(self, node: int, post: int, modulator: int) -> None:
        """A node learns by the spikes of another one."""

class Int32Network:
    """A network of integers that all fit 32 bits."""

    def __init__(self, isa: int = 2, shares: int = 1, own: Sequence[int] | None = None) -> None:
        """
        isa: 0 plain, 1 AVX2, 2 AVX-512; never more than the processor has. shares: into how many a sample's neurons are cut; own: which of them this process holds, first to before last, where it is not all.
        """

    @property
    def shares(self) -> int: ...

    @property
    def own(self) -> tuple[int, int]:
        """The shares that this process holds."""

    @property
    def period(self) -> int:
        """Steps that shares run between two meetings."""

    def held(self, node: int, first: int, last: int) -> tuple[int, int]:
        """
        The neurons of a node that these shares hold; all, where it is not cut.
        """

    def input(self, name: str, shape: Sequence[int], current: bool) -> int: ...

    def output(self, name: str, shape: Sequence[int]) -> int: ...

    def poisson(self, name: str, shape: Sequence[int], thresholds: Annotated[NDArray[numpy.uint32], dict(order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], table: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], seed: int, number: int, weight: float, analog: bool) -> int: ...

    def linear(self, name: str, sources: int, out: Sequence[int], weights: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)] | None, delays: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, exponent: int) -> int: ...

    def sparse(self, name: str, inputs: Sequence[int], out: Sequence[int], indptr: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], targets: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)] | None, delays: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, exponent: int, scopes: Sequence[int]) -> int: ...

    def by_rule(self, name: str, inputs: Sequence[int], out: Sequence[int], projections: Sequence[tuple[Sequence[int], Sequence[float]]], bias: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)] | None, bits: int, scale: float) -> int: ...

    def conv(self, name: str, inputs: Sequence[int], out: Sequence[int], weights: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)] | None, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int, exponent: int) -> int: ...

    def move(self, name: str, inputs: Sequence[Sequence[int]], out: Sequence[int], sources: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]) -> int: ...

    def pool(self, name: str, inputs: Sequence[int], out: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> int: ...

    def joint(self, kind: str, name: str, inputs: Sequence[Sequence[int]], out: Sequence[int], lists: Sequence[Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]], numbers: Sequence[int]) -> int: ...

    def scale(self, name: str, shape: Sequence[int], factor: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], exponent: int) -> int: ...

    def population(self, name: str, shape: Sequence[int], code: Annotated[NDArray[numpy.int64], dict(shape=(None, 7), order='C', device='cpu', writable=False)], constants: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], counts: Sequence[int], next_states: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], tables: Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]], params: Sequence[Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]], initial: Sequence[Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]], start: int) -> int: ...

    def kept(self, node: int) -> object:
        """
        The rows of a node as (type of a weight, numbers, arrays as bytes); None where it has none.
        """

    def reach(self, node: int) -> object:
        """
        The longest delay of each source of a node with rows; None of any other.
        """

    def of_kept(self, name: str, inputs: Sequence[int], out: Sequence[int], kept: tuple[str, Sequence[int], Sequence[Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu', writable=False)]]], bias: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)] | None, exponent: int) -> int:
        """A node of rows that were kept, checked; they are not copied."""

    def connect(self, source: int, target: int, port: int, delay: int) -> None: ...

    def divide(self, node: int, parts: int, indptr: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], part: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], count: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]) -> None:
        """
        Count what a node does by parts: of a population the part of each neuron, of synapses what each source reaches.
        """

    def seal(self) -> None:
        """No more nodes or edges: check that nothing is missing."""

    def run(self, steps: int, samples: int, feeds: Sequence[tuple[str, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], recorded: Sequence[tuple[int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], traces: Sequence[tuple[int, int, int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]]], threads: int, progress: object | None, begun: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], numbers: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], start: Sequence[tuple[int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]]]], end: Sequence[tuple[int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]]]], exchange: object | None = None) -> tuple:
        """
        Outputs, counters of each node, and (sample, step, neuron, value) of each recorded node.
        """

    def live(self, samples: int, begun: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], numbers: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], start: Sequence[tuple[int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]]]]) -> Int32Live:
        """A batch that keeps its state between stretches of steps."""

    def population_wide(self, name: str, shape: Sequence[int], code: Annotated[NDArray[numpy.int64], dict(shape=(None, 7), order='C', device='cpu', writable=False)], constants: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], counts: Sequence[int], next_states: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], tables: Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]], params: Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]], initial: Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]], start: int) -> int: ...

class Int64Network:
    """A network of integers."""

    def __init__(self, isa: int = 2, shares: int = 1, own: Sequence[int] | None = None) -> None:
        """
        isa: 0 plain, 1 AVX2, 2 AVX-512; never more than the processor has. shares: into how many a sample's neurons are cut; own: which of them this process holds, first to before last, where it is not all.
        """

    @property
    def shares(self) -> int: ...

    @property
    def own(self) -> tuple[int, int]:
        """The shares that this process holds."""

    @property
    def period(self) -> int:
        """Steps that shares run between two meetings."""

    def held(self, node: int, first: int, last: int) -> tuple[int, int]:
        """
        The neurons of a node that these shares hold; all, where it is not cut.
        """

    def input(self, name: str, shape: Sequence[int], current: bool) -> int: ...

    def output(self, name: str, shape: Sequence[int]) -> int: ...

    def poisson(self, name: str, shape: Sequence[int], thresholds: Annotated[NDArray[numpy.uint32], dict(order='C', device='cpu', writable=False)], starts: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], table: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], seed: int, number: int, weight: float, analog: bool) -> int: ...

    def linear(self, name: str, sources: int, out: Sequence[int], weights: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, delays: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, exponent: int) -> int: ...

    def sparse(self, name: str, inputs: Sequence[int], out: Sequence[int], indptr: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], targets: Annotated[NDArray, dict(order='C', device='cpu', writable=False)], weights: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, delays: Annotated[NDArray, dict(order='C', device='cpu', writable=False)] | None, exponent: int, scopes: Sequence[int]) -> int: ...

    def by_rule(self, name: str, inputs: Sequence[int], out: Sequence[int], projections: Sequence[tuple[Sequence[int], Sequence[float]]], bias: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, bits: int, scale: float) -> int: ...

    def conv(self, name: str, inputs: Sequence[int], out: Sequence[int], weights: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], bias: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int], dilation: Sequence[int], groups: int, exponent: int) -> int: ...

    def move(self, name: str, inputs: Sequence[Sequence[int]], out: Sequence[int], sources: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]) -> int: ...

    def pool(self, name: str, inputs: Sequence[int], out: Sequence[int], kernel: Sequence[int], stride: Sequence[int]) -> int: ...

    def joint(self, kind: str, name: str, inputs: Sequence[Sequence[int]], out: Sequence[int], lists: Sequence[Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]], numbers: Sequence[int]) -> int: ...

    def scale(self, name: str, shape: Sequence[int], factor: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], exponent: int) -> int: ...

    def population(self, name: str, shape: Sequence[int], code: Annotated[NDArray[numpy.int64], dict(shape=(None, 7), order='C', device='cpu', writable=False)], constants: Annotated[NDArray[numpy.float64], dict(order='C', device='cpu', writable=False)], counts: Sequence[int], next_states: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], tables: Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]], params: Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]], initial: Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]], start: int) -> int: ...

    def kept(self, node: int) -> object:
        """
        The rows of a node as (type of a weight, numbers, arrays as bytes); None where it has none.
        """

    def reach(self, node: int) -> object:
        """
        The longest delay of each source of a node with rows; None of any other.
        """

    def of_kept(self, name: str, inputs: Sequence[int], out: Sequence[int], kept: tuple[str, Sequence[int], Sequence[Annotated[NDArray[numpy.uint8], dict(order='C', device='cpu', writable=False)]]], bias: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, exponent: int) -> int:
        """A node of rows that were kept, checked; they are not copied."""

    def connect(self, source: int, target: int, port: int, delay: int) -> None: ...

    def divide(self, node: int, parts: int, indptr: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], part: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], count: Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]) -> None:
        """
        Count what a node does by parts: of a population the part of each neuron, of synapses what each source reaches.
        """

    def seal(self) -> None:
        """No more nodes or edges: check that nothing is missing."""

    def run(self, steps: int, samples: int, feeds: Sequence[tuple[str, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], recorded: Sequence[tuple[int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)]]], traces: Sequence[tuple[int, int, int, Annotated[NDArray[numpy.int32], dict(order='C', device='cpu', writable=False)], int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]]], threads: int, progress: object | None, begun: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], numbers: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], start: Sequence[tuple[int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]]]], end: Sequence[tuple[int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')] | None, Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu')]]]], exchange: object | None = None) -> tuple:
        """
        Outputs, counters of each node, and (sample, step, neuron, value) of each recorded node.
        """

    def live(self, samples: int, begun: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], numbers: Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)], start: Sequence[tuple[int, Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)] | None, Sequence[Annotated[NDArray[numpy.int64], dict(order='C', device='cpu', writable=False)]]]]) -> Int64Live:
        """A batch that keeps its state between stretches of steps."""

class Bundled:
    """Nodes by rule whose synapses lie in one set of rows."""

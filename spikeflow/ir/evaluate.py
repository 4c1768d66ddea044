"""evaluate: the one interpreter of programs in Python; a Domain says what each operation does on its values.

Whoever wants to know something of a program (what it computes, how far its registers go, how wrong they may
be, how it reads) writes a domain and evaluates. ``src/engine/program.cpp`` is the same loop for blocks of
neurons.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from spikeflow.errors import OperationRefused
from spikeflow.ir.operations import BOTH, OPERATIONS, Operation
from spikeflow.ir.program import Program

V = TypeVar("V")
V_co = TypeVar("V_co", covariant=True)


class Named(Protocol[V_co]):
    """Values by name: a mapping, or whatever makes a value when it is asked for one."""

    def __getitem__(self, name: str, /) -> V_co: ...


class Domain(Generic[V]):
    """What each operation does on values of one kind: one method for each, named as in `OPERATIONS`.

    A method gets the arguments, then what the table's row says that the operation `takes` of its instruction:
    ``add(a, b)``, ``mul(a, b, count, mode)``, ``spike(x, slot)``. What has no method is refused, unless
    `unlisted` says what is true of any operation.

    `stages` are those whose programs it evaluates; `refuses` names what it leaves out of these on purpose.
    """

    stages: ClassVar[tuple[str, ...]] = BOTH
    refuses: ClassVar[frozenset[str]] = frozenset()

    def made(self, index: int, value: V) -> V:
        """Register `index` as it is kept; called once for each instruction."""
        return value

    def unlisted(self, operation: Operation, *args: Any) -> V:
        """What is true of an operation that has no method here, whatever it does.

        Parameters
        ----------
        args : what its method would get.

        Raises
        ------
        OperationRefused
            Where nothing is.
        """
        raise OperationRefused(type(self).__name__, operation.name)


def evaluate(
    program: Program, domain: Domain[V], params: Named[V], state: Named[V], inputs: Named[V]
) -> list[V]:
    """One step of a program on any kind of values.

    Parameters
    ----------
    params, state, inputs : the values that the program reads, by name.

    Returns
    -------
    One value for each register; `Program.output` and `Program.next_states` say which are handed on.

    Raises
    ------
    OperationRefused
        For an operation that the domain has no meaning for.
    """
    leaves = {"param": params, "state": state, "input": inputs}
    made = None if type(domain).made is Domain.made else domain.made
    registers: list[V] = []
    for operation, args, taken in program.plan:
        if operation in leaves:
            value = leaves[operation][taken[0]]
        else:
            value = rule(domain, operation)(*[registers[a] for a in args], *taken)
        registers.append(value if made is None else made(len(registers), value))
    return registers


def rule(domain: Domain[V], operation: str) -> Callable[..., V]:
    """What the domain does for an operation; OperationRefused where it has no meaning for it."""
    found: Callable[..., V] | None = getattr(domain, operation, None)
    if found is not None:
        return found
    row = OPERATIONS.get(operation)
    if row is None or row not in offered(type(domain)):
        raise OperationRefused(type(domain).__name__, operation)
    return partial(domain.unlisted, row)


def offered(domain: type[Domain[Any]]) -> tuple[Operation, ...]:
    """The operations that a domain gives a meaning to."""
    leaves = {"param", "state", "input"}
    return tuple(
        row
        for row in OPERATIONS.values()
        if row.name in leaves or (set(row.stages) & set(domain.stages) and row.name not in domain.refuses)
    )

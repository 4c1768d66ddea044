"""Chip: a neuromorphic chip as a table of limits, formats and costs. Algorithms never name a chip.

A new target is one file in ``hw/chips/`` with one `CHIP`; ``load("my_lab.chip")`` takes somebody else's.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from types import MappingProxyType
from typing import Any

from spikeflow.errors import DataError, HardwareError, Violation
from spikeflow.frozen import Frozen
from spikeflow.hw.chips.arithmetic import Arithmetic, Register
from spikeflow.ir.nodes import Population
from spikeflow.typing import IntArray

NAMES = ("loihi1", "loihi2", "spinnaker2")


@dataclass(frozen=True)
class Fact:
    """A number with where it comes from; `assumed` where nothing published says it, with the reason as
    source.
    """

    value: float
    source: str
    assumed: bool = False


@dataclass(frozen=True)
class Memory:
    """How a core's memory is used, in bits: what the partitioner counts and the report shows.

    total = overhead + sum over neurons of (states x state_word + ring slots x ring_word)
            + sum over input axons of (axon + list_bits(synapses of the axon, bits of one synapse)) + tables

    Parameters
    ----------
    limit : bits of one core for this total.
    list_bits : (number of synapses of each axon, bits per synapse) -> bits of each axon's list; vectorised.
    synapse_bits : (index bits, delay bits) -> bits of one synapse, its weight included.
    """

    limit: Fact
    overhead: Fact
    axon: Fact
    state_word: Fact
    ring_word: Fact
    list_bits: Callable[[IntArray, int], IntArray]
    synapse_bits: Callable[[int, int], int]
    table_word: Fact = Fact(32, "a table entry is one 32-bit word", assumed=True)


@dataclass(frozen=True)
class Delays:
    """Graph delays (steps) that a connection may have; what the chip's own field holds is delay - offset."""

    minimum: Fact
    maximum: Fact
    offset: Fact
    from_input: Fact  # minimum of a connection from an Input node


@dataclass(frozen=True)
class Energy:
    """Published energy and time of an operation; None where not published, with the bound used instead.

    Parameters
    ----------
    bound : where the time is only a lower bound, what it rests on, in words.
    """

    picojoule: Mapping[str, Fact | None]
    nanosecond: Mapping[str, Fact | None]
    note: str = ""
    bound: str = ""


@dataclass(frozen=True)
class Grid:
    """Tiles of cores on a mesh of one chip."""

    columns: Fact
    rows: Fact
    cores_per_tile: Fact

    @property
    def cores(self) -> int:
        """Cores of one chip."""
        return int(self.columns.value * self.rows.value * self.cores_per_tile.value)


@dataclass(frozen=True)
class Formats:
    """Widths of what a core computes with.

    Parameters
    ----------
    exponent_low, exponent_high : of the shift on the whole sum of an edge of 8-bit mantissas.
    arithmetic : from the sum to the spike.
    kernel : (float population, its ports' scales and biases, arithmetic) -> the chip's integer population;
        ``hw.integer.translate.translate`` unless a chip needs another.
    """

    weight_bits: Fact
    exponent_low: Fact
    exponent_high: Fact
    threshold_mantissa: Fact
    input_bits: Fact
    arithmetic: Arithmetic
    kernel: Callable[..., Population]


@dataclass(frozen=True)
class Chip(Frozen):
    """Everything the mapper knows about one chip.

    Parameters
    ----------
    models : names of the neuron models it can run; resets : kinds of reset; inputs : kinds of Input it takes.
    neurons, axons_in, axons_out : limits of one core.
    operations : integer operations of a programmable core, which takes any model made of them; empty for a
        core that runs only `models`.
    rules : extra rules, (graph, chip) -> violations.
    """

    name: str
    title: str
    grid: Grid
    neurons: Fact
    axons_in: Fact
    axons_out: Fact
    memory: Memory
    delays: Delays
    formats: Formats
    models: tuple[str, ...]
    resets: tuple[str, ...]
    inputs: tuple[str, ...]
    energy: Energy
    operations: frozenset[str] = frozenset()
    rules: tuple[Callable[..., Any], ...] = ()
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Fact] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def semantics(self) -> str:
        """Digest of everything that integers for this chip depend on: its arithmetic, formats and delays.

        Two tables that differ in their limits or costs alone compute alike; sources and reasons do not count.
        """
        own = self.formats.arithmetic
        # what a table gains later and leaves at its default changes no digest
        changed = [f.name for f in fields(own) if getattr(own, f.name) != f.default]
        arithmetic = {name: _plain(getattr(own, name)) for name in changed}
        told = {
            "arithmetic": arithmetic,
            "kernel": _stored_name(self.formats.kernel),
            **{f"formats.{name}": fact.value for name, fact in _facts("", self.formats)},
            **{f"delays.{name}": fact.value for name, fact in _facts("", self.delays)},
        }
        return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()

    def facts(self) -> Iterator[tuple[str, Fact]]:
        """Every number of the table with its name: what a report prints, the assumed ones marked."""
        yield from _facts("", self)


def _stored_name(kernel: Callable[..., Population]) -> str:
    """The kernel's name in digests: ours keeps the one of the first files, whatever room it lies in."""
    return f"{kernel.__module__}.{kernel.__qualname__}".replace("spikeflow.hw.integer.", "spikeflow.hw.")


def _facts(prefix: str, value: object) -> Iterator[tuple[str, Fact]]:
    if isinstance(value, Fact):
        yield prefix, value
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _facts(f"{prefix}.{name}".lstrip("."), item)
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            yield from _facts(f"{prefix}.{f.name}".lstrip("."), getattr(value, f.name))


def _plain(value: object) -> object:
    """A register as its numbers, without its source."""
    return (value.bits, value.mode) if isinstance(value, Register) else value


def load(name: str | Chip) -> Chip:
    """The chip of this name, in any case, or of this dotted module name; a Chip is that chip.

    Raises
    ------
    HardwareError
        Where there is no such chip; names the one that was probably meant.
    DataError
        For what is neither.
    """
    if isinstance(name, Chip):
        return name
    if not isinstance(name, str):
        raise DataError("chip", f"a {type(name).__name__}", "its name or a Chip", f"{', '.join(NAMES)}")
    known = name.strip().lower()
    if known in NAMES:
        return importlib.import_module(f"spikeflow.hw.chips.{known}").CHIP
    limit = "no such chip is known"
    if "." in name:
        found = _of_module(name)
        if isinstance(found, Chip):
            return found
        limit = f"no such chip: {found}"
    near = near_misses(name)
    hint = f"{' or '.join(near)}; " if near else ""
    hint += f"the chips are {', '.join(NAMES)}, and any CHIP of a Python module by its dotted name"
    raise HardwareError(name, [Violation(name, "", limit, hint)])


def _of_module(name: str) -> Chip | str:
    """The CHIP of somebody's module; or why there is none."""
    try:
        module = importlib.import_module(name)
    except Exception as error:  # the module is its author's program, which may fail in any way
        return f"the module cannot be imported ({error or type(error).__name__})"
    chip = getattr(module, "CHIP", None)
    return chip if isinstance(chip, Chip) else f"the module {name} holds no CHIP"


def near_misses(name: str) -> tuple[str, ...]:
    """Our chips that a wrong name was probably meant to be, the likeliest first."""
    letters = "".join(c for c in name.lower() if c.isalnum()).removeprefix("intel")
    return tuple(difflib.get_close_matches(letters, NAMES, n=2, cutoff=0.6))

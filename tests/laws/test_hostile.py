"""Law: whatever arrays come to the engine, it refuses them by one of its errors, or runs.

What the fuzzer (`src/lowered/fuzz.cpp`) found is kept in `tests/laws/hostile`, as calls that once read or wrote where
they had no right to; and what was found by reading is told here. `.ci/sanitize` plays the same files under sanitizers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import GraphError, SimulationError
from spikeflow.sim import _engine
from tests.laws import calls, recordings

KEPT = sorted((Path(__file__).parent / "hostile").glob("*.calls"))
FLOAT = (1.0, 0.0, -np.inf, np.inf)
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_what_was_found_is_refused_or_runs(path: Path) -> None:
    # but for the first two, errors of the binding and of the player, of arguments that are none
    with suppress(GraphError, SimulationError, TypeError, ValueError, OverflowError, MemoryError, IndexError):
        calls.play(calls.read(path))


@pytest.mark.parametrize("kind", recordings.KINDS)
def test_recorded_calls_are_those_that_were_made(kind: str, tmp_path: Path) -> None:
    """Written, read and played they raise nothing, and are themselves again."""
    found = recordings.recorded(kind, 3)
    calls.write(tmp_path / "x.calls", found)
    read = calls.read(tmp_path / "x.calls")
    calls.play(read)
    calls.write(tmp_path / "again.calls", read)
    assert (tmp_path / "again.calls").read_bytes() == (tmp_path / "x.calls").read_bytes()
    assert any(method in ("run", "advance") for _, method, *_ in read)


def by_rule(
    weight: Any = FLOAT, delay: Any = (1.0, 0.0, 1.0, 1.0), count: int = 2, bits: int = 0, scale: float = 1.0,
    network: Any = _engine.FloatNetwork,
) -> None:  # fmt: skip
    numbers = ([0, 0, 3, count, 1, 5, 7], [-1.0, *weight, *delay])
    network().by_rule("r", [3], [4], [numbers], None, bits, scale)


def live(samples: int, steps: Any = ()) -> Any:
    net = _engine.FloatNetwork()
    net.input("x", [2], False)
    net.output("y", [2])
    net.connect(0, 1, 0, 0)
    net.seal()
    return net.live(samples, np.asarray(steps, np.int64), np.zeros(len(steps), np.int64), [])


def coded(add: Callable[[Any], Any], shape: list[int]) -> None:
    sums = _engine.Int32Network()
    add(sums)
    net = _engine.FloatNetwork()
    net.input("x", shape, False)
    net.coded(sums, 1.0, 1, 100, None)


def drive(weight: float) -> None:
    arrays = np.asarray([5], np.uint32), np.asarray([0, 1], np.int32), np.zeros(1, np.int32)
    _engine.Int32Network().poisson("d", [3], *arrays, 0, 0, weight, False)


def many(steps: int, samples: int, shape: list[int]) -> None:
    """Values whose number, in 64 bits, is 0 again: an array for them would hold nothing."""
    net = _engine.FloatNetwork()
    net.input("x", shape, False)
    net.output("y", shape)
    net.connect(0, 1, 0, 0)
    net.seal()
    none, places = np.zeros(0, np.int64), np.zeros(0, np.int32)
    feed = ("dense", np.zeros(0, np.float32), none, places, places)
    net.run(steps, samples, [feed], [], [], 1, None, none, none, [], [])


def divided(
    part: Any = (0, 1, 1), parts: int = 2, indptr: Any = (), count: Any = (), on: int = 2, twice: bool = False,
    network: Any = _engine.Int32Network, shares: int = 1,
) -> Any:  # fmt: skip
    """Two sources, dense synapses, three neurons, a read-out; one of its nodes is divided."""
    net = network(2, shares)
    dtype = np.float32 if network is _engine.FloatNetwork else np.int32
    net.input("x", [2], False)
    net.linear("w", 2, [3], np.ones((3, 2), dtype), None, None, 0)
    code = np.zeros((2, 7), np.int64)
    numbers = {row[0]: i for i, row in enumerate(_engine.operations())}
    code[0, 0], code[1, :2] = numbers["input"], (numbers["spike"], 0)
    none = np.zeros(0, np.int64)
    net.population("a", [3], code, np.zeros(2), [1, 0, 0, 1], none, [], [], [], 0)
    net.output("y", [3])
    for _ in range(2 if twice else 1):
        arrays = (np.asarray(x, dtype) for x, dtype in ((indptr, np.int64), (part, np.int32), (count, np.int32)))
        net.divide(on, parts, *arrays)
    net.connect(0, 1, 0, 0)
    net.connect(1, 2, 0, 0)
    net.connect(2, 3, 0, 0)
    net.seal()
    return net


ROWS = {"on": 1, "indptr": (0, 2, 3), "part": (0, 1, 0), "count": (1, 2, 3)}
HOSTILE: dict[str, Callable[[], Any]] = {
    "delays that are no numbers": lambda: by_rule(delay=(NAN, 0.0, 1.0, 9.0)),
    "delays of an endless spread": lambda: by_rule(delay=(1.0, INF, 1.0, 9.0)),
    "bounds of delays that are no numbers": lambda: by_rule(delay=(1.0, 0.0, NAN, 9.0)),
    "weights that are no numbers": lambda: by_rule((NAN, 0.0, 0.0, 1.0), bits=8),
    "weights above their bound": lambda: by_rule((1.0, 0.0, 2.0, 1.0)),
    "codes of an endless scale": lambda: by_rule(bits=8, scale=INF),
    "weights of integers that are no codes": lambda: by_rule((1e300, 0.0, -INF, INF), network=_engine.Int64Network),
    "more synapses than are numbered": lambda: by_rule(count=2**31 - 2),
    "codes of two ports": lambda: coded(lambda n: n.move("m", [[2], [2]], [4], np.arange(4, dtype=np.int32)), [2]),
    "codes of a move": lambda: coded(lambda n: n.move("m", [[4]], [1], np.zeros(1, np.int32)), [4]),
    "codes of a pool": lambda: coded(lambda n: n.pool("p", [2, 8, 8], [2, 1, 1], [8, 8], [8, 8]), [2, 8, 8]),
    "a drive of no integer": lambda: drive(0.5),
    "a drive of no number": lambda: drive(NAN),
    "a drive beyond the integers": lambda: drive(1e30),
    "a live run of no samples": lambda: live(0),
    "a live run of fewer": lambda: live(-1),
    "more steps than are numbered": lambda: live(1, [2**63 - 1]),
    "values that come to 0 in 64 bits": lambda: many(2**30, 2**30, [16]),
    "a part that does not exist": lambda: divided(part=(0, 1, 2)),
    "a part below 0": lambda: divided(part=(0, -1, 1)),
    "more parts than neurons": lambda: divided(parts=2**31 - 1),
    "no parts": lambda: divided(parts=0),
    "parts of other neurons": lambda: divided(part=(0, 1)),
    "parts of a node that does not exist": lambda: divided(on=9),
    "parts of an input": lambda: divided(on=0),
    "parts of an output": lambda: divided(on=3),
    "neurons divided as synapses": lambda: divided(**{**ROWS, "on": 2}),
    "parts twice": lambda: divided(twice=True),
    "parts of floats": lambda: divided(network=_engine.FloatNetwork),
    "parts of a shared network": lambda: divided(shares=2),
    "pointers of other sources": lambda: divided(**{**ROWS, "indptr": (0, 1, 2, 3)}),
    "pointers that fall": lambda: divided(**{**ROWS, "indptr": (0, 4, 3)}),
    "pointers from below 0": lambda: divided(**{**ROWS, "indptr": (-1, 2, 3)}),
    "pointers beyond the parts": lambda: divided(**{**ROWS, "indptr": (0, 2, 4)}),
    "no pointers": lambda: divided(**{**ROWS, "indptr": ()}),
    "fewer counts than parts": lambda: divided(**{**ROWS, "count": (1, 2)}),
    "counts below 0": lambda: divided(**{**ROWS, "count": (1, -2, 3)}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_was_found_by_reading_raises(name: str) -> None:
    with pytest.raises((GraphError, SimulationError)):
        HOSTILE[name]()


def test_what_is_in_order_is_taken() -> None:
    by_rule()
    by_rule(bits=8, network=_engine.Int32Network)
    drive(-3.0)
    live(2, [0, 5]).save([])
    divided()
    divided(**ROWS)

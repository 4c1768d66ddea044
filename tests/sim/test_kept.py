"""Law: a network mapped from a file of its lowered form gives the bits of one that is made: outputs, records, counts and
states, whole, cut and live.

On networks of populations as `test_sharing` draws them (1 to 3 populations of 1 to 1,700 neurons, floats and codes of 8 and 16
bits, constant and normal delays, 1 to 4 shares), and on lists in integers with delays beyond the shortest run's. Files of others are refused
by name, and arrays that were changed at random (a valid hash, wrong values) never run.
"""

from __future__ import annotations

import json
import re
import resource
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikeflow.sim._engine as _engine
from spikeflow.errors import DataError, FileError, SimulationError, SpikeflowError
from spikeflow.files import mapped
from spikeflow.ir.arrays import Quantised
from spikeflow.ir.fixed import Fixed
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Sparse
from spikeflow.ir.projections import FixedInDegree, Normal
from spikeflow.neurons import LIF
from spikeflow.populations import Populations
from spikeflow.sim import coded, engine, keep_lowered, kept, prepare, process
from spikeflow.sim.bundles import bundles
from spikeflow.sim.inputs import Dense
from tests.files.rule_network import rule_network
from tests.sim.test_cut import assert_equal, everything, from_states, joined, stretch
from tests.sim.test_sharing import a_network, entering


@pytest.mark.parametrize("bits", [0, 8, 16])
@pytest.mark.parametrize("seed", range(6))
def test_mapped_networks_equal_those_that_are_made(
    seed: int, bits: int, tmp_path: Path, monkeypatch: Any
) -> None:
    for place in (process, kept):
        monkeypatch.setattr(place, "shares_of", lambda graph, threads: threads)
    rng = np.random.default_rng([seed, bits, 7])
    graph, steps, threads = a_network(rng, bits), 40, int(rng.integers(1, 5))
    inputs, record, path = entering(rng, graph, steps, 1), everything(graph), tmp_path / "net.lowered"
    made = keep_lowered(graph, path, threads)
    again = replace(graph)  # another value of the same meaning
    held = prepare(again, threads=threads, lowered=path)
    wanted, at = made(inputs, steps, record), [0, 17, steps]
    assert_equal(engine.prepare(graph, threads)(inputs, steps, record), wanted, record)
    got = from_states(lambda: held, inputs, at, record)
    assert_equal(got, wanted, record)
    assert got.state == wanted.state
    live = held.begin(1)
    pairs = list(zip(at, at[1:], strict=False))
    parts = [live.advance(stretch(inputs, a, b), b - a, record) for a, b in pairs]
    assert_equal(joined(parts), wanted, record)
    assert live.state() == wanted.state


def integers(delay: int = 100, wide: bool = False) -> Graph:
    """A list at stage fixed, of small and of large integers, with delays up to `delay`."""
    rng = np.random.default_rng(delay)
    indptr = np.concatenate([[0], np.sort(rng.integers(0, 90, 8)), [90]])
    most = 2**30 if wide else 100
    weight = Quantised(rng.integers(-most, most, 90).astype(np.int32), Fixed(32))
    delays = rng.integers(0, delay + 1, 90)
    node = Sparse(indptr, rng.integers(0, 30, 90), weight, (9,), (30,), delays=delays, exponent=-1)
    nodes = {"x": Input((9,), format=Fixed(8)), "w": node, "out": Output()}
    return Graph(nodes, (Edge("x", "w"), Edge("w", "out")))


@pytest.mark.parametrize("wide", [False, True], ids=["32 bits", "64 bits"])
def test_lists_of_integers_and_delays_that_runs_outgrow(wide: bool, tmp_path: Path) -> None:
    graph, path, rng = integers(wide=wide), tmp_path / "net.lowered", np.random.default_rng(3)
    x = Dense(rng.integers(-3, 4, (150, 2, 9)))
    keep_lowered(graph, path)
    held, made = prepare(graph, lowered=path), prepare(graph)
    for steps in (5, 150):
        assert_equal(held(x, steps), made(x, steps), ())
        assert held(x, steps).state == made(x, steps).state


def test_other_rates_neurons_and_biases_run_from_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "net.lowered"
    keep_lowered(rule_network(rate_hz=300.0), path)
    other = rule_network(rate_hz=900.0)
    assert_equal(prepare(other, lowered=path)({}, 50), prepare(other)({}, 50), ())


def _shrunk(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-5000] ^= 4
    path.write_bytes(data)


def _newer(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"spikeflow lowered 1\n", b"spikeflow lowered 2\n"))


def _state(path: Path) -> None:
    path.write_bytes(path.read_bytes().replace(b"spikeflow lowered 1\n", b"spikeflow another 1\n"))


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (_shrunk, "of its"),
        (_flipped, "damaged"),
        (_newer, "format version 2"),
        (_state, "is a another file"),
        (lambda path: path.write_bytes(b""), "is not a lowered file"),
        (lambda path: path.write_bytes(b"x" * 9000), "is not a lowered file"),
        (lambda path: path.unlink(), "no such file"),
    ],
)
def test_damaged_files_are_refused(damage: Callable[[Path], Any], reason: str, tmp_path: Path) -> None:
    path = tmp_path / "net.lowered"
    keep_lowered(rule_network(), path)
    damage(path)
    with pytest.raises(FileError, match=reason):
        prepare(rule_network(), lowered=path)


def _unlike(path: Path, place: tuple[int, ...], value: Any) -> None:
    """The file with something else in its description, and the hash of that."""
    raw = path.read_bytes()
    text = mapped._TEXT.fullmatch(raw[: mapped.TEXT])
    assert text is not None
    size = int(text[4])
    said = json.loads(raw[mapped.TEXT : mapped.TEXT + size])
    held = said["about"]["rows"][0] if len(place) < 3 else said["arrays"]
    for one in place[:-1] if len(place) < 3 else place[1:-1]:
        held = held[one]
    held[place[-1]] = value
    content = json.dumps(said).encode().ljust(size, b" ") + raw[mapped.TEXT + size :]
    assert len(content) == len(raw) - mapped.TEXT
    found = mapped._hash_of(memoryview(content), 1)
    path.write_bytes(mapped._text("lowered", 1, len(raw), size, found) + content)


@pytest.mark.parametrize("value", [10**30, -1, 0.5, np.inf, np.nan, True, None, "1", "\ud800", [1], 2**31])
@pytest.mark.parametrize("place", [(2,), (3, 0), (4,), (0, 0, 0), (0, 0, 1)], ids=str)
def test_descriptions_that_say_nonsense_are_refused(
    value: Any, place: tuple[int, ...], tmp_path: Path
) -> None:
    path = tmp_path / "net.lowered"
    keep_lowered(rule_network(), path)
    _unlike(path, place, value)
    with pytest.raises(FileError, match=re.escape(str(path))):
        prepare(rule_network(), lowered=path)


def test_what_was_kept_of_another_network_is_refused_by_name(tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "net.lowered"
    keep_lowered(rule_network(), path, 1)
    for other, reason in (
        (rule_network(seed=2), "synapses of n.in differ"),
        (integers(), "holds synapses of n.in"),
    ):
        with pytest.raises(FileError, match=reason):
            prepare(other, lowered=path)
    with pytest.raises(SimulationError, match="reference takes no lowered"):
        prepare(rule_network(), "reference", lowered=path)
    monkeypatch.setattr(kept, "shares_of", lambda graph, threads: threads)
    with pytest.raises(FileError, match="kept for 1 threads, and 3 are asked for"):
        prepare(rule_network(), threads=3, lowered=path)
    monkeypatch.setattr(_engine, "rows_layout", lambda: "rows 0, big endian")
    with pytest.raises(FileError, match=r"this engine has 'rows 0, big endian'"):
        prepare(rule_network(), lowered=path)


def test_what_cannot_be_kept_or_written(tmp_path: Path) -> None:
    dense = {"x": Input((2,)), "w": Linear(np.ones((2, 2), np.float32)), "out": Output()}
    graph = Graph(dense, (Edge("x", "w"), Edge("w", "out")))
    for call in (lambda p: keep_lowered(graph, p), lambda p: prepare(graph, lowered=p)):
        with pytest.raises(SimulationError, match="no synapses that name their targets"):
            call(tmp_path / "net.lowered")
    with pytest.raises(FileError, match="no folder"):
        keep_lowered(rule_network(), tmp_path / "none" / "net.lowered")
    with pytest.raises(DataError):
        keep_lowered(rule_network(), tmp_path / "net.lowered", -1)
    assert list(tmp_path.iterdir()) == []


def test_a_file_on_a_full_disk_leaves_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "net.lowered"
    keep_lowered(rule_network(), path)
    before, (soft, hard) = path.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (9000, hard))
    try:
        with pytest.raises(FileError, match="cannot be written"):
            keep_lowered(rule_network(seed=5), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, handler)
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


def changed(rng: np.random.Generator, rows: kept.KeptRows) -> kept.KeptRows:
    """The rows with one of the usual faults."""
    arrays, numbers = [array.copy() for array in rows.arrays], list(rows.numbers)
    if not arrays:  # its rows lie with another node
        return rows
    which, kind = int(rng.integers(len(arrays))), int(rng.integers(6))
    if kind == 0 and arrays[which].size:
        at = rng.integers(arrays[which].size, size=int(rng.integers(1, 4)))
        arrays[which][at] = rng.integers(0, 256, at.size)
    elif kind == 1:
        arrays[which] = arrays[which][: int(rng.integers(arrays[which].size + 1))]
    elif kind == 2:
        arrays[which] = np.concatenate([arrays[which], rng.integers(0, 256, 8).astype(np.uint8)])
    elif kind == 3:
        arrays[which], arrays[which - 1] = arrays[which - 1], arrays[which]
    elif kind == 4:
        edges = (-1, 0, 1, 2**20, 2**31 - 1, 2**31, 2**62)
        numbers[int(rng.integers(len(numbers)))] = int(rng.choice(edges))
    else:
        del (numbers if rng.random() < 0.5 else arrays)[-1]
    return kept.KeptRows(str(rng.choice([rows.weight, rows.weight, "int16", "float32"])), numbers, arrays)


def bundled(swapped: bool = False) -> Graph:
    """Two populations of one size that share their sources, whose rows the engine keeps in one set."""
    net = Populations(1e-3, 1, 8, 0.01)
    net.enter("x", 20, 300.0)
    names = ("b", "a") if swapped else ("a", "b")
    for name in names:
        net.add(name, LIF(0.9, 1.0), 40)
    for name in names:
        net.project("x", name, FixedInDegree(4), Normal(0.4, 0.1), Normal(4e-3, 1e-3, 2e-3, 6e-3))
    return net.graph(["a", "b"])


def test_nodes_in_one_set_of_rows(tmp_path: Path) -> None:
    graph, path = bundled(), tmp_path / "net.lowered"
    assert [list(b.numbers) for b in bundles(graph, coded.exact(graph))] == [["a.in", "b.in"]]
    made = keep_lowered(graph, path, 1)
    held, record = prepare(bundled(), threads=1, lowered=path), ["a.v", "b.in"]
    assert_equal(held({}, 60, record), made({}, 60, record), record)
    assert held({}, 60).state == made({}, 60).state and made({}, 60).counts["a"].spikes > 0
    with pytest.raises(FileError, match=r"the synapses of .\.in differ"):
        prepare(bundled(swapped=True), lowered=path)


@pytest.mark.parametrize("which", [0, 8, "bundled"])
def test_rows_that_were_changed_never_run_outside(which: int | str, tmp_path: Path) -> None:
    """1,000 changed files with a valid hash: refused, or their synapses all exist and runs end as usual."""
    graph = bundled() if isinstance(which, str) else rule_network(bits=which)
    path, rng = tmp_path / "net.lowered", np.random.default_rng(8)
    keep_lowered(graph, path, 1)
    held, refused = kept.read(path, graph), 0
    for _ in range(1000):
        wrong = kept.Kept(path, 1, {name: changed(rng, rows) for name, rows in held.rows.items()})
        try:
            engine.Engine(graph, 1, process=process.KeptProcess(wrong, 1))({}, 8)
        except SpikeflowError as error:
            assert isinstance(error, FileError) and str(path) in str(error) and "Try: make it again" in str(error)
            refused += 1
    assert refused > 500

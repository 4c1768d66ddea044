"""The pickle machine takes memory and time in proportion to the pickle, in both of its dialects."""

from __future__ import annotations

import io
import pickle
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from spikeflow.convert.load.layers import LAYERS
from spikeflow.convert.load.pickled import read_pickle
from spikeflow.datasets.stored.pickled_arrays import load_pickled
from tests.files.measured import failures, measure

Bomb = Callable[[int], bytes]


def torch_dialect(path: Path) -> object:
    return read_pickle(io.BytesIO(path.read_bytes()), str(path), LAYERS)


def numpy_dialect(path: Path) -> object:
    return load_pickled(path.read_bytes(), path)


DIALECTS = {"torch": torch_dialect, "numpy": numpy_dialect}


def _tuples_of_tuples(size: int) -> bytes:
    """Keys nested so that hashing them takes two to the power of their depth."""
    depth = min(size // 5, 200)
    nested = b"K\x01" + b"".join(b"q%ch%c\x86" % (n, n) for n in range(depth))
    return b"\x80\x02}" + nested + b"K\x00s."


def _colliding(kind: str) -> Bomb:
    def numbers(count: int) -> list[int]:
        prime = 2**61 - 1
        if kind == "equal hashes":
            return [n * prime for n in range(1, count)]
        # the order in which a table of 2^20 places is searched from 0, then numbers that all begin at 0
        chain, at = [], 0
        for _ in range(count // 2):
            chain.append(at)
            at = (5 * at + 1) % 2**20
        return chain + [n << 20 for n in range(1, count // 2)]

    def bomb(size: int) -> bytes:
        items = b"".join(pickle.dumps(n, 2)[2:-1] + b"N" for n in numbers(size // 8))
        return b"\x80\x02}(" + items + b"u."

    return bomb


def _slots(size: int) -> bytes:
    """The memo filled under numbers that collide."""
    at, out = 0, [b"\x80\x02N"]
    for _ in range(size // 5):
        out.append(b"r" + struct.pack("<I", at))
        at = (5 * at + 1) % 2**24
    return b"".join(out) + b"."


def _copies(call: bytes) -> Bomb:
    def bomb(size: int) -> bytes:
        half = size // 2
        return b"\x80\x02](" + b"K\x01" * (half // 2) + b"e" + b"q\x00" + call * (half // len(call)) + b"."

    return bomb


BOMBS: dict[str, Bomb] = {
    "lists": lambda size: b"\x80\x02" + b"]" * size + b".",
    "dictionaries": lambda size: b"\x80\x02" + b"}" * size + b".",
    "sets": lambda size: b"\x80\x04" + b"\x8f" * size + b".",
    "lists of one": lambda size: b"\x80\x02" + b"]Na" * (size // 3) + b".",
    "dictionaries of one": lambda size: b"\x80\x02" + b"}NNs" * (size // 4) + b".",
    "tuples of one": lambda size: b"\x80\x02" + b"N\x85" * (size // 2) + b".",
    "lists kept": lambda size: b"\x80\x04" + b"]\x94" * (size // 2) + b".",
    "nested lists": lambda size: b"\x80\x02" + b"]" * (size // 2) + b"a" * (size // 2 - 1) + b".",
    "tuples of tuples as keys": _tuples_of_tuples,
    "keys of equal hashes": _colliding("equal hashes"),
    "keys of one path": _colliding("one path"),
    "memo": _slots,
    "torch.Size of one list": _copies(b"ctorch\nSize\nh\x00\x85R0"),
    "set of one list": _copies(b"c__builtin__\nset\nh\x00\x85R0"),
    "text encoded again and again": lambda size: (
        b"\x80\x02X" + struct.pack("<I", size // 2) + b"x" * (size // 2) + b"q\x00"
        b"c_codecs\nencode\nq\x01X\x06\x00\x00\x00latin1q\x02" + b"h\x01h\x00h\x02\x86R" * (size // 16) + b"."
    ),
    "arrays": lambda size: (
        b"\x80\x02cnumpy.core.multiarray\n_reconstruct\nq\x01)q\x02" + b"h\x01h\x02R" * (size // 5) + b"."
    ),
    "layers": lambda size: (
        b"\x80\x02ctorch.nn.modules.linear\nIdentity\nq\x01}q\x02" + b"h\x01)\x81h\x02b" * (size // 7) + b"."
    ),
    "a number of half the file": lambda size: (
        b"\x80\x02\x8b" + struct.pack("<I", size) + b"\x7f" * size + b"."
    ),
}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("size", [400, 60_000, 2_000_000])
def test_bombs_keep_the_law(tmp_path: Path, dialect: str, size: int) -> None:
    found = []
    for name, bomb in BOMBS.items():
        path = tmp_path / "bomb"
        path.write_bytes(bomb(size))
        found.append((name, path.stat().st_size, measure(DIALECTS[dialect], path)))
    assert not failures(found), "\n".join(failures(found))
    slow = [name for name, _, o in found if o.seconds > 15]
    assert not slow, slow


INSTRUCTIONS = (
    b"]", b"}", b")", b"\x8f", b"N", b"K\x01", b"U\x01a", b"X\x01\x00\x00\x00b", b"(", b"a", b"e", b"s", b"u",
    b"\x85", b"\x86", b"\x87", b"t", b"0", b"\x90", b"\x94", b"q\x00", b"q\x01", b"h\x00", b"h\x01", b"R", b"b",
    b"\x81", b"Q", b"ctorch\nSize\n", b"ccollections\nOrderedDict\n", b"c__builtin__\nset\n",
    b"cnumpy.core.multiarray\n_reconstruct\n", b"cnumpy\ndtype\n", b"c_codecs\nencode\n",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("dialect", DIALECTS)
def test_random_programs_keep_the_law(tmp_path: Path, dialect: str, seed: int) -> None:
    """Random programs: 1 to 12 of the instructions above, drawn at random, repeated to at most 100,000 bytes."""
    drawn = random.Random(seed)
    found = []
    for number in range(20):
        phrases = [b"".join(drawn.choices(INSTRUCTIONS, k=drawn.randint(1, 12))) for _ in range(3)]
        body = b"".join(phrase * drawn.randint(1, 30_000 // len(phrase)) for phrase in phrases)
        path = tmp_path / "program"
        path.write_bytes(b"\x80\x02" + body + b".")
        found.append((f"{number} {phrases}", len(body), measure(DIALECTS[dialect], path)))
    assert not failures(found), "\n".join(failures(found))

"""One entry of the disk cache: a sample and its label in a file that can be told from a damaged one.

Layout: the magic word, the length of a JSON head (uint32), the head, the arrays one after the other as they
lie in memory (little-endian, C order), and the CRC-32 (uint32) of all that comes before. Nothing in it can be
run.
"""

from __future__ import annotations

import json
import struct
import zlib
from math import prod
from typing import Any

import numpy as np

from spikeflow.errors import DataError
from spikeflow.events import COLUMNS, Events, Spikes
from spikeflow.typing import Array

MAGIC = b"spikeflow cache 1\n"
CHECK = 4  # bytes of the checksum
RECORDS = ("sample", "step", "neuron", "value")


class Damaged(Exception):
    """Bytes that are no whole entry."""


def to_bytes(sample: Events | Spikes | Array, label: int) -> bytes:
    """A sample and its label as an entry.

    Raises
    ------
    DataError
        Where the sample is not Events, Spikes or an array of numbers, or the label is no whole number.
    """
    if not isinstance(label, int | np.integer):
        raise DataError("cache: label", repr(label), "a whole number")
    facts, arrays = _taken_apart(sample)
    arrays = [np.asarray(array, array.dtype.newbyteorder("<"), order="C") for array in arrays]
    head = {"label": int(label), **facts, "arrays": [(a.dtype.str, a.shape) for a in arrays]}
    text = json.dumps(head, allow_nan=False).encode()
    body = b"".join([MAGIC, struct.pack("<I", len(text)), text, *(array.tobytes() for array in arrays)])
    return body + struct.pack("<I", zlib.crc32(body))


def from_bytes(raw: bytes) -> tuple[Any, int]:
    """The sample and its label.

    Raises
    ------
    Damaged
        Where a byte is missing, too many, or not what was written.
    """
    body, check = memoryview(raw)[:-CHECK], raw[-CHECK:]
    if not raw.startswith(MAGIC) or struct.pack("<I", zlib.crc32(body)) != check:
        raise Damaged
    try:
        at = len(MAGIC) + 4
        (length,) = struct.unpack_from("<I", body, len(MAGIC))
        head = json.loads(bytes(body[at : at + length]))
        arrays = _arrays(body[at + length :], head["arrays"])
        return _put_together(head, arrays), int(head["label"])
    except (
        KeyError,
        TypeError,
        ValueError,
        RecursionError,
        struct.error,
    ) as error:  # written by another version, or by nobody
        raise Damaged from error


def _taken_apart(sample: Any) -> tuple[dict[str, Any], list[Array]]:
    if isinstance(sample, Events):
        size = {"width": sample.width, "height": sample.height, "dropped": dict(sample.dropped)}
        return {"kind": "events", **size}, [getattr(sample, name) for name, _ in COLUMNS]
    if isinstance(sample, Spikes):
        size = {"samples": sample.samples, "steps": sample.steps, "shape": sample.shape}
        return {"kind": "spikes", **size}, [getattr(sample, name) for name in RECORDS]
    if isinstance(sample, np.ndarray) and sample.dtype.kind in "fiub":
        return {"kind": "array"}, [sample]
    raise DataError(
        "cache", f"a sample of type {type(sample).__name__}", "Events, Spikes or an array of numbers"
    )


def _put_together(head: dict[str, Any], arrays: list[Array]) -> Events | Spikes | Array:
    kind = head["kind"]
    if kind == "events":
        t, x, y, p = arrays
        return Events(t, x, y, p, head["width"], head["height"], head["dropped"])
    if kind == "spikes":
        sample, step, neuron, value = arrays
        shape = tuple(head["shape"])
        integers = value.dtype.kind == "i"
        return Spikes(sample, step, neuron, value, head["samples"], head["steps"], shape, integers)
    if kind == "array" and len(arrays) == 1:
        return arrays[0]
    raise ValueError(kind)


def _arrays(data: memoryview, declared: list[tuple[str, list[int]]]) -> list[Array]:
    arrays, at = [], 0
    for name, shape in declared:
        dtype = np.dtype(name)
        if dtype.kind not in "fiub":
            raise ValueError(name)
        size = prod(shape) * dtype.itemsize
        # a copy: it is aligned, may be written to, and does not keep the whole file
        arrays.append(np.frombuffer(data[at : at + size], dtype).reshape(shape).copy())
        at += size
    if at != len(data):
        raise ValueError("length")
    return arrays

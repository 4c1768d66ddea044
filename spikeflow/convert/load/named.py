"""Files of named tensors alone (safetensors, `.npz`), as the records that a state dict of torch gives."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from spikeflow.convert.load.pickled import STORAGES, Storage, Tensor
from spikeflow.convert.load.torchfile import Allowance, Saved
from spikeflow.errors import FileError
from spikeflow.files import npz
from spikeflow.files.safetensors_file import read_safetensors

# the format's word -> type of torch
_TYPES: Mapping[str, str] = {
    "F64": "float64",
    "F32": "float32",
    "F16": "float16",
    "BF16": "bfloat16",
    "BOOL": "bool",
    "U8": "uint8",
    "I64": "int64",
    "I32": "int32",
    "I16": "int16",
    "I8": "int8",
}
_WIDTHS = dict(STORAGES.values())
_OF_NUMPY = frozenset(_WIDTHS) - {"bfloat16"}

Held = tuple[str, str, tuple[int, ...], bytes]  # name, type of torch, shape, values


def safetensors(path: str, limit: int) -> Saved:
    """The tensors of a safetensors file."""
    held = list[Held]()
    for found in read_safetensors(path, limit):
        if found.dtype not in _TYPES:
            reason = f"{found.name[:80]!r} is of the type {found.dtype}"
            raise FileError(path, reason, "tensors of float32, float16, bfloat16, float64 or whole numbers")
        held.append((found.name, _TYPES[found.dtype], found.shape, found.data))
    return _saved(path, held, limit)


def arrays(path: str, limit: int) -> Saved:
    """The arrays of an `.npz`."""
    held = list[Held]()
    for name, values in npz.read(path, npz.Wanted(npz.names(path), limit)).items():
        if values.dtype.name not in _OF_NUMPY:
            reason = f"the array {name[:80]!r} is of the type {values.dtype}"
            raise FileError(path, reason, "arrays of numbers")
        plain = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        held.append((name, values.dtype.name, values.shape, plain.tobytes()))
    return _saved(path, held, limit)


def _saved(path: str, held: Iterable[Held], limit: int) -> Saved:
    root, values = dict[str, Tensor](), dict[str, bytes]()
    for name, kind, shape, data in held:
        width = _WIDTHS[kind]
        storage = Storage(name, kind, width, len(data) // width)
        steps = [int(np.prod(shape[n + 1 :], dtype=np.int64)) for n in range(len(shape))]
        root[name], values[name] = Tensor(storage, 0, shape, tuple(steps)), data
    size = sum(map(len, values.values()))
    return Saved(path, root, lambda storage: values[storage.key], Allowance.of(path, size, limit))

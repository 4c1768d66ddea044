"""The tensors of an archive: raw values beside a description of type, sizes and strides."""

from __future__ import annotations

import math
from typing import Any

import torch

from spikeflow.convert.load.archive_fields import AGAIN, Fields
from spikeflow.convert.load.pickled import misplaced
from spikeflow.convert.load.torchfile import Allowance, strided
from spikeflow.convert.load.zipped import StoredZip
from spikeflow.errors import FileError, UnsafeFile

# torch's number for each type of values -> its name and bytes
TYPES = {
    1: ("uint8", 1),
    2: ("int8", 1),
    3: ("int16", 2),
    4: ("int32", 4),
    5: ("int64", 8),
    6: ("float16", 2),
    7: ("float32", 4),
    8: ("float64", 8),
    12: ("bool", 1),
    13: ("bfloat16", 2),
}
STRIDED = 7


class Tensors(Fields):
    """Reads the stored tensors of one archive, each paid for."""

    def __init__(self, archive: StoredZip, allowance: Allowance) -> None:
        super().__init__(archive)
        self.allowance = allowance
        self.payloads: dict[str, bytearray] = {}

    def read(self, model: str, stored: dict[str, tuple[str, str]]) -> dict[str, torch.Tensor]:
        """The tensor behind each name of the graph, given its (role, user\'s name)."""
        weights, constants = self._config("weights", model), self._config("constants", model)
        found = {}
        for name, (role, user) in stored.items():
            # A buffer that is not part of the state dict is kept among the constants.
            folder = "constants" if role == "tensor_constant" or user not in weights else "weights"
            payload = (constants if folder == "constants" else weights).get(user)
            if payload is None:
                self.bad(f"the values of {user[:60]!r} are missing")
            found[name] = self._values(folder, user, payload)
        return found

    def _config(self, folder: str, model: str) -> dict[str, Any]:
        name = f"data/{folder}/{model}_{folder}_config.json"
        if f"{self.top}/{name}" not in self.archive.entries:
            return {}
        return self.member(self.json(name), "config", dict)

    def _values(self, folder: str, user: str, payload: Any) -> torch.Tensor:
        if self.member(payload, "use_pickle", bool):
            reason = f"the values of {user[:60]!r} are pickled, which would run code"
            raise UnsafeFile(self.path, reason, "export a network of plain tensors")
        place = self.member(payload, "path_name", str)
        meta = self.member(payload, "tensor_meta", dict)
        if self.member(meta, "layout", int) != STRIDED or self.member(meta, "dtype", int) not in TYPES:
            raise FileError(self.path, f"{user[:60]!r} is sparse or of a type that is not read", AGAIN)
        dtype, width = TYPES[meta["dtype"]]
        size = tuple(self.size(item) for item in self.member(meta, "sizes", list))
        stride = tuple(self.size(item) for item in self.member(meta, "strides", list))
        offset = self.size(self.member(meta, "storage_offset", dict))
        data = self._payload(f"{self.top}/data/{folder}/{place}")
        if len(data) % width:
            self.bad(f"{user[:60]!r} does not have whole values")
        if reason := misplaced(len(data) // width, offset, size, stride):
            raise FileError(self.path, f"{user[:60]!r}: {reason}", AGAIN)
        self.allowance.spend(math.prod(size) * width)
        return strided(data, dtype, offset, size, stride)

    def _payload(self, name: str) -> bytearray:
        # Kept, since tensors that share values name the same entry, and a hostile file would do so for ever.
        if name not in self.payloads:
            self.payloads[name] = bytearray(self.archive.read(name, self.allowance.limit))
        return self.payloads[name]

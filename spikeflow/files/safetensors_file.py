"""safetensors: named tensors behind a header, taken apart by the safetensors package, which checks them.

::

    8 bytes: length of the header; header: JSON, for each name its type, shape and place; values
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from spikeflow.errors import FileError, MissingPackage
from spikeflow.files.limits import EACH, HINT, MARGIN, Budget
from spikeflow.files.opened import PathLike, read_regular

PACKAGE = "safetensors>=0.4"
_EACH = 2000  # bytes that the description of a tensor becomes


@dataclass(frozen=True, eq=False)
class NamedValues:
    """The values of one tensor as they are stored, low byte first; `dtype` is the format's word, as F32."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    data: bytes


def read_safetensors(path: PathLike, limit: int) -> list[NamedValues]:
    """Every tensor of a file, by name.

    Raises
    ------
    FileError
        Where it is damaged.
    MissingPackage
        Without the safetensors package.
    """
    try:
        import safetensors
    except ImportError as error:
        raise MissingPackage(PACKAGE, "reading safetensors files", error) from error
    data = read_regular(path, limit)
    header = int.from_bytes(data[:8], "little")
    if header > len(data) - 8:
        raise FileError(path, "its header is longer than the file", HINT)
    what = "it describes more tensors than a file of its size may hold"
    Budget(path, MARGIN // 2 + EACH * len(data), what).spend(_EACH * data[8 : 8 + header].count(b"{"))
    try:
        found: list[tuple[str, dict[str, Any]]] = safetensors.deserialize(data)
    except Exception as error:  # the package has an error of its own for whatever is damaged
        raise FileError(path, f"damaged safetensors ({str(error)[:160]})", HINT) from None
    return [
        NamedValues(name, str(said["dtype"]), tuple(int(n) for n in said["shape"]), bytes(said["data"]))
        for name, said in sorted(found, key=lambda pair: pair[0])
    ]

"""ONNX: the protobuf of a model, read by the onnx package once its parts were counted; nothing is run.

Values beside the file ("external data") are read where they lie in the folder of the file, in an ordinary
file, within its length.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from spikeflow.errors import FileError, MissingPackage
from spikeflow.files.limits import EACH, HINT, Budget, of_parts
from spikeflow.files.opened import open_regular, read_regular
from spikeflow.files.protobuf import Schema, check_messages
from spikeflow.typing import Array

if TYPE_CHECKING:
    from onnx import ModelProto, TensorProto

PACKAGE = "onnx>=1.17"
MAX_BYTES = 2**31 - 1  # what protobuf itself takes
WIDEST = 8  # bytes of the widest value

_IN_GRAPH = ("node", "tensor", "named", "named", "named", "part", "sparse", "part")
_IN_ATTRIBUTE = ("tensor", "graph", "tensor", "graph", "type", "type", "sparse", "sparse")
_SCHEMA: Schema = {
    "model": {7: "graph", 8: "part", 14: "part", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph", 3: "part", 4: "part"},
    "function": {7: "node", 9: "part", 11: "attribute", 12: "named", 14: "part"},
    "graph": dict(zip((1, 5, 11, 12, 13, 14, 15, 16), _IN_GRAPH, strict=True)),
    "node": {5: "attribute", 9: "part"},
    "attribute": dict(zip((5, 6, 10, 11, 14, 15, 22, 23), _IN_ATTRIBUTE, strict=True)),
    "tensor": {3: "part", 13: "part", 16: "part"},
    "sparse": {1: "tensor", 2: "tensor"},
    "named": {2: "type", 4: "part"},
    "type": {1: "array", 4: "type of parts", 5: "type of parts", 8: "array", 9: "type of parts"},
    "type of parts": {1: "type", 2: "type"},
    "array": {2: "shape"},
    "shape": {1: "part"},
}
# what each becomes in memory, and as a part of the network that is made of it
_COSTS = {
    **dict.fromkeys(("part", "type", "array", "shape", "type of parts", "named", "attribute"), 400),
    **dict.fromkeys(("tensor", "sparse", "graph", "training", "function"), 3000),
    "node": 8000,
}


@dataclass(frozen=True, eq=False)
class OnnxFile:
    """A model, and the values of its tensors.

    Parameters
    ----------
    model : the message.
    files : how long each file beside it is that values were read from; each adds to what they may cost.
    """

    path: str
    model: ModelProto
    budget: Budget
    files: dict[str, int] = field(default_factory=dict)

    def values(self, tensor: TensorProto) -> Array:
        """What a tensor holds, within this file or beside it.

        Raises
        ------
        FileError
            Where it holds fewer or more values than its shape says, or they are not to be had.
        """
        import onnx
        from onnx import numpy_helper

        name = tensor.name[:80]
        if any(n < 0 for n in tensor.dims) or len(tensor.dims) > 16:
            raise FileError(self.path, f"the tensor {name!r} has the shape {list(tensor.dims)[:16]}", HINT)
        if tensor.data_type == onnx.TensorProto.STRING:
            raise FileError(self.path, f"the tensor {name!r} is of text", HINT)
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            return self._beside(tensor)
        try:
            found = np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, KeyError, NotImplementedError, OverflowError, MemoryError) as error:
            raise FileError(self.path, f"the tensor {name!r} is damaged ({_line(error)})", HINT) from None
        return _plain(found)

    def _beside(self, tensor: TensorProto) -> Array:
        """The values of a tensor in another file of the same folder."""
        import onnx

        said = {entry.key: entry.value for entry in tensor.external_data}
        place = self._place(said.get("location", ""))
        try:
            kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        except KeyError:
            raise FileError(self.path, f"a tensor of the type {tensor.data_type}", HINT) from None
        count = int(np.prod([int(n) for n in tensor.dims], dtype=object)) if tensor.dims else 1
        try:
            begin = int(said.get("offset", "0"))
            length = int(said.get("length", str(count * kind.itemsize)))
        except ValueError:
            raise FileError(self.path, "its external data lie at no number", HINT) from None
        if length != count * kind.itemsize:
            reason = f"the tensor {tensor.name[:80]!r} has {length} bytes for {count} values"
            raise FileError(self.path, reason)
        file, there = open_regular(place)
        with file:
            if str(place) not in self.files:
                self.files[str(place)] = there
                self.budget.left += EACH * there
            if not 0 <= begin <= there - length:
                raise FileError(place, f"has no {length} bytes at {begin}", HINT)
            self.budget.spend(2 * length)  # several tensors may have their values in one place
            file.seek(begin)
            return _plain(np.frombuffer(file.read(length), kind).reshape(tuple(tensor.dims)))

    def _place(self, location: str) -> Path:
        folder = Path(os.path.realpath(self.path)).parent
        try:
            place = Path(os.path.realpath(folder / location))
        except ValueError:
            place = folder.parent
        if not location or folder not in place.parents:
            reason = f"its values lie outside of its folder ({location[:80]!r})"
            raise FileError(self.path, reason, "the file and its data in one folder, as they were exported")
        return place


def read_onnx(path: str, limit: int = MAX_BYTES) -> OnnxFile:
    """The model in a file.

    Raises
    ------
    FileError
        Where it is damaged or asks for more than its size explains.
    MissingPackage
        Without the onnx package.
    """
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ImportError as error:
        raise MissingPackage(PACKAGE, "reading ONNX files", error) from error
    data = read_regular(path, min(limit, MAX_BYTES))
    budget = of_parts(path, len(data))
    check_messages(data, "model", _SCHEMA, _COSTS, budget)
    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError, RecursionError) as error:
        raise FileError(path, f"damaged: it is no ONNX model ({_line(error)})", HINT) from None
    return OnnxFile(path, model, budget)


def _plain(array: Array) -> Array:
    """Types that numpy has itself; float32 for the narrow ones of machine learning."""
    return array if array.dtype.isbuiltin == 1 else array.astype(np.float32)


def _line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]

"""Networks of other kinds, named for what they are, each with the step that leads to one that is taken."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import nn

from spikeflow.errors import UnsafeFile, UnsupportedLayer
from spikeflow.ir import store

_HINT = "save the network with torch.save or torch.export.save, or as ONNX"
_KERAS = "model.export('net.onnx', format='onnx') in Keras 3, and convert net.onnx"
_ARRAYS = (
    "--arch models.py:function, a function of yours whose module's state dict has the names of these arrays; "
    "or the network itself, as ONNX, TFLite or torch.export.save"
)
_TENSORFLOW = (
    "python -m tf2onnx.convert --saved-model FOLDER (or --graphdef FILE) --output net.onnx, and convert "
    "net.onnx"
)
_BARE = (
    "a file of bare weights (of Caffe, Darknet, or packed as by Deep Compression), which does not tell how "
    "they lie",
    "its weights unpacked into an .npz or a state dict, with --arch; or the network as ONNX",
)
_REBUILD = (
    "build it again of spikeflow.neurons layers with the same weights; "
    "spikeflow.convert.capture_trained(net, shape) "
    "takes it"
)
_CAPTURE = (
    "spikeflow.convert.capture_trained(net, shape) takes a network of spikeflow.neurons; it is not converted"
)
HEAD = 512  # bytes of a file from which its kind is told
_LOOKED = 2**20  # bytes of an HDF5 file in which its kind is looked for

Named = tuple[str, str]

_HEADS: Mapping[bytes, Named] = {
    b"GGUF": ("a GGUF file", "the torch module that it was made from"),
    b"\x93NUM": ("a numpy array", _HINT),
    b"\x1f\x8b\x08": ("a gzip file", "unpack it first"),
    b"version https://git-lfs": ("a pointer of Git LFS, not the file itself", "git lfs pull"),
    b"MATLAB": ("a MATLAB file", _HINT),
}

_OURS: Mapping[str, Named] = {
    "network": ("a network of spikeflow, converted already", "spikeflow run and spikeflow map take it"),
    "mapping": ("a mapping of spikeflow", "spikeflow run and spikeflow report take it"),
}

# what an HDF5 file holds near its beginning -> what it is
_IN_HDF5: Mapping[bytes, Named] = {
    b"NIRGraph": ("a NIR network, which is spiking already", _REBUILD),
    b"keras": ("a Keras model", _KERAS),
    b"model_config": ("a Keras model", _KERAS),
}

# the beginning of the names in a pickle -> what it is
_PACKAGES: Mapping[str, Named] = {
    "spikeflow.": (
        "a network of spikeflow layers, saved whole",
        f"make it and load its state dict; {_CAPTURE}",
    ),
    "norse.": ("a spiking network of norse", _REBUILD),
    "snntorch.": ("a spiking network of snntorch", _REBUILD),
    "spikingjelly.": ("a spiking network of spikingjelly", _REBUILD),
    "sinabs.": ("a spiking network of sinabs", _REBUILD),
    "lava.": ("a spiking network of lava", _REBUILD),
    "rockpool.": ("a spiking network of rockpool", _REBUILD),
    "sklearn.": (
        "a scikit-learn model",
        "a torch module with its numbers, such as torch.nn.Linear with the coefs_ of an MLPClassifier",
    ),
    "torch.nn.parallel.": ("a network wrapped by torch.nn.parallel", "save model.module"),
    "torch._dynamo.": ("a network wrapped by torch.compile", "save model._orig_mod"),
    "keras.": ("a Keras model", _KERAS),
}
_SPIKING = ("spikeflow.", "norse.", "snntorch.", "spikingjelly.", "sinabs.", "lava.", "rockpool.")


def kind_of(path: str, head: bytes, start: bytes) -> Named:
    """What a file is, from its first 512 bytes and a longer piece of its beginning, and what to try."""
    if (own := store.kind_of(path)) in _OURS:
        return _OURS[own]
    if head[:4] == b"\x89HDF":
        found = next((named for mark, named in _IN_HDF5.items() if mark in start), None)
        return found or ("an HDF5 file that holds no network that is known here", _HINT)
    for mark, named in _HEADS.items():
        if head.startswith(mark):
            return named
    if path.endswith(".pb"):
        return "a TensorFlow graph (.pb)", _TENSORFLOW
    if path.endswith((".net", ".caffemodel", ".weights")):
        return _BARE
    return "no file that torch.save or torch.export.save wrote, no ONNX, TFLite or safetensors file", _HINT


def start_needed(head: bytes) -> int:
    """How many bytes of a file `kind_of` wants to see."""
    return _LOOKED if head[:4] == b"\x89HDF" else 0


def is_tflite(head: bytes) -> bool:
    """The word that TFLite writes behind the place of its first table."""
    return head[4:8] == b"TFL3"


def is_safetensors(head: bytes) -> bool:
    """A length of 8 bytes and a JSON object."""
    return (
        len(head) > 9
        and 2 <= int.from_bytes(head[:8], "little") < 2**27
        and head[8:10] in (b'{"', b"{ ", b"{}")
    )


def is_onnx(head: bytes) -> bool:
    """A message of protobuf whose first field is the version (3 or more), followed by a field of a
    ModelProto.
    """
    fields = {2 << 3 | 2, 3 << 3 | 2, 4 << 3 | 2, 5 << 3, 6 << 3 | 2, 7 << 3 | 2, 8 << 3 | 2, 14 << 3 | 2}
    return len(head) > 3 and head[0] == 1 << 3 and 3 <= head[1] < 64 and head[2] in fields


def archive_of(names: tuple[str, ...]) -> Named | None:
    """What a zip file of these names is, where torch did not write it."""
    if names and all(name.endswith(".npy") for name in names):
        return "a numpy archive (.npz), which holds arrays and no network", _ARRAYS
    if {"config.json", "metadata.json"} <= set(names):
        return "a Keras model", _KERAS
    return None


def explained(error: UnsafeFile, pickle: bytes) -> UnsafeFile:
    """The same refusal of a pickle, with what the file is and what takes it where a name in it tells."""
    for start, (what, hint) in _PACKAGES.items():
        if found := re.search(re.escape(start.encode()) + rb"[A-Za-z_][\w.]{0,100}", pickle):
            return UnsafeFile(error.path, f"it is {what} (it names {found.group().decode()!r})", hint)
    return error


def refuse_spiking(module: nn.Module) -> None:
    """Raise UnsupportedLayer where a module is, or holds, layers that spike already."""
    for name, part in module.named_modules():
        cls = type(part)
        start = next((s for s in _SPIKING if f"{cls.__module__}.".startswith(s)), None)
        if start is None or (start == "spikeflow." and not cls.__module__.startswith("spikeflow.neurons")):
            continue
        what, hint = _PACKAGES[start]
        hint = _CAPTURE if start == "spikeflow." else hint
        kind = f"{'a layer of spikeflow' if start == 'spikeflow.' else what}, which spikes already,"
        raise UnsupportedLayer(name or cls.__name__, kind, hint, cls.__name__)

"""A file to a module or a traced graph, without running code from the file.

===========================  ===============================================================================
file                         result
===========================  ===============================================================================
`torch.save(module)`         the module made afresh, of listed torch layers only
`torch.export.save(...)`     an `AtenGraph`, read by our own reader
state dict + `--arch`        the module that the user's own function makes, filled with the file's tensors;
                             alone, or in a checkpoint, under the names of a wrapper or not
safetensors, npz + `--arch`  as a state dict
ONNX, TFLite (`load.onnx`)   a module of the network's operators, each a function of torch
===========================  ===============================================================================

The user's function is the only code that ever runs. `arch` beside a file that says itself how its network is
built is an error: one of the two would be silently ignored.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from spikeflow.convert.load import archive, filling, foreign, named, torchfile
from spikeflow.convert.load.arch import HINT as ARCH_HINT
from spikeflow.convert.load.arch import make_module
from spikeflow.convert.load.checkpoint import Reading, few, fitted, modules, printable, readings
from spikeflow.convert.load.layers import LAYERS, Rebuilder
from spikeflow.convert.load.onnx import reader as onnx
from spikeflow.convert.load.pickled import Instance, Tensor
from spikeflow.convert.load.reparametrised import KINDS
from spikeflow.convert.load.tflite import reader as tflite
from spikeflow.convert.load.torchfile import DEFAULT_LIMIT, Saved
from spikeflow.convert.load.zipped import StoredZip
from spikeflow.convert.trace.atengraph import AtenGraph
from spikeflow.errors import FileError, SpikeflowWarning
from spikeflow.files.opened import open_regular

_OWN_STRUCTURE = "leave out --arch; it is for files that hold tensors only"


def load(
    path: str | os.PathLike[str], arch: str | None = None, *, limit: int = DEFAULT_LIMIT
) -> nn.Module | AtenGraph:
    """Open a network of torch, ONNX or TFLite.

    Parameters
    ----------
    path
        A saved module, a state dict, an archive of torch.export, or an ONNX or TFLite network.
    arch
        for a state dict, `package.module:function` or `path/to/file.py:function`, with arguments where it
        takes some; see `load.arch`. A module is imported with the current directory on the path.
    limit
        Most bytes that the file, and the tensors made from it, may have.

    Returns
    -------
    torch.nn.Module or AtenGraph
        A module is in evaluation mode, on the CPU, its tensors contiguous.

    Raises
    ------
    UnsafeFile
        The file could only be opened by running code from it.
    FileError
        It is damaged, of another kind, or does not fit the module that `arch` makes.
    ConversionError
        `arch` cannot be imported or makes no module.
    """
    opened = read(path, arch, limit=limit)
    for text in opened.warnings:
        warnings.warn(text, SpikeflowWarning, stacklevel=2)
    return opened.network


@dataclass(frozen=True, eq=False)
class Opened:
    """What a file holds, and the warnings that reading it gave."""

    network: nn.Module | AtenGraph
    warnings: tuple[str, ...] = ()


def read(path: str | os.PathLike[str], arch: str | None = None, *, limit: int = DEFAULT_LIMIT) -> Opened:
    """As `load`, with its warnings beside it instead of issued."""
    name = os.fspath(path)
    file, length = open_regular(name)
    with file:
        head = file.read(foreign.HEAD)
        if foreign.is_onnx(head) or (name.endswith(".onnx") and head[:2] not in (b"PK", b"\x80\x02")):
            _refuse_arch(name, arch, "an ONNX network")
            return Opened(*onnx.read(name, limit))
        if foreign.is_tflite(head):
            _refuse_arch(name, arch, "a TFLite network")
            return Opened(*tflite.read(name, limit))
        if foreign.is_safetensors(head):
            return _tensors_alone(named.safetensors(name, limit), arch, "it is a safetensors file and")
        if arch is not None and name.endswith(".npz"):
            return _tensors_alone(named.arrays(name, limit), arch)
        file.seek(0)
        found = torchfile.look(file, name, length, limit, LAYERS.keys() | KINDS)
        if isinstance(found, StoredZip):
            _refuse_arch(name, arch, "an archive of torch.export")
            return Opened(archive.read_archive(found, torchfile.Allowance.of(name, length, limit)))
        if isinstance(found.root, Instance):
            _refuse_arch(name, arch, "a whole module")
            return Opened(Rebuilder(name, found.tensor).module(found.root).eval())
        if not isinstance(found.root, dict):
            raise FileError(name, "it holds neither a module nor named tensors", "save model.state_dict()")
        return _tensors_alone(found, arch)


def _tensors_alone(saved: Saved, arch: str | None, subject: str = "it") -> Opened:
    return _whole(saved, subject) if arch is None else _filled(saved, arch)


def _whole(saved: Saved, subject: str) -> Opened:
    """The module that stands in a checkpoint beside other things."""
    held = modules(saved.root)
    if not held:
        _named_tensors(saved)
        raise FileError(saved.path, f"{subject} holds tensors but no network (a bare state dict)", ARCH_HINT)
    (key, first), *others = held
    module = Rebuilder(saved.path, saved.tensor).module(first).eval()
    kept = few([other for other, instance in others if instance is not first])
    told = f"{saved.path}: the module under {printable(key)!r} was taken; others stand under {kept}"
    return Opened(module, () if kept == "none" else (told,))


def _filled(saved: Saved, arch: str) -> Opened:
    """The module that the user's function makes, with the tensors of the file."""
    found = _named_tensors(saved)
    module = make_module(arch)
    held = module.state_dict()
    wanted = {name: tuple(tensor.shape) for name, tensor in held.items()}
    tensors, told = fitted(saved.path, filling.with_tied(found, held), wanted)
    loaded = {key: saved.tensor(record) for key, record in tensors.items()}
    filling.check_tied(saved.path, held, loaded)
    told = (*told, *filling.of_other_kinds(saved.path, held, loaded), *filling.not_in_file(module, arch))
    _fill(module, loaded, saved.path)
    return Opened(module.eval(), told)


def _refuse_arch(path: str, arch: str | None, what: str) -> None:
    if arch is not None:
        raise FileError(path, f"it is {what}, which says itself how it is built", _OWN_STRUCTURE)


def _named_tensors(saved: Saved) -> list[Reading]:
    """Every place in the file that holds named tensors and nothing else."""
    found = readings(saved.root)
    if not found:
        assert isinstance(saved.root, dict)
        wrong = [printable(key) for key, value in saved.root.items() if not isinstance(value, Tensor)]
        what = f"entries that are no tensors ({few(wrong)})" if wrong else "nothing"
        hint = "save model.state_dict() alone, or 'state_dict'"
        raise FileError(saved.path, f"its state dict holds {what}", hint)
    return found


def _fill(module: nn.Module, loaded: Mapping[str, torch.Tensor], path: str) -> None:
    try:
        with torch.no_grad():
            module.load_state_dict(loaded, strict=False)
    except RuntimeError as error:
        reason = f"its tensors do not load into the module ({str(error).splitlines()[0][:200]})"
        raise FileError(path, reason, "the --arch that the file was trained with") from error

"""A file of torch to a module or a traced graph, without running code from the file.

===========================  ===============================================================================
file                         result
===========================  ===============================================================================
`torch.save(module)`         the module made afresh, of listed torch layers only
`torch.export.save(...)`     an `AtenGraph`, read by our own reader
state dict + `--arch`        the module that the user's own function makes, filled with the file's tensors
===========================  ===============================================================================

The user's function is the only code that ever runs. `arch` beside a file that says itself how its network is
built is an error: one of the two would be silently ignored.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from spikeflow.convert import archive, torchfile
from spikeflow.convert.aten import AtenGraph
from spikeflow.convert.layers import LAYERS, Rebuilder
from spikeflow.convert.pickled import Instance, Tensor
from spikeflow.convert.torchfile import DEFAULT_LIMIT, Saved
from spikeflow.convert.zipped import StoredZip
from spikeflow.errors import ConversionError, FileError

_NESTED = ("state_dict", "model_state_dict")
_ARCH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_ARCH_HINT = "--arch package.module:function, a function of yours that returns the module"
_OWN_STRUCTURE = "leave out --arch; it is for files that hold tensors only"
_SHOWN = 6


def load(
    path: str | os.PathLike[str], arch: str | None = None, *, limit: int = DEFAULT_LIMIT
) -> nn.Module | AtenGraph:
    """Open what torch saved.

    Parameters
    ----------
    path
        A saved module, a state dict, or an archive of torch.export.
    arch
        `package.module:function` for a state dict; the function is imported with the current directory on
        the path, and called without arguments.
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
    name = os.fspath(path)
    file, length = torchfile.open_regular(Path(name))
    with file:
        found = torchfile.look(file, name, length, limit, LAYERS)
        if isinstance(found, StoredZip):
            _refuse_arch(name, arch, "an archive of torch.export")
            return archive.read_archive(found, torchfile.Allowance.of(name, length, limit))
        if isinstance(found.root, Instance):
            _refuse_arch(name, arch, "a whole module")
            return Rebuilder(name, found.tensor).module(found.root).eval()
        tensors = _state_dict(found)
        if arch is None:
            raise FileError(name, "it holds tensors but no network (a bare state dict)", _ARCH_HINT)
        module = make_module(arch)
        _fit(module, tensors, found)
        return module.eval()


def _refuse_arch(path: str, arch: str | None, what: str) -> None:
    if arch is not None:
        raise FileError(path, f"it is {what}, which says itself how it is built", _OWN_STRUCTURE)


def _state_dict(saved: Saved) -> dict[str, Tensor]:
    """Named tensors of a state dict, whether bare or nested in a checkpoint, without the prefix `module.`."""
    root = saved.root
    if not isinstance(root, dict):
        raise FileError(saved.path, "it holds neither a module nor named tensors", "save model.state_dict()")
    nested = [key for key in _NESTED if isinstance(root.get(key), dict)]
    named = root[nested[0]] if nested else root
    wrong = [
        _printable(key)
        for key, value in named.items()
        if type(key) is not str or not isinstance(value, Tensor)
    ]
    if wrong or not named:
        what = f"entries that are no tensors ({', '.join(wrong[:_SHOWN])})" if wrong else "nothing"
        raise FileError(
            saved.path, f"its state dict holds {what}", f"save model.state_dict() alone, or {_NESTED[0]!r}"
        )
    prefixed = all(key.startswith("module.") for key in named)
    return {key.removeprefix("module.") if prefixed else key: value for key, value in named.items()}


@contextmanager
def _current_directory_importable() -> Iterator[None]:
    """Put the current directory first on the import path, and take exactly that entry off again."""
    entry = os.getcwd()
    sys.path.insert(0, entry)
    try:
        yield
    finally:
        sys.path.remove(entry)


def make_module(arch: str) -> nn.Module:
    """Import and call the user's function named `package.module:function`."""
    if not _ARCH.fullmatch(arch):
        raise ConversionError(
            f"--arch {arch[:80]}", "it is not of the form package.module:function", _ARCH_HINT
        )
    where, _, name = arch.partition(":")
    try:
        with _current_directory_importable():
            function = getattr(importlib.import_module(where), name)
        module = function()
    except Exception as error:  # the user's own code: whatever it raises is told as its own
        words = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        raise ConversionError(f"--arch {arch}", f"it failed ({words})", _ARCH_HINT) from error
    if not isinstance(module, nn.Module):
        raise ConversionError(
            f"--arch {arch}", f"it returned {type(module).__name__}, no torch module", _ARCH_HINT
        )
    return module


def _fit(module: nn.Module, tensors: Mapping[str, Tensor], saved: Saved) -> None:
    """Load the tensors into the module once names and shapes agree."""
    wanted = module.state_dict()
    # torch before 0.4.1 wrote no such counter, and it has no effect here.
    missing = [key for key in wanted if key not in tensors and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in tensors if key not in wanted]
    if missing or unexpected:
        reason = (
            f"its names are not those of the module: missing {_few(missing)}; unexpected {_few(unexpected)}"
        )
        raise FileError(saved.path, reason, "the --arch that the file was trained with")
    for key, record in tensors.items():
        if tuple(wanted[key].shape) != record.size:
            reason = f"{_printable(key)} has shape {record.size}, the module wants {tuple(wanted[key].shape)}"
            raise FileError(saved.path, reason, "the --arch that the file was trained with")
    loaded = {key: saved.tensor(record) for key, record in tensors.items()}
    try:
        with torch.no_grad():
            module.load_state_dict(loaded, strict=False)
    except RuntimeError as error:
        reason = f"its tensors do not load into the module ({str(error).splitlines()[0][:200]})"
        raise FileError(saved.path, reason, "the --arch that the file was trained with") from error


def _printable(name: object) -> str:
    text = str(name)[:80]
    return text if text.isprintable() else ascii(text)


def _few(names: list[str]) -> str:
    shown = ", ".join(_printable(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return shown + more if names else "none"

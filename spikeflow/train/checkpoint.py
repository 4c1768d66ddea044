"""Checkpoints: everything that training goes on from, as a file of ours, written whole or not at all.

They hold plain numbers and text behind a hash (`spikeflow.ir.store`); reading one runs nothing of it.
"""

from __future__ import annotations

import hashlib
import inspect
import random
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from spikeflow.errors import FileError, SpikeflowError
from spikeflow.files.opened import PathLike
from spikeflow.ir import store
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.surrogate import Surrogate
from spikeflow.train import tree
from spikeflow.train.inside import network

KIND = "training"
VERSION = 1
PLAIN = (bool, int, float, str, tuple, list, type(None))


def write(path: PathLike, state: dict[str, Any]) -> None:
    """Write a state; FileError leaves behind what was there before, also where the disk is full."""
    arrays: list[Any] = []
    manifest = {"version": VERSION, "state": tree.encoded(state, arrays)}
    store.write_whole(path, KIND, manifest, arrays)


def read(path: PathLike, limits: store.Limits | None = None) -> dict[str, Any]:
    """The state in a file.

    Raises
    ------
    FileError
        For any other file.
    """
    manifest, arrays = store.read(path, KIND, limits)
    if not isinstance(manifest, dict) or manifest.keys() != {"version", "state"}:
        raise FileError(path, "does not hold a checkpoint as spikeflow writes it")
    if manifest["version"] != VERSION:
        reason = f"is a checkpoint of version {manifest['version']!r}; this spikeflow reads {VERSION}"
        raise FileError(path, reason, "the spikeflow that wrote it")
    try:
        state = tree.decoded(manifest["state"], arrays)
        if not isinstance(state, dict):
            raise TypeError("no table")
    except (SpikeflowError, TypeError, ValueError, RuntimeError) as error:
        raise FileError(path, f"does not hold a checkpoint as spikeflow writes it ({error})") from error
    return state


def random_state(device: torch.device) -> dict[str, Any]:
    """The states of the random numbers of torch, also of a GPU, of numpy and of Python."""
    version, numbers, normal = random.getstate()
    kind, keys, place, has, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "device": torch.cuda.get_rng_state(device) if device.type == "cuda" else None,
        "numpy": (str(kind), np.asarray(keys, np.uint32), int(place), int(has), float(cached)),
        "python": (version, np.asarray(numbers, np.uint32), normal),
    }


def set_random_state(state: dict[str, Any], device: torch.device) -> None:
    """Go on with random numbers where `random_state` was asked."""
    torch.set_rng_state(state["torch"])
    if device.type == "cuda" and state["device"] is not None:
        torch.cuda.set_rng_state(state["device"], device)
    np.random.set_state(state["numpy"])
    version, numbers, normal = state["python"]
    random.setstate((version, tuple(int(n) for n in numbers), normal))


def seed_all(seed: int) -> None:
    """Seed torch, numpy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)


def signature(net: nn.Module) -> dict[str, Any]:
    """What a network is, without what it learns: classes by path, shapes of its tensors, edges, and the
    options that its layers were made with.
    """
    plain = network(net)
    classes = {
        path: getattr(getattr(module, "model", None), "name", type(module).__name__)
        for path, module in plain.named_modules()
    }
    shapes = {name: (str(value.dtype), tuple(value.shape)) for name, value in plain.state_dict().items()}
    edges = [(e.src, e.src_port, e.dst, e.port, e.delay) for e in plain.edges]
    options = {path: _options(module) for path, module in plain.named_modules()}
    return {"classes": classes, "shapes": shapes, "edges": edges, "options": options}


def _options(module: nn.Module) -> str | dict[str, str]:
    """Of neurons the model as it was declared and the surrogate, of torch's layers the options by name."""
    if isinstance(module, Neuron):
        declared = {**module.model.params(), **module.model.choices()}
        shown = [f"{name}={_shown(value)}" for name, value in declared.items()]
        learned = [name for name in module.model.params() if name not in dict(module.named_buffers())]
        return f"{', '.join(shown)}, learn={learned}, derivative={_named(module.derivative)}"
    if not type(module).__module__.startswith("torch.nn"):
        return ""
    # only what its constructors take: a layer may hold more, which programs have set on their way
    options = {name for base in type(module).__mro__ for name in inspect.signature(base.__init__).parameters}
    held = {name: value for name, value in vars(module).items() if name in options}
    return {name: str(value) for name, value in held.items() if isinstance(value, PLAIN)}


def _known(held: Any, here: dict[str, str]) -> Any:
    """A layer of torch as a file describes it, of its options those that this torch has too: others came or
    went with a version. The first checkpoints hold the words that torch prints.
    """
    if isinstance(held, str):
        held = dict(re.findall(r"(\w+)='?(\(.*?\)|[^,']+)", held))
    if not isinstance(held, dict):
        return held
    return {name: held.get(name, value) for name, value in here.items()}


def _shown(value: Any) -> str:
    array = np.asarray(value)
    if not array.ndim:
        return repr(array.item())
    return f"{array.shape} {hashlib.blake2b(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]}"


def _named(derivative: Any) -> str:
    """A surrogate's declaration; a function's name."""
    if isinstance(derivative, Mapping):
        return str({slot: _named(each) for slot, each in derivative.items()})
    if isinstance(derivative, Surrogate):
        return repr(derivative)
    return str(getattr(derivative, "__qualname__", type(derivative).__name__))


def check_same(path: Path, held: Any, wanted: dict[str, Any]) -> None:
    """Raise FileError where a checkpoint is one of another network or recipe, naming the first difference."""
    for name, value in wanted.items():
        found = held.get(name, "nothing") if isinstance(held, dict) else "nothing"
        if name == "options" and isinstance(found, dict):
            found = {
                k: _known(v, value[k]) if isinstance(value.get(k), dict) else v for k, v in found.items()
            }
        if found != value:
            hint = "the network and recipe that it was made with, or another folder"
            where = _difference(name, found, value)
            raise FileError(path, f"is a checkpoint of another training ({where})", hint)


def _difference(name: str, found: Any, wanted: Any) -> str:
    """The first, in tables that of the first key in which they differ."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        keys = [*wanted, *(key for key in found if key not in wanted)]
        key = next(k for k in keys if found.get(k, "nothing") != wanted.get(k, "nothing"))
        return _difference(f"{name}, {key}", found.get(key, "nothing"), wanted.get(key, "nothing"))
    return f"{name}: {found!s:.60} in the file, {wanted!s:.60} here"

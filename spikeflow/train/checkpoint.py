"""Checkpoints: everything that training goes on from, as a file of ours, written whole or not at all.

They hold plain numbers and text behind a hash (`spikeflow.ir.store`); reading one runs nothing of it.
"""

from __future__ import annotations

import hashlib
import random
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
    kind, keys, place, has, cached = np.random.get_state(legacy=True)  # type: ignore[misc]
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


def _options(module: nn.Module) -> str:
    """Of neurons the model as it was declared and the surrogate, of torch's layers what they show."""
    if isinstance(module, Neuron):
        declared = {**module.model.params(), **module.model.choices()}
        shown = [f"{name}={_shown(value)}" for name, value in declared.items()]
        learned = [name for name in module.model.params() if name not in dict(module.named_buffers())]
        return f"{', '.join(shown)}, learn={learned}, derivative={_named(module.derivative)}"
    return module.extra_repr() if type(module).__module__.startswith("torch.nn") else ""


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
        found = held.get(name) if isinstance(held, dict) else None
        if found == value:
            continue
        if isinstance(value, dict) and isinstance(found, dict):
            keys = [*value, *(key for key in found if key not in value)]
            key = next(k for k in keys if found.get(k) != value.get(k))
            got, expected = found.get(key, "nothing"), value.get(key, "nothing")
            where = f"{name}, {key}: {got!s:.60} in the file, {expected!s:.60} here"
        else:
            where = f"{name}: {found!s:.60} in the file, {value!s:.60} here"
        hint = "the network and recipe that it was made with, or another folder"
        raise FileError(path, f"is a checkpoint of another training ({where})", hint)

"""Weights that torch's hooks compute before each call, in saved modules: weight norm, spectral norm, pruning.

The file's hook is never called: its class says which formula is meant, and the formula is evaluated here.

::

    weight norm     w = g v / |v|                  the norm over all dimensions but one
    spectral norm   w = w_orig / (u' W v)          W is w_orig with one dimension first, as a matrix
    pruning         w = w_orig mask
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch

from spikeflow.convert.load.pickled import Instance, Tensor
from spikeflow.convert.trace.evaluate import Unknown, weight_norm
from spikeflow.errors import FileError

Read = Callable[[Tensor], torch.Tensor]
Stored = dict[Any, Any]

_WEIGHT_NORM = "torch.nn.utils.weight_norm.WeightNorm"
_SPECTRAL_NORM = "torch.nn.utils.spectral_norm.SpectralNorm"
_PRUNING = frozenset(
    f"torch.nn.utils.prune.{name}"
    for name in [
        "Identity",
        "RandomUnstructured",
        "L1Unstructured",
        "RandomStructured",
        "LnStructured",
        "CustomFromMask",
        "PruningContainer",
    ]
)
# what spectral norm hangs onto a module for its state dict, which is not used here
_BESIDE = frozenset(
    {
        "torch.nn.utils.spectral_norm.SpectralNormStateDictHook",
        "torch.nn.utils.spectral_norm.SpectralNormLoadStateDictPreHook",
        "torch.nn.modules.module._WrappedHook",
    }
)
KINDS = _PRUNING | _BESIDE | {_WEIGHT_NORM, _SPECTRAL_NORM}
_HOOKS = ("_forward_pre_hooks", "_state_dict_hooks", "_load_state_dict_pre_hooks")


def plain(path: str, name: str, fields: Mapping[Any, Any], read: Read) -> Mapping[Any, Any]:
    """The fields of a saved layer as they would be without its listed hooks, each weight computed.

    Raises
    ------
    FileError
        Where a hook does not find the tensors that its formula needs.
    """
    hooks = [hook for key in _HOOKS for hook in _listed(fields.get(key))]
    if not hooks:
        return fields
    made = dict(fields)
    for kind in ("_parameters", "_buffers"):
        made[kind] = dict(fields[kind]) if isinstance(fields.get(kind), dict) else {}
    for hook in hooks:
        _apply(path, name, hook, made, read)
    for key in _HOOKS:
        if key in made and len(_listed(made[key])) == len(made[key]):
            made[key] = {}
    return made


def _listed(hooks: object) -> list[Instance]:
    values = hooks.values() if isinstance(hooks, dict) else ()
    return [hook for hook in values if isinstance(hook, Instance) and hook.kind in KINDS]


def _apply(path: str, name: str, hook: Instance, made: Stored, read: Read) -> None:
    """Put the computed weight in the place of the tensors that it is computed from."""
    if hook.kind in _BESIDE:
        return
    said = hook.fields or {}
    key = said.get("_tensor_name" if hook.kind in _PRUNING else "name")
    try:
        if type(key) is not str:
            raise KeyError("name")
        take = _Taken(made, key, read)
        if hook.kind in _PRUNING:
            weight = take("_orig") * take("_mask")
        elif hook.kind == _WEIGHT_NORM:
            g, v = take("_g"), take("_v")
            weight = weight_norm(v, g, _dimension(said))
        else:
            weight = _spectral(take("_orig"), take("_u"), take("_v"), _dimension(said))
    except (KeyError, ValueError, RuntimeError, IndexError, Unknown):
        kind = hook.kind.rpartition(".")[2]
        reason = f"{name or 'the saved module'}: {kind} does not find the tensors that it needs"
        raise FileError(path, reason, "copy or download it again") from None
    made.pop(key, None)  # the weight of the last call, which is computed anew
    made["_parameters"][key] = weight


class _Taken:
    """Takes tensors out of a layer's fields, by the ends of their names."""

    def __init__(self, made: Stored, key: str, read: Read) -> None:
        self.made, self.key, self.read = made, key, read

    def __call__(self, end: str) -> torch.Tensor:
        kinds = ("_parameters", "_buffers")
        held = next((self.made[kind] for kind in kinds if self.key + end in self.made[kind]), {})
        found = held.pop(self.key + end)
        if not isinstance(found, Tensor):
            raise KeyError(end)  # two hooks on one weight: which came first is not known
        return self.read(found)


def _dimension(said: Mapping[Any, Any]) -> int:
    dim = said.get("dim", 0)
    dim = -1 if dim is None else dim
    if type(dim) is not int or not -16 <= dim <= 16:
        raise ValueError
    return dim


def _spectral(weight: torch.Tensor, u: torch.Tensor, v: torch.Tensor, dim: int) -> torch.Tensor:
    matrix = weight.movedim(dim, 0).reshape(weight.shape[dim], -1)
    return weight / torch.dot(u, torch.mv(matrix, v))

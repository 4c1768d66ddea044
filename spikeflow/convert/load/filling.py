"""What torch fills into a module without a word (another kind of numbers, two tensors for one), and what no
file fills.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch import nn

from spikeflow.convert.load.arch import make_module
from spikeflow.convert.load.checkpoint import Reading
from spikeflow.errors import FileError

_SHOWN = 4


def with_tied(found: Sequence[Reading], held: Mapping[str, torch.Tensor]) -> list[Reading]:
    """Readings with every name of a tensor that the module knows by several: a file may hold it by one alone,
    as `save_model` of safetensors writes it.
    """
    more = []
    for reading in found:
        tensors = dict(reading.tensors)
        for names in _tied(held):
            present = next((name for name in names if name in tensors), None)
            if present is not None:
                tensors = dict.fromkeys(names, tensors[present]) | tensors
        more.append(replace(reading, tensors=tensors))
    return more


def check_tied(path: str, held: Mapping[str, torch.Tensor], loaded: Mapping[str, torch.Tensor]) -> None:
    """Raise FileError where one tensor of the module would take two that differ: the last would be both."""
    for names in _tied(held):
        first, *others = (name for name in names if name in loaded)
        for other in others:
            if not torch.equal(loaded[first], loaded[other]):
                both = f"{first[:80]} and {other[:80]}"
                reason = f"{both} are one tensor of the module, and the file holds two that differ"
                raise FileError(path, reason, "the --arch that the file was trained with")


def _tied(held: Mapping[str, torch.Tensor]) -> list[list[str]]:
    """The names of each tensor that has several."""
    names = dict[tuple[int, torch.Size], list[str]]()
    for name, tensor in held.items():
        if tensor.numel() and not tensor.is_meta:
            names.setdefault((tensor.data_ptr(), tensor.shape), []).append(name)
    return [each for each in names.values() if len(each) > 1]


def of_other_kinds(
    path: str, held: Mapping[str, torch.Tensor], loaded: Mapping[str, torch.Tensor]
) -> Iterator[str]:
    """That the file has whole numbers where the module has real ones, or the other way round."""
    for whole, what in ((True, "whole numbers"), (False, "real numbers")):
        names = [
            name
            for name, tensor in loaded.items()
            if tensor.is_floating_point() != held[name].is_floating_point() == whole
            and (whole or not torch.equal(tensor, tensor.round()))
        ]
        if names:
            kind = str(loaded[names[0]].dtype).removeprefix("torch.")
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            other = "real" if whole else "whole"
            yield (
                f"{path}: {names[0][:80]}{more} holds {what} ({kind}), where the module has {other} ones; "
                "they are taken as they stand, without a scale that may belong to them. Try: the network in "
                "full precision"
            )


def not_in_file(module: nn.Module, arch: str) -> Iterator[str]:
    """That a tensor of the module comes from no file and is drawn anew each time that it is made."""
    if not any(True for _ in _beside(module)):
        return
    again = dict(_beside(make_module(arch)))
    drawn = [name for name, tensor in _beside(module) if name in again and not _alike(tensor, again[name])]
    if drawn:
        more = f" and {len(drawn) - _SHOWN} more" if len(drawn) > _SHOWN else ""
        yield (
            f"--arch {arch[:80]} draws {', '.join(drawn[:_SHOWN])}{more} anew each time: the file does not "
            "hold it, so it is not what the network was trained with. Try: a buffer of the state dict "
            "(register_buffer), or a seed within the function"
        )


def _alike(a: torch.Tensor, b: torch.Tensor) -> bool:
    if (a.shape, a.dtype, a.layout) != (b.shape, b.dtype, b.layout):
        return False
    return torch.equal(*(tensor.to_dense().nan_to_num() for tensor in (a, b)))


def _beside(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors of a module that are no part of its state dict, nor computed of it as by weight norm."""
    for path, part in module.named_modules():
        stored = part.state_dict().keys()
        for name, value in (*part.named_buffers(recurse=False), *vars(part).items()):
            kept = name in stored or any(other.startswith(f"{name}_") for other in stored)
            if isinstance(value, torch.Tensor) and not kept and not value.is_meta:
                yield f"{path}.{name}".lstrip("."), value.detach()

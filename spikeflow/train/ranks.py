"""Ranks: the processes that train one network together, as torchrun starts them.

Each holds the whole network and all data, takes its share of every batch (`train.shares`), and adds up
gradients and scores with the others. Sums are then the same in all of them, bit for bit, and so the weights.
"""

from __future__ import annotations

import atexit
import hashlib
import importlib
import warnings
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import nn

from spikeflow.errors import DataError, SpikeflowError, SpikeflowWarning, TrainingError

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among those of a training; alone every method leaves its argument as it is.

    Parameters
    ----------
    rank : number of this process; 0 alone writes and prints.
    world : how many there are.
    """

    rank: int = 0
    world: int = 1

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.world == 1

    def added(self, values: torch.Tensor) -> torch.Tensor:
        """The sum over all ranks.

        Raises
        ------
        TrainingError
            Where another process has ended.
        """
        if not self.alone:
            values = values.clone(memory_format=torch.contiguous_format)
            with self._together():
                dist.all_reduce(values)
        return values

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Make each gradient the sum over the ranks; one that no rank has stays None."""
        if self.alone:
            return
        held = [p for p in parameters if p.requires_grad]
        flat = [torch.zeros_like(p) if p.grad is None else p.grad for p in held]
        there = torch.tensor([float(p.grad is not None) for p in held]).to(flat[0])
        total = self.added(torch.cat([there, *(g.flatten() for g in flat)]))
        there, *sums = total.split([len(held), *(g.numel() for g in flat)])
        for parameter, found, values in zip(held, there.tolist(), sums, strict=True):
            parameter.grad = values.view_as(parameter).to(parameter.dtype) if found else None

    def first(self, work: Callable[[], T]) -> T:
        """What `work` gives in rank 0, which alone does it; its error is raised in all."""
        if self.alone:
            return work()
        answer: list[Any] = [None, None]
        if self.rank == 0:
            try:
                answer[0] = work()
            except SpikeflowError as error:
                answer[1] = error
        with self._together():
            dist.broadcast_object_list(answer, src=0)
        if answer[1] is not None:
            raise answer[1]
        return answer[0]

    def which(self, raised: bool) -> list[int]:
        """The ranks that raise a flag."""
        flags = torch.zeros(self.world)
        flags[self.rank] = float(raised)
        return self.added(flags).nonzero().flatten().tolist()

    def check_same(self, what: str, facts: dict[str, Any], hint: str) -> None:
        """Raise DataError, naming the first fact in which the ranks differ."""
        if self.alone:
            return
        every: list[Any] = [None] * self.world
        with self._together():
            dist.all_gather_object(every, facts)
        for name in {name: None for other in every for name in other}:
            for rank, other in enumerate(every):
                if other.get(name) != every[0].get(name):
                    got = f"{name} of its own in process {rank}"
                    raise DataError(what, got, f"the same in all {self.world} processes", hint)

    @contextmanager
    def quiet(self) -> Generator[None, None, None]:
        """While it is active, only rank 0 issues warnings: what is told is the same in all."""
        if self.rank == 0:
            yield
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SpikeflowWarning)
            yield

    @contextmanager
    def _together(self) -> Generator[None, None, None]:
        try:
            yield
        except RuntimeError as error:  # gloo has no class for a connection that is gone
            reason = f"lost another process of the training ({str(error).splitlines()[0]:.120})"
            hint = "what that process said; then the same command with --resume"
            raise TrainingError(f"process {self.rank} of {self.world}", reason, hint) from error


@dataclass(frozen=True)
class Place:
    """Where a network is trained: its device, and the processes that share the work."""

    device: torch.device
    ranks: Ranks


def current() -> Ranks:
    """The ranks of torch's process group; under torchrun it is made here, with gloo, unless it was before."""
    if not dist.is_available():
        return Ranks()
    if not dist.is_initialized():
        if not dist.is_torchelastic_launched():
            return Ranks()
        # an import of these functions later would take the group for a default of theirs: nobody could end it
        importlib.import_module("torch.distributed.nn.functional")
        dist.init_process_group("gloo")
        # its threads must have ended when the interpreter does, or now and then they abort the process
        atexit.register(dist.destroy_process_group)
    return Ranks(dist.get_rank(), dist.get_world_size())


def digests(tensors: dict[str, torch.Tensor]) -> dict[str, str]:
    """Of each tensor a digest of its bits."""
    plain = {name: value.detach().cpu().contiguous().flatten() for name, value in tensors.items()}
    return {
        name: hashlib.sha256(v.view(torch.uint8).numpy().tobytes()).hexdigest() for name, v in plain.items()
    }

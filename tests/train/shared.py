"""Trainings that several processes share: python -m tests.train.shared WHAT FOLDER, alone or under torchrun;
``pairs WHAT=FOLDER ...`` runs each in two processes.

In float64, so that another order of sums moves no spike: what is left of a difference is that order.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import numpy as np
import torch
import torch._dynamo  # which optimisers would import in every child
from torch import nn

from spikeflow.datasets.loading.loader import DataLoader, Loading
from spikeflow.errors import SpikeflowError, TrainingError
from spikeflow.neurons import LIF, Integrator, Neuron, Recurrent, Sequential
from spikeflow.neurons.pdsg import PDSG
from spikeflow.train.batches import Arrays, Batch, Batches, Splits
from spikeflow.train.loop import Session, fit
from spikeflow.train.norm import MembraneNormLIF, TemporalBatchNorm
from spikeflow.train.ranks import current
from spikeflow.train.recipe import Loss, Optimiser, Recipe, Regularise, Schedule, Weights
from spikeflow.train.rules import Rule
from tests.train.digits import network, splits

SGD = Optimiser(
    "sgd", 0.05
)  # Adam would make steps of gradients that are rounding alone, as before batch norm


class Doubled:
    """Batches in float64."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[Batch]:
        for batch in self.batches.epoch(number):
            yield Batch(batch.x.double(), batch.labels, batch.mask)


class Lengths:
    """Samples of 2 to 8 steps, 31 of them: batches of 5 leave one alone."""

    def __len__(self) -> int:
        return 31

    def __getitem__(self, i: int) -> tuple[np.ndarray, int]:
        draw = np.random.default_rng(i)
        return (draw.random((int(draw.integers(2, 9)), 5)) < 0.4).astype(np.float32), i % 3


def _lengths() -> Splits:
    return Splits(
        DataLoader(Lengths(), Loading(5, seed=2)),
        *(DataLoader(Lengths(), Loading(4, shuffle=False)) for _ in range(2)),
    )


def _of_steps() -> Splits:
    draw = np.random.default_rng(0)
    x = draw.random((23, 6, 5)).astype(np.float32)
    y = np.where(draw.random((23, 6)) < 0.3, -1, (x[..., 0] > 0.5).astype(int))
    y[:, 0] = draw.integers(0, 2, 23)  # each has a step that counts
    return Splits(Arrays(x, y, batch_size=4), *(Arrays(x, y, batch_size=5, shuffle=False) for _ in range(2)))


def _small(inputs: int, outputs: int, *, back: bool = False, norm: bool = False) -> Sequential:
    torch.manual_seed(1)
    cells: nn.Module = Neuron(LIF(0.8, 0.3))
    between = [TemporalBatchNorm(12, 8, 1)] if norm else []
    cells = Recurrent(cells, nn.Linear(12, 12)) if back else cells  # type: ignore[arg-type]
    return Sequential(nn.Linear(inputs, 12), *between, cells, nn.Linear(12, outputs), Neuron(Integrator()))


def _steps() -> Sequential:
    torch.manual_seed(1)
    return Sequential(nn.Linear(5, 9), Neuron(LIF(0.3, 0.3)), nn.Linear(9, 2))


def _rule(kind: str) -> tuple[Callable[[], Sequential], Callable[[], Splits], Recipe]:
    return lambda: _small(64, 10), lambda: splits(51), Recipe(epochs=2, rule=Rule(kind, 2), optimiser=SGD)


# batches of 50 of 51 samples: the last of them leaves the second process without one
TASKS: dict[str, tuple[Callable[[], Sequential], Callable[[], Splits], Recipe]] = {
    "adam": (lambda: _small(64, 10, back=True), lambda: splits(51), Recipe(epochs=3, schedule=Schedule("one_cycle"))),
    "all": (
        network,  # batch norm, dropout, a learned decay
        lambda: splits(51, "rate"),
        Recipe(
            epochs=3,
            optimiser=replace(SGD, clip=0.5),
            regularise=Regularise(0.5, 0.05, 0.1, silence_weight=0.3, silence_least=4),
            weights=Weights(0.8, 0, 0.4, True),
        ),
    ),
    "integers": (lambda: _small(64, 10), lambda: splits(51), Recipe(epochs=2, weights=Weights(quantise_bits=6), optimiser=SGD)),
    "lengths": (
        lambda: _small(5, 3, norm=True),
        _lengths,
        Recipe(epochs=2, loss=Loss(reading="mean"), optimiser=SGD, regularise=Regularise(0.5, 0.05, 0.1, silence_weight=0.3, silence_least=4)),
    ),
    "tet": (lambda: _small(5, 3), _lengths, Recipe(epochs=2, loss=Loss("tet", "sum", share=0.05), optimiser=SGD)),
    "count": (lambda: _small(5, 3), _lengths, Recipe(epochs=2, loss=Loss("count", "sum", correct=3.0, incorrect=0.5), optimiser=replace(SGD, rate=1e-3))),
    "steps": (_steps, _of_steps, Recipe(epochs=2, loss=Loss("per_step"), optimiser=SGD)),
    **{kind: _rule(kind) for kind in ("truncated", "sltt", "ottt", "eprop", "local")},
}  # fmt: skip


def tasks(folder: Path) -> None:
    """Each training, in a folder of its name."""
    ranks = current()
    for name, (net, parts, recipe) in TASKS.items():
        given = parts()
        doubled = Splits(
            *(Doubled(part) for part in (given.train, given.valid, given.test) if part is not None)
        )
        made = net().double()
        if ranks.rank:  # each may draw its own weights: those of the first count
            torch.nn.init.ones_(made.layers[0].weight)
        fit(made, doubled, recipe, Session(folder / name, tell=lambda row: print(row.to_text(), flush=True)))


def whole(folder: Path) -> None:
    """A training, from its last checkpoint on where there is one."""
    fit(network(), splits(60), Recipe(epochs=4, optimiser=Optimiser(clip=1.0)), Session(folder, resume=True))


def dies(folder: Path) -> None:
    """The same, in which the second process is killed in the second epoch."""
    if current().rank:
        left, made = [9], Arrays._batch

        def counted(self: Arrays, chosen: np.ndarray, draw: int, changes: object) -> Batch:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
            return made(self, chosen, draw, changes)

        Arrays._batch = counted  # type: ignore[method-assign]
    try:
        whole(folder)
    except TrainingError as error:
        (folder / "said").write_text(str(error))
        os._exit(3)


class Noise(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.rand_like(x)


def _of(*layers: nn.Module) -> Sequential:
    return Sequential(nn.Linear(64, 8), *layers, nn.Linear(8, 10), Neuron(Integrator()))


QUICK = Recipe(epochs=1)
REFUSED: dict[str, Callable[[int], tuple[nn.Module, Splits, Recipe]]] = {
    "data": lambda rank: (_small(64, 10), splits(60 + rank), QUICK),
    "order": lambda rank: (_small(64, 10), Splits(_seeded(rank)), QUICK),
    "recipe": lambda rank: (_small(64, 10), splits(60), replace(QUICK, seed=rank)),
    "network": lambda rank: (_small(64, 10 + rank), splits(60), QUICK),
    "mpbn": lambda rank: (_of(MembraneNormLIF(8, dims=1)), splits(60), QUICK),
    "pdsg": lambda rank: (_of(Neuron(LIF(), derivative=PDSG())), splits(60), QUICK),
    "random": lambda rank: (_of(Noise(), Neuron(LIF())), splits(60), QUICK),
    "statistics": lambda rank: (_of(Followed(), Neuron(LIF())), splits(60), QUICK),
    "loss": lambda rank: (Sequential(nn.Linear(64, 10), Neuron(Integrator())), _one_is_large(), QUICK),
    "parallel": lambda rank: (nn.parallel.DistributedDataParallel(_small(64, 10)), splits(60), QUICK),
}


class Followed(nn.Module):
    """A buffer that follows the samples which this process sees."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * x.detach().mean()
        return x


def _seeded(seed: int) -> Arrays:
    train = splits(60).train
    assert isinstance(train, Arrays)
    return Arrays(train.x, train.y, train.coding, 20, seed)


def _one_is_large() -> Splits:
    """The last sample of the first batch, of the second process's share, leads to an infinite loss."""
    train = _seeded(3)
    at = np.flatnonzero((train.x == next(iter(train.epoch(0))).x[0, -1].numpy()).all(1))
    train.x[at] = 3e38
    return Splits(train)


def refused(folder: Path) -> None:
    """What each process says to each of the trainings that cannot be shared, or fail in one of them."""
    rank = current().rank
    folder.mkdir(exist_ok=True)
    for name, made in REFUSED.items():
        try:
            fit(*made(rank))
            text = "nothing"
        except SpikeflowError as error:
            text = f"{type(error).__name__}: {error}"
        (folder / f"{name}.{rank}").write_text(text)


WHAT = {"tasks": tasks, "whole": whole, "dies": dies, "refused": refused}


def pair(what: str, folder: Path) -> list[int]:
    """Two processes with what torchrun tells them, without its agent, which would end both; their exit codes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    told = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2", "TORCHELASTIC_RUN_ID": "test"}
    pids = [os.fork() or _child(what, folder, {**told, "RANK": str(rank)}) for rank in range(2)]
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


def _child(what: str, folder: Path, told: dict[str, str]) -> NoReturn:
    code = 1
    try:
        os.environ.update(told)
        torch.set_num_threads(1)
        WHAT[what](folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    if sys.argv[1] == "pairs":
        # forked before torch has computed anything, so that a start costs nothing
        for word in sys.argv[2:]:
            print(word, pair(*(kind(part) for kind, part in zip((str, Path), word.split("=", 1), strict=True))), flush=True)
    else:
        WHAT[sys.argv[1]](Path(sys.argv[2]))

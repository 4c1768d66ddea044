"""A training that is killed again and again: python -m tests.train.killed FOLDER; prints each moment.

Children are forked before torch has computed anything, so that a start costs nothing. The moments are calls of
the system's fsync, so in the middle of writing a file, and of the batches, so in the middle of an epoch.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import torch
import torch._dynamo  # which optimisers would import in every child

from spikeflow.train.batches import Arrays
from spikeflow.train.loop import Session, fit
from spikeflow.train.recipe import Optimiser, Recipe, Schedule, Weights
from tests.train.digits import network, splits

RECIPE = Recipe(
    epochs=5,
    patience=4,
    optimiser=Optimiser(clip=1.0),
    schedule=Schedule("one_cycle"),
    weights=Weights(average=0.8, quantise_bits=0),
)
WRITES, BATCHES = (1, 2, 3, 4, 6, 9), (2, 5, 9, 13)  # of the child's own: each gets a little further


def _die_after(calls: int, function: Callable[..., object]) -> Callable[..., object]:
    left = [calls]

    def counted(*arguments: object) -> object:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*arguments)

    return counted


def _child(folder: Path, kind: str, calls: int) -> int:
    pid = os.fork()
    if pid:
        return os.waitpid(pid, 0)[1]
    torch.set_num_threads(1)
    if kind == "write":
        os.fsync = _die_after(calls, os.fsync)  # type: ignore[assignment]
    elif kind == "batch":
        Arrays._batch = _die_after(calls, Arrays._batch)  # type: ignore[method-assign]
    fit(network(), splits(200), RECIPE, Session(folder, resume=True))
    os._exit(0)


def main() -> None:
    folder = Path(sys.argv[1])
    for kind, moments in (("write", WRITES), ("batch", BATCHES)):
        for calls in moments:
            status = _child(folder / "broken", kind, calls)
            print(kind, calls, "killed" if os.WIFSIGNALED(status) else "ended", flush=True)
    for name in ("broken", "whole"):
        print(name, _child(folder / name, "none", 0), flush=True)


if __name__ == "__main__":
    main()

"""Ranks that are threads of one process, with a socket between each two: as other ranks, but started in no time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from spikeflow.sim.ranks.exchange import Exchange
from spikeflow.sim.ranks.local import Sockets, mesh

T = TypeVar("T")


def on_each(ranks: int, work: Callable[[Exchange], T]) -> list[T | BaseException]:
    """What `work` gave on each rank, or the error that it ended with."""
    found: list[T | BaseException] = [AssertionError("did not end")] * ranks
    exchanges = [Exchange(Sockets(rank, ends)) for rank, ends in enumerate(mesh(ranks))]

    def run(rank: int) -> None:
        try:
            found[rank] = work(exchanges[rank])
        except BaseException as error:
            found[rank] = error

    threads = [threading.Thread(target=run, args=(rank,), daemon=True) for rank in range(ranks)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    for exchange in exchanges:
        exchange.close()
    return found


def that_end_well(ranks: int, work: Callable[[Exchange], T]) -> list[T]:
    """The same, where no rank may fail."""
    found = on_each(ranks, work)
    for one in found:
        if isinstance(one, BaseException):
            raise one
    return found  # type: ignore[return-value]

"""What a rank of `spikeflow.sim.ranks.processes` runs: it makes the calls that it is told.

python -m spikeflow.sim.ranks.child RANK OTHER:SOCKET ...
"""

from __future__ import annotations

import pickle
import socket
import sys
from collections.abc import Iterator
from typing import Any

from spikeflow.sim.ranks.engine import RankEngine, RankLive
from spikeflow.sim.ranks.exchange import Exchange
from spikeflow.sim.ranks.local import Sockets


def _calls() -> Iterator[tuple[str, tuple[Any, ...], tuple[int, ...]]]:
    """What the first rank says, until it ends; it wrote the pickles and started this process."""
    while len(head := sys.stdin.buffer.read(8)) == 8:
        yield pickle.loads(sys.stdin.buffer.read(int.from_bytes(head, "little")))


class _Rank:
    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange
        self.engine: RankEngine | None = None
        self.lives: dict[int, RankLive] = {}

    def call(self, what: str, arguments: tuple[Any, ...]) -> None:
        """Make a call; what it gives is for the first rank."""
        if what == "prepare":
            graph, threads = arguments
            self.engine = RankEngine(graph, self.exchange, threads)
        elif self.engine is None:
            return
        elif what == "run":
            self.engine(*arguments)
        elif what == "begin":
            number, state = arguments
            self.lives[number] = self.engine.begin(state)
        elif what == "advance":
            number, *others = arguments
            self.lives[number].advance(*others)
        else:
            self.lives[arguments[0]].state()


def main() -> None:
    """The process; an error has been told to the other ranks, and the first one raises it."""
    rank, *joined = sys.argv[1:]
    pairs = (text.split(":") for text in joined)
    ends = {int(other): socket.socket(fileno=int(number)) for other, number in pairs}
    one = _Rank(Exchange(Sockets(int(rank), ends)))
    for what, arguments, dropped in _calls():
        for number in dropped:
            one.lives.pop(number, None)
        try:
            one.call(what, arguments)
        except Exception:  # the first rank makes the same call, and raises it or hears of it
            if one.exchange.broken:
                return


if __name__ == "__main__":
    main()

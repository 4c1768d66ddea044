"""Ranks of one machine, each joined to each other one by a Unix socket."""

from __future__ import annotations

import selectors
import socket
from itertools import combinations

from spikeflow.errors import SimulationError

_LENGTH = 8  # bytes of a message's length, in front of it
_AT_ONCE = 1 << 18


def mesh(ranks: int) -> list[dict[int, socket.socket]]:
    """For each rank its sockets, by the rank at the other end."""
    ends: list[dict[int, socket.socket]] = [{} for _ in range(ranks)]
    for a, b in combinations(range(ranks), 2):
        ends[a][b], ends[b][a] = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    return ends


class Sockets:
    """One rank's end: a socket for each other rank.

    Who is gone has closed its end, so that nobody waits for it.
    """

    def __init__(self, rank: int, ends: dict[int, socket.socket]) -> None:
        self.rank, self.ranks = rank, len(ends) + 1
        self._ends = ends
        for end in ends.values():
            end.setblocking(False)

    def gather(self, own: bytes) -> list[bytes]:
        """Sent to all and received from all at once: two that only sent would wait for each other."""
        letter = memoryview(len(own).to_bytes(_LENGTH, "little") + own)
        said = {rank: _Conversation(rank, end, letter) for rank, end in self._ends.items()}
        with selectors.DefaultSelector() as selector:
            both = selectors.EVENT_READ | selectors.EVENT_WRITE
            for one in said.values():
                selector.register(one.end, both, one)
            while selector.get_map():
                for key, events in selector.select():
                    one: _Conversation = key.data
                    wanted = one.go_on(events)
                    if wanted == 0:
                        selector.unregister(one.end)
                    elif wanted != key.events:
                        selector.modify(one.end, wanted, one)
        return [own if rank == self.rank else said[rank].heard() for rank in range(self.ranks)]

    def close(self) -> None:
        """The others hear that this rank is gone."""
        for end in self._ends.values():
            end.close()


class _Conversation:
    """With one other rank: what is still to be sent, and what came."""

    def __init__(self, rank: int, end: socket.socket, letter: memoryview) -> None:
        self.rank, self.end = rank, end
        self._letter, self._came = letter, bytearray()
        self._length, self._known = _LENGTH, False

    def go_on(self, events: int) -> int:
        """Send and receive what can be now; what is waited for next, 0 when all is said."""
        try:
            if events & selectors.EVENT_WRITE and self._letter:
                self._letter = self._letter[self.end.send(self._letter[:_AT_ONCE]) :]
            if events & selectors.EVENT_READ and not self._complete:
                self._receive()
        except BlockingIOError:
            pass
        except OSError as error:
            raise self._gone() from error
        reading = 0 if self._complete else selectors.EVENT_READ
        return reading | (selectors.EVENT_WRITE if self._letter else 0)

    def heard(self) -> bytes:
        """What the other rank said."""
        return bytes(self._came[_LENGTH:])

    def _receive(self) -> None:
        # not a byte of the next message, which may be there already
        piece = self.end.recv(min(_AT_ONCE, self._length - len(self._came)))
        if not piece:
            raise self._gone()
        self._came += piece
        if not self._known and len(self._came) == _LENGTH:
            self._known = True
            self._length += int.from_bytes(self._came, "little")

    @property
    def _complete(self) -> bool:
        return self._known and len(self._came) == self._length

    def _gone(self) -> SimulationError:
        return SimulationError(f"rank {self.rank}", "ended without a word: its process is gone")

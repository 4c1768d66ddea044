"""How much a file may ask for: a budget in bytes that grows with the file and is spent before memory is
taken.
"""

from __future__ import annotations

from dataclasses import dataclass

from spikeflow.errors import FileError

MARGIN = 64 << 20  # bytes that any file may cost
EACH = 16  # bytes that the parts of a file may cost for each byte of it
PER_BYTE = 40  # bytes that each byte of a file may cost beyond
RATIO = 1_032  # bytes that a packed byte may unpack to: the most that deflate can give
HINT = "copy or download it again, if you trust where it came from"


@dataclass
class Budget:
    """Bytes that one file may still cost.

    Parameters
    ----------
    path : the file, for the error.
    left : bytes.
    what : of which there is too much, in words.
    """

    path: object
    left: int
    what: str = "it unpacks to more than a file of its size may hold"

    def spend(self, count: int) -> None:
        """Take `count` bytes.

        Raises
        ------
        FileError
            Where fewer are left.
        """
        self.left -= count
        if self.left < 0:
            raise FileError(self.path, self.what, HINT)


def of_parts(path: object, stored: int) -> Budget:
    """The budget of what the parts of a file of `stored` bytes become in memory."""
    return Budget(path, MARGIN // 2 + EACH * stored, "it has more parts than a file of its size may have")


def unpacked(path: object, stored: int, slack: int = MARGIN // 4) -> Budget:
    """The budget of what `stored` packed bytes become."""
    return Budget(path, slack + RATIO * stored)

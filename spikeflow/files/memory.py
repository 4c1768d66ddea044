"""Room in memory: what a task will need, compared with what is there, before anything of it is taken.

The room is a quarter of what the machine (or the container, or a limit on the process) has free now: a
forecast counts the larger part of a task and not all of it, and a task is not alone. ``SPIKEFLOW_MEMORY=32G``
says otherwise.
"""

from __future__ import annotations

import os
import re
import resource
from pathlib import Path

from spikeflow.errors import NotEnoughMemory

VARIABLE = "SPIKEFLOW_MEMORY"
SMALL = 64 << 20  # bytes that are never worth asking about
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_SIZE = re.compile(r"(\d{1,12})\s*([KMGT]?)i?B?", re.IGNORECASE)
_GROUP = Path("/sys/fs/cgroup")


def room() -> int:
    """Bytes that one task may take."""
    said = _SIZE.fullmatch(os.environ.get(VARIABLE, ""))
    if said:
        return int(said[1]) * _UNITS[said[2].upper()]
    return min(_free(), _in_group(), _in_process()) // 4


def expect(what: str, needed: int, hint: str = "") -> None:
    """Refuse what needs more than the room.

    Parameters
    ----------
    what : the task, in words.
    needed : bytes, by a forecast.
    hint : what would need less.

    Raises
    ------
    NotEnoughMemory
        With both figures.
    """
    if needed <= SMALL:
        return
    there = room()
    if needed > there:
        raise NotEnoughMemory(what, needed, there, hint or f"{VARIABLE}=32G, where the machine has that")


def _free() -> int:
    try:
        told = Path("/proc/meminfo").read_text()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return 1024 * int(re.findall(r"MemAvailable:\s*(\d+)", told)[0])


def _in_group() -> int:
    """What a control group leaves; very much where there is none."""
    try:
        most = (_GROUP / "memory.max").read_text().strip()
        return int(most) - int((_GROUP / "memory.current").read_text()) if most.isdecimal() else 1 << 62
    except (OSError, ValueError):
        return 1 << 62


def _in_process() -> int:
    """What a limit on the process's address space leaves."""
    most, _ = resource.getrlimit(resource.RLIMIT_AS)
    if most == resource.RLIM_INFINITY:
        return 1 << 62
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return max(most - pages * os.sysconf("SC_PAGE_SIZE"), 0)

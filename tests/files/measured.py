"""A reader run on a stranger's file in a process of its own, with limits on memory and clock, and measured.

Memory is the growth of the peak of resident memory (``VmHWM`` of a fork, as ``resource.getrusage`` tells it) above what
the process held before it opened the file, without the pages of mapped files (libraries) that came with it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spikeflow.errors import SpikeflowError
from spikeflow.files import limits

Reader = Callable[[Path], Any]
ROOM = 2 << 30  # bytes of address space beyond what the process has: a bomb ends there, not in the machine


@dataclass(frozen=True)
class Outcome:
    """How one reading ended.

    Parameters
    ----------
    ended : ``read``, ``refused``, or what broke: an exception's name, ``signal 11``, ``clock``.
    peak : bytes by which the peak of memory grew.
    seconds : of the reading.
    said : the error's text.
    """

    ended: str
    peak: int
    seconds: float
    said: str = ""

    @property
    def good(self) -> bool:
        """Whether the file was read, or refused with one of our own errors."""
        return self.ended in ("read", "refused")


def within_law(outcome: Outcome, size: int, packed: bool = False) -> bool:
    """Whether a reading of a file of `size` bytes kept the law of memory; a packed format may unpack first."""
    each = limits.PER_BYTE + (2 * limits.RATIO if packed else 0)
    return outcome.good and outcome.peak <= limits.MARGIN + each * size


def within_room(outcome: Outcome) -> bool:
    """Whether a task whose size the user chose kept to the room of one task (`spikeflow.files.memory`), or was refused."""
    return outcome.good and outcome.peak <= limits.MARGIN + ROOM // 4


def measure(reader: Reader, path: Path, clock_s: int = 20) -> Outcome:
    """One reading in a fork of this process."""
    out, into = os.pipe()
    child = os.fork()
    if not child:
        os.close(out)
        _in_child(reader, path, clock_s, into)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        told = pipe.read()
    _, status = os.waitpid(child, 0)
    if told:
        return Outcome(**json.loads(told))
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    return Outcome("clock" if number in (signal.SIGALRM, signal.SIGXCPU) else f"signal {number}", 0, clock_s)


def _in_child(reader: Reader, path: Path, clock_s: int, into: int) -> None:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(clock_s)
    one_thread()
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (now("VmSize") + ROOM,) * 2)
    os.write(into, json.dumps(asdict(timed(reader, path))).encode())
    os._exit(0)


def one_thread() -> None:
    """A fork has none of the threads that torch's pool had, and would wait for them for ever."""
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(1)


def timed(reader: Reader, path: Path) -> Outcome:
    """One reading in this process, whose peak is set back before."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak of resident memory begins anew
    before, mapped, begun = now("VmRSS"), now("RssFile"), time.perf_counter()
    ended, said = "read", ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader(path)
    except SpikeflowError as error:
        ended, said = "refused", str(error)[:300]
    except BaseException as error:
        ended, said = type(error).__name__, str(error)[:300]
    peak = now("VmHWM") - before
    peak -= max(
        now("RssFile") - mapped, 0
    )  # pages of libraries: a fork maps each anew when its code is first run
    return Outcome(ended, max(peak, 0), time.perf_counter() - begun, said)


def now(field: str) -> int:
    """Bytes of one line of the process's own status."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise LookupError(field)


def failures(outcomes: Sequence[tuple[str, int, Outcome]]) -> list[str]:
    """What broke the law, in words: name, size and outcome of each reading of an unpacked file."""
    return [
        f"{name} ({size} bytes): {o.ended}, {o.peak >> 20} MiB, {o.seconds:.1f} s {o.said}"
        for name, size, o in outcomes
        if not within_law(o, size)
    ]

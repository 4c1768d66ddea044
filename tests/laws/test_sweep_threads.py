"""Threads of the core where the system has nothing left to give: no further thread, or no memory.

Each runs in a process of its own, whose memory is limited: what went wrong here ended the process.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("resource")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

LIMITED = """
import resource
import numpy as np
import spikeflow.neurons._sweep as core
from spikeflow.neurons import active_rows  # all that is loaded is loaded before the limit
x = np.ones((4096, 2048), np.float32)
y = np.empty((2048, 2048), np.float32)

def left(megabytes):
    now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + megabytes * 2**20,) * 2)
"""


def answer(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", LIMITED + code], capture_output=True, text=True)
    assert done.returncode == 0, (done.returncode, done.stderr[-500:])
    return done.stdout.strip()


def test_fewer_threads_than_wanted_do_the_work() -> None:
    # a thread asks for 8 MB of stack
    code = "left(40); print(core.active(x.ctypes.data, x.size, 64) == x.size)"
    assert answer(code) == "True"


@pytest.mark.parametrize("threads", [1, 2])
def test_no_memory_is_an_error_of_python(threads: int) -> None:
    # lists of 8 million active values take 64 MB
    call = (
        f"core.product_weight((4096, 2048, 2048, {threads}, 2), x.ctypes.data, x.ctypes.data, y.ctypes.data)"
    )
    code = f"""
left(24)
try:
    {call}
except MemoryError:
    print("no memory")
"""
    assert answer(code) == "no memory"

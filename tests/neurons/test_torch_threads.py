"""What the core shares among threads runs on those that torch has; in a process made by fork on threads of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

ALL = 1 << 22
SCRIPT = f"""
import os, torch
torch.set_num_threads(1)
from spikeflow.neurons import _sweep

x = (torch.rand({ALL}, generator=torch.Generator().manual_seed(0)) < 0.1).float()
count = lambda threads: _sweep.active(x.data_ptr(), {ALL}, threads)
wanted, before = count(1), len(os.listdir("/proc/self/task"))
assert 0.09 * {ALL} < wanted < 0.11 * {ALL} and all(count(4) == wanted for _ in range(20))
print("stayed", len(os.listdir("/proc/self/task")) - before, flush=True)
torch.set_num_threads(4)
for asked in (0, 1, 3, 2):
    assert count(asked) == wanted
assert len(os.listdir("/proc/self/task")) >= before + 3, "fewer were asked for, and the others sent home"
child = os.fork()
if child == 0:
    os._exit(0 if count(4) == wanted else 1)
assert os.waitpid(child, 0)[1] == 0
print("forked", flush=True)
"""

FORKED_FIRST = f"""
import os, torch
torch.set_num_threads(4)
from spikeflow.neurons import _sweep

x = (torch.rand({ALL}, generator=torch.Generator().manual_seed(0)) < 0.1).float()
wanted = int((x * 2).sum() / 2)
child = os.fork()
if child == 0:
    os._exit(0 if _sweep.active(x.data_ptr(), {ALL}, 4) == wanted else 1)
print(os.waitpid(child, 0)[1])
"""


def test_a_fork_that_is_the_first_to_ask_has_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", FORKED_FIRST], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["0"], done.stderr


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="threads are counted in /proc")
def test_threads_are_torchs_and_a_fork_has_its_own() -> None:
    # threads of torch stay for its next operation; a child that waited for its parent's would never end
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["stayed", "3", "forked"], done.stderr

"""Values beyond float32 in a run: told on stderr and in ``--json``."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from spikeflow.ir import file
from tests.cli.conftest import Call
from tests.sim.test_unbounded import read_out


def test_the_command_line_tells_it(tmp_path: Path, call: Call) -> None:
    file.write(tmp_path / "net.h5", read_out(1e38))
    np.savez(tmp_path / "x.npz", x=np.ones((3, 2), np.float32))
    found = call("run", tmp_path / "net.h5", "--data", tmp_path / "x.npz", "--json")
    assert found.code == 0 and "cells.v: 9, first in sample 0, step 1" in found.err
    assert any("cells.v: 9" in text for text in json.loads(found.out)["warnings"])

"""Fixtures that many tests share."""

from __future__ import annotations

import os
import sys
from importlib.abc import MetaPathFinder
from importlib.util import find_spec
from pathlib import Path

import hypothesis
import pytest

# where tests run side by side (`make test`), each process keeps to one thread, as torch's threads would wait for each other
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

hypothesis.settings.register_profile("spikeflow", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("spikeflow")


class _WithoutTorch(MetaPathFinder):
    """Where torch is not installed, what asks for it is skipped: a test, or a whole file of them."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Nothing is found; asking for torch ends the test."""
        if name == "torch":
            pytest.skip("torch is not installed", allow_module_level=True)


if find_spec("torch") is None:
    sys.meta_path.append(_WithoutTorch())


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets, or a skip that says how to have it."""
    folder = os.environ.get("SPIKEFLOW_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data: set SPIKEFLOW_DATA to the folder that holds it")
    return Path(folder)

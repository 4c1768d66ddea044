"""Fixtures that many tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("spikeflow", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("spikeflow")


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of real data sets, or a skip that says how to have it."""
    folder = os.environ.get("SPIKEFLOW_DATA")
    if not folder or not Path(folder).is_dir():
        pytest.skip("real data: set SPIKEFLOW_DATA to the folder that holds it")
    return Path(folder)

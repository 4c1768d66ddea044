"""``spikeflow doctor`` tells what is there and what is not; a missing package ends in an error of ours that names it.

Drawn: which of all packages and programs cannot be imported or found, each with probability 0.3.
"""

from __future__ import annotations

import json
import os
from importlib import metadata

import numpy as np
import pytest

from spikeflow.errors import MissingPackage
from spikeflow.installation import NEEDED, OPTIONAL, examine
from spikeflow.sim import engine
from tests.cli.conftest import Call

HIDING = (
    "import sys; from spikeflow.cli import main; hidden = sys.argv[1].split(',');"
    " sys.modules.update((name, None) for name in hidden if name);"
    " sys.argv = ['spikeflow', *sys.argv[2:]]; main()"
)
# without these there is no command line
ALWAYS = {"click", "rich", "numpy"}


def test_what_is_told_is_so(call: Call) -> None:
    done = call("doctor", "--json")
    told = json.loads(done.out)
    assert done.code == 0
    assert told["threads"] == len(os.sched_getaffinity(0))
    assert told["engine"]["instructions"] in ("plain", "AVX2", "AVX-512") and engine.BEST_ISA in range(3)
    assert told["engine"]["build"] and not told["engine"]["problem"] and not told["decoders"] and not told["sweeps"]
    for part in told["parts"]:
        if part["version"] and part["name"] != "ffmpeg":
            assert part["version"] == metadata.version(part["name"])
    assert {part.name for part in NEEDED} == {
        _name(line) for line in metadata.requires("spikeflow") or () if "extra" not in line
    }


def _name(requirement: str) -> str:
    return requirement.partition(">")[0].strip()


def test_the_lowest_versions_are_those_of_the_package() -> None:
    wanted = {
        _name(line): line.partition(">=")[2].split(";")[0]
        for line in metadata.requires("spikeflow") or ()
        if "extra" not in line
    }
    assert {part.name: part.least for part in NEEDED} == wanted


@pytest.mark.parametrize("seed", range(3))
def test_what_is_missing_is_told_with_what_it_is_needed_for(apart: Call, seed: int) -> None:
    draw = np.random.default_rng(seed)
    parts = [p for p in (*NEEDED, *OPTIONAL) if p.module and p.name not in ALWAYS]
    hidden = [part for part in parts if draw.random() < 0.3]
    said = apart(HIDING, ",".join(part.module for part in hidden), "doctor")
    assert said.code == 0 and "Traceback" not in said.err and hidden
    for part in hidden:
        assert f"{part.name} is not installed: no {part.purpose}. Try: {part.advice}." in said.out


DOORS = (
    "from spikeflow.convert import convert",
    "from spikeflow.convert import load",
    "from spikeflow.neurons import Neuron",
    "from spikeflow.neurons import Recurrent",
    "from spikeflow.neurons import Sequential",
    "from spikeflow.neurons.surrogate import spike",
    "from spikeflow.neurons.surrogate import Spike",
    "from spikeflow.datasets.loading.loader import DataLoader",
)


def test_without_torch_every_door_that_needs_it_names_it(apart: Call) -> None:
    code = """
import sys
sys.modules["torch"] = None
from spikeflow.errors import MissingPackage
for door in sys.argv[1:] * 2:
    try:
        exec(door)
    except MissingPackage as error:
        assert isinstance(error, ImportError) and error.package == "torch>=2.10" and "pip install" in str(error)
    else:
        sys.exit("imported: " + door)
"""
    done = apart(code, *DOORS)
    assert done.code == 0, done.err


def test_a_command_that_needs_torch_says_what_to_install(apart: Call, files: object) -> None:
    done = apart(
        HIDING, "torch", "convert", f"{files}/ann.pt", "--data", f"{files}/data.npz", "--out", f"{files}/x.h5"
    )
    assert "pip install 'torch>=2.10'" in done.error and issubclass(MissingPackage, ImportError)
    assert apart(HIDING, "torch", "run", f"{files}/net.h5", "--data", f"{files}/data.npz").code == 0


def test_a_version_that_is_too_old_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "0.9.1+local")
    found = {part.name: part for part in examine().parts}
    for part in NEEDED:
        assert (
            found[part.name].problem == f"is older than {part.least}"
            and part.least in found[part.name].advice
        )

"""What of spikeflow works on this machine: versions, the engine's build, and what is missing for what."""

from __future__ import annotations

import importlib
import os
import platform
import re
import shutil
import sys
from dataclasses import asdict, dataclass
from importlib import metadata
from typing import Any

import spikeflow

INSTRUCTIONS = ("plain", "AVX2", "AVX-512")


@dataclass(frozen=True)
class Part:
    """A package or program that something of spikeflow needs.

    Parameters
    ----------
    name : as it is installed.
    module : as it is imported; empty for a program.
    purpose : what does not work without it.
    least : the lowest version that will do.
    """

    name: str
    module: str
    purpose: str
    least: str = ""

    @property
    def advice(self) -> str:
        """How to have it."""
        wanted = f"{self.name}>={self.least}" if self.least else self.name
        return f"pip install '{wanted}'" if self.module else f"install the program {self.name}"


@dataclass(frozen=True)
class Found:
    """A `Part` as it is on this machine: its version where it is there, and what is wrong with it, if
    anything.
    """

    name: str
    version: str
    problem: str
    purpose: str
    advice: str


NEEDED = (
    Part("numpy", "numpy", "everything", "2.0"),
    Part("scipy", "scipy", "filters of sounds, surfaces of events and .mat files", "1.13"),
    Part("h5py", "h5py", "files of networks and mappings, and HDF5 recordings", "3.11"),
    Part("torch", "torch", "convert, the torch layers and the data loader", "2.10"),
    Part("click", "click", "the command line", "8.1"),
    Part("rich", "rich", "tables and progress of the command line", "13.7"),
    Part("jinja2", "jinja2", "pages of report and data show", "3.1"),
    Part("matplotlib", "matplotlib", "figures of report, and pictures", "3.9"),
    Part("pillow", "PIL", "films and PNG samples", "10.1"),
    Part("lz4", "lz4.frame", "AEDAT 4 recordings packed with LZ4", "4.3"),
    Part("zstandard", "zstandard", "AEDAT 4 recordings packed with Zstandard", "0.22"),
)
OPTIONAL = (
    Part("scikit-learn", "sklearn", "make demo and the examples on digits", "1.5"),
    Part("mpi4py", "mpi4py", "one network over the ranks of mpirun", "4.1"),
    Part("onnx", "onnx", "convert of ONNX networks", "1.17"),
    Part("tflite", "tflite", "convert of TFLite networks", "2.18"),
    Part("safetensors", "safetensors", "convert of safetensors files", "0.4"),
    Part("tensorboard", "tensorboard", "curves of train beside its metrics.csv"),
    Part("hdf5plugin", "hdf5plugin", "HDF5 recordings packed with Blosc (DSEC)"),
    Part("ffmpeg", "", "films in .mp4 (.gif works without)"),
)


@dataclass(frozen=True)
class Engine:
    """The compiled engine: the instructions that it uses here, how it was built, and why it does not load, if
    so.
    """

    instructions: str
    build: str
    problem: str


@dataclass(frozen=True)
class Installation:
    """What `examine` found."""

    spikeflow: str
    folder: str
    python: str
    system: str
    threads: int
    engine: Engine
    decoders: str
    sweeps: str
    parts: tuple[Found, ...]

    @property
    def missing(self) -> tuple[Found, ...]:
        """The parts that are not there or do not work."""
        return tuple(part for part in self.parts if part.problem)

    def to_json(self) -> dict[str, Any]:
        """As plain values."""
        return {**asdict(self), "missing": [part.name for part in self.missing]}


def examine() -> Installation:
    """Look at everything that spikeflow uses, by loading it; nothing here raises."""
    # the packages first: the engine's arrays are numpy's, so without numpy it is numpy that is missing
    parts = tuple(_found(part) for part in (*NEEDED, *OPTIONAL))
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(os.cpu_count() or 1)
    return Installation(
        spikeflow=spikeflow.__version__,
        folder=os.path.dirname(spikeflow.__file__),
        python=f"{platform.python_implementation()} {platform.python_version()} ({sys.executable})",
        system=f"{platform.system()} {platform.release()}, {platform.machine()}",
        threads=len(cores),
        engine=_engine(),
        decoders=_problem("spikeflow.datasets._decode"),
        sweeps=_problem("spikeflow.neurons._sweep"),
        parts=parts,
    )


def _engine() -> Engine:
    name = "spikeflow.sim._engine"
    if problem := _problem(name):
        return Engine("", "", problem)
    engine = importlib.import_module(name)
    return Engine(INSTRUCTIONS[engine.isa()], engine.build(), "")


def _found(part: Part) -> Found:
    if not part.module:
        where = shutil.which(part.name)
        return Found(part.name, where or "", "" if where else "is not installed", part.purpose, part.advice)
    try:
        version = metadata.version(part.name)
    except metadata.PackageNotFoundError:
        version = ""
    problem = _problem(part.module)
    if not problem and version and _numbers(version) < _numbers(part.least):
        problem = f"is older than {part.least}"
    return Found(part.name, version, problem, part.purpose, part.advice if problem else "")


def _problem(module: str) -> str:
    """Why a module cannot be imported; empty where it can. A broken package may raise anything."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        return "is not installed" if module.startswith(str(error.name)) else f"does not load: {error}"
    except Exception as error:  # whatever it is, it is the answer
        return f"does not load: {type(error).__name__}: {error}"
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    """``2.13.0+cpu`` as (2, 13, 0)."""
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0])[:3])

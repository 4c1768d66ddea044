"""The API reference, made of the docstrings: python docs/reference.py FOLDER (`make reference` calls it).

pdoc makes the pages. Names that a package loads when asked for are asked for first, so that they are there.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pdoc
import pdoc.render

PACKAGES = (
    "spikeflow",
    "spikeflow.neurons",
    "spikeflow.convert",
    "spikeflow.hw",
    "spikeflow.sim",
    "spikeflow.ir.graph",
    "spikeflow.ir.nodes",
    "spikeflow.ir.program",
    "spikeflow.ir.record",
    "spikeflow.ir.input_record",
    "spikeflow.ir.preprocessing",
    "spikeflow.ir.file",
    "spikeflow.readers",
    "spikeflow.report",
    "spikeflow.train.loss",
    "spikeflow.train.loop",
    "spikeflow.train.metric",
    "spikeflow.train.norm",
    "spikeflow.train.rules",
    "spikeflow.datasets",
    "spikeflow.datasets.transforms",
    "spikeflow.encode",
    "spikeflow.events",
    "spikeflow.samples",
    "spikeflow.errors",
)


def public() -> dict[str, list[str]]:
    """The public names of each package, every one of them loaded."""
    found = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        own = [n for n, v in vars(module).items() if getattr(v, "__module__", "") == package and n[0] != "_"]
        found[package] = list(getattr(module, "__all__", own))
        for name in found[package]:
            vars(module).setdefault(name, getattr(module, name))
    return found


def main() -> None:
    """Write the pages."""
    folder = Path(sys.argv[1])
    public()
    pdoc.render.configure(docformat="numpy", search=True)
    pdoc.pdoc(*PACKAGES, output_directory=folder)
    print(f"{folder / 'index.html'}: the reference of {len(PACKAGES)} packages")


if __name__ == "__main__":
    main()

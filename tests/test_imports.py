"""Modules import each other without circles, late imports included; each late import stands here with its reason."""

from __future__ import annotations

import sys

from tests.structure import circles, importing, imports, module, sources

# module: what it imports inside functions, so that whoever does not need it does not pay for it. Commands (`cli`)
# load their parts that way and are not listed; nor are packages from elsewhere below.
LATE = {
    "spikeflow": "importlib spikeflow.moved",  # quick to load: Ctrl-C is taken only behind it
    "spikeflow.flows.data": "sklearn.datasets",  # no dependency: the digits alone need it
    "spikeflow.report.network.ann": "spikeflow.convert",  # torch
    "spikeflow.report.network.collect": "spikeflow.report.network.hardware spikeflow.hw.tables.origin",  # hw
    "spikeflow.report.network.write": "spikeflow.report.network.page",  # jinja2 and matplotlib
    "spikeflow.report.recording.write": "spikeflow.report.recording",  # matplotlib, of the form that is asked for
    "spikeflow.sim": "spikeflow.sim.engine spikeflow.sim.divided spikeflow.sim.reference spikeflow.sim.ranks spikeflow.sim.event_time",  # the one that is asked for
    "spikeflow.sim.ranks.mpi": "mpi4py",  # no dependency, and to load it begins MPI
}
HEAVY = {"torch", "rich", "PIL", "scipy", "matplotlib", "jinja2", "hdf5plugin", "tonic", "numpy", "onnx", "google", "tflite", "safetensors"}
MODULES = {module(path): path for path in sources()}


def test_a_circle_is_found() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_no_module_imports_itself_by_way_of_others() -> None:
    sys.setrecursionlimit(10_000)
    edges = importing()
    assert len(edges) > 300
    assert circles(edges) == []


def test_every_late_import_has_its_reason() -> None:
    wrong, used = [], set()
    for name, path in MODULES.items():
        allowed = LATE.get(name, "").split()
        for other, late in imports(path, set(MODULES)):
            if not late or name.startswith(("spikeflow.cli", "spikeflow.__main__")):
                continue
            if other.startswith("spikeflow."):
                fits = [a for a in allowed if other == a or other.startswith(f"{a}.")]
                used |= {(name, a) for a in fits}
                wrong += [] if fits else [f"{name}: {other}"]
            elif other in allowed:
                used.add((name, other))
            elif other.partition(".")[0] not in HEAVY:
                wrong.append(f"{name}: {other}")
    assert not wrong, "\n".join(wrong)
    listed = {(name, a) for name, allowed in LATE.items() for a in allowed.split()}
    assert used == listed, "no longer imported late"

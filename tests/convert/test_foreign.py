"""Networks of other kinds are named for what they are, with the step that leads on."""

from __future__ import annotations

import json
import pickle
import struct
import sys
import types
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained, convert
from spikeflow.convert.load.network_file import load
from spikeflow.errors import FileError, UnsupportedLayer
from spikeflow.ir import file, store
from spikeflow.neurons import LIF, Integrator, Neuron, Sequential
from tests.convert.networks import samples


def _safetensors(path: Path) -> None:
    head = json.dumps({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
    path.write_bytes(struct.pack("<Q", len(head)) + head + bytes(4))


def _hdf5(path: Path, key: str, value: str) -> None:
    with h5py.File(path, "w") as f:
        f.attrs[key] = value
        f["values"] = np.ones(3)


def _scikit(path: Path) -> None:
    path.write_bytes(b"\x80\x04\x8c\x18sklearn.neural_network.x\x8c\x0dMLPClassifier\x93.")


FILES: dict[str, tuple[Callable[[Path], object], str]] = {
    "safetensors": (_safetensors, "safetensors|bare state dict"),
    "nir": (lambda p: _hdf5(p, "type", "NIRGraph"), "NIR network.*capture_trained"),
    "keras": (lambda p: _hdf5(p, "keras_version", "2.15.0"), "Keras model.*ONNX|onnx"),
    "other hdf5": (lambda p: _hdf5(p, "kind", "weather"), "HDF5"),
    "numpy": (lambda p: np.save(p.open("wb"), np.ones(3)), "numpy array"),
    "npz": (lambda p: np.savez(p.open("wb"), np.ones(3)), "numpy archive"),
    "scikit-learn": (_scikit, "scikit-learn.*torch.nn.Linear"),
    "plain pickle": (lambda p: p.write_bytes(pickle.dumps([1, 2], 2)), "torch.save did not write"),
    "git lfs": (lambda p: p.write_text("version https://git-lfs.github.com/spec/v1\noid"), "Git LFS.*git lfs pull"),
    "gzip": (lambda p: p.write_bytes(b"\x1f\x8b\x08" + bytes(60)), "gzip"),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_files_are_named(name: str, tmp_path: Path) -> None:
    write, words = FILES[name]
    write(tmp_path / "network.bin")  # the name tells nothing
    with pytest.raises(FileError, match=f"(?s){words}"):
        load(tmp_path / "network.bin")


def spiking() -> Sequential:
    return Sequential(nn.Linear(6, 8), Neuron(LIF(0.9)), nn.Linear(8, 3), Neuron(Integrator()))


def test_our_own_files_are_named(tmp_path: Path) -> None:
    network = capture_trained(spiking(), (6,), dt=1e-3, steps=4)
    file.write(tmp_path / "net", network)
    with pytest.raises(FileError, match="network of spikeflow.*spikeflow run"):
        convert(tmp_path / "net")
    store.write_whole(tmp_path / "map", "mapping", {}, [])
    with pytest.raises(FileError, match="mapping of spikeflow.*spikeflow report"):
        convert(tmp_path / "map")


def test_layers_of_spikeflow_are_sent_to_capture_trained(tmp_path: Path) -> None:
    for net in (spiking(), nn.Sequential(nn.Linear(6, 8), Neuron(LIF(0.9)))):
        with pytest.raises(UnsupportedLayer, match="capture_trained"):
            convert(net, samples((6,), 8))
    torch.save(spiking(), tmp_path / "net.pt")
    with pytest.raises(FileError, match="spikeflow layers.*capture_trained"):
        convert(tmp_path / "net.pt")


@pytest.mark.parametrize("package", ["norse", "snntorch", "spikingjelly"])
def test_networks_of_other_packages_are_named(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As objects and as files, whole or within a module of the user's own."""
    inner = types.ModuleType(f"{package}.inner")
    kind = type("Leaky", (nn.Module,), {"forward": lambda self, x: x, "__module__": f"{package}.inner"})
    inner.Leaky = kind  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package, types.ModuleType(package))
    monkeypatch.setitem(sys.modules, f"{package}.inner", inner)
    net = nn.Sequential(nn.Linear(6, 4), kind())
    with pytest.raises(UnsupportedLayer, match=f"1: a spiking network of {package}.*spikeflow.neurons"):
        convert(net, samples((6,), 8))
    torch.save(net, tmp_path / "net.pt")
    with pytest.raises(FileError, match=f"a spiking network of {package}.*capture_trained"):
        convert(tmp_path / "net.pt", samples((6,), 8))


def test_wrapped_modules_are_unwrapped() -> None:
    net = nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    x = samples((6,), 40)
    digests = {
        convert(wrapped, x).network.graph.digest
        for wrapped in (
            net,
            torch.compile(net),
            nn.DataParallel(net),
            torch.optim.swa_utils.AveragedModel(net).eval(),
        )
    }
    assert len(digests) == 1

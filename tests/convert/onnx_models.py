"""ONNX models of a few nodes, and what onnx's own reference evaluator answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from spikeflow.convert.load.network_file import read  # noqa: E402
from spikeflow.convert.load.tree import FileNetwork  # noqa: E402


class Model:
    """A model that grows node by node; the value of each is named by its number."""

    def __init__(self, shape: tuple[int | str | None, ...], opset: int = 17) -> None:
        self.opset, self.nodes, self.stored = opset, [], []
        self.input = helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)

    def keep(self, values: Any, name: str = "") -> str:
        """A stored tensor."""
        name = name or f"stored{len(self.stored)}"
        self.stored.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def add(self, kind: str, *reads: Any, outputs: int = 1, domain: str = "", **attributes: Any) -> Any:
        """A node; arrays among what it reads are stored."""
        names = [self.keep(r) if isinstance(r, np.ndarray) else r for r in reads]
        made = [f"v{len(self.nodes)}_{n}" for n in range(outputs)]
        self.nodes.append(helper.make_node(kind, names, made, f"{kind}{len(self.nodes)}", domain=domain, **attributes))
        return made[0] if outputs == 1 else made

    def proto(self, *outputs: str) -> Any:
        """The model."""
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "g", [self.input], ends, self.stored)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def save(self, path: Path, *outputs: str) -> Path:
        """The file of the model."""
        onnx.save(self.proto(*outputs), path)
        return path


def answered(model: Model, path: Path, x: np.ndarray, *outputs: str) -> list[np.ndarray]:
    """What the network that is read from the file answers."""
    network = read(model.save(path, *outputs)).network
    assert isinstance(network, FileNetwork)
    with torch.no_grad():
        found = network(torch.from_numpy(x))
    several = list(found.values()) if isinstance(found, dict) else [found]
    return [value.numpy() for value in several]


def reference(model: Model, x: np.ndarray, *outputs: str) -> list[np.ndarray]:
    """What onnx's reference answers."""
    return ReferenceEvaluator(model.proto(*outputs)).run(None, {"x": x})


def agree(model: Model, path: Path, x: np.ndarray, *outputs: str) -> None:
    """Both answer alike, in shape and to a few roundings."""
    mine, theirs = answered(model, path, x, *outputs), reference(model, x, *outputs)
    for got, wanted in zip(mine, theirs, strict=True):
        assert got.shape == wanted.shape, (got.shape, wanted.shape)
        np.testing.assert_allclose(got, wanted, rtol=2e-4, atol=2e-5 * max(1.0, float(np.abs(wanted).max(initial=0))))

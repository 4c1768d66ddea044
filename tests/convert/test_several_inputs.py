"""Networks of several inputs: by name, by position, in a dict or a list; of different ranks, one of them constant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from torch import nn

from spikeflow.cli import cli
from spikeflow.convert import convert
from spikeflow.errors import ConversionError, DataError
from spikeflow.hw import map_network
from spikeflow.ir import file
from spikeflow.samples import samples_of
from spikeflow.sim.classify import RunOptions, classify

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")


class Named(nn.Module):
    """A picture and a list; the picture's channels are averaged."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.line, self.out = nn.Conv2d(2, 4, 3), nn.Linear(3, 6), nn.Linear(10, 3)

    def forward(self, picture: torch.Tensor, numbers: torch.Tensor) -> torch.Tensor:
        a = torch.relu(self.conv(picture)).mean((2, 3))
        return self.out(torch.cat([a, torch.relu(self.line(numbers))], 1))


class InDict(Named):
    def forward(self, given: Any) -> torch.Tensor:  # type: ignore[override]
        return super().forward(given["picture"], given["numbers"])


class InList(Named):
    def forward(self, given: Any) -> torch.Tensor:  # type: ignore[override]
        return super().forward(*given)


def data(count: int, seed: int = 0, constant: bool = False) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    numbers = np.full((count, 3), (0.3, -1.0, 0.8)) if constant else rng.normal(size=(count, 3))
    return {
        "picture": rng.normal(size=(count, 2, 5, 5)).astype(np.float32),
        "numbers": numbers.astype(np.float32),
    }


def wanted(x: dict[str, np.ndarray]) -> Any:
    with torch.no_grad():
        return Named()(*(torch.from_numpy(v) for v in x.values())).numpy()


@pytest.mark.parametrize("kind", [Named, InDict, InList])
@pytest.mark.parametrize("constant", [False, True])
def test_it_answers_as_torch_does(kind: type[nn.Module], constant: bool, tmp_path: Path) -> None:
    x, test = data(300, 0, constant), data(20, 1, constant)
    rename = (lambda given: {str(i): v for i, v in enumerate(given.values())}) if kind is InList else dict
    made = convert(kind().eval(), rename(x), steps=256).network
    assert made.graph.inputs == tuple(rename(x)) and len(made.inputs) == 2
    got = classify(made, rename(test)).accumulated() / 256
    assert np.abs(got - wanted(test)).sum() <= 0.03 * np.abs(wanted(test)).sum()
    again = classify(made, rename(test), RunOptions("reference")).accumulated() / 256
    np.testing.assert_array_equal(got, again)
    file.write(tmp_path / "net.h5", made)
    assert file.read(tmp_path / "net.h5").graph.digest == made.graph.digest


def test_by_position_and_names_that_forward_has_not() -> None:
    x = data(60)
    made = convert(Named().eval(), {"0": x["picture"], "1": x["numbers"]})
    assert made.network.graph.inputs == ("0", "1")
    with pytest.raises(DataError, match="samples named picture, numbers"):
        convert(Named().eval(), {"picture": x["picture"], "other": x["numbers"]})
    with pytest.raises(DataError, match="as many samples"):
        convert(Named().eval(), {**x, "numbers": x["numbers"][:5]})
    with pytest.raises(DataError, match="onoff"):
        convert(Named().eval(), x, coding="onoff")


def test_names_of_layers_are_the_users() -> None:
    made = convert(Named().eval(), data(60))
    assert {"conv", "line", "out"} <= {v.module for v in made.report.verdicts}
    broken = Named().eval()
    broken.line.bias.data[0] = float("nan")
    with pytest.raises(ConversionError, match=r"line\.bias"):
        convert(broken, data(60))


@pytest.mark.parametrize("chip", ["loihi2", "spinnaker2"])
def test_it_maps(chip: str) -> None:
    x = data(120)
    made = convert(Named().eval(), x, steps=64).network
    mapping = map_network(made, chip, x, accept_loss=True)
    found = mapping.as_network()
    few = {name: values[:8] for name, values in x.items()}
    got = classify(found, few).accumulated()
    np.testing.assert_array_equal(got, classify(found, few, RunOptions("reference")).accumulated())


def test_samples_of_several_inputs_stand_side_by_side(tmp_path: Path) -> None:
    x = data(7)
    np.savez(tmp_path / "x.npz", **x, y=np.arange(7) % 3)
    for found in (samples_of(x), samples_of(tmp_path / "x.npz")):
        assert dict(found.parts) == {"picture": (2, 5, 5), "numbers": (3,)} and found.x.shape == (7, 53)
        assert found.first(3).parts == found.parts


def test_from_the_command_line(tmp_path: Path) -> None:
    net, x = Named().eval(), data(120)
    np.savez(tmp_path / "x.npz", **x, y=wanted(x).argmax(1))
    made = convert(net, str(tmp_path / "x.npz"))
    file.write(tmp_path / "net.h5", made.network)
    for command in (
        ["run", str(tmp_path / "net.h5"), "--data", str(tmp_path / "x.npz")],
        ["map", str(tmp_path / "net.h5"), "--chip", "loihi2", "--data", str(tmp_path / "x.npz"),
         "--accept-loss", "--out", str(tmp_path / "m.h5")],
    ):  # fmt: skip
        found = CliRunner().invoke(cli, command)
        assert found.exit_code == 0, found.output


def _archive(path: Path) -> Path:
    example = {name: torch.from_numpy(values) for name, values in data(2).items()}
    batch = torch.export.Dim("batch")
    program = torch.export.export(Named().eval(), (), example, dynamic_shapes={name: {0: batch} for name in example})
    torch.export.save(program, path)
    return path


def _onnx(path: Path) -> Path:
    onnx = pytest.importorskip("onnx", reason="the extra `onnx` is not installed")
    from onnx import TensorProto, helper, numpy_helper

    net = Named().eval()
    stored = [numpy_helper.from_array(p.detach().numpy(), name) for name, p in net.named_parameters()]
    nodes = [
        helper.make_node("Conv", ["picture", "conv.weight", "conv.bias"], ["a"], "conv"),
        helper.make_node("Relu", ["a"], ["b"], "relu"),
        helper.make_node("ReduceMean", ["b"], ["c"], "mean", axes=[2, 3], keepdims=0),
        helper.make_node("Gemm", ["numbers", "line.weight", "line.bias"], ["d"], "line", transB=1),
        helper.make_node("Relu", ["d"], ["e"], "relu2"),
        helper.make_node("Concat", ["c", "e"], ["f"], "cat", axis=1),
        helper.make_node("Gemm", ["f", "out.weight", "out.bias"], ["y"], "out", transB=1),
    ]
    shapes = {"picture": ("n", 2, 5, 5), "numbers": ("n", 3)}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, ("n", 3))]
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


@pytest.mark.parametrize("make", [_archive, _onnx])
@pytest.mark.parametrize("turned", [False, True])
def test_files_of_several_inputs(make: Any, turned: bool, tmp_path: Path) -> None:
    """They were refused, each with another reason."""
    path, x, test = make(tmp_path / ("net.pt2" if make is _archive else "net.onnx")), data(300), data(20, 1)
    order = sorted(x) if turned else list(x)
    made = convert(path, {name: x[name] for name in order}, steps=256).network
    assert made.graph.inputs == tuple(order)
    got = classify(made, {name: test[name] for name in order}).accumulated() / 256
    assert np.abs(got - wanted(test)).sum() <= 0.03 * np.abs(wanted(test)).sum()
    numbered = convert(path, {str(i): values for i, values in enumerate(x.values())}, steps=256).network
    again = classify(numbered, {str(i): values for i, values in enumerate(test.values())}).accumulated() / 256
    assert np.abs(again - wanted(test)).sum() <= 0.03 * np.abs(wanted(test)).sum()


@pytest.mark.parametrize("make", [_archive, _onnx])
def test_files_of_several_inputs_say_their_names(make: Any, tmp_path: Path) -> None:
    path, x = make(tmp_path / ("net.pt2" if make is _archive else "net.onnx")), data(40)
    with pytest.raises(ConversionError, match=r"has 2 inputs.*picture, numbers"):
        convert(path, x["picture"])
    with pytest.raises(DataError, match="samples named picture, numbers"):
        convert(path, {"picture": x["picture"], "other": x["numbers"]})
    with pytest.raises(DataError, match=r"numbers of shape \(2,\)"):
        convert(path, {**x, "numbers": x["numbers"][:, :2]})

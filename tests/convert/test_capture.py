"""Every allowed operation gives torch's values, every other is refused by its module's name."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.convert.capture.traced import capture
from spikeflow.convert.passes.forward import forward
from spikeflow.errors import ConversionError, StageError, UnsupportedLayer
from spikeflow.ir import stages
from spikeflow.ir.nodes import KINDS, Activation, Conv2d, Flatten, Scale, Slice, SumPool
from spikeflow.sim import Constant, reference
from tests.convert.networks import Calls, ResNet, apart, captured, samples, settled, small_cnn, traced
from tests.ir.kinds import EXAMPLES, stateless

IMAGE = (4, 8, 9)


def layers(*parts: nn.Module) -> nn.Module:
    return nn.Sequential(*parts)


def calls(function: Any, **parts: nn.Module) -> nn.Module:
    return Calls(function, **parts)


def _constant(*shape: int) -> nn.Module:
    part = nn.Module()
    part.register_buffer("c", torch.from_numpy(samples(shape, 1, 7)[0]))
    return part


EXACT: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "linear": (nn.Linear(6, 3), (6,)),
    "conv": (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 2), (1, 2), groups=2), IMAGE),
    "conv same": (nn.Conv2d(4, 6, (4, 3), padding="same"), IMAGE),
    "conv valid": (nn.Conv2d(4, 4, 3, padding="valid", groups=4), IMAGE),
    "conv1d": (nn.Conv1d(4, 6, 3, 2, 1, dilation=2, groups=2), (4, 11)),
    "batch norm": (layers(nn.Conv2d(4, 5, 3), nn.BatchNorm2d(5)), IMAGE),
    "batch norm without affine": (nn.BatchNorm2d(4, affine=False), IMAGE),
    "batch norm 1d": (layers(nn.Linear(6, 5), nn.BatchNorm1d(5), nn.ReLU()), (6,)),
    "batch norm of lines": (layers(nn.Conv1d(4, 6, 3), nn.BatchNorm1d(6)), (4, 11)),
    "relu in place": (layers(nn.Conv2d(4, 3, 3), nn.ReLU(inplace=True)), IMAGE),
    "relu functional": (calls(lambda m, x: torch.relu(F.relu(x) - 1)), IMAGE),
    "clamp": (calls(lambda m, x: torch.clamp(x, min=0)), IMAGE),
    "clamp_min": (calls(lambda m, x: x.clamp_min(0.0)), IMAGE),
    "threshold": (nn.Threshold(0.0, 0.0), IMAGE),
    "average pool": (nn.AvgPool2d(2), IMAGE),
    "average pool padded": (nn.AvgPool2d(3, 2, 1), IMAGE),
    "average pool padded, true counts": (nn.AvgPool2d(3, 2, 1, count_include_pad=False), IMAGE),
    "average pool ceil": (nn.AvgPool2d(3, 2, 1, ceil_mode=True), IMAGE),
    "average pool ceil, true counts": (
        nn.AvgPool2d((3, 2), 3, (1, 1), ceil_mode=True, count_include_pad=False),
        IMAGE,
    ),
    "average pool divisor": (nn.AvgPool2d(2, divisor_override=3), IMAGE),
    "adaptive pool": (nn.AdaptiveAvgPool2d((4, 3)), IMAGE),
    "adaptive pool of unequal windows": (nn.AdaptiveAvgPool2d(5), IMAGE),
    "adaptive max pool of unequal windows": (nn.AdaptiveMaxPool2d(5), IMAGE),
    "transposed": (nn.ConvTranspose2d(4, 2, 2), IMAGE),
    "bilinear": (nn.Upsample(scale_factor=2, mode="bilinear"), IMAGE),
    "linear on pictures": (nn.Linear(9, 2), IMAGE),
    "global pool": (layers(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)), IMAGE),
    "mean": (calls(lambda m, x: x.mean((2, 3))), IMAGE),
    "mean kept": (calls(lambda m, x: x.mean([-1, -2], keepdim=True)), IMAGE),
    "view": (calls(lambda m, x: x.view(x.size(0), -1)), IMAGE),
    "reshape back": (layers(nn.Linear(6, 8), nn.Unflatten(1, (2, 2, 2)), nn.Conv2d(2, 1, 2)), (6,)),
    "squeeze": (calls(lambda m, x: F.adaptive_avg_pool2d(x, 1).squeeze(-1).squeeze(-1)), IMAGE),
    "dropout": (layers(nn.Dropout(), nn.Dropout2d(), nn.Identity(), nn.Conv2d(4, 2, 2)), IMAGE),
    "contiguous": (calls(lambda m, x: x.contiguous() + 0.5), IMAGE),
    "cast": (calls(lambda m, x: m.a(x.to(torch.float64).float()), a=nn.Conv2d(4, 3, 1)), IMAGE),
    "add": (calls(lambda m, x: m.a(x) + m.b(x), a=nn.Conv2d(4, 3, 1), b=nn.Conv2d(4, 3, 1)), IMAGE),
    "add in place": (
        calls(lambda m, x: m.a(x).add_(m.b(x), alpha=2), a=nn.Conv2d(4, 3, 1), b=nn.Conv2d(4, 3, 1)),
        IMAGE,
    ),
    "add to itself": (calls(lambda m, x: F.relu(x) + F.relu(x) + x + x), IMAGE),
    "sub": (calls(lambda m, x: m.a(x) - x, a=nn.Conv2d(4, 4, 1)), IMAGE),
    "rsub": (calls(lambda m, x: 1.5 - x), IMAGE),
    "constant term": (calls(lambda m, x: x + m.k.c, k=_constant(4, 1, 1)), IMAGE),
    "constant term for each element": (calls(lambda m, x: m.k.c - x, k=_constant(1, *IMAGE)), IMAGE),
    "constant factor": (calls(lambda m, x: x * m.k.c.view(1, 4, 1, 1), k=_constant(4)), IMAGE),
    "division": (calls(lambda m, x: -x / 4), IMAGE),
    "cat": (calls(lambda m, x: torch.cat([m.a(x), x, m.a(x)], 1), a=nn.Conv2d(4, 2, 1)), IMAGE),
    "slice": (calls(lambda m, x: x[:, 1:, 1:-1:2, ::3]), IMAGE),
    "slice twice": (calls(lambda m, x: x[:, :, ::2][:, :, 1:]), IMAGE),
    "chunk": (calls(lambda m, x: x.chunk(2, 1)[1] + x.chunk(2, 1)[0]), IMAGE),
    "split": (calls(lambda m, x: x.split([1, 3], 1)[1]), IMAGE),
    "pad": (calls(lambda m, x: F.pad(x, (1, 2, 0, 1, 2, 1))), IMAGE),
    "zero pad": (nn.ZeroPad2d((1, 0, 2, 1)), IMAGE),
    "residual network": (ResNet(1, 4), (3, 8, 8)),
    "permute": (calls(lambda m, x: F.relu(m.a(x)).permute(0, 3, 1, 2), a=nn.Conv2d(4, 4, 1)), IMAGE),
    "transpose": (calls(lambda m, x: m.a(x.transpose(1, 2)), a=nn.Conv2d(8, 3, 2)), IMAGE),
    "transpose of a line": (calls(lambda m, x: m.a(x.mT), a=nn.Conv1d(6, 3, 2)), (4, 6)),
    "movedim": (calls(lambda m, x: torch.movedim(x, 1, -1)), IMAGE),
    "movedim of several": (calls(lambda m, x: x.movedim((1, 2), (3, 1)).swapaxes(2, 3)), IMAGE),
    "axes kept": (calls(lambda m, x: x.permute(0, 1, 2, 3).transpose(2, 2)), IMAGE),
    "channels last and back": (
        calls(lambda m, x: x.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2)),
        IMAGE,
    ),
    "permute and flatten": (
        calls(lambda m, x: m.a(x.permute(0, 2, 3, 1).flatten(1)), a=nn.Linear(288, 5)),
        IMAGE,
    ),
    "upsample": (
        layers(nn.Conv2d(4, 3, 3), nn.ReLU(), nn.Upsample(scale_factor=2), nn.Conv2d(3, 2, 3)),
        IMAGE,
    ),
    "upsample to a size": (nn.Upsample(size=(24, 27), mode="nearest"), IMAGE),
    "upsample by 1": (nn.Upsample(scale_factor=1), IMAGE),
    "upsampling layer": (nn.UpsamplingNearest2d(scale_factor=3), IMAGE),
    "upsample a line": (nn.Upsample(scale_factor=5), (4, 6)),
    "interpolate": (calls(lambda m, x: F.interpolate(x, scale_factor=(2.0, 3.0))), IMAGE),
    "nearest, exact": (nn.Upsample(scale_factor=2, mode="nearest-exact"), IMAGE),
    "half a factor": (nn.Upsample(scale_factor=1.5), IMAGE),
    "a factor beside a whole one": (nn.Upsample(scale_factor=2.1), (4, 4, 4)),
    "downsampling": (nn.Upsample(size=(4, 3)), IMAGE),
    "a factor that torch rounds": (nn.Upsample(scale_factor=41), (1, 2, 3)),
    "circular": (nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"), IMAGE),
    "hardtanh": (layers(nn.Linear(6, 6), nn.Hardtanh(-0.5, 0.25)), (6,)),
    "relu6": (layers(nn.Linear(6, 6), nn.ReLU6()), (6,)),
    "reused relu": (calls(lambda m, x: m.r(m.a(m.r(m.a(x)))), a=nn.Conv2d(4, 4, 1), r=nn.ReLU()), IMAGE),
}


@pytest.mark.parametrize("name", EXACT)
def test_values_are_torchs(name: str) -> None:
    module, shape = EXACT[name]
    module = settled(module)
    found = captured(module, shape)
    stages.check(found.graph, "ann")
    assert apart(found.graph, module, samples(shape)) < 2e-6


@pytest.mark.parametrize("name", EXACT)
def test_every_operation_has_its_verdict(name: str) -> None:
    module, shape = EXACT[name]
    aten = traced(settled(module), shape)
    found = capture(aten)
    assert [v.operation for v in found.verdicts] == [node.op for node in aten.nodes]
    assert all(v.verdict and (not v.node or v.node in found.graph.nodes) for v in found.verdicts)


REFUSED: dict[str, tuple[nn.Module, tuple[int, ...], str]] = {
    "layer norm": (layers(nn.Linear(6, 6), nn.LayerNorm(6)), (6,), "BatchNorm"),
    "group norm": (layers(nn.Conv2d(4, 4, 1), nn.GroupNorm(2, 4)), IMAGE, "BatchNorm"),
    "softmax inside": (layers(nn.Linear(6, 6), nn.Softmax(1), nn.Linear(6, 2)), (6,), "end"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_name_the_module_and_a_way_out(name: str) -> None:
    module, shape, hint = REFUSED[name]
    with pytest.raises(UnsupportedLayer) as caught:
        captured(module, shape)
    assert caught.value.name == "1"
    assert hint in caught.value.hint


def test_products_of_values_are_refused() -> None:
    with pytest.raises(UnsupportedLayer, match="both depend on the input"):
        captured(calls(lambda m, x: x * F.relu(x)), IMAGE)
    with pytest.raises(UnsupportedLayer, match="attention"):
        captured(calls(lambda m, x: x @ x), (4, 4))


def test_samples_are_not_moved() -> None:
    with pytest.raises(UnsupportedLayer, match="moves the samples"):
        captured(calls(lambda m, x: x.permute(1, 0, 2, 3)), IMAGE)


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(UnsupportedLayer, match="change of type"):
        captured(calls(lambda m, x: x.to(torch.int32).float()), IMAGE)


def test_a_name_in_a_container_says_the_operation() -> None:
    graph = captured(ResNet(1, 4), (3, 8, 8)).graph
    assert graph.of_kind(Activation) == (
        "relu",
        "layer1.0.relu",
        "layer1.0.relu_2",
        "layer2.0.relu",
        "layer2.0.relu_2",
        "layer3.0.relu",
        "layer3.0.relu_2",
    )
    assert "layer2.0.conv1" in graph.of_kind(Conv2d)


def test_a_module_used_twice_makes_two_nodes() -> None:
    module, shape = EXACT["reused relu"]
    assert captured(module, shape).graph.of_kind(Activation) == ("r", "r_2")


def test_slices_of_one_expression_are_one_node() -> None:
    graph = captured(calls(lambda m, x: x[:, 1:, 1:-1:2, ::3]), IMAGE).graph
    (name,) = graph.of_kind(Slice)
    node = graph.nodes[name]
    assert isinstance(node, Slice) and (node.start, node.stop, node.step) == ((1, 1, 0), (4, 6, 7), (1, 2, 3))


def test_average_pooling_is_a_sum_and_a_factor() -> None:
    graph = captured(nn.Sequential(nn.AvgPool2d(2), nn.Flatten()), IMAGE).graph
    assert [len(graph.of_kind(k)) for k in (SumPool, Scale, Flatten)] == [1, 1, 1]
    node = graph.nodes["0.factor"]
    assert isinstance(node, Scale) and node.factor == 0.25


def test_softmax_at_the_end_is_erased_with_a_verdict() -> None:
    found = captured(nn.Sequential(nn.Linear(6, 3), nn.LogSoftmax(1)), (6,))
    assert found.verdicts[-1].verdict.startswith("erased")


@pytest.mark.parametrize("name", ["4.weight", "1.running_var"])
def test_nan_is_refused_by_the_name_of_the_parameter(name: str) -> None:
    module = small_cnn().eval()
    module.state_dict()[name].view(-1)[0] = float("nan")
    with pytest.raises(ConversionError) as caught:
        captured(module, (1, 8, 8))
    assert caught.value.layer == name and "1 NaN" in str(caught.value)


def test_two_outputs_are_two_and_none_is_refused() -> None:
    found = captured(calls(lambda m, x: (x + 1, x + 2)), IMAGE)
    assert found.graph.outputs == ("output.0", "output.1")
    assert [(o.node, o.name) for o in found.outputs] == [("output.0", "0"), ("output.1", "1")]
    with pytest.raises(ConversionError, match="returns no tensor"):
        captured(calls(lambda m, x: None), IMAGE)


@pytest.mark.parametrize("kind", KINDS)
def test_forward_runs_every_kind_of_stage_ann(kind: str) -> None:
    graph = stateless(kind)
    x = np.random.default_rng(0).integers(0, 3, (3, *EXAMPLES[kind].arriving)).astype(np.float32)
    # nothing has a time there; the examples of linear kinds have delays, that of max pooling counts
    if kind in ("Population", "MaxPool", "Delay", "Linear", "Sparse", "Procedural", "Poisson"):
        with pytest.raises(StageError, match="node: .*((Population|Poisson) is not run|delay|a count over steps)"):
            forward(graph, x)
        if kind in ("Population", "Delay", "Procedural", "Poisson"):  # the rule draws its delays
            return
        changed: Any = {"mode": "any"} if kind == "MaxPool" else {"delays": None}
        graph = graph.with_nodes({"node": replace(graph.nodes["node"], **changed)})
    wanted = reference.simulate(graph, Constant(x), 1).output[0]
    np.testing.assert_allclose(forward(graph, x), wanted, rtol=1e-5, atol=1e-6)


def test_forward_agrees_with_the_reference() -> None:
    module = settled(ResNet(1, 4))
    graph, x = captured(module, (3, 8, 8)).graph, samples((3, 8, 8))
    wanted = reference.simulate(graph, Constant(x), 1).output[0]
    assert np.abs(wanted - forward(graph, x)).max() < 1e-5

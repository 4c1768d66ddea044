"""Rules of a user's own: given to one conversion, held against the network, and told where they are wrong."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.convert.explain import explain
from spikeflow.convert.trace.atengraph import AtenNode
from spikeflow.errors import ConversionError, UnsupportedLayer
from spikeflow.ir.nodes import Activation
from tests.convert.networks import answers, samples


@torch.library.custom_op("spikeflow_tests::leap", mutates_args=())
def leap(x: torch.Tensor, gain: float) -> torch.Tensor:
    """gain times the rectified input."""
    return torch.relu(x) * gain


@leap.register_fake
def _(x: torch.Tensor, gain: float) -> torch.Tensor:
    return torch.empty_like(x)


class Leaping(nn.Module):
    """A custom operation between two layers, and softmax at the end."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.first, self.last = nn.Linear(6, 12), nn.Linear(12, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.softmax(self.last(leap(self.first(x), 2.0)), 1)


class Odd(nn.Module):
    """What torch writes as an operation that is not taken."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(x) * 0 + torch.relu(x)


def leap_rule(b: Any, node: AtenNode) -> Any:
    value = b.chain(b.title(node), Activation("relu"), b.value(node, node.args[0]))
    b.decide(node, "spiking", value)
    return b.scale(f"{b.title(node)}.gain", value, float(node.args[1]))


X = samples((6,), 120)
RULES = {"spikeflow_tests::leap": leap_rule}


def test_an_operation_of_ones_own_is_converted_by_its_rule() -> None:
    module = Leaping().eval()
    with pytest.raises(UnsupportedLayer, match="leap"):
        convert(module, X)
    made = convert(module, X, steps=128, rules=RULES)
    assert made.fidelity.worst is not None and made.fidelity.worst.agreement > 0.9
    words = [v.word for v in made.report.verdicts if "leap" in v.operation]
    assert words == ["spiking"]
    assert json.loads(json.dumps(made.report.to_json()))["options"]["rules"] == ["spikeflow_tests::leap"]
    # given to one conversion, and to no other
    with pytest.raises(UnsupportedLayer, match="leap"):
        convert(module, X)


def test_a_module_is_replaced_in_a_copy() -> None:
    module = nn.Sequential(nn.Linear(6, 8), nn.Sequential(Odd()), nn.Linear(8, 3)).eval()
    before = answers(module, X[:3])
    made = convert(module, X, rules={Odd: lambda odd: nn.ReLU()})
    assert [v.word for v in made.report.verdicts].count("spiking") == 1
    assert isinstance(module[1][0], Odd) and np.array_equal(answers(module, X[:3]), before)


def test_a_module_of_several_names_is_replaced_once_for_all_of_them() -> None:
    module, asked = nn.Sequential(nn.Linear(6, 6), Odd(), nn.Linear(6, 6)).eval(), list[Any]()
    module.add_module("again", module[1])
    made = convert(module, X, rules={Odd: lambda odd: asked.append(odd) or nn.ReLU()})
    assert [v.word for v in made.report.verdicts].count("spiking") == 2 and len(asked) == 1


def test_a_rule_that_means_something_else_is_found_out() -> None:
    wrong = {"spikeflow_tests::leap": lambda b, node: b.scale("more", leap_rule(b, node), 1.5)}
    with pytest.raises(ConversionError, match="differs from the module"):
        convert(Leaping().eval(), X, rules=wrong)
    with pytest.raises(ConversionError, match="differs from the module"):
        convert(nn.Sequential(nn.Linear(6, 3), Odd()).eval(), X, rules={Odd: lambda odd: nn.Hardtanh(0, 0.2)})


def test_what_a_rule_must_give_is_said() -> None:
    with pytest.raises(ConversionError, match="a NoneType, where"):
        convert(Leaping().eval(), X, rules={"spikeflow_tests::leap": lambda b, node: None})
    with pytest.raises(ConversionError, match="gives a str"):
        convert(nn.Sequential(Odd()).eval(), X, rules={Odd: lambda odd: "relu"})
    wrong: Any
    for wrong in ({"leap": leap_rule}, {int: leap_rule}, {"a::b": 3}, {3: leap_rule}):
        with pytest.raises(ConversionError, match="rules"):
            convert(Leaping().eval(), X, rules=wrong)


def test_a_rule_comes_before_what_is_known_and_stands_in_the_explanation() -> None:
    def counted(b: Any, node: AtenNode) -> Any:
        return b.chain(b.title(node), Activation("relu"), b.value(node, node.args[0]))

    module = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2)).eval()
    x = np.random.default_rng(0).random((40, 6)).astype(np.float32)
    found = explain(module, x, rules={"aten::relu": counted})
    assert [v.verdict for v in found.verdicts if "relu" in v.operation] == ["exact: by a rule of the user's"]
    assert not explain(Leaping().eval(), X, rules=RULES).refused and explain(Leaping().eval(), X).refused

"""Fine-tuning through rates: the means of a run, and the gradient that goes through them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import convert
from spikeflow.convert.passes.units import unit_thresholds
from spikeflow.errors import DataError
from spikeflow.flows.by_rates import BEYOND, ByRates, goes_by_rates
from spikeflow.flows.finetune import Finetune
from spikeflow.ir.graph import Graph
from spikeflow.neurons.graph_net import GraphNet

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
STEPS = 5


class Ways(nn.Module):
    """Convolutions in two ways that are joined, one of them by way of a maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 3, 3, padding=1), nn.Conv2d(3, 4, 3, padding=1)
        self.c, self.head = nn.Conv2d(3, 4, 2, stride=2), nn.Linear(32, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a(x))
        y = nn.functional.max_pool2d(torch.relu(self.b(x)), 2)
        return self.head(torch.cat([y, torch.relu(self.c(x))], 1).flatten(1))


def _samples(count: int) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 1, (count, 1, 4, 4)).astype(np.float32)


def _graph(**settings: object) -> Graph:
    torch.manual_seed(0)
    made = convert(Ways().eval(), _samples(60), steps=STEPS, **settings)  # type: ignore[arg-type]
    return unit_thresholds(made.network.graph)


@pytest.mark.parametrize("pool", ["running", "any"])
def test_training_sees_what_evaluation_answers(pool: str) -> None:
    """The last outputs, and of every layer the share of steps with a spike."""
    net = ByRates(_graph(max_pool=pool))
    x = torch.from_numpy(_samples(7)).expand(STEPS, 7, 1, 4, 4)
    assert len(net.cells) == 3 and len(net.counted) == 4
    trained, _ = net.train()(x, record=net.counted)
    wanted, _ = net.eval()(x, record=net.counted)
    output = net.outputs[0]
    assert torch.allclose(trained[output][-1], wanted[output][-1], rtol=1e-5, atol=1e-5)
    for name in net.counted:
        assert torch.equal(trained[name], wanted[name].mean(0).expand_as(wanted[name])), name
    assert all(0 < float(wanted[n].mean()) < 1 for n in net.cells)


def test_same_parameters_and_evaluation_as_the_graph() -> None:
    graph = _graph()
    plain, rates = GraphNet(graph), ByRates(graph)
    assert list(plain.state_dict()) == list(rates.state_dict())
    x = torch.from_numpy(_samples(3)).expand(STEPS, 3, 1, 4, 4)
    assert torch.equal(plain.eval()(x)[0], rates.eval()(x)[0])


def test_gradient_is_that_of_the_clipped_means() -> None:
    """By hand: two dense layers, shares as they were, slope 1 from half a spike below none to one above all."""
    torch.manual_seed(1)
    ann = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 4))
    x = 2 * np.random.default_rng(1).normal(0, 1, (80, 6)).astype(np.float32)
    graph = unit_thresholds(convert(ann, x, steps=STEPS, percentile=60.0).network.graph)
    net, few = ByRates(graph), torch.from_numpy(x[:20])
    (cells,) = net.cells
    out, _ = net(few.expand(STEPS, 20, 6), record=(cells,))
    (out[net.outputs[0]][-1] ** 2).sum().backward()
    first, last = (m for m in net.modules_by_name().values() if hasattr(m, "weight"))
    w, b = (p.detach().clone().requires_grad_() for p in (first.weight, first.bias))
    v, d = (p.detach().clone() for p in (last.weight, last.bias))
    current = few @ w.T + b
    share = current + (out[cells][0] - current).detach()
    inside = (current > -BEYOND / STEPS) & (current < 1 + BEYOND / STEPS)
    answers = STEPS * (torch.where(inside, share, share.detach()) @ v.T + d)
    (answers**2).sum().backward()
    assert 0.2 < float(inside.float().mean()) < 0.95  # some have none
    assert torch.allclose(first.weight.grad, w.grad, rtol=1e-4, atol=1e-3)
    assert torch.allclose(first.bias.grad, b.grad, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("make", "goes"),
    [
        (lambda: _graph(), True),
        (lambda: _graph(reset="zero"), False),
        (lambda: _graph(method="auto", read_from=0), None),
    ],
)
def test_where_means_are_not_enough(make: Callable[[], Graph], goes: bool | None) -> None:
    """Reset to zero loses potential, and layers that wake late see no mean over all steps."""
    graph = make()
    late = any(getattr(node, "start", 0) for node in graph.nodes.values())
    assert goes_by_rates(graph) is ((not late) if goes is None else goes)


def test_gradients_have_names() -> None:
    with pytest.raises(DataError, match="rates, steps"):
        Finetune(gradient="spikes")

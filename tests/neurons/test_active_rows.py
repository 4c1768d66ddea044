"""Products by rows of active sources as torch's operations: as near to float64 as torch's float32, differentiated as often
as asked; any Linear of a network takes them, and says so. Their bits: `tests/laws/test_product.py`.

Drawn: 1 to 1,300 rows, inputs and outputs (so sums of one block and of several, panels whole and cut), 0 to 40 % active;
spikes, whole numbers, normal values; weights normal.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.errors import ShapeError
from spikeflow.ir.nodes import Linear
from spikeflow.neurons import LIF, Neuron, Sequential, SpikeLinear, active_rows, spike_linear
from spikeflow.neurons.active_rows import active_rows as product
from spikeflow.neurons.active_rows import active_rows_weight
from spikeflow.neurons.node_layer import NodeLayer

KINDS = ("spikes", "whole", "normal")


def drawn(seed: int, kind: str, most: int = 1300) -> tuple[torch.Tensor, ...]:
    """Input, weight, bias, cotangent."""
    draw = np.random.default_rng(seed)
    rows, inputs, outputs = (int(n) for n in draw.integers(1, most, 3))
    active = draw.random((rows, inputs)) < draw.uniform(0, 0.4)
    values = {"spikes": 1.0, "whole": draw.integers(-3, 4, inputs), "normal": draw.normal(0, 1, inputs)}[kind]
    sizes = ((outputs, inputs), (outputs,), (rows, outputs))
    found = (active * values, *(draw.normal(0, 1, size) for size in sizes))
    return tuple(torch.from_numpy(np.asarray(x, np.float32)) for x in found)


def both(
    function: Any, x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, given: torch.Tensor
) -> list[torch.Tensor]:
    leaves = [part.clone().requires_grad_() for part in (x, weight, bias)]
    y = function(*leaves)
    return [y.detach(), *torch.autograd.grad(y, leaves, given)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_products_and_gradients_are_within_the_rounding_of_sums(seed: int, kind: str) -> None:
    given = drawn(seed, kind)
    found = both(product, *given)
    exact = both(nn.functional.linear, *(part.double() for part in given))
    x, weight, bias, cotangent = (part.double().abs() for part in given)
    terms = (x.shape[1] + 2, len(weight), len(x), len(x))
    sizes = (nn.functional.linear(x, weight, bias), cotangent @ weight, cotangent.T @ x, cotangent.sum(0))
    for one, wanted, size, count in zip(found, exact, sizes, terms, strict=True):
        assert ((one - wanted).abs() <= count * 2.0**-23 * size).all()


@pytest.mark.parametrize("share", [0.01, 0.05, 0.2, 0.5])
@pytest.mark.parametrize("inputs", [300, 1024, 2048])
def test_they_are_as_near_to_float64_as_torchs_own(share: float, inputs: int) -> None:
    draw = torch.Generator().manual_seed(0)
    x = (torch.rand(2000, inputs, generator=draw) < share).float()
    weight, given = torch.randn(256, inputs, generator=draw), torch.randn(2000, 256, generator=draw)
    wanted = x.double() @ weight.T.double(), given.T.double() @ x.double()
    own, torchs = (product(x, weight, None), active_rows_weight(x, given)), (x @ weight.T, given.T @ x)
    for one, other, exact in zip(own, torchs, wanted, strict=True):
        errors = [((found - exact).norm() / exact.norm()).item() for found in (one, other)]
        # a few terms of one order: both are roundings of nearly the same
        assert errors[0] <= max(1.1 * errors[1], 2.0**-24), errors


def test_what_is_silent_brings_nothing_and_nothing_at_all_is_a_product_too() -> None:
    x, weight = (
        torch.tensor([[0.0, 1.0], [-0.0, 0.0]]),
        torch.tensor([[float("nan"), 2.0], [float("inf"), 3.0]]),
    )
    assert product(x, weight, None).tolist() == [[2.0, 3.0], [0.0, 0.0]]
    assert product(torch.tensor([[float("nan"), 1.0]]), torch.ones(1, 2), None).isnan().all()
    for rows, inputs, outputs in ((0, 3, 2), (3, 0, 2), (3, 2, 0)):
        x, weight, given = torch.ones(rows, inputs), torch.ones(outputs, inputs), torch.ones(rows, outputs)
        y, to_weight = product(x, weight, torch.ones(outputs)), active_rows_weight(x, given)
        assert y.shape == given.shape and (y == 1 + inputs).all()
        assert to_weight.shape == weight.shape and (to_weight == rows).all()


def test_the_operations_pass_torchs_own_checks() -> None:
    x, weight, bias, given = (part.requires_grad_() for part in drawn(0, "spikes", 40))
    for arguments in ((x, weight, bias), (x, weight, None)):
        torch.library.opcheck(product, arguments)
    torch.library.opcheck(active_rows_weight, (x, given))


def test_a_second_derivative_is_that_of_the_dense_product() -> None:
    x, weight, bias, _ = drawn(1, "spikes", 40)
    found = []
    for function in (product, nn.functional.linear):
        leaves = [part.clone().requires_grad_() for part in (x, weight, bias)]
        first = torch.autograd.grad(function(*leaves).pow(3).sum(), leaves, create_graph=True)
        found.append(torch.autograd.grad(sum(part.square().sum() for part in first), leaves))  # type: ignore[union-attr]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-3)


def task(share: float = 0.05, width: int = 256) -> torch.Tensor:
    return (torch.rand(40, 8, width, generator=torch.Generator().manual_seed(0)) < share).float()


def test_any_linear_of_a_network_takes_them_and_says_so() -> None:
    torch.manual_seed(0)
    inner = nn.Sequential(nn.Identity(), nn.Linear(256, 256, bias=False), nn.BatchNorm1d(256))
    net = Sequential(nn.Linear(256, 256), Neuron(LIF(0.9)), inner, Neuron(LIF(0.9)), nn.Linear(256, 3))
    plain = copy.deepcopy(net)
    for layer in plain.modules():
        layer.register_forward_hook(lambda *_: None) if isinstance(layer, nn.Linear) else None
    x = task()
    found = []
    for one in (net, plain):
        y, _ = one(x)
        y.square().sum().backward()
        found.append([y, *(p.grad for p in one.parameters() if p.grad is not None)])
    assert net.layers[0].product == spike_linear.WITH_NEURONS and inner[1].product == spike_linear.ACTIVE
    assert net.layers[4].product == "float32: a small product"
    assert "product" not in plain.layers[0].__dict__, "a hook is a user's"
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_the_choice_is_told() -> None:
    weight = torch.randn(256, 256)
    taken = {
        spike_linear.ACTIVE: (task(), weight),
        "float32: an input of which more than 38% is active": (task(0.6), weight),
        "float32: a small product": (task()[:, 0, :], weight),
        "float32: an input of torch.float64 and weights of torch.float64": (task().double(), weight.double()),
    }
    for word, (x, w) in taken.items():
        y, product_taken = spike_linear.linear(x, w)
        assert product_taken == word and y.shape == (*x.shape[:-1], 256)
        torch.testing.assert_close(y, nn.functional.linear(x, w), rtol=1e-4, atol=1e-4)
    with torch.autocast("cpu"):
        y, word = spike_linear.linear(task(), weight)
    assert (word, y.dtype) == ("float32: autocast", torch.bfloat16)
    seen: list[str] = []

    def one(row: torch.Tensor) -> torch.Tensor:
        y, word = spike_linear.linear(row, weight)
        seen.append(word)
        return y

    torch.func.vmap(one)(task())
    assert seen == ["float32: a transform of torch.func"]
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        spike_linear.linear(task(), torch.randn(256, 255))
    assert active_rows.share(task(0.05)) == pytest.approx(0.05, abs=0.01)
    shares = [spike_linear.most_active(n) for n in (10, 64, 256, 4096)]
    assert shares == sorted(shares) and shares[0] < 0.05 < 0.1 < shares[1]


def test_changed_linears_run_as_they_are() -> None:
    layer = nn.Linear(256, 256)
    seen: list[int] = []
    layer.register_forward_hook(lambda *_: seen.append(1))
    own = SpikeLinear(256, 256)
    own.register_forward_hook(lambda *_: seen.append(2))
    normed = nn.utils.parametrizations.weight_norm(nn.Linear(256, 256))
    x = task()
    for member in (layer, own, normed):
        (net := Sequential(member))(x)
        torch.testing.assert_close(net(x)[0], member(x))
    assert set(seen) == {1, 2} and own.product == spike_linear.ACTIVE


BIASES = {  # of 256 outputs and 320 rows; None where torch refuses it
    "one number": torch.randn(1),
    "no axis": torch.randn(()),
    "one for each row": torch.randn(320, 256),
    "too few": None,
    "another type": None,
}


@pytest.mark.parametrize("kind", BIASES)
def test_a_bias_that_is_not_one_number_for_each_output_is_torchs_to_spread_or_to_refuse(kind: str) -> None:
    bias, layer = BIASES[kind], nn.Linear(256, 256)
    x = task().flatten(0, 1)
    given = bias if bias is not None else (torch.randn(3) if kind == "too few" else torch.randn(256).double())
    layer.bias = nn.Parameter(given)
    if bias is None:
        with pytest.raises(RuntimeError):
            spike_linear.called(layer, x)
    else:
        wanted = nn.functional.linear(x, layer.weight, layer.bias)
        torch.testing.assert_close(spike_linear.called(layer, x), wanted)
        assert "a bias of" in layer.__dict__["product"]
    with pytest.raises(ShapeError, match="active_rows: got"):
        product(x, layer.weight, layer.bias)


def test_the_operations_refuse_what_the_core_would_misread() -> None:
    x, weight = task().flatten(0, 1), torch.randn(256, 256)
    for given in ((x.double(), weight), (x, weight.bfloat16()), (x[:, :9], weight), (x[None], weight)):
        with pytest.raises(ShapeError, match="active_rows: got"):
            product(*given, None)
    for given in ((x, x.double()), (x, x[:9])):
        with pytest.raises(ShapeError, match="active_rows: got"):
            active_rows_weight(*given)


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")
def test_sparse_layouts_get_torchs_product() -> None:
    x, weight = task().flatten(0, 1), torch.randn(256, 256)
    for one, other in ((x.to_sparse(), weight), (x, weight.to_sparse_csr())):
        y, word = spike_linear.linear(one, other)
        assert word.startswith("float32: tensors of layout torch.sparse")
        torch.testing.assert_close(y, x @ weight.T, rtol=1e-4, atol=1e-4)


def test_a_graph_holds_a_linear_node_whole() -> None:
    layer = NodeLayer(Linear(np.random.default_rng(0).normal(0, 1, (256, 256))))
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(task())[0], layer(task())[0], rtol=1e-4, atol=1e-4)
    assert layer.product == spike_linear.ACTIVE

"""SiLIF, C-SiLIF, TC-LIF, I-LIF, DH-LIF and the parallel neurons against loops of their papers' equations, and what is
known of them.

Drawn as in `test_point_models`: 200 steps, 3 samples, 5 neurons; spikes equal exactly, states to 1e-4.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from spikeflow.convert import capture_trained
from spikeflow.errors import GraphError, ShapeError, SpikeflowError
from spikeflow.neurons import (
    DHLIF,
    IF,
    ILIF,
    TCLIF,
    CSiLIF,
    LeakyIntegrator,
    MaskedPSN,
    Neuron,
    Sequential,
    SiLIF,
    SlidingPSN,
    branch_masks,
)
from spikeflow.train.reading import read
from tests.neurons.test_point_models import B, N, T, drawn, ran, same

Array = np.ndarray


@pytest.mark.parametrize(("a", "b"), [(0.5, 1.0), (-0.4, 0.2), (1.0, 2.0)])
def test_silif_is_the_published_loop(a: float, b: float) -> None:
    """w[t] = bw w + a u[t-1] + b s[t-1]; u[t] = al (u[t-1] - s[t-1]) + (1 - al)(I - w[t]); s = u >= 1."""
    al, bw = np.exp(-40.0 * 0.004), np.exp(-8.0 * 0.004)

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, (u, w, s) = np.zeros_like(x), (np.zeros(x.shape[1:]) for _ in range(3))
        for t in range(len(x)):
            w = bw * w + a * u + b * s
            u = al * (u - s) + (1 - al) * (x[t] - w)
            s = spikes[t] = (u >= 1) * 1.0
        return spikes, {"v": u - s}

    same(SiLIF.from_rates(40.0, 8.0, 4e-3, a, b), loop, drawn(4.0, 8.0))


def test_decays_of_a_silif_stay_decays_whatever_is_learned() -> None:
    names = ("log_rate", "log_rate_adaptation", "log_dt")
    layer = Neuron(SiLIF(a=0.0, threshold=0.2), learn=names)
    optimiser, x = torch.optim.SGD(layer.parameters(), lr=1e3), torch.rand(20, 2, 3)
    for sign in (1.0, -1.0):
        for _ in range(4):
            optimiser.zero_grad()
            (sign * layer(x)[0].sum()).backward()
            optimiser.step()
            state = layer(x)[1]
            assert all(torch.isfinite(s).all() for s in state) and state.w.abs().max() <= 21


@pytest.mark.parametrize(("rate", "frequency", "dt"), [(0.5, np.pi, 0.1), (0.2, 6.0, 0.5), (2.0, 0.0, 0.3)])
def test_c_silif_is_the_complex_recursion(rate: float, frequency: float, dt: float) -> None:
    """u[t] = exp((-rate + i frequency) dt)(u[t-1] - s[t-1] / 2) + b I; s = 2 Re u >= 1."""

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, u, s = np.zeros_like(x), np.zeros(x.shape[1:], complex), np.zeros(x.shape[1:])
        for t in range(len(x)):
            u = np.exp((-rate + 1j * frequency) * dt) * (u - 0.5 * s) + 0.3 * x[t]
            s = spikes[t] = (2 * u.real >= 1) * 1.0
        return spikes, {"v": 2 * u.real - s, "w": 2 * u.imag}

    same(CSiLIF.from_rates(rate, frequency, dt, gain=0.3), loop, drawn())


@pytest.mark.parametrize("angle", [*np.linspace(0, np.pi, 40), 5.0, 1e4])
def test_the_turn_of_a_c_silif_is_cosine_and_sine(angle: float) -> None:
    """Of the layer's own step from unit states, without decay; beyond half a turn half a turn."""
    model = CSiLIF.from_rates(3e-9, angle, 1.0)
    layer = Neuron(CSiLIF(model.log_rate, model.frequency, model.log_dt, threshold=1e6))
    state = layer.state_type(torch.ones(1, 1), torch.zeros(1, 1))
    after = layer(torch.zeros(1, 1, 1), state)[1]
    wanted = min(angle, np.pi)
    assert abs(float(after.v) - np.cos(wanted)) < 1e-6 and abs(float(after.w) - np.sin(wanted)) < 1e-6
    assert abs(float(after.v) ** 2 + float(after.w) ** 2 - 1) < 1e-6


@pytest.mark.parametrize(("one", "two", "threshold"), [(0.0, 0.0, 1.5), (-1.4, 1.4, 1.8), (1.5, -0.5, 1.0)])
def test_tc_lif_is_the_published_loop(one: float, two: float, threshold: float) -> None:
    a, b = 1 / (1 + np.exp(-one)), 1 / (1 + np.exp(-two))

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, d, u = np.zeros_like(x), np.zeros(x.shape[1:]), np.zeros(x.shape[1:])
        for t in range(len(x)):
            d = d - a * u + x[t]
            u = u + b * d
            s = spikes[t] = (u >= threshold) * 1.0
            d, u = d - 0.5 * s, u - threshold * s
        return spikes, {"v": u, "d": d}

    same(TCLIF(one, two, threshold=threshold), loop, drawn(0.3, 0.7, 1))


@pytest.mark.parametrize("betas", [(0.0, 0.0), (-1.4, 1.4), (15.0, 15.0), (-15.0, 3.0)])
def test_tc_lif_never_leaks(betas: tuple[float, float]) -> None:
    """Below threshold its matrix, read off the layer by unit states, has determinant 1 and eigenvalues of size 1."""
    layer, columns = Neuron(TCLIF(*betas, threshold=1e6)).double(), []
    for unit in ([1.0, 0.0], [0.0, 1.0]):
        start = layer.state_type(*(torch.full((1, 1), v, dtype=torch.float64) for v in unit))
        after = layer(torch.zeros(1, 1, 1, dtype=torch.float64), start)[1]
        columns.append([float(after.v), float(after.d)])
    matrix = np.array(columns).T
    assert abs(np.linalg.det(matrix) - 1) < 1e-7
    np.testing.assert_allclose(np.abs(np.linalg.eigvals(matrix)), 1, atol=1e-4)


def test_tc_lif_turns_in_12_4_steps_at_one_half() -> None:
    x = torch.zeros(2000, 1, 1, dtype=torch.float64)
    x[0] = 1.0
    layer = Neuron(TCLIF(threshold=1e6)).double()
    v, state = [], None
    for t in range(len(x)):
        _, state = layer(x[t : t + 1], state)
        v.append(float(state.v))
    crossings = np.flatnonzero((np.array(v[:-1]) < 0) & (np.array(v[1:]) >= 0))
    assert abs(np.diff(crossings).mean() - 2 * np.pi / np.arccos(1 - 0.25 / 2)) < 0.05
    assert np.max(np.abs(v[-100:])) > 0.95 * np.max(np.abs(v[:100]))


@pytest.mark.parametrize("levels", [1, 4, 8])
def test_i_lif_hands_on_the_spikes_of_that_many_micro_steps(levels: int) -> None:
    """The paper's U, S = clip(round(U), 0, D), beta (U - S); and an IF of D micro-steps, half a threshold higher."""
    x = drawn(0.8, 1.5)

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        spikes, h = np.zeros_like(x), np.zeros(x.shape[1:])
        for t in range(len(x)):
            u = 0.5 * h + x[t]
            spikes[t] = np.clip(np.round(u), 0, levels)
            h = u - spikes[t]
        return spikes, {"v": h}

    same(ILIF(0.5, levels=levels), loop, x)
    k, _ = ran(ILIF(1.0, levels=levels), x)
    micro = np.zeros((T, levels, B, N), np.float32)
    micro[:, 0] = x
    cells = Neuron(IF())
    start = cells.state_type(torch.full((B, N), 0.5))
    z = cells(torch.from_numpy(micro.reshape(-1, B, N)), start)[0].numpy()
    np.testing.assert_array_equal(k, z.reshape(T, levels, B, N).sum(1))


def test_the_gradient_of_an_i_lif_is_straight_through_inside_its_levels() -> None:
    x = torch.tensor([[-0.5, 0.2, 1.7, 3.9, 4.4, 9.0]])[None].requires_grad_()
    k = Neuron(ILIF(levels=4))(x)[0]
    k.sum().backward()
    assert k.tolist() == [[[0.0, 0.0, 2.0, 4.0, 4.0, 4.0]]]
    assert x.grad is not None and x.grad.tolist() == [[[0.0, 1.0, 1.0, 1.0, 0.0, 0.0]]]


def test_dh_lif_is_the_published_loop() -> None:
    """i_k = beta_k i_k + (1 - beta_k) x_k; u = alpha u + (1 - alpha) sum; spike; the threshold comes off."""
    betas, alpha = [np.float32(v).item() for v in (0.5, 0.8, 0.95)], np.float32(0.7).item()
    inputs = [drawn(0.4, 1.0, seed) for seed in range(3)]
    spikes, u, i = np.zeros((T, B, N)), np.zeros((B, N)), np.zeros((3, B, N))
    for t in range(T):
        for k in range(3):
            i[k] = betas[k] * i[k] + (1 - betas[k]) * inputs[k][t]
        u = alpha * u + (1 - alpha) * i.sum(0)
        spikes[t] = u >= 0.75
        u = u - 0.75 * spikes[t]
    model = DHLIF(3, alpha, 0.75, decay_1=betas[0], decay_2=betas[1], decay_3=betas[2])
    assert model.inputs == ("branch1", "branch2", "branch3")
    given = {f"branch{k + 1}": torch.from_numpy(x.astype(np.float32)) for k, x in enumerate(inputs)}
    z, state = Neuron(model)(given)
    assert spikes.mean() > 0.05
    np.testing.assert_array_equal(z.numpy(), spikes)
    np.testing.assert_allclose(state.v.numpy(), u, atol=1e-4)
    np.testing.assert_allclose(state.i3.numpy(), i[2], atol=1e-4)


@pytest.mark.parametrize(("inputs", "branches"), [(12, 4), (13, 4), (5, 5), (7, 1)])
def test_every_input_goes_to_one_branch_of_each_neuron(inputs: int, branches: int) -> None:
    masks = branch_masks(inputs, 6, branches, seed=3)
    assert masks.shape == (branches, 6, inputs) and (masks.sum(0) == 1).all()
    sizes = masks.sum(2)
    assert sizes.max() - sizes.min() <= 1
    np.testing.assert_array_equal(masks, branch_masks(inputs, 6, branches, seed=3))
    with pytest.raises(GraphError, match="branch_masks"):
        branch_masks(branches - 1, 6, branches)


def test_branches_beyond_those_declared_have_no_parameters() -> None:
    assert list(DHLIF(2).params()) == ["decay", "threshold", "decay_1", "decay_2"]
    with pytest.raises(GraphError, match="decay_3 acts only with branches=3 or"):
        DHLIF(2, decay_3=0.5)
    model = DHLIF.from_tau(0.01, (0.005, 0.02, 0.1), 1e-3)
    assert model.branches == 3
    assert [float(v) for v in (model.decay, model.decay_1, model.decay_3)] == pytest.approx(np.exp([-0.1, -0.2, -0.01]))
    for taus in ((), (0.1,) * 9):
        with pytest.raises(GraphError, match="branches"):
            DHLIF.from_tau(0.01, taus, 1e-3)
    for wrong in (0, 9, 2.5):
        with pytest.raises(GraphError, match="branches"):
            DHLIF(wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize("order", [1, 2, 5, 8])
def test_sliding_psn_is_a_filter_with_a_threshold(order: int) -> None:
    weights = np.random.default_rng(2).normal(0.5, 0.6, order).astype(np.float32).astype(np.float64)

    def loop(x: Array) -> tuple[Array, dict[str, Array]]:
        padded = np.concatenate([np.zeros((order - 1, *x.shape[1:])), x])
        y = sum(w * padded[order - 1 - i : len(padded) - i] for i, w in enumerate(weights))
        return (y >= 0.5) * 1.0, {}

    same(SlidingPSN(order, 0.5, *weights), loop, drawn())


def test_masked_psn_of_a_banded_weight_is_the_sliding_one() -> None:
    """The same bits are not promised: a product of matrices sums in another order; spikes here are equal."""
    weights, x = [0.9, -0.4, 0.3], torch.from_numpy(drawn(0.5, 1.0).astype(np.float32))
    layer = MaskedPSN(T, order=3)
    with torch.no_grad():
        layer.weight.copy_(sum(w * torch.ones(T - i).diag(-i) for i, w in enumerate(weights)))
        layer.bias.fill_(-0.5)
    z = layer(x)
    assert z.mean() > 0.1 and torch.equal(z, Neuron(SlidingPSN(3, 0.5, *weights))(x)[0])


@pytest.mark.parametrize(("order", "later"), [(1, 0), (4, 0), (T, 0), (None, T)])
def test_masked_psn_sees_its_order_and_nothing_later(order: int | None, later: int) -> None:
    x = torch.rand(T, 1, 1, requires_grad=True)
    MaskedPSN(T, order)(x)[50].sum().backward()
    assert x.grad is not None
    seen = x.grad.flatten().nonzero().flatten()
    assert seen.max() == (T - 1 if later else 50) and seen.min() == (0 if order is None else max(0, 51 - order))


def test_masked_psn_needs_its_steps_and_is_no_part_of_a_graph() -> None:
    with pytest.raises(ShapeError, match="steps"):
        MaskedPSN(5)(torch.rand(4, 1, 2))
    for steps, order in ((0, None), (5, 0), (5, 6)):
        with pytest.raises(GraphError, match="MaskedPSN"):
            MaskedPSN(steps, order)
    net = Sequential(torch.nn.Linear(4, 3), MaskedPSN(5), Neuron(LeakyIntegrator()))
    with pytest.raises(SpikeflowError, match="MaskedPSN"):
        capture_trained(net, (4,), dt=1e-3, steps=5)


@pytest.mark.parametrize("convention", ["raw", "normalised"])
def test_leaky_read_out_and_its_readings(convention: str) -> None:
    decay, x = np.float32(0.9).item(), drawn()
    v, values = np.zeros((B, N)), []
    for t in range(T):
        v = decay * v + (x[t] if convention == "raw" else (1 - decay) * x[t])
        values.append(v)
    out, _ = Neuron(LeakyIntegrator(0.9, convention))(torch.from_numpy(x.astype(np.float32)))
    wanted = np.array(values)
    np.testing.assert_allclose(out.detach().numpy(), wanted, atol=1e-4)
    soft = np.exp(wanted) / np.exp(wanted).sum(-1, keepdims=True)
    for how, value in (("last", wanted[-1]), ("max", wanted.max(0)), ("mean", wanted.mean(0)), ("summed_softmax", soft.sum(0))):
        np.testing.assert_allclose(read(out, how).detach().numpy(), value, rtol=1e-4, atol=1e-4)

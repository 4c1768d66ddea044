"""EventProp: spike times and gradients in continuous time, their approach in steps, and a training by it alone."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from spikeflow.errors import DataError, ShapeError, SpikeflowWarning, UnsupportedLayer
from spikeflow.neurons import LIF, CubaLIF, Integrator, LeakyIntegrator, Neuron, Recurrent, Sequential
from spikeflow.train import loss
from spikeflow.train.batches import Arrays, Splits
from spikeflow.train.loop import fit
from spikeflow.train.recipe import Loss, Optimiser, Recipe
from spikeflow.train.rules import Rule, backward
from spikeflow.train.rules.event_times import EventNetwork, Gradient, Trajectory, gradient, simulate


def test_a_crossing_is_the_closed_form_where_there_is_one() -> None:
    draw, one = np.random.default_rng(0), np.ones((1, 1))
    net, reached = EventNetwork(one, one, 10.0, 5.0), 0
    for _ in range(500):
        v, i = float(draw.uniform(-3, 1)), float(draw.uniform(-1, 12))
        # tau_m = 2 tau_s: with x = exp(-t / tau_m), V = (v + i) x - i x^2
        inside = (v + i) ** 2 - 4 * i
        roots = [((v + i) + sign * inside**0.5) / (2 * i) for sign in (1, -1)] if inside >= 0 and i != 0 else []
        times = [-10 * np.log(x) for x in roots if 0 < x <= 1]
        found = net.crossing(v, i)
        assert found == pytest.approx(min(times, default=np.inf), rel=1e-9, abs=1e-12), (v, i)
        reached += found < np.inf
    assert 100 < reached < 400
    below, above = (net.crossing(0.0, 4.0 + d) for d in (-1e-9, 1e-9))  # of 4 the peak is the threshold
    assert below == np.inf and above == pytest.approx(10 * np.log(2), rel=1e-3)


@pytest.mark.parametrize("taus", ((20.0, 5.0), (10.0, 5.0), (5.0, 5.0), (5.0, 9.0)))
@pytest.mark.parametrize("seed", range(2))
def test_gradients_are_finite_differences(taus: tuple[float, float], seed: int) -> None:
    draw = np.random.default_rng(seed)
    between = draw.normal(0, 0.5, (7, 7)) * (draw.random((7, 7)) < 0.5)  # recurrent, to themselves as well
    net = EventNetwork(draw.normal(1.0, 1.0, (7, 5)) * (1 if taus[0] > 5 else 0.6), between, *taus)
    times, sources = np.sort(draw.uniform(0, 30, 15)), draw.integers(0, 5, 15)
    times[3] = times[4]  # two at once
    samples = draw.uniform(0, 40, 4)
    run = _run(net, times, sources, samples)
    assert len(run.times) > 5
    by_times, by_membranes = draw.normal(size=len(run.times)), draw.normal(size=run.membranes.shape)
    order = np.lexsort((run.times, run.neurons))  # of a neuron the first, the second, and so on

    def value(net: EventNetwork, times: np.ndarray) -> float:
        other = _run(net, times, sources, samples)
        same = np.lexsort((other.times, other.neurons))
        assert np.array_equal(other.neurons[same], run.neurons[order])
        return float(by_times[order] @ np.sin(other.times[same]) + (by_membranes * np.tanh(other.membranes)).sum())

    found = _quiet(net, run, by_times * np.cos(run.times), by_membranes / np.cosh(run.membranes) ** 2)
    step = 1e-6
    for name in ("inputs", "weights"):
        exact, wanted = getattr(found, name), np.zeros_like(getattr(found, name))
        for index in np.ndindex(exact.shape):
            sides = []
            for sign in (1, -1):
                changed = getattr(net, name).copy()
                changed[index] += sign * step
                sides.append(value(replace(net, **{name: changed}), times))
            wanted[index] = (sides[0] - sides[1]) / (2 * step)
        assert np.abs(exact - wanted).max() <= 1e-5 * np.abs(wanted).max(), name
    moved = [(value(net, times + d) - value(net, times - d)) / (2 * step) for d in step * np.eye(15)]
    assert np.abs(found.times - moved).max() <= 1e-5 * np.abs(moved).max()


def _run(net: EventNetwork, times: np.ndarray, sources: np.ndarray, samples: np.ndarray) -> Trajectory:
    return simulate(net, times.tolist(), sources.tolist(), 40.0, samples.tolist())


def _quiet(net: EventNetwork, run: Trajectory, *by: np.ndarray) -> Gradient:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpikeflowWarning)
        return gradient(net, run, *by)


def test_silent_neurons_are_told() -> None:
    inputs = np.array([[3.9], [0.1], [6.0]])
    net = EventNetwork(inputs, np.zeros((3, 3)), 10.0, 5.0)
    run = simulate(net, [1.0], [0], 20.0)
    with pytest.warns(SpikeflowWarning, match=r"neurons 0, 1 are silent"):
        found = gradient(net, run, np.ones(len(run.times)))
    assert found.silent == (0, 1) and found.warnings and not found.inputs[:2].any() and found.inputs[2, 0] < 0


def test_wrong_event_networks_by_name() -> None:
    one = np.ones((1, 1))
    with pytest.raises(ShapeError, match="weights"):
        EventNetwork(one, np.ones((2, 2)))
    with pytest.raises(DataError, match="tau_s"):
        EventNetwork(one, one, tau_s=0.0)
    net = EventNetwork(one, one)
    for words, match in ((([2.0], [0], 1.0), "times"), (([0.0], [1], 1.0), "sources"), (([np.nan], [0], 1.0), "times")):
        with pytest.raises(DataError, match=match):
            simulate(net, *words)
    with pytest.raises(DataError, match="spikes"):
        simulate(EventNetwork(50 * one, 50 * one), [0.0], [0], 1e9)


TAU_M, TAU_S, TAU_OUT, END, SIZES = 20.0, 5.0, 15.0, 40.0, (6, 8, 7, 3)


def _in_both(steps: int, seed: int) -> list[float]:
    """Largest differences of the gradients of three layers, in steps of 1 / steps, from the exact ones."""
    draw = np.random.default_rng(seed)
    first, second = draw.normal(1.6, 0.8, (8, 6)), draw.normal(1.2, 0.6, (7, 8))
    out, target = draw.normal(0, 0.5, (3, 7)), draw.normal(size=3)
    times, sources = np.round(draw.uniform(1, 25, 12) * 4) / 4, draw.integers(0, 6, 12)
    inputs, between = np.zeros((15, 6)), np.zeros((15, 15))
    inputs[:8], between[8:, :8] = first, second
    net = EventNetwork(inputs, between, TAU_M, TAU_S)
    run = simulate(net, times.tolist(), sources.tolist(), END)
    last = run.neurons >= 8
    kernel = np.exp((run.times - END) / TAU_OUT) * last
    each = out[:, np.where(last, run.neurons - 8, 0)] * kernel
    error = each.sum(1) - target  # of half the squared distance at the end
    found = _quiet(net, run, error @ each / TAU_OUT)
    by_out = np.zeros_like(out)
    np.add.at(by_out.T, (run.neurons - 8)[last], np.outer(kernel[last], error))
    decays = [float(np.exp(-1 / steps / tau)) for tau in (TAU_M, TAU_S, TAU_OUT)]
    weights = (first * (1 - decays[0]), second * (1 - decays[0]), out)
    layers = _layers(decays, weights)
    x = torch.zeros(int(END * steps), 1, 6, dtype=torch.float64)
    np.add.at(x.numpy(), ((times * steps).round().astype(int), 0, sources), 1)
    goal = torch.tensor(target)
    backward(Rule("eventprop"), layers, x, lambda o: 0.5 * (o[-1, 0] - goal).square().sum())
    exact = (found.inputs[:8] / (1 - decays[0]), found.weights[8:, :8] / (1 - decays[0]), by_out)
    held = [layer.weight.grad.numpy() for layer in layers.layers[::2]]
    return [float(np.abs(a - b).max() / np.abs(b).max()) for a, b in zip(held, exact, strict=True)]


def _layers(decays: list[float], weights: tuple[np.ndarray, ...]) -> Sequential:
    cells = [Neuron(CubaLIF(decays[1], decays[0])) for _ in range(2)]
    dense = [nn.Linear(n, m, False) for n, m in zip(SIZES[:-1], SIZES[1:], strict=True)]
    made = Sequential(
        dense[0], cells[0], dense[1], cells[1], dense[2], Neuron(LeakyIntegrator(decays[2], "raw"))
    ).double()
    with torch.no_grad():
        for layer, weight in zip(dense, weights, strict=True):
            layer.weight.copy_(torch.from_numpy(weight))
    return made


@pytest.mark.parametrize("seed", range(2))
def test_in_short_steps_it_is_the_exact_gradient(seed: int) -> None:
    coarse, fine = _in_both(16, seed), _in_both(1024, seed)
    # spikes move by a step at most, and gradients with them, near the peaks of membranes by more; within a step
    # it is open whether a spike comes before the one that it may cause
    assert max(fine) < 0.03, fine
    assert max(fine) < max(coarse), (fine, coarse)


def test_both_conventions_and_both_resets_are_the_same_rule() -> None:
    grads = []
    x = (torch.rand(30, 5, 6, generator=torch.Generator().manual_seed(0)) < 0.2).double()
    for convention, reset in (("raw", "zero"), ("normalised", "zero"), ("raw", "subtract")):
        torch.manual_seed(0)
        dense = nn.Linear(6, 8)
        net = Sequential(dense, Neuron(CubaLIF(0.7, 0.9, 1.0, reset, convention)), nn.Linear(8, 3), Neuron(LeakyIntegrator(0.9)))
        net.double()
        scale = 0.3 * 0.1 if convention == "raw" else 1.0
        with torch.no_grad():
            dense.weight.mul_(40).abs_().mul_(scale)
            dense.bias.mul_(scale)
        backward(Rule("eventprop"), net, x, lambda o: o.square().mean())
        grads.append(dense.weight.grad * scale)
    assert torch.allclose(grads[0], grads[1], rtol=1e-9) and grads[0].abs().max() > 0
    assert not torch.allclose(grads[0], grads[2])  # what goes beyond the threshold stays, in steps


STEPS = 24


def _latency() -> Splits:
    """Digits, each pixel one spike, the earlier the darker."""
    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order] / 16, y[order]
    spikes = np.zeros((len(x), STEPS, 64), np.float32)
    sample, pixel = np.nonzero(x > 0.1)
    spikes[sample, np.round((1 - x[sample, pixel]) * STEPS / 2).astype(int), pixel] = 1
    parts = np.split(np.arange(len(x)), [1200, 1400])
    return Splits(*(Arrays(spikes[p], y[p], batch_size=40, seed=1, shuffle=k == 0) for k, p in enumerate(parts)))


def test_digits_coded_by_latency_are_learned_by_it_alone() -> None:
    accuracies = []
    for learns in (True, False):
        torch.manual_seed(0)
        net = Sequential(
            nn.Linear(64, 30), Neuron(CubaLIF(0.7, 0.9, convention="normalised")), nn.Linear(30, 10),
            Neuron(LeakyIntegrator(0.95, "raw")),
        )  # fmt: skip
        with torch.no_grad():
            net.layers[0].weight.normal_(1, 2)
        net.layers[0].requires_grad_(learns)
        recipe = Recipe(8, loss=Loss(reading="mean"), optimiser=Optimiser(rate=2e-2, clip=1.0), rule=Rule("eventprop"))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "rule eventprop: neurons of layers.1 do not spike", SpikeflowWarning)
            found = fit(net, _latency(), recipe)
        assert found.test is not None
        accuracies.append(found.test.accuracy)
    # measured: 0.89 with 30 hidden neurons, and 0.78 where the read-out alone learns
    assert accuracies[0] > 0.85 and accuracies[0] > accuracies[1] + 0.05, accuracies


def test_what_it_does_not_cover_is_refused_by_name_and_silence_told() -> None:
    x, labels = torch.rand(9, 4, 6), torch.tensor([0, 2, 1, 1])

    def run(cells: nn.Module, read_out: nn.Module, reading: str = "mean") -> None:
        net = Sequential(nn.Linear(6, 5), cells, nn.Linear(5, 3), read_out)
        backward(Rule("eventprop"), net, x, lambda o: loss.cross_entropy(o, labels, reading=reading))

    out = Neuron(LeakyIntegrator())
    for cells, match in (
        (Neuron(LIF()), "LIF"),
        (Neuron(CubaLIF(refractory=2)), "a refractory period"),
        (Neuron(CubaLIF(reset="none")), "reset none"),
        (Neuron(CubaLIF(), learn="decay"), "learned parameters"),
        (Recurrent(Neuron(CubaLIF()), nn.Linear(5, 5)), "Recurrent, whose spikes come back"),
    ):
        with pytest.raises(UnsupportedLayer, match=rf"layers\.1, rule eventprop: {match}"):
            run(cells, out)
    with pytest.raises(DataError, match="rule eventprop: got a loss that counts spikes"):
        run(Neuron(CubaLIF(threshold=0.1)), Neuron(Integrator()), "last")
    with pytest.warns(SpikeflowWarning, match=r"neurons of layers\.1 do not spike in a batch"):
        run(Neuron(CubaLIF(threshold=1e6)), out)

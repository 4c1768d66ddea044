"""Digits without labels: a layer of neurons learns by STDP what digits look like; labels only name the neurons afterwards.

    python examples/unlabelled_digits.py                                    # scikit-learn's digits, seconds
    python examples/unlabelled_digits.py --mnist FOLDER --samples 36000     # MNIST's idx files

After Diehl and Cook 2015, doi 10.3389/fncom.2015.00099: spikes at rates of the pixels, neurons that learn all of them, inhibit
each other and tire (thresholds that rise with each spike), weights scaled to one sum.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.events import Spikes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output
from spikeflow.ir.plastic import Plastic
from spikeflow.neurons import ALIF, LIF
from spikeflow.neurons.stdp import PairSTDP, homeostatic
from spikeflow.sim import prepare, with_weights
from spikeflow.sim.state import State


@dataclass(frozen=True)
class Setting:
    """A layer of neurons and how a digit is shown to it."""

    pixels: int
    neurons: int
    steps: int = 40  # of a digit
    rest: int = 10  # steps without input between two digits
    rate: float = 0.6  # spikes a step of a white pixel, in a digit of as much ink as `ink` says
    ink: float = 0.13  # mean of a digit's pixels
    total: float = 6.4  # sum of the weights onto a neuron
    rates: tuple[float, ...] = (0.002, 0.0007, 0.0003)  # of learning, one after the other, for as many images each
    forgetting: float = 0.0  # by spikes that come after the neuron's
    trace: float = 0.9  # a step
    decay: float = 0.95  # of the potential, a step
    threshold: float = 1.0
    tiring: float = 0.5  # by how much a spike raises the threshold
    recovery: float = 4e-6  # of that, a step
    inhibition: float = 20.0


def network(s: Setting, seed: int, rate: float) -> Graph:
    """Spikes of pixels, synapses that learn at a rate, neurons that inhibit each other."""
    rng = np.random.default_rng(seed)
    weights = rng.random((s.neurons, s.pixels)).astype(np.float32)
    weights *= s.total / weights.sum(axis=1, keepdims=True)
    highest = 10 * s.total / s.pixels  # so that a neuron cannot live on less than a tenth of the pixels
    pairs = PairSTDP(rate, s.forgetting, decay_plus=s.trace, decay_minus=s.trace, high=highest)
    rule = homeostatic(pairs.plasticity(), s.total, s.steps + s.rest)
    others = s.inhibition * (np.eye(s.neurons, dtype=np.float32) - 1)
    nodes = {
        "pixels": Input((s.pixels,), "spikes"),
        "synapses": Linear(weights, plastic=Plastic(rule, post="neurons")),
        "inhibition": Linear(others),
        "neurons": ALIF(s.decay, 1.0 - s.recovery, s.tiring, s.threshold, "zero").node((s.neurons,)),
        "out": Output(),
    }
    edges = [Edge("pixels", "synapses"), Edge("synapses", "neurons"), Edge("neurons", "out")]
    edges += [Edge("neurons", "inhibition", delay=1), Edge("inhibition", "neurons")]
    return Graph(nodes, tuple(edges))


def spikes(s: Setting, x: Any, rng: np.random.Generator, row: bool) -> Spikes:
    """Images ``(N, pixels)`` of 0 to 1 as spikes: one after the other, or each in a row of its own."""
    length = s.steps + s.rest
    image, pixel = np.nonzero(x)
    even = s.ink * x / x.mean(axis=1, keepdims=True)  # thin digits are to drive neurons as much as others
    on = rng.random((s.steps, len(image)), np.float32) < s.rate * even[image, pixel]
    step, which = np.nonzero(on)
    sample, time = (image[which], step) if row else (np.zeros(len(which), np.int64), image[which] * length + step)
    order = np.lexsort((pixel[which], time, sample))
    made = (a[order].astype(np.int32) for a in (sample, time, pixel[which]))
    samples, steps = (len(x), length) if row else (1, len(x) * length)
    return Spikes(*made, np.ones(len(order), np.float32), samples, steps, (s.pixels,))  # type: ignore[call-arg]


def learned(s: Setting, x: Any, seed: int) -> Graph:
    """Show the images once; the network with what was learned, its weights and thresholds at rest."""
    graph, state = network(s, seed, s.rates[0]), None
    for stage, (rate, images) in enumerate(zip(s.rates, np.array_split(x, len(s.rates)), strict=True)):
        graph = network(s, seed, rate) if state is None else slower(graph, state, network(s, seed, rate))
        live, rng = prepare(graph).begin(), np.random.default_rng(seed + 1 + stage)
        for first in range(0, len(images), 500):
            part = images[first : first + 500]
            live.advance(spikes(s, part, rng, row=False), len(part) * (s.steps + s.rest))
        state = live.state()
    assert state is not None
    return at_rest(s, graph, state)


def slower(graph: Graph, state: State, other: Graph) -> Graph:
    """Another network, with another rate of learning, that begins with what was learned and how tired neurons are."""
    weights = with_weights(graph, state).nodes["synapses"].weight  # type: ignore[union-attr]
    neurons: Any = other.nodes["neurons"]
    tired = replace(neurons, initial={**neurons.initial, "a": state.memory["neurons"]["a"][0]})
    return other.with_nodes({"synapses": replace(other.nodes["synapses"], weight=weights), "neurons": tired})  # type: ignore[call-arg]


def at_rest(s: Setting, graph: Graph, state: State) -> Graph:
    tired = state.memory["neurons"]["a"][0]
    neurons = LIF(s.decay, s.threshold + s.tiring * tired, "zero").node((s.neurons,))
    return with_weights(graph, state, learns=False).with_nodes({"neurons": neurons})


def responses(s: Setting, graph: Graph, x: Any, seed: int) -> Any:
    """How often each neuron spikes for each image, ``(N, neurons)``."""
    run, rng, found = prepare(graph), np.random.default_rng(seed), []
    for first in range(0, len(x), 500):
        part = spikes(s, x[first : first + 500], rng, row=True)
        found.append(run(part, s.steps + s.rest, keep_state=False).output.sum(axis=0))
    return np.concatenate(found)


def names(counts: Any, labels: Any, classes: int = 10) -> Any:
    """The class for which a neuron spikes most, by the mean over images: the only use of labels."""
    mean = np.stack([counts[labels == c].mean(axis=0) for c in range(classes)])
    return np.where(counts.any(axis=0), mean.argmax(axis=0), -1)


def answers(counts: Any, name: Any, classes: int = 10) -> Any:
    """The class whose neurons spike most, on average."""
    votes = [counts[:, name == c].mean(axis=1) if (name == c).any() else np.full(len(counts), -1.0) for c in range(classes)]
    return np.stack(votes).argmax(axis=0)


def digits() -> tuple[Any, Any, Any, Any]:
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, order = x / 16, np.random.default_rng(0).permutation(len(y))
    x, y = x[order], y[order]
    return x[:1400], y[:1400], x[1400:], y[1400:]


def mnist(folder: Path, samples: int) -> tuple[Any, Any, Any, Any]:
    from spikeflow.datasets.stored.idx import read_idx

    def read(name: str) -> Any:
        found = sorted(folder.rglob(f"{name}*"))
        if not found:
            raise SystemExit(f"{folder} has no file {name}*: --mnist takes the folder of MNIST's four idx files")
        return read_idx(found[0])

    train, test = (read(f"{part}-images").reshape(-1, 784) / np.float32(255) for part in ("train", "t10k"))
    return train[:samples], read("train-labels")[:samples], test, read("t10k-labels")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, help="folder of MNIST's idx files; without it scikit-learn's digits")
    parser.add_argument("--samples", type=int, default=36000, help="images of MNIST to learn from")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    x, y, test_x, test_y = digits() if args.mnist is None else mnist(args.mnist, args.samples)
    small = Setting(64, 100, rest=5, rate=0.4, ink=0.3, rates=(0.01,), threshold=5.0, tiring=0.2, recovery=8e-6)
    s = small if args.mnist is None else Setting(784, 400)
    graph = learned(s, np.concatenate([x] * (5 if args.mnist is None else 1)), args.seed)
    name = names(responses(s, graph, x[:10000], args.seed + 2), y[:10000])
    found = answers(responses(s, graph, test_x, args.seed + 3), name)
    print(f"{(name >= 0).sum()} of {s.neurons} neurons named; {100 * (found == test_y).mean():.1f} % of {len(test_y)} test digits")


if __name__ == "__main__":
    main()

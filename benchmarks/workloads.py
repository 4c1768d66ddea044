"""The networks that are measured, each as a graph with its input; all peers get the same weights and input.

LIF neurons everywhere: v <- 0.9 v + x, a spike where v >= 1, then v <- v - 1; no bias. Weights are normal and seeded,
times one gain for each layer, found once by bisection so that every layer is as active as the input. Three networks:
layers 784-1024-1024-10; convolutions of 3 x 3 over 2 x 34 x 34 (the size of N-MNIST) to 16, 32 and 64 channels, with
sums over 2 x 2 behind each, and a layer of 10; 100 inputs to 1,000 neurons that all hear each other a step later.
"codes" are the same weights as integers of 8 bits with one scale a layer: the peers get code times scale in floats.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.ir.arrays import Codes
from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Conv2d, Input, Linear, Node, Output, SumPool
from spikeflow.neurons import LIF

HERE = Path(__file__).resolve().parent
CACHE = HERE / ".cache"
DECAY = 0.9
LAYERS = (784, 1024, 1024, 10)
CHANNELS = (2, 16, 32, 64)
SIDES = (34, 17, 8, 4)  # of the image at each convolution, and behind the last sum
DRIVERS, NEURONS = 100, 1000
DENSITIES = (0.01, 0.05, 0.2)
BATCHES = (1, 32)
STEPS = 100
WEIGHT_SEED, INPUT_SEED, DELAY_SEED = 7, 3, 11
# by `calibrated_gains`, on this density of input spikes
GAINS = {
    0.01: (1.497988157220795, 1.3454756784613087, 1.0391533561420667),
    0.05: (0.6989434026589506, 0.6348178653189762, 0.6717854180533497),
    0.2: (0.44948093151979823, 0.4013710303901064, 0.4230379906803507),
}

# of the convolutional network, by bisection on two samples like the others
CONV_GAINS = {
    0.01: (2.6989089017633985, 0.6770877634724773, 0.5289568703549117, 0.3566750061654945),
    0.05: (2.549190141509513, 0.35280333162625893, 0.28993484958023985, 0.169868336351225),
    0.2: (3.176282708675142, 0.23761869095775273, 0.2025327729699762, 0.10542517513998029),
}
# of the recurrent network: of the input, by bisection on 400 steps, and of the synapses in between
RECURRENT_GAINS = {0.01: (2.88051495432781, 0.5), 0.05: (3.486212512580057, 0.5)}
RECURRENT_STEPS = 1000


@dataclass(frozen=True, eq=False)
class Workload:
    """A network and its input.

    Parameters
    ----------
    family : workloads of one family differ in weights and input only, so that what was compiled stays valid.
    inputs : 0 and 1 for each step ``(T, B, *shape)``, or, where `constant`, one current ``(B, *shape)``.
    unroll : whether a peer's whole sequence is compiled as one; large networks take hours.
    recurrent : whether spikes come back, so that no peer can run layer by layer.
    """

    name: str
    family: str
    graph: Graph
    inputs: np.ndarray
    steps: int
    constant: bool = False
    unroll: bool = True
    recurrent: bool = False
    facts: tuple[tuple[str, Any], ...] = ()


def raw_weights(layers: tuple[int, ...] = LAYERS) -> list[np.ndarray]:
    """Seeded normal weights ``(out, in)`` before the gain."""
    r = np.random.default_rng(WEIGHT_SEED)
    return [
        r.normal(0.1, 1.0, (o, i)).astype(np.float32) / np.sqrt(i)
        for i, o in zip(layers[:-1], layers[1:], strict=True)
    ]


def weights(density: float) -> list[np.ndarray]:
    """Weights that make every layer about as active as an input of this density."""
    return [(w * g).astype(np.float32) for w, g in zip(raw_weights(), GAINS[density], strict=True)]


def input_spikes(density: float, batch: int, steps: int = STEPS) -> np.ndarray:
    """Independent spikes ``(T, B, 784)``, 0 or 1."""
    return _spikes((LAYERS[0],), density, batch, steps)


def lif(x: np.ndarray) -> np.ndarray:
    """Spikes of currents ``(T, ...)``: the neuron of the LIF network by itself."""
    v = np.zeros(x.shape[1:], np.float32)
    out = np.empty(x.shape, np.uint8)
    for t in range(len(x)):
        v = np.float32(DECAY) * v + x[t]
        out[t] = v >= 1
        v = v - out[t]
    return out


def calibrated_gains(density: float) -> tuple[float, ...]:
    """The gains by bisection: mean activity of each layer equal to the input's."""
    spikes, gains = input_spikes(density, 2), []
    for w in raw_weights():
        current = (spikes.reshape(-1, w.shape[1]).astype(np.float32) @ w.T).reshape(*spikes.shape[:2], -1)
        low, high, gain = 0.01, 100.0, 1.0
        for _ in range(25):
            gain = float(np.sqrt(low * high))
            low, high = (gain, high) if lif(current * gain).mean() < density else (low, gain)
        gains.append(gain)
        spikes = lif(current * gain)
    return tuple(gains)


def as_codes(w: np.ndarray) -> Codes:
    """The weights as integers of 8 bits, the largest 127."""
    scale = float(np.abs(w).max()) / 127
    return Codes(np.rint(w / scale).astype(np.int16), scale)


def _chain(nodes: dict[str, Node]) -> Graph:
    names = list(nodes)
    return Graph(nodes, tuple(Edge(a, b) for a, b in zip(names[:-1], names[1:], strict=True)))


def _spikes(shape: tuple[int, ...], density: float, batch: int, steps: int) -> np.ndarray:
    draw = np.random.default_rng(INPUT_SEED).random((steps, batch, *shape))
    return (draw < density).astype(np.uint8)


def _facts(density: float, batch: int, codes: bool) -> tuple[tuple[str, Any], ...]:
    weights = "8-bit codes" if codes else "float32"
    seeds = ("weight_seed", WEIGHT_SEED), ("input_seed", INPUT_SEED)
    return ("density", density), ("batch", batch), ("weights", weights), *seeds


def _named(family: str, density: float, codes: bool) -> str:
    kind, batch = family.split(" ", 1)
    return f"{kind} density {100 * density:g} % {batch}{' codes' if codes else ''}"


def conv_network(density: float, batch: int, codes: bool = False, steps: int = STEPS) -> Workload:
    """The convolutional network on spikes of one density."""
    r, gains, family = np.random.default_rng(WEIGHT_SEED), CONV_GAINS[density], f"conv batch {batch}"
    form: Any = as_codes if codes else np.asarray
    nodes: dict[str, Node] = {"input": Input((CHANNELS[0], SIDES[0], SIDES[0]))}
    for k, (i, o, side) in enumerate(zip(CHANNELS[:-1], CHANNELS[1:], SIDES[:-1], strict=True)):
        w = r.normal(0.1, 1.0, (o, i, 3, 3)).astype(np.float32) / np.sqrt(9 * i)
        nodes[f"conv{k}"] = Conv2d(form((w * gains[k]).astype(np.float32)), padding=((1, 1), (1, 1)))
        nodes[f"lif{k}"] = LIF(DECAY, 1.0, "subtract").node((o, side, side))
        nodes[f"pool{k}"] = SumPool((2, 2), (2, 2))
    w = r.normal(0.1, 1.0, (10, CHANNELS[-1] * SIDES[-1] ** 2)).astype(np.float32) / 32.0
    nodes["dense"] = Linear(form((w * gains[3]).astype(np.float32)))
    nodes |= {"lif3": LIF(DECAY, 1.0, "subtract").node((10,)), "output": Output()}
    inputs, facts = _spikes(nodes["input"].shape, density, batch, steps), _facts(density, batch, codes)
    return Workload(_named(family, density, codes), family, _chain(nodes), inputs, steps, facts=facts)


def recurrent_network(density: float, codes: bool = False, steps: int = RECURRENT_STEPS) -> Workload:
    """One sample of the recurrent network, whose neurons are about as active as its input."""
    r, gains, family = np.random.default_rng(WEIGHT_SEED), RECURRENT_GAINS[density], "recurrent batch 1"
    form: Any = as_codes if codes else np.asarray
    driven = r.normal(0.0, 1.0, (NEURONS, DRIVERS)).astype(np.float32) / 10.0
    back = r.normal(-0.2, 1.0, (NEURONS, NEURONS)).astype(np.float32) / np.sqrt(NEURONS)
    nodes: dict[str, Node] = {
        "input": Input((DRIVERS,)),
        "driven": Linear(form((driven * gains[0]).astype(np.float32))),
        "back": Linear(form((back * gains[1]).astype(np.float32))),
        "lif": LIF(DECAY, 1.0, "subtract").node((NEURONS,)),
        "output": Output(),
    }
    edges = (
        Edge("input", "driven"),
        Edge("driven", "lif"),
        Edge("lif", "back", delay=1),
        Edge("back", "lif"),
        Edge("lif", "output"),
    )
    inputs, facts = _spikes((DRIVERS,), density, 1, steps), _facts(density, 1, codes)
    name, graph = _named(family, density, codes), Graph(nodes, edges)
    return Workload(name, family, graph, inputs, steps, unroll=False, recurrent=True, facts=facts)


def lif_graph(matrices: list[np.ndarray], codes: bool = False) -> Graph:
    """Layers of LIF neurons that reset by subtraction, the last one's spikes as output."""
    nodes: dict[str, Node] = {"input": Input((matrices[0].shape[1],))}
    for k, w in enumerate(matrices):
        nodes[f"dense{k}"] = Linear(as_codes(w) if codes else w)
        nodes[f"lif{k}"] = LIF(DECAY, 1.0, "subtract").node((len(w),))
    nodes["output"] = Output()
    return _chain(nodes)


def lif_network(density: float, batch: int, codes: bool = False, steps: int = STEPS) -> Workload:
    """The 784-1024-1024-10 network on spikes of one density."""
    family, graph = f"lif batch {batch}", lif_graph(weights(density), codes)
    inputs, facts = input_spikes(density, batch, steps), _facts(density, batch, codes)
    return Workload(_named(family, density, codes), family, graph, inputs, steps, facts=facts)


def delayed_network(batch: int) -> Workload:
    """The same network at 5 % with a delay of 0 to 7 steps on every synapse."""
    work, r = lif_network(0.05, batch), np.random.default_rng(DELAY_SEED)
    linear = {n: node for n, node in work.graph.nodes.items() if isinstance(node, Linear)}
    delays = {n: r.integers(0, 8, node.weight.shape).astype(np.int32) for n, node in linear.items()}
    later = {n: replace(node, delays=delays[n]) for n, node in linear.items()}
    name, facts = f"delays batch {batch}", (*work.facts, ("delay_seed", DELAY_SEED))
    return replace(work, name=name, family=name, graph=work.graph.with_nodes(later), facts=facts)


def digits_files(steps: int) -> tuple[Any, Any, Any]:
    """Calibration, test, and the demo's convolutional network on scikit-learn's digits, trained by its example, converted."""
    from spikeflow.convert import convert

    # named by the example's text: a network kept from an older example would not be the demo's
    example = HERE.parent / "examples" / "train_ann.py"
    folder = CACHE / f"digits-{hashlib.sha256(example.read_bytes()).hexdigest()[:12]}"
    if not (folder / "test.npz").exists():
        # the same Python, one process: the example is the definition of the network
        subprocess.run(
            [sys.executable, example, "--out", folder],
            check=True,
            env={**os.environ, "PYTHONPATH": str(HERE.parent)},
            stdout=sys.stderr,
        )
    calibration, test = np.load(folder / "calib.npz"), np.load(folder / "test.npz")
    return calibration, test, convert(folder / "ann.pt", calibration["x"], calibration["y"], steps=steps).network


def digits(batch: int, steps: int = 64) -> Workload:
    """The demo's network."""
    _, test, network = digits_files(steps)
    return Workload(
        f"digits batch {batch}",
        f"digits batch {batch}",
        network.graph,
        test["x"][:batch],
        steps,
        constant=True,
        facts=(("batch", batch), ("training_seed", 0)),
    )


def cifar10(folder: Path, batch: int, steps: int = 32) -> Workload:
    """The pretrained ResNet-20 for CIFAR-10, converted with 500 training images."""
    import cifar

    from spikeflow.convert import convert

    training, test = cifar.load(folder, "train", 500), cifar.load(folder, "test", batch)
    checkpoint = next((folder / "pretrained" / "cifar10_resnet").glob("resnet20-*.th"))
    network = convert(checkpoint, training.x, training.y, steps=steps, arch="architectures:resnet20").network
    return Workload(
        f"resnet20 batch {batch}",
        f"resnet20 batch {batch}",
        network.graph,
        test.x,
        steps,
        constant=True,
        unroll=False,
        facts=(("batch", batch),),
    )

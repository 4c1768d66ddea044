"""The cortical microcircuit: eight populations, 77,169 neurons and 298.9 million synapses at full scale.

    python examples/microcircuit.py [--scale 0.1] [--seconds 1] [--drive poisson|dc] [--seed 1] [--threads 0]

After Potjans and Diesmann (Cerebral Cortex 24, 2014); smaller scales have fewer neurons and synapses, stronger weights and a
constant current that keeps the mean input (van Albada and others, PLoS Computational Biology 11, 2015). Prints the rate of
each population beside the published one. Units: ms, mV, pA, pF.
"""

from __future__ import annotations

import argparse

import numpy as np

from spikeflow.ir.graph import Graph
from spikeflow.ir.projections import FixedTotal, Normal
from spikeflow.neurons import CubaLIF
from spikeflow.populations import Populations, ms
from spikeflow.sim import prepare

NAMES = ("L23E", "L23I", "L4E", "L4I", "L5E", "L5I", "L6E", "L6I")
SIZES = np.array([20683, 5834, 21915, 5479, 4850, 1065, 14395, 2948])
CHANCES = np.array([  # row: target, column: source
    [0.1009, 0.1689, 0.0437, 0.0818, 0.0323, 0.0, 0.0076, 0.0],
    [0.1346, 0.1371, 0.0316, 0.0515, 0.0755, 0.0, 0.0042, 0.0],
    [0.0077, 0.0059, 0.0497, 0.135, 0.0067, 0.0003, 0.0453, 0.0],
    [0.0691, 0.0029, 0.0794, 0.1597, 0.0033, 0.0, 0.1057, 0.0],
    [0.1004, 0.0622, 0.0505, 0.0057, 0.0831, 0.3726, 0.0204, 0.0],
    [0.0548, 0.0269, 0.0257, 0.0022, 0.06, 0.3158, 0.0086, 0.0],
    [0.0156, 0.0066, 0.0211, 0.0166, 0.0572, 0.0197, 0.0396, 0.2252],
    [0.0364, 0.001, 0.0034, 0.0005, 0.0277, 0.008, 0.0658, 0.1443]])  # fmt: skip
EXTERNAL = np.array([1600, 1500, 2100, 1900, 2000, 1900, 2900, 2100])  # synapses of 8 spikes a second
PUBLISHED_HZ = np.array([0.903, 2.965, 4.414, 5.876, 7.569, 8.633, 1.105, 7.829])
START = ((-3.28, 5.36), (1.84, 4.57), (1.67, 4.74), (1.55, 4.94), (1.89, 4.94), (3.34, 4.55), (-1.72, 5.46), (3.57, 4.48))
DT, TAU, TAU_SYNAPSE, CAPACITY = 0.1, 10.0, 0.5, 250.0
LEAK, DECAY = np.exp(-DT / TAU), np.exp(-DT / TAU_SYNAPSE)
# what a pA does to the membrane in a step: of a current that decays, and of one that stays
DECAYING = TAU * TAU_SYNAPSE / (CAPACITY * (TAU - TAU_SYNAPSE)) * (LEAK - DECAY)
CONSTANT = TAU / CAPACITY * (1 - LEAK)
WEIGHT, RELATIVE_INHIBITION = 87.81, -4.0


def network(scale: float, drive: str, seed: int) -> Graph:
    """The circuit with so many of its neurons, and so many synapses for each of them."""
    pairs = np.outer(SIZES, SIZES).astype(float)
    in_degree = np.log(1 - CHANCES) / np.log((pairs - 1) / pairs) / SIZES[:, None]
    weight = np.tile([WEIGHT, WEIGHT * RELATIVE_INHIBITION], (8, 4))
    weight[0, 2] *= 2
    mean = (weight * in_degree) @ PUBLISHED_HZ + WEIGHT * EXTERNAL * 8.0
    current = 1e-3 * TAU_SYNAPSE * (1 - np.sqrt(scale)) * mean
    if drive == "dc":
        current += 1e-3 * TAU_SYNAPSE * np.sqrt(scale) * WEIGHT * EXTERNAL * 8.0
    weight *= DECAYING / np.sqrt(scale)
    net = Populations(ms(DT), seed, bits=8, scale=float(np.abs(weight).max() * 1.5 / 127))
    sizes, cell = np.round(SIZES * scale).astype(int), CubaLIF(float(DECAY), float(LEAK), 15.0, refractory=20)
    for i, name in enumerate(NAMES):
        net.add(name, cell, int(sizes[i]), {"v": Normal(*START[i]), "u": current[i] * CONSTANT})
        net.current(name, current[i] * CONSTANT * (1 - DECAY))
        if drive == "poisson":
            net.drive(f"{name} drive", name, EXTERNAL[i] * scale * 8.0, WEIGHT * DECAYING / np.sqrt(scale))
    for (i, j), chance in np.ndenumerate(CHANCES):
        w, inhibits = weight[i, j], j % 2
        spread = Normal(w, abs(w) / 10, None if inhibits else 0.0, 0.0 if inhibits else None)
        mean_delay = 0.75 if inhibits else 1.5
        # a spike reaches the membrane in the step in which it arrives, in other simulators one later
        delay = Normal(ms(mean_delay + DT), ms(mean_delay / 2), ms(2 * DT), ms(mean_delay * 4 + DT))
        if chance:
            count = round(in_degree[i, j] * scale * int(sizes[i]))
            net.project(NAMES[j], NAMES[i], FixedTotal(count), spread, delay)
    return net.graph()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--drive", choices=("poisson", "dc"), default="poisson")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.drive == "dc" and args.scale < 1:
        parser.error("a constant drive needs --scale 1: with what replaces missing synapses, smaller circuits stay silent")
    graph = network(args.scale, args.drive, args.seed)
    live, settling, steps = prepare(graph, "cpp", args.threads).begin(1), 3000, round(args.seconds * 1e4)
    live.advance({}, settling)
    counts = live.advance({}, steps).counts
    print("population  neurons  spikes a second  published")
    for name, published in zip(NAMES, PUBLISHED_HZ, strict=True):
        size = graph.shapes[name][0]
        print(f"{name:10} {size:8} {counts[name].spikes / size / args.seconds:16.3f} {published:10.3f}")


if __name__ == "__main__":
    main()

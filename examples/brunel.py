"""A small balanced random network: 800 excitatory and 200 inhibitory neurons with 100 synapses each, by rule.

    python examples/brunel.py [--seed 1] [--steps 10000]

After Brunel (2000), with a constant drive above threshold; inhibition is six times as strong as excitation. Prints
rate and irregularity (coefficient of variation of the intervals between spikes: 1 for a Poisson process, 0 for a clock).
"""

from __future__ import annotations

import argparse

import numpy as np

from spikeflow.ir.graph import Graph
from spikeflow.ir.projections import FixedInDegree
from spikeflow.neurons import LIF
from spikeflow.populations import Populations, ms, mV
from spikeflow.sim import Constant, prepare

DT_S = 1e-4
SIZES = {"E": 800, "I": 200}
DRIVE = mV(26)  # where the membrane would settle without a threshold


def network(seed: int) -> Graph:
    """Populations E and I, each fed from outside and joined with both."""
    net, draw = Populations(DT_S, seed), np.random.default_rng(seed)
    cell = LIF.from_tau(ms(20), DT_S, threshold=mV(20))
    for name, size in SIZES.items():
        net.add(name, cell, size, {"v": draw.uniform(0, mV(20), size).astype(np.float32)})
        net.feed(f"drive {name}", name)
    for post in SIZES:
        net.project("E", post, FixedInDegree(80, autapses=post != "E"), mV(0.6), ms(1.5))
        net.project("I", post, FixedInDegree(20, autapses=post != "I"), mV(-3.6), ms(1.5))
    return net.graph(record=["E", "I"])


def irregularity(spikes: np.ndarray) -> float:
    """Mean over neurons with three spikes or more of deviation over mean of their intervals; `spikes` is (T, N)."""
    intervals = (np.diff(np.flatnonzero(train)) for train in spikes.T)
    return float(np.mean([i.std() / i.mean() for i in intervals if i.size >= 2]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--steps", type=int, default=10_000)
    args = parser.parse_args()
    step = DRIVE * (1 - np.exp(-DT_S / ms(20)))
    drive = {f"drive {n}": Constant(np.full((1, size), step, np.float32)) for n, size in SIZES.items()}
    result = prepare(network(args.seed), "cpp", 1)(drive, args.steps)
    print(f"seed {args.seed}, {args.steps * DT_S:g} s")
    for name in SIZES:
        spikes = result.outputs[f"{name} out"][:, 0]
        rate = spikes.mean() / DT_S
        print(f"{name}: {rate:.2f} spikes a second, irregularity {irregularity(spikes):.2f}")


if __name__ == "__main__":
    main()

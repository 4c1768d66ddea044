"""What learning costs: the CPU time of networks whose synapses learn, against the same networks whose weights stay.

    python benchmarks/plasticity.py [--record]

Each pair runs interleaved in this process, one thread; the median of the ratios is printed, with the rates of spikes before and
behind the synapses. Weights hardly change (rates of 1e-4), so that both networks spike alike.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from spikeflow.ir.graph import Edge, Graph
from spikeflow.ir.nodes import Input, Linear, Output, Sparse
from spikeflow.ir.plastic import Plastic
from spikeflow.ir.plasticity import Plasticity
from spikeflow.neurons import LIF
from spikeflow.neurons.stdp import PairSTDP, RewardSTDP, TripletSTDP, homeostatic
from spikeflow.sim import Dense, engine
from spikeflow.sim.result import Result

RECORD = Path(__file__).parent / "records" / "plasticity.json"
SMALL = {"a_plus": 1e-4, "a_minus": 1e-4}
RULES: dict[str, Callable[[], Plasticity]] = {
    "pair": lambda: PairSTDP(**SMALL).plasticity(),
    "triplet": lambda: TripletSTDP(1e-4, 1e-4, 1e-4, 1e-4).plasticity(),
    "pair, scaled every 100 steps": lambda: homeostatic(PairSTDP(**SMALL).plasticity(), 60.0, 100),
    "reward in 1 % of steps": lambda: RewardSTDP(**SMALL, decay=0.99).plasticity(),
}
STEPS, REPEATS, SEED = 400, 7, 0


def dense(plastic: Plastic | None) -> Graph:
    """784 sources, 400 neurons, all to all, as on the page that learns MNIST: a neuron spikes in one step of 1,000."""
    weight = np.random.default_rng(SEED).random((400, 784)).astype(np.float32) * 0.3
    return around(Linear(weight, plastic=plastic), 784, 400, 40.0)


def sparse(plastic: Plastic | None) -> Graph:
    """2,000 sources, 2,000 neurons, 100 synapses a source, delays of 1 to 16 steps; as many spikes before as behind."""
    rng = np.random.default_rng(SEED)
    synapses = 200_000
    node = Sparse(
        np.arange(2001) * 100, rng.integers(0, 2000, synapses), rng.random(synapses).astype(np.float32), (2000,), (2000,),
        delays=rng.integers(1, 17, synapses), delay_scope="synapse", plastic=plastic,
    )  # fmt: skip
    return around(node, 2000, 2000, 15.5)


def around(node: Any, sources: int, neurons: int, threshold: float) -> Graph:
    nodes: dict[str, Any] = {
        "x": Input((sources,), "spikes"),
        "node": node,
        "cells": LIF(0.9, threshold).node((neurons,)),
        "out": Output(),
    }
    edges = [Edge("x", "node"), Edge("node", "cells"), Edge("cells", "out")]
    if node.plastic is not None and node.plastic.modulator:
        nodes["reward"] = Input((1,), "current")
    return Graph(nodes, tuple(edges))


def timed(run: Callable[[], Result]) -> float:
    begun = time.process_time()
    run()
    return time.process_time() - begun


def compared(make: Callable[[Plastic | None], Graph], rule: Plasticity) -> dict[str, float]:
    """The median ratio of CPU times, and how busy the network is."""
    modulated = rule.at_modulator is not None
    still, learning = make(None), make(Plastic(rule, "cells", "reward" if modulated else ""))
    rng = np.random.default_rng(SEED)
    spikes = Dense((rng.random((STEPS, 1, *still.shapes["x"])) < 0.03).astype(np.float32))
    reward = Dense(np.where(rng.random((STEPS, 1, 1)) < 0.01, 1, 0).astype(np.float32))
    runs = engine.prepare(still, 1), engine.prepare(learning, 1)
    inputs: tuple[Any, Any] = spikes, {"x": spikes, "reward": reward} if modulated else spikes
    found = [run(x, STEPS) for run, x in zip(runs, inputs, strict=True)]
    behind = [result.counts["cells"].spikes / STEPS / found[0].outputs["out"].shape[-1] for result in found]
    pairs = [
        [timed(lambda r=r, x=x: r(x, STEPS, keep_state=False)) for r, x in zip(runs, inputs, strict=True)]
        for _ in range(REPEATS)
    ]
    return {
        "ratio": median(b / a for a, b in pairs),
        "static_ms": 1e3 * median(a for a, _ in pairs),
        "rate_static": behind[0],
        "rate_learning": behind[1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--record", action="store_true", help=f"write {RECORD}")
    rows = {}
    args = parser.parse_args()
    for shape, make in {"784 to 400, all to all": dense, "2,000 to 2,000, 100 each, delays": sparse}.items():
        for name, rule in RULES.items():
            row = rows[f"{shape}: {name}"] = compared(make, replace(rule(), bounds=(0.0, 1.0)))
            print(
                f"{shape}: {name}: {row['ratio']:.2f} times the static network ({row['static_ms']:.1f} ms for {STEPS} steps; "
                f"spikes behind {100 * row['rate_static']:.2f} and {100 * row['rate_learning']:.2f} % a step)"
            )
    if args.record:
        RECORD.write_text(json.dumps({"steps": STEPS, "seed": SEED, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()

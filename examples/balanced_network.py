"""A balanced random network of 1,000 neurons (after Brunel, 2000): python examples/balanced_network.py [SEED]"""

import sys

import numpy as np

from spikeflow.ir.projections import FixedInDegree
from spikeflow.neurons import LIF
from spikeflow.populations import Populations, Uniform, ms, mV
from spikeflow.sim import run

DT_S, STEPS = 1e-4, 10_000
net = Populations(DT_S, seed=int(sys.argv[1]) if len(sys.argv) > 1 else 1)
cell = LIF(float(np.exp(-DT_S / ms(20))), mV(20), "value", reset_value=mV(10), refractory=20)
for name, size in {"E": 800, "I": 200}.items():
    net.add(name, cell, size, {"v": Uniform(0.0, mV(20))})
    net.drive(f"noise {name}", name, rate_hz=15_000, weight=mV(0.1))
for post in ("E", "I"):
    net.project("E", post, FixedInDegree(80), weight=mV(0.6), delay=ms(1.5))
    net.project("I", post, FixedInDegree(20), weight=mV(-3.6), delay=ms(1.5))
result = run(net.graph(record=["E", "I"]), {}, STEPS)
for name in ("E", "I"):
    spikes = result.outputs[f"{name} out"][:, 0]
    gaps = [np.diff(np.flatnonzero(train)) for train in spikes.T if train.sum() > 2]
    irregularity = np.mean([gap.std() / gap.mean() for gap in gaps])
    print(f"{name}: {spikes.mean() / DT_S:.2f} spikes a second, irregularity {irregularity:.2f}")

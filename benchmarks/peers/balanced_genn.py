"""The balanced random network of `networks.py` in GeNN, as a process of its own: one line of JSON.

    python benchmarks/peers/balanced_genn.py NEURONS SECONDS [1]

GeNN's CPU backend has one thread; its code is compiled with `optimize_code` (-O3 -ffast-math), without which it takes four
times as long. Weights are constants, synapses are drawn by GeNN with replacement, spikes wait in the queue of an axonal
delay. The first 0.2 s of biology are not timed. For a Python that has pygenn (5).
"""

from __future__ import annotations

import json
import os
import resource
import sys
import tempfile
import time
from typing import Any

import numpy as np
import pygenn

DT_MS, WARM_STEPS, SEED = 0.1, 2000, 1
DECAY = float(np.exp(-DT_MS / 20))
CELL = pygenn.create_neuron_model(
    "Cell",
    params=["Decay", "Drive"],
    vars=[("V", "scalar"), ("Rest", "int")],
    sim_code="if (Rest > 0) { Rest -= 1; } else { V = (V * Decay) + Drive + Isyn; }",
    threshold_condition_code="Rest == 0 && V >= 20.0",
    reset_code="V = 10.0; Rest = 20;",
)


def network(neurons: int, steps: int) -> tuple[Any, list[Any]]:
    """A model that is ready to run, and its populations."""
    model = pygenn.GeNNModel("float", "balanced", backend="single_threaded_cpu", optimize_code=True)
    model.dt, model.seed = DT_MS, SEED
    rng, cells = np.random.default_rng(SEED), {}
    for name, size in {"E": neurons * 8 // 10, "I": neurons * 2 // 10}.items():
        start = {"V": rng.uniform(0, 20, size), "Rest": 0}
        cells[name] = model.add_neuron_population(
            name, size, CELL, {"Decay": DECAY, "Drive": 26 * (1 - DECAY)}, start
        )
        cells[name].spike_recording_enabled = True
    for source, (weight, count) in {"E": (0.2, 800), "I": (-1.2, 200)}.items():
        for target in cells:
            synapses = model.add_synapse_population(
                f"{source}{target}",
                "SPARSE",
                cells[source],
                cells[target],
                pygenn.init_weight_update("StaticPulseConstantWeight", {"g": weight}),
                pygenn.init_postsynaptic("DeltaCurr"),
                pygenn.init_sparse_connectivity("FixedNumberPreWithReplacement", {"num": count}),
            )
            synapses.axonal_delay_steps = 15
    model.build()
    model.load(num_recording_timesteps=steps)
    return model, list(cells.values())


def measured(neurons: int, seconds: float) -> dict[str, float]:
    steps = round(seconds * 1000 / DT_MS)
    begun = time.process_time()
    model, cells = network(neurons, WARM_STEPS + steps)
    built = time.process_time() - begun
    for _ in range(WARM_STEPS):
        model.step_time()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(steps):
        model.step_time()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    model.pull_recording_buffers_from_device()
    spikes = sum(int((p.spike_recording_data[0][0] >= WARM_STEPS * DT_MS).sum()) for p in cells)
    return {
        "wall_per_s": wall / seconds,
        "cpu_per_s": cpu / seconds,
        "rate_hz": spikes / neurons / seconds,
        "build_cpu_s": built,
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # its code is written and compiled here
        print(json.dumps(measured(int(sys.argv[1]), float(sys.argv[2]))))

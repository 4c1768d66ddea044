"""The balanced random network of `networks.py` in Brian2, as a process of its own: one line of JSON.

    python benchmarks/peers/balanced_brian2.py NEURONS SECONDS THREADS

Brian2's standalone device writes C++, which is compiled with its own flags and run; two runs of different length are taken from
each other, so that neither making the synapses nor the first 0.2 s of biology count. Synapses have neither a weight nor a
delay of their own. For a Python that has brian2.
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time

import brian2 as b
import numpy as np

DT, WARM_S, IN_DEGREE, SEED = 0.1 * b.ms, 0.2, 1000, 1


def network(neurons: int) -> tuple[b.Network, b.SpikeMonitor]:
    """Excitatory neurons first; 800 + 200 synapses a neuron, drawn with replacement."""
    rng, excitatory = np.random.default_rng(SEED), neurons * 8 // 10
    equation = "dv/dt = (26*mV - v)/(20*ms) : volt (unless refractory)"
    cells = b.NeuronGroup(
        neurons, equation, threshold="v >= 20*mV", reset="v = 10*mV", refractory=2 * b.ms, method="exact"
    )
    cells.v = rng.uniform(0, 20, neurons) * b.mV
    parts = [cells]
    for weight, (low, high, count) in {
        "0.2": (0, excitatory, 800),
        "-1.2": (excitatory, neurons, 200),
    }.items():
        synapses = b.Synapses(
            cells, cells, on_pre=f"v_post += {weight}*mV*int(not_refractory_post)", delay=1.5 * b.ms
        )
        synapses.connect(i=rng.integers(low, high, neurons * count), j=np.repeat(np.arange(neurons), count))
        parts.append(synapses)
    seen = b.SpikeMonitor(cells, record=False)
    return b.Network(*parts, seen), seen


def measured(neurons: int, seconds: float, threads: int) -> dict[str, float]:
    found = {}
    for biology in (WARM_S, WARM_S + seconds):
        with tempfile.TemporaryDirectory() as folder:
            b.device.reinit()
            b.device.activate()
            b.set_device("cpp_standalone", build_on_run=False, directory=folder)
            b.prefs.devices.cpp_standalone.openmp_threads = 0 if threads == 1 else threads
            b.defaultclock.dt = DT
            net, seen = network(neurons)
            net.run(biology * b.second)
            b.device.build(directory=folder, compile=True, run=False)
            before, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
            b.device.run(directory=folder, with_output=False)
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            found[biology] = time.perf_counter() - wall, cpu, float(seen.num_spikes), after.ru_maxrss
    (wall0, cpu0, spikes0, _), (wall1, cpu1, spikes1, peak) = found.values()
    return {
        "wall_per_s": (wall1 - wall0) / seconds,
        "cpu_per_s": (cpu1 - cpu0) / seconds,
        "rate_hz": (spikes1 - spikes0) / neurons / seconds,
        "build_cpu_s": cpu0,
        "peak_bytes": peak * 1024,
    }


if __name__ == "__main__":
    print(json.dumps(measured(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]))))

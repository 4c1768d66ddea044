"""Long sequences of few neurons: chunks of time side by side against the same core step by step.

    python benchmarks/long_sequences.py [--steps 2000 10000] [--sizes 1 2 4 8 16] [--passes 9] [--out FILE]

Batch 1, one thread, float32; each reset of LIF and one case of other models. Currents are normal (mean 0.2, deviation 0.6, seed 0).
Outputs, states and states kept are compared first, bit for bit. The core is called as a layer calls it, without torch, with arrays
and addresses that were made once; the two ways run in turn, pass after pass, and the record holds the least CPU time of each,
forward and backward, their ratio, the share of steps that chunks settled, and the largest difference of the inputs' gradients
beside the largest gradient. `layer` is the whole call of a `Neuron` in torch, without gradient.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import ROOT, Record

sys.path.insert(0, str(ROOT))
from spikeflow.neurons import (
    IF,
    LIF,
    AdEx,
    AdLIF,
    CSiLIF,
    CubaLIF,
    LeakyIntegrator,
    Neuron,
    NeuronModel,
    TwoPointLIF,
    surrogate,
)
from spikeflow.neurons.compiled import chunk
from tests.laws.sweeps import Swept, with_slots

SEED = 0
CASES: dict[str, NeuronModel] = {
    "LIF, to zero": LIF(),
    "LIF, to a value": LIF(reset="value", reset_value=0.2),
    "LIF, by subtraction": LIF(reset="subtract"),
    "LIF, refractory": LIF(refractory=2),
    "LIF, none": LIF(reset="none"),
    "LIF of decay 0.99, to zero": LIF(0.99),
    "LIF of decay 0.99, none": LIF(0.99, reset="none"),
    "IF, to zero": IF(reset="zero"),
    "IF, by subtraction": IF(),
    "CubaLIF, to zero": CubaLIF(),
    "AdLIF, to zero": AdLIF(),
    "CSiLIF, by subtraction": CSiLIF(),
    "TwoPointLIF, to zero": TwoPointLIF(),
    "AdEx": AdEx(dt=1.0, gain=3000.0),
    "LeakyIntegrator": LeakyIntegrator(),
}


def least(runs: dict[str, Callable[[], Any]], passes: int) -> dict[str, float]:
    """Microseconds of CPU time, the least of interleaved passes."""
    found = dict.fromkeys(runs, float("inf"))
    for _ in range(passes):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            found[name] = min(found[name], 1e6 * (time.process_time() - begin))
    return found


def onward(swept: Swept) -> Callable[[], None]:
    """A call that runs once more over the arrays that are there."""
    after = [x.ctypes.data for x in swept.after.values()]
    kept = swept.kept.ctypes.data if swept.kept.size else 0
    out = swept.output.ctypes.data
    return lambda: swept.compiled.forward(swept.extent, swept.given, out, after, kept)


def backward(swept: Swept, out: np.ndarray, last: dict[str, np.ndarray]) -> Callable[[], None]:
    """The same of the way back, all gradients into arrays of its own."""
    ports = {f"input.{n}": np.zeros_like(x) for n, x in swept.inputs.items()}
    params = {f"param.{n}": np.zeros_like(x) for n, x in swept.params.items()}
    state, held = [np.zeros_like(x) for x in swept.state.values()], [out, *last.values()]
    given = [(x.ctypes.data, x.size) for x in held]
    into: Any = {n: x.ctypes.data for n, x in (ports | params).items()}, [x.ctypes.data for x in state]
    arrays = ports, params, state, held  # as long as the call

    def run(_: object = arrays) -> None:
        swept.compiled.backward(swept.extent, swept.given, swept.kept.ctypes.data, given, into)

    return run


def measured(model: NeuronModel, steps: int, size: int, passes: int) -> dict[str, Any]:
    draw, shape = np.random.default_rng(SEED), (steps, 1, size)
    x = {port: draw.normal(0.2, 0.6, shape).astype(np.float32) for port in model.inputs}
    params = {n: np.asarray(v) for n, v in model.params().items()}
    state = {n: np.zeros(shape[1:], np.float32) for n in model.states()}
    compiled = with_slots(model.program(), surrogate.atan.program())
    length = chunk(shape, len(state), True)
    ways = {
        "steps": Swept(compiled, params, x, state),
        "chunks": Swept(compiled, params, x, state, chunk=length),
    }
    settled = compiled.settled[0]
    a, b = ways.values()
    assert a.output.tobytes() == b.output.tobytes() and a.kept.tobytes() == b.kept.tobytes()
    assert all(a.after[n].tobytes() == b.after[n].tobytes() for n in state)
    out = draw.normal(0, 1, shape).astype(np.float32)
    last = {n: draw.normal(0, 1, shape[1:]).astype(np.float32) for n in state}
    grads = [w.back(out, last).inputs for w in ways.values()]
    apart = max(float(np.abs(grads[0][n] - grads[1][n]).max() / np.abs(grads[0][n]).max()) for n in x)
    forward = least({n: onward(w) for n, w in ways.items()}, passes)
    back = least({n: backward(w, out, last) for n, w in ways.items()}, passes)
    layer = in_torch(model, x, passes)
    both = {n: forward[n] + back[n] for n in forward}
    ratios = {"forward": forward, "backward": back, "both": both, "layer": layer}
    return {
        "chunk": length,
        "settled": settled / steps,
        "gradient_apart": apart,
        "microseconds": ratios,
        **{n: t["steps"] / t["chunks"] for n, t in ratios.items()},
    }


def in_torch(model: NeuronModel, x: dict[str, np.ndarray], passes: int) -> dict[str, float]:
    given = {n: torch.from_numpy(v) for n, v in x.items()}
    layers = {"steps": Neuron(model), "chunks": Neuron(model)}
    for name, layer in layers.items():
        layer.parallel_in_time = name == "chunks"
    with torch.no_grad():
        return least({n: (lambda one=one: one(given)) for n, one in layers.items()}, passes)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, nargs="+", default=[2000, 10000])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 2, 4, 8, 16])
    parser.add_argument("--passes", type=int, default=9)
    parser.add_argument("--out", default=str(Path(__file__).parent / "records" / "long_sequences.json"))
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    record = Record(arguments.out, {"seed": SEED, "batch": 1, "threads": 1, "passes": arguments.passes})
    print(
        "speed of chunks against steps: forward / backward / both / layer in torch; of the steps, settled in chunks"
    )
    for steps in arguments.steps:
        for name, model in CASES.items():
            for size in arguments.sizes:
                part = f"T = {steps}, n = {size}, {name}"
                if part not in record:
                    record.put(part, measured(model, steps, size, arguments.passes))
                found = record[part]
                shown = " / ".join(f"{found[key]:.1f}" for key in ("forward", "backward", "both", "layer"))
                lost = " SLOWER" if found["forward"] < 1 or found["backward"] < 1 else ""
                print(f"{part}: {shown}; {found['settled']:.0%}{lost}", flush=True)
    slower = [part for part, found in record.content["parts"].items() if found["both"] < 1]
    print(json.dumps({"slower forward and backward together": slower}, indent=1))


if __name__ == "__main__":
    main()

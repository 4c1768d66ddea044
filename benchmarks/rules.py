"""Memory and time of every learning rule against the number of steps.

    python benchmarks/rules.py [--steps 100 300 1000 3000 10000] [--passes 3] [--out FILE]

Linear 100 to 128, LIF (decay 0.9, reset by subtraction; for eventprop CubaLIF), Linear to 10, Integrator; batch 16, 5 % input,
cross-entropy of the mean over steps, one thread, seed 0. Each rule and number of steps is a process of its own. Peak memory is what a step of training takes beyond
imports, weights and input (the process's peak of resident memory, after a step of 20 steps of time); outputs are in it, 640 bytes a
step. CPU time is the least of some passes, also divided by the steps.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import torch
from record import ROOT, Record
from torch import nn

from spikeflow.neurons import LIF, CubaLIF, Integrator, Neuron, Sequential
from spikeflow.train import loss
from spikeflow.train.rules import RULES, Rule, backward

BATCH, INPUTS, HIDDEN, CLASSES, SHARE, SEED = 16, 100, 128, 10, 0.05, 0


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def child(kind: str, steps: int, passes: int) -> None:
    """One rule at one number of steps, in this process; prints what it took."""
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    neuron = Neuron(CubaLIF(0.9, 0.8, 0.5) if kind == "eventprop" else LIF(0.9, reset="subtract"))
    net = Sequential(nn.Linear(INPUTS, HIDDEN), neuron, nn.Linear(HIDDEN, CLASSES), Neuron(Integrator()))
    x = (torch.rand(steps, BATCH, INPUTS) < SHARE).float()
    labels = torch.arange(BATCH) % CLASSES

    def step(given: torch.Tensor) -> None:
        net.zero_grad()
        backward(Rule(kind), net, given, lambda outputs: loss.cross_entropy(outputs, labels, reading="mean"))

    step(x[:20])
    before, times = peak_bytes(), list[float]()
    for _ in range(passes):
        begin = time.process_time()
        step(x)
        times.append(time.process_time() - begin)
    print(
        json.dumps(
            {
                "peak_mb": (peak_bytes() - before) / 1e6,
                "cpu_s": min(times),
                "cpu_us_a_step": 1e6 * min(times) / steps,
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, nargs="+", default=[100, 300, 1000, 3000, 10000])
    parser.add_argument("--passes", type=int, default=3)
    parser.add_argument("--child", default="")
    parser.add_argument("--out", default=str(Path(__file__).parent / "records" / "rules.json"))
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments.steps[0], arguments.passes)
    record = Record(
        arguments.out, {"batch": BATCH, "hidden": HIDDEN, "seed": SEED, "passes": arguments.passes}
    )
    for kind in RULES:
        for steps in arguments.steps:
            part = f"{kind}, T = {steps}"
            if part not in record:
                command = [
                    sys.executable,
                    __file__,
                    "--child",
                    kind,
                    "--steps",
                    str(steps),
                    "--passes",
                    str(arguments.passes),
                ]
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
                record.put(part, json.loads(done.stdout))
            found = record[part]
            print(f"{part}: {found['peak_mb']:.1f} MB, {found['cpu_us_a_step']:.0f} us a step", flush=True)
    return None


if __name__ == "__main__":
    main()

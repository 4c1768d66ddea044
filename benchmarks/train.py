"""A training step on the CPU: one linear layer and one of neurons, against other frameworks set to the same equation.

    python benchmarks/train.py [--sizes 512 2048 4096] [--threads 2] [--passes 5] [--peers FOLDER] [--out FILE]

Batch 16, T = 500, 5 % input; v <- 0.9 v + x, z = v >= 1, v <- v - z, arc tangent as surrogate, nothing through the reset. A contender
trains the weights alone. Before it is timed its spikes and its gradient are compared with those of the hand-written loop: the record
holds both differences. All run in one process, in turn, pass after pass; the record holds the least CPU time and wall time of the
passes. Peak memory is that of a process of its own: what a step takes beyond imports, input and weights. `--peers` names a folder
of packages (`pip install --no-deps --target`), what does not import is told. Also: a convolution's neurons (2 x 48 x 48, T = 10), a
recurrent layer of 1,000 (T = 250), and the share of the layer of neurons beside the dense products for every model.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from record import ROOT, Record
from torch import nn

from spikeflow.neurons import LIF, MODELS, Neuron, Recurrent, surrogate

DECAY, SLOPE, BATCH, STEPS, SHARE, SEED = 0.9, 2.0, 16, 500, 0.05, 0
Step = Callable[[torch.Tensor], torch.Tensor]  # currents (T, B, *shape) to spikes


class Arc(torch.autograd.Function):
    """The spike of the hand-written loop."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return gradient * (SLOPE / 2) / (1 + (torch.pi / 2 * SLOPE * x) ** 2)


def loop(x: torch.Tensor) -> torch.Tensor:
    """Hand-written."""
    v, out = torch.zeros_like(x[0]), []
    for current in x.unbind(0):
        v = DECAY * v + current
        z = Arc.apply(v - 1.0)
        v = v - z.detach()
        out.append(z)
    return torch.stack(out)


def of_spikeflow() -> Step:
    layer = Neuron(LIF(DECAY, reset="subtract"), derivative=surrogate.ArcTangent(SLOPE))
    return lambda x: layer(x)[0]


def of_snntorch() -> Step:
    import snntorch

    # its own reset is another equation (peers/cells.py): the caller subtracts
    leaky = snntorch.Leaky(DECAY, 1.0, spike_grad=lambda v: Arc.apply(v), reset_mechanism="none")

    def run(x: torch.Tensor) -> torch.Tensor:
        v, out = torch.zeros_like(x[0]), []
        for current in x.unbind(0):
            z, v = leaky(current, v)
            v = v - z.detach()
            out.append(z)
        return torch.stack(out)

    return run


def of_spikingjelly() -> Step:
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based import surrogate as theirs

    tau = round(1 / (1 - DECAY), 9)
    spike = theirs.ATan(alpha=SLOPE)
    return lambda x: functional.lif_multi_step(x, torch.zeros_like(x[0]), tau, False, 1.0, None, spike, True)[0]


def of_norse() -> Step:
    from norse.torch.functional.lif_box import (
        LIFBoxFeedForwardState,
        LIFBoxParameters,
        lif_box_feed_forward_step,
    )
    from norse.torch.functional.reset import reset_subtract

    # it moves v by (1 - decay) (x - v); its super-spike has the slope 1 / (1 + alpha |x|)^2, another surrogate, so
    # its gradient is not compared
    k = 1 - DECAY
    parameters = LIFBoxParameters(tau_mem_inv=torch.as_tensor(k), method="super", reset_method=reset_subtract)

    def run(x: torch.Tensor) -> torch.Tensor:
        state, out = LIFBoxFeedForwardState(v=torch.zeros_like(x[0])), []
        for current in x.unbind(0):
            z, state = lif_box_feed_forward_step(current / k, state, parameters, 1.0)
            out.append(z)
        return torch.stack(out)

    return run


MAKERS: dict[str, Callable[[], Step]] = {
    "spikeflow": of_spikeflow,
    "torch loop": lambda: loop,
    "spikingjelly": of_spikingjelly,
    "snntorch": of_snntorch,
    "norse": of_norse,
}


def available() -> tuple[dict[str, Step], dict[str, str]]:
    """The contenders that import, and why the others do not."""
    found, missing = {}, {}
    for name, make in MAKERS.items():
        try:
            found[name] = make()
        except Exception as error:  # whatever a package raises
            missing[name] = f"{type(error).__name__}: {error}"[:200]
    return found, missing


def task(size: int) -> tuple[nn.Linear, torch.Tensor]:
    """The linear layer, and the input."""
    torch.manual_seed(SEED)
    x = (torch.rand(STEPS, BATCH, size) < SHARE).float()
    linear = nn.Linear(size, size, bias=False)
    with torch.no_grad():
        linear.weight.mul_((0.3 / SHARE / size) ** 0.5 / linear.weight.std()).add_(0.03 / SHARE / size)
    return linear, x


def trained(linear: nn.Linear, step: Step, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """One forward and backward pass: spikes, and the gradient of the weights."""
    linear.weight.grad = None
    z = step(linear(x))
    z.mean().backward()
    assert linear.weight.grad is not None
    return z.detach(), linear.weight.grad


def fastest(runs: dict[str, Callable[[], Any]], passes: int) -> dict[str, dict[str, float]]:
    """The least CPU and wall time of each, in seconds; in turn, pass after pass."""
    best = {name: {"cpu_s": np.inf, "wall_s": np.inf} for name in runs}
    for _ in range(passes + 1):
        for name, run in runs.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            told = {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}
            best[name] = {key: min(value, told[key]) for key, value in best[name].items()}
    return best


def peak_mb(name: str, size: int, arguments: argparse.Namespace) -> float:
    """Of a step in a process of its own, beyond imports, input and weights."""
    command = [sys.executable, __file__, "--child", name, "--sizes", str(size), "--threads", str(arguments.threads)]
    command += ["--peers", arguments.peers] if arguments.peers else []
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout.split()[-1])


def child(name: str, size: int) -> None:
    """Print by how many MB a step raises the peak."""
    step = available()[0][name]
    trained(nn.Linear(8, 8, bias=False), step, torch.zeros(2, 1, 8))
    linear, x = task(size)
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts anew
    before = status("VmRSS")
    trained(linear, step, x)
    print(status("VmHWM") - before)


def status(name: str) -> float:
    """A line of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def whole_step(size: int, contenders: dict[str, Step], arguments: argparse.Namespace) -> dict[str, Any]:
    """The task at one size: agreement, times, memory."""
    linear, x = task(size)
    wanted, gradient = trained(linear, loop, x)
    agrees = {}
    for name, step in contenders.items():
        z, found = trained(linear, step, x)
        spikes = (z != wanted).float().mean().item()
        agrees[name] = {"spikes_that_differ": spikes, "gradient": ((found - gradient).norm() / gradient.norm()).item()}
    runs: dict[str, Callable[[], Any]] = {n: (lambda s=s: trained(linear, s, x)) for n, s in contenders.items()}
    times = fastest(runs, arguments.passes)
    return {
        "rate": wanted.mean().item(),
        "agreement": agrees,
        "times": times,
        "peak_mb": {name: peak_mb(name, size, arguments) for name in contenders},
    }


def back_through(layer: Neuron, ports: dict[str, torch.Tensor], gradient: torch.Tensor) -> Any:
    """A layer of neurons alone, forward and backward, to its inputs."""
    return torch.autograd.grad(layer(ports)[0], list(ports.values()), gradient)


def shares(size: int, arguments: argparse.Namespace) -> dict[str, Any]:
    """For every model: its layer, forward and backward, beside the dense products of the same size."""
    linear, x = task(size)
    flat, weight = x.flatten(0, 1), linear.weight.detach()
    gradient = torch.randn(len(flat), size)
    runs: dict[str, Callable[[], Any]] = {"products": lambda: (flat @ weight.T, gradient.T @ flat)}
    current = (flat @ weight.T).unflatten(0, (STEPS, BATCH))
    for model in MODELS:
        declared = model()
        layer = Neuron(declared, derivative=surrogate.ArcTangent(SLOPE))
        ports = {port: current.clone().requires_grad_() for port in declared.inputs}
        label = f"{declared.name}, {len(declared.states())} states, {len(ports)} ports"
        runs[label] = partial(back_through, layer, ports, gradient.reshape(current.shape))
    times = fastest(runs, arguments.passes)
    dense = times["products"]
    return {n: {**t, "share_of_products_cpu": t["cpu_s"] / dense["cpu_s"], "share_of_products_wall": t["wall_s"] / dense["wall_s"]} for n, t in times.items()}


def others(contenders: dict[str, Step], arguments: argparse.Namespace) -> dict[str, Any]:
    """Neurons behind a convolution, and a recurrent layer against a loop."""
    torch.manual_seed(SEED)
    conv, frames = nn.Conv2d(2, 16, 3, padding=1), (torch.rand(10, BATCH, 2, 48, 48) < SHARE).float()

    def convolved(step: Step) -> None:
        conv.zero_grad()
        step(conv(frames.flatten(0, 1)).unflatten(0, (10, BATCH)) * 4).mean().backward()

    made = fastest({n: (lambda s=s: convolved(s)) for n, s in contenders.items()}, arguments.passes)
    feedback = nn.Linear(1000, 1000, bias=False)
    layer = Recurrent(Neuron(LIF(DECAY, reset="subtract"), derivative=surrogate.ArcTangent(SLOPE)), feedback)
    x = (torch.rand(250, BATCH, 1000) < SHARE).float()

    def looped() -> torch.Tensor:
        v = z = torch.zeros_like(x[0])
        out = []
        for current in x.unbind(0):
            v = DECAY * v + (current + feedback(z))
            z = Arc.apply(v - 1.0)
            v = v - z.detach()
            out.append(z)
        return torch.stack(out)

    def back(z: torch.Tensor) -> None:
        feedback.zero_grad()
        z.mean().backward()

    recurrent = fastest({"spikeflow": lambda: back(layer(x)[0]), "torch loop": lambda: back(looped())}, arguments.passes)
    return {"conv 2x48x48, T = 10": made, "recurrent 1,000, T = 250": recurrent}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 2048, 4096])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--passes", type=int, default=5)
    parser.add_argument("--peers", default="")
    parser.add_argument("--child", default="")
    parser.add_argument("--out", default=str(Path(__file__).parent / "records" / "train.json"))
    arguments = parser.parse_args()
    sys.path += [arguments.peers] if arguments.peers else []
    torch.set_num_threads(arguments.threads)
    if arguments.child:
        return child(arguments.child, arguments.sizes[0])
    contenders, missing = available()
    settings = {"batch": BATCH, "steps": STEPS, "share": SHARE, "seed": SEED, "threads": arguments.threads, "passes": arguments.passes}
    record = Record(arguments.out, {**settings, "missing": missing, "command": "python " + " ".join(sys.argv)})
    for size in arguments.sizes:
        record.put(f"n = {size}", whole_step(size, contenders, arguments))
        print(size, json.dumps(record[f"n = {size}"]), flush=True)
    record.put("layer beside products, n = 512", shares(512, arguments))
    record.put("others", others(contenders, arguments))
    print(json.dumps(record.content["parts"], indent=1))
    return None


if __name__ == "__main__":
    main()

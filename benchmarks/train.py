"""A training step on the CPU: one linear layer and one of neurons, against other frameworks set to the same equation.

    python benchmarks/train.py [--sizes 512 2048 4096] [--threads 2] [--passes 5] [--peers FOLDER] [--out FILE]

Batch 16, T = 500, 5 % input; v <- 0.9 v + x, z = v >= 1, v <- v - z, arc tangent as surrogate, nothing through the reset. Also a
convolution's neurons (2 x 48 x 48, T = 10), a recurrent layer of 1,000 (T = 250), and the share of the layer of neurons beside the
dense products for every model. A contender trains the weights alone. Before it is timed its spikes and its gradient are compared
with those of the hand-written loop: the record holds both differences. All run in one process, in turn, pass after pass; the record
holds the least CPU time and wall time of the passes, and the load of the machine. Peak memory is that of a process of its own: what
a step takes beyond imports, input and weights. `--peers` names a folder of packages (`pip install --no-deps --target`), what does
not import is told.
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
from typing import Any, NamedTuple

import numpy as np
import torch
from record import ROOT, Record
from torch import nn

from spikeflow.neurons import LIF, MODELS, Neuron, Recurrent, Sequential, surrogate

DECAY, SLOPE, BATCH, STEPS, SHARE, SEED = 0.9, 2.0, 16, 500, 0.05, 0
Tensor = torch.Tensor
Step = Callable[[Tensor], Tensor]  # currents (T, B, *shape) to spikes
Cell = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]  # current and v to spikes and v


class Contender(NamedTuple):
    """A layer of weights and one of neurons, `layered(weights, x)`; and one whose spikes come back through `feedback`."""

    layered: Callable[[nn.Module, Tensor], Tensor]
    recurrent: Callable[[nn.Linear, Tensor], Tensor]


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


def stepped(x: Tensor, cell: Cell, feedback: nn.Linear | None = None) -> Tensor:
    """A cell over time."""
    v = z = torch.zeros_like(x[0])
    out = []
    for current in x.unbind(0):
        z, v = cell(current if feedback is None else current + feedback(z), v)
        out.append(z)
    return torch.stack(out)


def peer(cell: Cell, step: Step | None = None) -> Contender:
    """Of a cell; `step` where the framework takes all steps at once."""
    run = step or (lambda x: stepped(x, cell))

    def layered(weights: nn.Module, x: Tensor) -> Tensor:
        return run(weights(x.flatten(0, 1)).unflatten(0, x.shape[:2]))

    return Contender(layered, lambda feedback, x: stepped(x, cell, feedback))


def by_hand(current: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """The hand-written loop's step."""
    v = DECAY * v + current
    z = Arc.apply(v - 1.0)
    return z, v - z.detach()


def of_spikeflow() -> Contender:
    layer = Neuron(LIF(DECAY, reset="subtract"), derivative=surrogate.ArcTangent(SLOPE))
    return Contender(
        lambda weights, x: Sequential(weights, layer)(x)[0],
        lambda feedback, x: Recurrent(layer, feedback)(x)[0],
    )


def of_snntorch() -> Contender:
    import snntorch

    # its own reset is another equation (peers/cells.py): the caller subtracts
    leaky = snntorch.Leaky(DECAY, 1.0, spike_grad=lambda v: Arc.apply(v), reset_mechanism="none")

    def cell(current: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        z, v = leaky(current, v)
        return z, v - z.detach()

    return peer(cell)


def of_spikingjelly() -> Contender:
    from spikingjelly.activation_based import functional
    from spikingjelly.activation_based import surrogate as theirs

    tau, spike = round(1 / (1 - DECAY), 9), theirs.ATan(alpha=SLOPE)

    def step(x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        z, v, *_ = functional.lif_multi_step(x, v, tau, False, 1.0, None, spike, True)
        return z, v

    def cell(current: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        z, v = step(current[None], v)
        return z[0], v

    return peer(cell, lambda x: step(x, torch.zeros_like(x[0]))[0])


def of_norse() -> Contender:
    from norse.torch.functional import lif_box

    # it moves v by (1 - decay) (x - v), and names no arc tangent: its threshold function is replaced by the loop's
    k = 1 - DECAY
    lif_box.threshold = lambda x, method, alpha: Arc.apply(x)
    reset: Any = lambda z, v, v_reset, v_th: v - z.detach() * v_th  # noqa: E731
    parameters = lif_box.LIFBoxParameters(tau_mem_inv=torch.as_tensor(k), reset_method=reset)

    def cell(current: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        z, state = lif_box.lif_box_feed_forward_step(
            current / k, lif_box.LIFBoxFeedForwardState(v=v), parameters, 1.0
        )
        return z, state.v

    return peer(cell)


def of_sinabs() -> Contender:
    from sinabs.activation import SingleSpike
    from sinabs.layers.functional.lif import lif_forward_single

    # its layers index the sequence in every step, which costs backward a copy of the whole a step: the loop is ours
    def slope(v: Tensor, threshold: float) -> Tensor:
        return (SLOPE / 2) / (1 + (torch.pi / 2 * SLOPE * (v - threshold)) ** 2)

    def reset(z: Tensor, state: dict[str, Tensor], threshold: float) -> dict[str, Tensor]:
        return {**state, "v_mem": state["v_mem"] - z.detach() * threshold}

    def cell(current: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        fixed = (1.0, SingleSpike, reset, slope, None, False)
        z, state = lif_forward_single(current, DECAY, None, {"v_mem": v}, *fixed)
        return z, state["v_mem"]

    return peer(cell)


BY_HAND = "torch loop"
MAKERS: dict[str, Callable[[], Contender]] = {
    "spikeflow": of_spikeflow,
    BY_HAND: lambda: peer(by_hand),
    "spikingjelly": of_spikingjelly,
    "snntorch": of_snntorch,
    "norse": of_norse,
    "sinabs": of_sinabs,
}


def available() -> tuple[dict[str, Contender], dict[str, str]]:
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


def trained(weights: nn.Module, run: Callable[[Any, Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    """One forward and backward pass: spikes, and the gradient of the weights."""
    weights.zero_grad()
    z = run(weights, x)
    z.mean().backward()
    gradients = [p.grad.flatten() for p in weights.parameters() if p.grad is not None]
    return z.detach(), torch.cat(gradients)


def compared(
    weights: nn.Module, runs: dict[str, Callable[[Any, Tensor], Tensor]], x: Tensor, passes: int
) -> dict[str, Any]:
    """Agreement with the hand-written loop, and times."""
    wanted, gradient = trained(weights, runs[BY_HAND], x)
    agrees = {}
    for name, run in runs.items():
        z, found = trained(weights, run, x)
        spikes = (z != wanted).float().mean().item()
        agrees[name] = {
            "spikes_that_differ": spikes,
            "gradient": ((found - gradient).norm() / gradient.norm()).item(),
        }
    times = fastest({n: partial(trained, weights, run, x) for n, run in runs.items()}, passes)
    peers = {n: t for n, t in times.items() if n != "spikeflow"}
    ours, gains = times["spikeflow"], {}
    for key in ("cpu_s", "wall_s"):
        best = min(peers, key=lambda n, key=key: peers[n][key])
        gains[key] = {"fastest_peer": best, "times_faster": peers[best][key] / ours[key]}
    load = Path("/proc/loadavg").read_text().split()[0]
    return {
        "rate": wanted.mean().item(),
        "agreement": agrees,
        "times": times,
        "against_the_fastest": gains,
        "load": float(load),
    }


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
    command = [
        sys.executable,
        __file__,
        "--child",
        name,
        "--sizes",
        str(size),
        "--threads",
        str(arguments.threads),
    ]
    command += ["--peers", arguments.peers] if arguments.peers else []
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    return float(done.stdout.split()[-1])


def child(name: str, size: int) -> None:
    """Print by how many MB a step raises the peak."""
    run = MAKERS[name]().layered
    trained(nn.Linear(256, 256, bias=False), run, torch.zeros(20, 16, 256))
    linear, x = task(size)
    Path("/proc/self/clear_refs").write_text("5")  # from here on the peak counts anew
    before = status("VmRSS")
    trained(linear, run, x)
    print(status("VmHWM") - before)


def status(name: str) -> float:
    """A line of /proc/self/status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def whole_step(size: int, contenders: dict[str, Contender], arguments: argparse.Namespace) -> dict[str, Any]:
    """The task at one size: agreement, times, memory."""
    linear, x = task(size)
    found = compared(linear, {n: c.layered for n, c in contenders.items()}, x, arguments.passes)
    return {
        **found,
        "product": linear.product,
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
    return {
        n: {
            **t,
            "share_of_products_cpu": t["cpu_s"] / dense["cpu_s"],
            "share_of_products_wall": t["wall_s"] / dense["wall_s"],
        }
        for n, t in times.items()
    }


def others(contenders: dict[str, Contender], arguments: argparse.Namespace) -> dict[str, Any]:
    """Neurons behind a convolution, and a recurrent layer."""
    torch.manual_seed(SEED)
    conv, frames = nn.Conv2d(2, 16, 3, padding=1), (torch.rand(10, BATCH, 2, 48, 48) < SHARE).float()
    with torch.no_grad():
        conv.weight.mul_(4)
    feedback = nn.Linear(1000, 1000, bias=False)
    x = (torch.rand(250, BATCH, 1000) < SHARE).float()
    by_conv = compared(conv, {n: c.layered for n, c in contenders.items()}, frames, arguments.passes)
    fed_back = compared(feedback, {n: c.recurrent for n, c in contenders.items()}, x, arguments.passes)
    return {"conv 2x48x48, T = 10": by_conv, "recurrent 1,000, T = 250": fed_back}


def tell(parts: dict[str, Any]) -> None:
    """What loses: a task that is not faster than asked, memory above half, a layer above a quarter."""
    for name, part in parts.items():
        for key, gain in part.get("against_the_fastest", {}).items():
            asked = 1.5 if name == "n = 4096" else 2.0 if name.startswith("n") else 1.0
            if gain["times_faster"] < asked:
                print(
                    f"LOSES {name}: {gain['times_faster']:.2f} times {gain['fastest_peer']} by {key}, {asked} asked"
                )
        if peaks := part.get("peak_mb"):
            fastest_peer = part["against_the_fastest"]["wall_s"]["fastest_peer"]
            if peaks["spikeflow"] > peaks[fastest_peer] / 2:
                print(
                    f"LOSES {name}: {peaks['spikeflow']:.0f} MB, {fastest_peer} {peaks[fastest_peer]:.0f}, half asked"
                )
    for label, model in parts["layer beside products, n = 512"].items():
        if label != "products" and model["share_of_products_wall"] > 0.25:
            print(
                f"LOSES layer of {label}: {model['share_of_products_wall']:.2f} of the products, 0.25 asked"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
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
    settings = {
        "batch": BATCH,
        "steps": STEPS,
        "share": SHARE,
        "seed": SEED,
        "threads": arguments.threads,
        "passes": arguments.passes,
    }
    record = Record(
        arguments.out, {**settings, "missing": missing, "command": "python " + " ".join(sys.argv)}
    )
    for name, part in others(contenders, arguments).items():
        record.put(name, part)
    for size in arguments.sizes:
        record.put(f"n = {size}", whole_step(size, contenders, arguments))
        print(size, json.dumps(record[f"n = {size}"]), flush=True)
    record.put("layer beside products, n = 512", shares(512, arguments))
    print(json.dumps(record.content["parts"], indent=1))
    tell(record.content["parts"])
    return None


if __name__ == "__main__":
    main()

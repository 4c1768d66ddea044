"""A training step on a GPU, of spikeflow and of peers; JSON out: python benchmarks/train_gpu.py --out FILE

First, equality: for every neuron model the printed kernels against the layer that torch evaluates, outputs and states bit
for bit, gradients to rounding; the product of spikes and weights against float64. Then the time and the peak memory of
one training step (one linear layer and one LIF layer, batch 16, T = 500, 5 % input, n inputs and n neurons, loss the
mean of the outputs squared), passes interleaved. A peer that is not installed is reported so. Without a GPU it says so
and ends with exit code 0.
"""

from __future__ import annotations

import argparse
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from record import Record
from torch import nn

from spikeflow.neurons import LIF, MODELS, Neuron, SpikeLinear, bfloat16_parts, surrogate

STEPS, BATCH, DENSITY, DECAY = 500, 16, 0.05, 0.9


def equal(record: Record) -> None:
    """Every model's kernels against the evaluated program."""
    for model in MODELS:
        for dtype in (torch.float32, torch.float64):
            record.put(f"equal {model.__name__} {dtype}", _compared(model, dtype))


def _compared(model: type, dtype: torch.dtype) -> dict[str, Any]:
    made = model()
    names = [name for name in made.params() if name not in made.unused()]
    torch.manual_seed(0)
    shape = (40, 3, 1000)
    xs = {port: torch.randn(shape, dtype=dtype, device="cuda") for port in made.inputs}
    seen: dict[str, list[torch.Tensor]] = {}
    # a function of tensors has no program: torch evaluates that layer operation by operation
    slopes = {"compiled": surrogate.atan, "eager": lambda x: surrogate.atan(x)}
    said = dict[str, str]()
    for kernel, slope in slopes.items():
        layer = Neuron(made, learn=names, derivative=slope).cuda()
        leaves = {port: x.clone().requires_grad_() for port, x in xs.items()}
        out, state = layer(leaves)
        torch.manual_seed(1)
        loss = (out * torch.randn_like(out)).sum() + sum((s * torch.randn_like(s)).sum() for s in state)
        loss.backward()
        seen[kernel] = [out, *state]
        seen[f"{kernel} gradients"] = [
            *(x.grad for x in leaves.values()),
            *(getattr(layer, n).grad for n in names),
        ]
        said[kernel] = layer.kernel
    return {
        "kernels": said,
        "outputs and states equal": all(map(torch.equal, seen["compiled"], seen["eager"])),
        "gradients, largest relative difference": max(
            map(_relative, seen["compiled gradients"], seen["eager gradients"]), default=0.0
        ),
    }


def _relative(a: torch.Tensor | None, b: torch.Tensor | None) -> float:
    if a is None or b is None:
        return 0.0 if a is b else float("inf")
    return float((a - b).abs().max() / b.abs().max().clamp_min(1e-30))


def product(n: int, record: Record) -> None:
    """The error and the time of spikes times weights, by three bfloat16 parts and by float32."""
    x, weight = _spikes(n).reshape(-1, n), torch.randn(n, n, device="cuda") / n**0.5
    exact = x[:64].double() @ weight.double().T
    found: dict[str, Any] = {}
    ways = {"float32": lambda: x @ weight.T, "bfloat16 parts": lambda: bfloat16_parts.linear(x, weight)}
    for name, way in ways.items():
        error = float((way()[:64] - exact).norm() / exact.norm())
        found[name] = {"relative error": error, "ms": _interleaved({name: way}, 5)[name]}
    record.put(f"product n {n}", found)


@dataclass(frozen=True)
class Contender:
    """A linear layer and a neuron layer: `step` runs forward and backward on a ``(T, B, n)`` input."""

    weight: nn.Parameter
    step: Callable[[torch.Tensor], torch.Tensor]
    linear: SpikeLinear | None = None


def spikeflow(weight: nn.Parameter) -> Contender:
    linear, layer = SpikeLinear(*weight.shape, bias=False, device="cuda"), Neuron(LIF(DECAY, 1.0)).cuda()
    linear.weight = weight
    return Contender(weight, lambda x: layer(linear(x))[0], linear)


def spikeflow_float32(weight: nn.Parameter) -> Contender:
    layer = Neuron(LIF(DECAY, 1.0)).cuda()
    return Contender(weight, lambda x: layer(x @ weight.T)[0])


class _Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return gradients[0] / (1 + (torch.pi * x) ** 2)


def hand_written(weight: nn.Parameter) -> Contender:
    """A loop over time in torch, as people write it."""

    def step(x: torch.Tensor) -> torch.Tensor:
        currents, v, spikes = x @ weight.T, torch.zeros(x.shape[1:], device="cuda"), []
        for current in currents.unbind(0):
            v = DECAY * v + current
            z = _Spike.apply(v - 1.0)
            v = torch.where(z.detach() != 0, 0.0, v)
            spikes.append(z)
        return torch.stack(spikes)

    return Contender(weight, step)


def spikingjelly(weight: nn.Parameter) -> Contender:
    from spikingjelly.activation_based import functional, neuron, surrogate

    # decay_input=False: v + x - v / tau, so tau = 1 / (1 - decay)
    lif = neuron.LIFNode(
        1 / (1 - DECAY), False, 1.0, 0.0, surrogate.ATan(2.0), detach_reset=True, step_mode="m"
    ).cuda()

    def step(x: torch.Tensor) -> torch.Tensor:
        functional.reset_net(lif)
        return lif(x @ weight.T)

    return Contender(weight, step)


def snntorch(weight: nn.Parameter) -> Contender:
    import snntorch as package
    from snntorch import surrogate

    leaky = package.Leaky(
        DECAY, threshold=1.0, reset_mechanism="none", spike_grad=surrogate.atan(alpha=2.0)
    ).cuda()

    def step(x: torch.Tensor) -> torch.Tensor:
        currents, v, spikes = x @ weight.T, torch.zeros(x.shape[1:], device="cuda"), []
        for current in currents.unbind(0):
            z, v = leaky(current, v)
            v = torch.where(z.detach() != 0, 0.0, v)
            spikes.append(z)
        return torch.stack(spikes)

    return Contender(weight, step)


CONTENDERS = (spikeflow, spikeflow_float32, hand_written, spikingjelly, snntorch)


def train(n: int, repeat: int, record: Record) -> None:
    """Times of a step of all contenders, each shown first to give the same spikes and gradient."""
    torch.manual_seed(0)
    weight = nn.Parameter(torch.randn(n, n, device="cuda") * (4 / n**0.5))
    x, steps, found = _spikes(n), dict[str, Callable[[], Any]](), dict[str, Any]()
    first: tuple[torch.Tensor, torch.Tensor] | None = None
    for maker in CONTENDERS:
        try:
            contender = maker(weight)
            out = _pass(contender, x)
        except Exception as error:
            found[maker.__name__] = {"not run": f"{type(error).__name__}: {error}"}
            continue
        gradient = weight.grad.clone()
        first = first or (out, gradient)
        found[maker.__name__] = {
            "spikes that differ": float((out != first[0]).float().mean()),
            "gradient, relative difference": float((gradient - first[1]).norm() / first[1].norm()),
            "product": contender.linear.product if contender.linear else "float32",
            "peak memory beyond inputs and weights, MiB": _peak(contender, x),
        }
        steps[maker.__name__] = lambda contender=contender: _pass(contender, x)
    for name, ms in _interleaved(steps, repeat).items():
        found[name]["ms"] = ms
    record.put(f"train n {n}", found)


def _pass(contender: Contender, x: torch.Tensor) -> torch.Tensor:
    contender.weight.grad = None
    out = contender.step(x)
    out.square().mean().backward()
    return out.detach()


def _peak(contender: Contender, x: torch.Tensor) -> int:
    contender.weight.grad = None
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _pass(contender, x)
    return (torch.cuda.max_memory_allocated() - before) >> 20


def _spikes(n: int) -> torch.Tensor:
    generator = torch.Generator("cuda").manual_seed(1)
    return (torch.rand(STEPS, BATCH, n, device="cuda", generator=generator) < DENSITY).float()


def _interleaved(steps: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """The median time of each in milliseconds, one after another in every round."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(repeat + 1):
        for name, step in steps.items():
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            torch.cuda.synchronize()
            begin.record()
            step()
            end.record()
            torch.cuda.synchronize()
            if number:  # the first warms up
                times[name].append(begin.elapsed_time(end))
    return {name: statistics.median(found) for name, found in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", default="train_gpu.json")
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 4096, 16384])
    args = parser.parse_args()
    if not torch.cuda.is_available():
        print("train_gpu: no GPU here, nothing measured")
        return
    warnings.simplefilter("ignore")
    settings = {"steps": STEPS, "batch": BATCH, "density": DENSITY, "repeat": args.repeat, "seed": 0}
    record = Record(args.out, settings | {"gpu": torch.cuda.get_device_name(), "torch": torch.__version__})
    equal(record)
    for n in args.sizes:
        product(n, record)
        train(n, args.repeat, record)
    print(record.path.read_text())


if __name__ == "__main__":
    main()

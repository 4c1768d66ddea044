"""Linear layers of spikes: which product they take, the fastest way that is as exact as torch's float32.

`called` runs any `torch.nn.Linear` of a network so, `SpikeLinear` is one that runs so anywhere.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.modules import module as torch_module

from spikeflow.neurons import active_rows, bfloat16_parts
from spikeflow.neurons.sweeping import untouchable

# multiplications from which three products of 16 bits, and what goes round them, cost less than one of 32:
# a step of training at 3.4e10 took 4.7 ms against 3.6, at 1.3e11 6.2 against 11.7: H200, benchmarks/train_gpu
WORTH = 1e11
# to find an active source costs as much as to add its weights to 300 outputs, an addition as much as 1 to 1.2
# multiplications of a dense product; to lay the weights out and to call, as much as a small product: measured
# with one thread of an EPYC with AVX-512 for 32 to 8,000 rows, 64 to 1,024 inputs, 10 to 1,024 outputs, of
# which 5 to 40 % were active
FOUND, ADDED, LEAST_ROWS, LEAST = 300, 1.2, 128, 4e6
ACTIVE = "rows of active sources"
# where neurons alone read a product both run at once and no current is held; up to so many active sources,
# since the currents are summed once more on the way back
WITH_NEURONS, FEW = f"{ACTIVE}, with the neurons behind them", 0.25
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class SpikeLinear(nn.Linear):
    """``y = x W^T + b`` for spikes ``(..., inputs)``: a Linear with the fastest product as exact as its own.

    On a CPU, of inputs that are mostly 0, the rows of active sources are added (`active_rows`), forward and
    for the weights' gradient. On a GPU a large product of spikes, or other whole numbers up to 256, is
    computed in three parts on matrix units of 16 bits (`bfloat16_parts`), nearer to the exact sum than the
    product in float32 and 3 to 4 times faster at the sizes measured. Other devices, types, sizes and inputs
    get torch's own product. `product` says which the last call took and why. Weights, gradients and files are
    those of a Linear, but where rows of active sources are added a silent input brings nothing, also where
    its weight is infinite or NaN. In a network of `spikeflow.neurons` any `torch.nn.Linear` does the same on
    a CPU.
    """

    product: str = "not run yet"

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        if torch.compiler.is_compiling():  # a graph holds torch's own operation
            return super().forward(input)
        y, self.product = (_in_parts if input.is_cuda else linear)(input, self.weight, self.bias)
        return y


def called(layer: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a layer without neurons answers; a Linear, also within a torch Sequential, as `SpikeLinear`
    does.

    Linears that a user has changed (hooks, parametrised weights, another forward) run as they are.
    """
    if type(layer) not in (nn.Linear, nn.Sequential) or torch.compiler.is_compiling() or changed(layer):
        answer: torch.Tensor = layer(x)
        return answer
    if isinstance(layer, nn.Linear):
        y, product = linear(x, layer.weight, layer.bias)
        say(layer, product)
        return y
    assert isinstance(layer, nn.Sequential)
    for part in layer:
        x = called(part, x)
    return x


def say(layer: nn.Linear, product: str) -> None:
    """Which product a Linear took."""
    if layer.__dict__.get("product") != product:
        layer.product = product  # type: ignore[assignment]


def changed(layer: nn.Module) -> bool:
    """Whether a user has hooked something to a layer, or put another forward in its place."""
    hooked = any(getattr(layer, name) for name in _HOOKS) or bool(torch_module._has_any_global_hook())  # type: ignore[no-untyped-call]
    return hooked or "forward" in layer.__dict__


def linear(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None
) -> tuple[torch.Tensor, str]:
    """``x weight^T + bias`` for ``(..., inputs)``, and which product it was and why."""
    reason = _dense_because(x, weight, bias)
    if not reason and active_rows.share(x.contiguous()) > (most := most_active(len(weight))):
        reason = f"an input of which more than {most:.0%} is active"
    if reason:
        return F.linear(x, weight, bias), f"float32: {reason}"
    y = active_rows.active_rows(x.reshape(-1, x.shape[-1]), weight, bias)
    return y.reshape(*x.shape[:-1], len(weight)), ACTIVE


def driven_because(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> str:
    """Why a product does not run with the neurons behind it; empty where it can."""
    reason = _dense_because(x, weight, bias)
    if not reason and active_rows.share(x.contiguous()) > min(FEW, most_active(len(weight))):
        reason = f"an input of which more than {FEW:.0%} is active"
    return reason


def weight_gradient(x: torch.Tensor, gradient: torch.Tensor) -> torch.Tensor:
    """``gradient^T x`` of float32 ``(rows, outputs)`` and ``(rows, inputs)`` by the faster product."""
    few = active_rows.share(x) <= most_active(gradient.shape[1])
    found: torch.Tensor = active_rows.active_rows_weight(x, gradient) if few else gradient.T @ x
    return found


def most_active(outputs: int) -> float:
    """The share of active inputs up to which their rows cost less than a dense product."""
    return outputs / (ADDED * (outputs + FOUND))


def _dense_because(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> str:
    if torch.compiler.is_compiling():
        return "torch.compile"  # a graph holds torch's own operation
    tensors = [t for t in (x, weight, bias) if t is not None]
    if elsewhere := next((t.device.type for t in tensors if t.device.type != "cpu"), ""):
        return f"tensors on {elsewhere}"
    if strange := untouchable(tensors):
        return strange
    if x.dtype is not torch.float32 or weight.dtype is not torch.float32:
        return f"an input of {x.dtype} and weights of {weight.dtype}"
    if bias is not None and (bias.dtype is not torch.float32 or bias.shape != weight.shape[:1]):
        return f"a bias of {bias.dtype} and shape {tuple(bias.shape)}"  # torch spreads it, or tells
    if torch.is_autocast_enabled("cpu"):
        return "autocast"
    fits = x.ndim > 0 and weight.ndim == 2 and x.shape[-1] == weight.shape[1]
    rows = x.numel() // max(1, x.shape[-1]) if fits else 0  # torch tells what does not fit
    return "a small product" if rows < LEAST_ROWS or x.numel() * len(weight) < LEAST else ""


def _in_parts(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> tuple[torch.Tensor, str]:
    reason = ""
    if x.dtype is not torch.float32 or weight.dtype is not torch.float32:
        reason = f"an input of {x.dtype} and weights of {weight.dtype}"
    elif x.numel() * len(weight) < WORTH:
        reason = "a small product"
    elif not bfloat16_parts.exact(x):
        reason = "an input that is not of spikes or small whole numbers"
    if reason:
        return F.linear(x, weight, bias), f"float32: {reason}"
    return bfloat16_parts.linear(x, weight, bias), "three bfloat16 parts"

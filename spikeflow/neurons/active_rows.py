"""Products of spikes and weights on a CPU by rows of active sources, as exact as torch's float32.

``y = x W^T`` adds, for each row of x, the weights of the sources that are not 0 in it; the gradient of W
adds, for each source, the rows of y's cotangent in which it is not 0. Of 5 % active inputs a twentieth of the
additions is left, both ways. Terms are summed in groups of 8, groups in blocks of 512 terms (``src/sweep``).

The operation ``torch.ops.spikeflow.active_rows`` and its derivatives of any order are torch's to
differentiate.
"""

from __future__ import annotations

from typing import Any

import torch

import spikeflow.neurons._sweep as _sweep
from spikeflow.errors import ShapeError
from spikeflow.neurons.compiled import FASTEST

Tensor = torch.Tensor


def share(x: Tensor) -> float:
    """Of the values of a contiguous float32 tensor, how many are not 0."""
    return _sweep.active(x.data_ptr(), x.numel(), torch.get_num_threads()) / max(1, x.numel())


def _check(*given: tuple[Tensor | None, tuple[int, ...]]) -> None:
    """Raise unless each is of float32 and its shape: the core reads them by address."""
    for value, shape in given:
        if value is not None and (value.dtype is not torch.float32 or tuple(value.shape) != shape):
            got = f"{value.dtype} of shape {tuple(value.shape)}"
            raise ShapeError("active_rows", got, f"{torch.float32} of shape {shape}")


def _sizes(x: Tensor, outputs: int) -> tuple[int, int, int, int, int]:
    return (*x.shape, outputs, torch.get_num_threads(), FASTEST)  # type: ignore[return-value]


@torch.library.custom_op("spikeflow::active_rows", mutates_args=(), device_types="cpu")
def active_rows(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """``x weight^T + bias``: float32 ``(rows, inputs)``, ``(outputs, inputs)``, ``(outputs,)``.

    What is 0 in x brings nothing, also where a weight is infinite or NaN.
    """
    rows, (outputs, inputs) = len(x), weight.shape
    _check((x, (rows, inputs)), (weight, (outputs, inputs)), (bias, (outputs,)))
    x, weight, y = x.contiguous(), weight.contiguous(), x.new_empty((len(x), len(weight)))
    bias = None if bias is None else bias.contiguous()
    address = 0 if bias is None else bias.data_ptr()
    _sweep.product(_sizes(x, len(weight)), x.data_ptr(), weight.data_ptr(), address, y.data_ptr())
    return y


@active_rows.register_fake
def _(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    return x.new_empty((x.shape[0], weight.shape[0]))


@torch.library.custom_op("spikeflow::active_rows_weight", mutates_args=(), device_types="cpu")
def active_rows_weight(x: Tensor, gradient: Tensor) -> Tensor:
    """``gradient^T x``, ``(outputs, inputs)``: the gradient of the weight, of y's ``(rows, outputs)``."""
    _check((x, (len(x), x.shape[-1])), (gradient, (len(x), gradient.shape[-1])))
    x, gradient = x.contiguous(), gradient.contiguous()
    found = x.new_empty((gradient.shape[1], x.shape[1]))
    sizes = _sizes(x, gradient.shape[1])
    _sweep.product_weight(sizes, x.data_ptr(), gradient.data_ptr(), found.data_ptr())
    return found


@active_rows_weight.register_fake
def _(x: Tensor, gradient: Tensor) -> Tensor:
    return x.new_empty((gradient.shape[1], x.shape[1]))


def _remember(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(inputs[0], inputs[1])


def _back(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    (x, weight), wanted = ctx.saved_tensors, ctx.needs_input_grad
    return (
        gradient @ weight if wanted[0] else None,
        active_rows_weight(x, gradient) if wanted[1] else None,
        gradient.sum(0) if wanted[2] else None,
    )


def _weight_back(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
    (x, given), wanted = ctx.saved_tensors, ctx.needs_input_grad
    return (given @ gradient if wanted[0] else None, active_rows(x, gradient, None) if wanted[1] else None)


active_rows.register_autograd(_back, setup_context=_remember)
active_rows_weight.register_autograd(_weight_back, setup_context=_remember)

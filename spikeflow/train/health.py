"""What goes wrong while training, by name: values that are no numbers, gradients that vanish or explode."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

from spikeflow.errors import DataError, ShapeError, SpikeflowWarning, TrainingError
from spikeflow.train.inside import members, network, neurons

LARGE = 1e4  # norm of a gradient from which on it is told
OVERFLOWS = 1e18  # from which on the sum of its squares may leave float32
SMALLER = "a smaller step (optimiser.rate), or clipping (optimiser.clip)"


@torch.no_grad()
def lost_weights(net: nn.Module, when: str, hint: str) -> TrainingError | None:
    """The error for the first parameter that is NaN or infinite, by name."""
    for name, value in net.named_parameters():
        if not bool(torch.isfinite(value).all()):
            return TrainingError(name, f"holds NaN or infinite weights {when}", hint)
    return None


def check_weights(net: nn.Module) -> None:
    """Raise TrainingError for weights that are lost before the training: behind them neurons may be silent,
    and the loss a number.
    """
    error = lost_weights(network(net), "before epoch 1, batch 1", "weights of a sound network")
    if error is not None:
        raise error


@torch.no_grad()
def not_a_number(net: nn.Module, x: Any, when: str) -> TrainingError:
    """The error for a loss that is no number: the first parameter, or layer and step, where that begins."""
    plain = network(net)
    if (error := lost_weights(plain, when, SMALLER)) is not None:
        return error
    first = next(iter(x.values())) if isinstance(x, dict) else x
    if not bool(torch.isfinite(first).all()):
        step = _first(first)
        return TrainingError("input", f"is NaN or infinite from step {step} on {when}", "finite samples")
    names = _recordable(plain)
    found, _ = plain(x, record=names)
    steps = {name: _first(found[name]) for name in names}
    bad = {name: step for name, step in steps.items() if step is not None}
    if not bad:
        return TrainingError("the loss", f"is no finite number {when}, while all layers are", SMALLER)
    # of those that begin first the first in order: what it feeds follows in the same step
    name = min(bad, key=lambda n: (bad[n], names.index(n)))
    return TrainingError(name, f"is NaN or infinite from step {bad[name]} on {when}", SMALLER)


def check_lone(net: nn.Module, x: Any, when: str) -> None:
    """Raise DataError where one sample in one step leaves a batch norm of vectors nothing to take statistics
    of.
    """
    first = next(iter(x.values())) if isinstance(x, dict) else x
    if first.shape[0] * first.shape[1] == 1:
        for path, module in net.named_modules():
            if isinstance(module, nn.BatchNorm1d) and module.training:
                hint = "a batch_size that leaves no sample alone, more steps, or no batch norm"
                raise DataError(path, f"one sample of one step {when}", "more: it is a batch norm", hint)


@torch.no_grad()
def check_shapes(net: nn.Module, x: Any) -> None:
    """Raise ShapeError, by the layer's path, where a network cannot take batches such as this one."""
    reached: list[str] = []
    modes = {module: module.training for module in net.modules()}
    hooks = [
        module.register_forward_pre_hook(lambda _, __, path=path: reached.append(path))
        for path, module in net.named_modules()
        if not any(True for _ in module.children())
    ]
    first = {name: value[:1] for name, value in x.items()} if isinstance(x, dict) else x[:1]
    try:
        net.eval()(first)
    except RuntimeError as error:  # torch has no class for shapes that do not fit
        shape = {n: tuple(v.shape[2:]) for n, v in x.items()} if isinstance(x, dict) else tuple(x.shape[2:])
        words = str(error).splitlines()[0][:200]
        where = reached[-1] if reached else "the network"
        raise ShapeError(
            where, f"moments of shape {shape} at the input", f"what it takes ({words})"
        ) from error
    finally:
        for hook in hooks:
            hook.remove()
        for module, mode in modes.items():
            module.training = mode


def _recordable(net: nn.Module) -> tuple[str, ...]:
    """Every layer's output in order, of neurons their states first."""
    found: list[str] = []
    cells = neurons(net)
    for name, _ in members(net):
        if name in cells:
            found += [f"{name}.{state}".lstrip(".") for state in cells[name].model.states()]
        found += [name] if name else []
    return tuple(found)


def _first(values: torch.Tensor) -> int | None:
    """The first step with a value that is no finite number."""
    bad = (~torch.isfinite(values)).flatten(1).any(1).nonzero()
    return int(bad[0]) if len(bad) else None


def _norm(gradient: torch.Tensor) -> torch.Tensor:
    """In double precision: squares of a gradient of 1e20 leave float32."""
    return torch.linalg.vector_norm(gradient, dtype=torch.float64)


def clipped(parameters: Iterable[nn.Parameter], most: float, norm: float) -> None:
    """Scale gradients of this norm, as `Gradients.see` found it, down to a norm of `most`."""
    held = [p for p in parameters if p.grad is not None]
    if norm > OVERFLOWS:  # torch would find an infinite norm, and make all of them 0
        for p in held:
            assert p.grad is not None
            p.grad.mul_(most / norm)
    nn.utils.clip_grad_norm_(held, most)


class Gradients:
    """Watches the gradients of an epoch."""

    def __init__(self, named: Iterable[tuple[str, nn.Parameter]]) -> None:
        self.named = [(name, p) for name, p in named if p.requires_grad]
        self.largest = 0.0
        self.reached: set[str] = set()

    def see(self, when: str) -> float:
        """Look at the gradients of a batch, before clipping; their norm.

        Raises
        ------
        TrainingError
            Where one is no finite number, by the parameter's name.
        """
        held = [(name, p.grad) for name, p in self.named if p.grad is not None]
        # brought from a GPU together
        norms = torch.stack([_norm(g) for _, g in held]).cpu() if held else torch.zeros(0)
        total = float(norms.norm())
        if not total < float("inf"):
            name = next(
                (n for (n, _), norm in zip(held, norms, strict=True) if not norm < float("inf")), "all"
            )
            raise TrainingError(name, f"its gradient is NaN or infinite {when}", SMALLER)
        self.reached.update(name for (name, _), norm in zip(held, norms.tolist(), strict=True) if norm > 0)
        self.largest = max(self.largest, total)
        return total

    def tell(self, epoch: int) -> None:
        """Warn of parameters that no gradient reached in the epoch, and of gradients that were very large."""
        lost = [name for name, _ in self.named if name not in self.reached]
        if lost:
            shown = ", ".join(lost[:4]) + (f" and {len(lost) - 4} more" if len(lost) > 4 else "")
            why = "it vanished, as behind silent layers, or of a decay with one step"
            text = f"epoch {epoch}: no gradient reached {shown}: {why}"
            hint = "weights.fire = true, a wider surrogate, or regularise.silence_weight"
            warnings.warn(f"{text}. Try: {hint}", SpikeflowWarning, stacklevel=4)
        if self.largest > LARGE:
            text = f"epoch {epoch}: gradients exploded, to a norm of {self.largest:.3g}"
            warnings.warn(f"{text}. Try: {SMALLER}", SpikeflowWarning, stacklevel=4)

"""A rank's share of a batch, and what it takes that shares give what the whole batch would.

Losses are means, so a share's loss counts by its samples, or by its steps where steps count. Batch norm adds
its sums up over the ranks, forward and backward; dropout draws for the whole batch, as one process does.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm  # pyright: ignore[reportPrivateUsage]
from torch.nn.parallel import DataParallel, DistributedDataParallel
from torch.overrides import TorchFunctionMode

from spikeflow.errors import DataError, UnsupportedLayer
from spikeflow.neurons.autograd import Watching
from spikeflow.neurons.dropout import draws
from spikeflow.train.batches import Batch
from spikeflow.train.norm import MembraneNormLIF
from spikeflow.train.ranks import Ranks


@dataclass(frozen=True)
class Share:
    """Samples of a batch for one rank; more ranks than samples: the first sample, which then counts nothing.

    Parameters
    ----------
    batch : these samples.
    first : the place of the first of them in the whole batch.
    whole : samples of the whole batch.
    counted : answers by which accuracy counts: samples, or steps where those have labels; 0 for nothing.
    of : the same of the whole batch.
    weight : share of the whole batch's mean loss.
    """

    batch: Any
    first: int
    whole: int
    counted: int
    of: int
    weight: float

    @property
    def counts(self) -> bool:
        """Whether its samples are its own."""
        return self.weight > 0


def share_of(batch: Any, ranks: Ranks, by_steps: bool) -> Share:
    """A rank's share of a batch; `by_steps` where the loss is a mean over steps."""
    samples, by_steps = batch.labels.shape[-1], by_steps or batch.labels.ndim == 2
    answers = _counted(batch, batch.labels.ndim == 2)
    if ranks.alone:
        return Share(batch, 0, samples, answers, answers, 1.0)
    each, more = divmod(samples, ranks.world)
    first = ranks.rank * each + min(ranks.rank, more)
    count = each + (ranks.rank < more)
    own = _cut(batch, slice(first, first + count) if count else slice(0, 1))
    if not count:
        return Share(own, 0, samples, 0, answers, 0.0)
    weight = _counted(own, by_steps) / _counted(batch, by_steps)
    return Share(own, first, samples, _counted(own, batch.labels.ndim == 2), answers, weight)


def _counted(batch: Any, by_steps: bool) -> int:
    if not by_steps:
        return int(batch.labels.shape[-1])
    if batch.mask is not None:
        return int(batch.mask.sum())
    first = next(iter(batch.x.values())) if isinstance(batch.x, dict) else batch.x
    return len(first) * int(batch.labels.shape[-1])


def _cut(batch: Any, chosen: slice) -> Batch:
    x = batch.x
    x = {name: value[:, chosen] for name, value in x.items()} if isinstance(x, dict) else x[:, chosen]
    mask = None if batch.mask is None else batch.mask[:, chosen]
    teacher = getattr(batch, "teacher", None)
    taught = None if teacher is None else teacher[chosen]
    layers = {name: value[chosen] for name, value in getattr(batch, "layers", {}).items()}
    return Batch(x, batch.labels[..., chosen], mask, taught, layers)  # type: ignore[arg-type]


def check_shareable(net: nn.Module) -> None:
    """Raise UnsupportedLayer for what would see each share by itself, by path.

    Wrappers that share the work themselves are refused as well.
    """
    for path, layer in net.named_modules():
        kind = type(layer).__name__
        if isinstance(layer, DataParallel | DistributedDataParallel):
            hint = "the network within: fit shares the work itself"
            raise UnsupportedLayer("training in several processes", kind, hint)
        if isinstance(layer, MembraneNormLIF | Watching):
            hint = "one process, or another layer: its statistics would be those of a share"
            raise UnsupportedLayer(f"{path}, in several processes", kind, hint)


@contextmanager
def shared(net: nn.Module, share: Share, ranks: Ranks) -> Generator[None, None, None]:
    """While it is active, layers that relate samples relate those of the whole batch."""
    with ExitStack() as stack:
        if not ranks.alone:
            for layer in net.modules():
                if isinstance(layer, _BatchNorm) and (layer.training or layer.running_mean is None):
                    layer.forward = partial(_normalised, layer, share, ranks)  # type: ignore[method-assign]
                    stack.callback(layer.__dict__.pop, "forward", None)
            stack.enter_context(_WholeDraws(share))
        yield


class _Added(torch.autograd.Function):
    """The sum over ranks, whose gradient is the sum of theirs: each rank's loss is a part of the whole."""

    @staticmethod
    def forward(ctx: Any, values: torch.Tensor, ranks: Ranks) -> torch.Tensor:
        ctx.ranks = ranks
        return ranks.added(values)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None]:
        return ctx.ranks.added(gradients[0]), None


def added(values: torch.Tensor, ranks: Ranks) -> torch.Tensor:
    """The sum over ranks, with its gradient."""
    total: torch.Tensor = _Added.apply(values, ranks)
    return total


def inside(share: Share) -> torch.Tensor | None:
    """The mask ``(T, B)`` of a share whose samples are padded to one length; None where no step is padding.

    Where every step has a label of its own, a mask says which labels count: all steps are the sample's.
    """
    mask, labels = share.batch.mask, share.batch.labels
    return None if mask is None or labels.ndim == 2 or bool(mask.all()) else mask


def moments(share: Share, ranks: Ranks, steps: int) -> float:
    """How many steps of samples the whole batch has, without padding."""
    mask = inside(share)
    own = float(steps * share.batch.labels.shape[-1] if mask is None else mask.sum()) * share.counts
    return own if ranks.alone else float(ranks.added(torch.tensor(own, dtype=torch.float64)))


def rates(spikes: torch.Tensor, share: Share, ranks: Ranks, count: float) -> torch.Tensor:
    """Spikes of each neuron a step and sample of the whole batch, as ``(1, 1, N)``, from a share's; `count`
    is that of `moments`.
    """
    mask, flat = inside(share), spikes.flatten(2)
    if mask is not None:
        flat = torch.where(mask[..., None], flat, torch.zeros_like(flat))
    own = flat.sum((0, 1)) * float(share.counts)
    return (own if ranks.alone else added(own, ranks))[None, None] / count


def _normalised(norm: Any, share: Share, ranks: Ranks, x: torch.Tensor) -> torch.Tensor:
    """Batch norm over the samples of all ranks; sums in float64, as torch's kernel has them."""
    norm._check_input_dim(x)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    shape = (1, -1, *(1,) * (x.ndim - 2))
    own = float(share.counts)
    number = float(ranks.added(torch.tensor(own * x.numel() / x.shape[1], dtype=torch.float64)))
    if number < 2:
        raise DataError(
            "batch norm", "one value of a channel in the whole batch", "at least 2", "larger batches"
        )
    mean = added(x.sum(axes, dtype=torch.float64) * own, ranks) / number
    centred = x - mean.to(x.dtype).reshape(shape)
    spread = added(centred.square().sum(axes, dtype=torch.float64) * own, ranks) / number
    _follow(norm, mean.detach(), spread.detach() * (number / (number - 1)))
    y = centred * (spread + norm.eps).rsqrt().to(x.dtype).reshape(shape)
    return y if norm.weight is None else y * norm.weight.reshape(shape) + norm.bias.reshape(shape)


@torch.no_grad()
def _follow(norm: Any, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Running statistics, as torch moves them."""
    if not norm.training or norm.running_mean is None:
        return
    norm.num_batches_tracked.add_(1)
    share = 1.0 / float(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    for held, now in ((norm.running_mean, mean), (norm.running_var, variance)):
        held.copy_((1 - share) * held + share * now.to(held.dtype))


class _WholeDraws(TorchFunctionMode):
    """Dropout draws for all samples of the batch, of which a share's are taken: each rank's random numbers go
    on alike, and are those of one process. Other random numbers would be another share's own: refused.
    """

    def __init__(self, share: Share) -> None:
        super().__init__()
        self.share, self.state = share, torch.get_rng_state()

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if not draws(func, args, named):
            return func(*args, **named)
        self._check()
        x, rest = (args[0], args[1:]) if args else (named.pop("input"), ())
        whole = self._filled(x)
        answer = func(whole, *rest, **named)[self.share.first : self.share.first + len(x)]
        self.state = torch.get_rng_state()
        return answer

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        if error[0] is None:
            self._check()

    def _check(self) -> None:
        if not torch.equal(self.state, torch.get_rng_state()):
            kind = "a layer with random numbers of its own"
            raise UnsupportedLayer("training in several processes", kind, "dropout layers, or one process")

    def _filled(self, x: torch.Tensor) -> torch.Tensor:
        after = self.share.whole - self.share.first - len(x)
        return torch.cat([x.new_zeros(self.share.first, *x.shape[1:]), x, x.new_zeros(after, *x.shape[1:])])


Loss = Callable[[torch.Tensor], torch.Tensor]


def weighted(loss_of: Loss, share: Share) -> Loss:
    """A share's part of the whole batch's loss."""
    if share.weight == 1.0:
        return loss_of
    return lambda outputs: loss_of(outputs) * share.weight

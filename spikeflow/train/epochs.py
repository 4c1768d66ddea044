"""An epoch of training, an evaluation, and what moves while both run."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from spikeflow.errors import DataError, SpikeflowWarning, TrainingError
from spikeflow.neurons.surrogate import Surrogate
from spikeflow.neurons.surrogate_schedule import between, replace_surrogates, surrogates_of
from spikeflow.train import loss, quantise, reading, regularise
from spikeflow.train.batches import Batches
from spikeflow.train.device import moved
from spikeflow.train.fans import fan_outs
from spikeflow.train.given import looked_at
from spikeflow.train.health import Gradients, check_lone, check_shapes, clipped, not_a_number
from spikeflow.train.init import make_fire
from spikeflow.train.inside import spiking
from spikeflow.train.metric import accuracy
from spikeflow.train.ranks import Place, Ranks
from spikeflow.train.recipe import Loss, Recipe
from spikeflow.train.rules import backward
from spikeflow.train.shares import Share, inside, moments, rates, share_of, shared, weighted

NAN = float("nan")
BY_STEPS = ("per_step", "tet")  # losses that are means over steps


@dataclass(frozen=True)
class Score:
    """Loss and accuracy over so many samples; NaN where nothing was measured."""

    loss: float = NAN
    accuracy: float = NAN
    samples: int = 0

    def better(self, other: Score) -> bool:
        """More answered right, or as many at a lower loss."""
        return (self.accuracy, -self.loss) > (other.accuracy, -other.loss)


class Model:
    """A network, its optimiser and schedule, and the average of its weights.

    Parameters
    ----------
    batches : of an epoch.
    place : where it is trained.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, batches: int, place: Place) -> None:
        self.net, self.recipe, self.device, self.ranks = net, recipe, place.device, place.ranks
        if recipe.weights.quantise_bits:
            quantise.quantised(net, recipe.weights.quantise_bits)
        self.optimiser = _optimiser(net, recipe)
        self.schedule = _schedule(self.optimiser, recipe, batches)
        self.averaged: AveragedModel | None = None
        if recipe.weights.average:
            update = get_ema_multi_avg_fn(recipe.weights.average)
            self.averaged = AveragedModel(net, multi_avg_fn=update, use_buffers=True)
        self.spiking = tuple(spiking(net)) if recipe.regularise.acts else ()
        self.fans: dict[str, torch.Tensor] = {}
        self.surrogates = _surrogates(net, recipe)

    @property
    def selected(self) -> nn.Module:
        """The network that is evaluated and kept: the averaged one where there is one."""
        return self.net if self.averaged is None else self.averaged.module

    def see(self, x: Any) -> None:
        """Look at a first batch: how large a moment is."""
        if self.recipe.regularise.operations_weight:
            self.fans = fan_outs(self.net, tuple(x.shape[2:]))

    def begin(self, train: Batches) -> None:
        """What is done once before the first epoch."""
        if self.recipe.weights.fire:
            make_fire(self.net, moved(next(iter(train.epoch(0))), self.device).x)
        if self.averaged is not None:
            self.averaged.module.load_state_dict(self.net.state_dict())
            reach = 1 / (1 - self.recipe.weights.average)
            if reach > (batches := self.recipe.epochs * len(train)):
                text = (
                    f"weights.average reaches over {reach:.0f} batches, and the training has {batches}: what "
                )
                text += "is kept stays near where it began. Try: a smaller weights.average"
                warnings.warn(text, SpikeflowWarning, stacklevel=4)

    def state(self) -> dict[str, Any]:
        """All of it, as tensors and plain values."""
        averaged = None if self.averaged is None else dict(self.averaged.state_dict())
        return {
            "net": dict(self.net.state_dict()),
            "averaged": averaged,
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave."""
        self.net.load_state_dict(state["net"])
        if self.averaged is not None:
            self.averaged.load_state_dict(state["averaged"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])

    def after_step(self) -> None:
        """What follows each step of the optimiser."""
        self.schedule.step()
        if self.recipe.weights.clip:
            quantise.clip(self.net, self.recipe.weights.clip)
        if self.averaged is not None:
            self.averaged.update_parameters(self.net)


def _optimiser(net: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    chosen, parameters = recipe.optimiser, [p for p in net.parameters() if p.requires_grad]
    if not parameters:
        raise DataError("the network", "no parameters to train", "at least one")
    if chosen.kind == "sgd":
        return torch.optim.SGD(parameters, chosen.rate, chosen.momentum, weight_decay=chosen.weight_decay)
    kind = torch.optim.AdamW if chosen.kind == "adamw" else torch.optim.Adam
    return kind(parameters, chosen.rate, weight_decay=chosen.weight_decay)


def _schedule(optimiser: torch.optim.Optimizer, recipe: Recipe, batches: int) -> Any:
    """Torch's schedule, stepped after every batch."""
    chosen, steps = recipe.schedule, recipe.epochs * batches
    if chosen.kind == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    if chosen.kind == "one_cycle":
        # the last batch steps once more, beyond the end of the cycle
        return torch.optim.lr_scheduler.OneCycleLR(optimiser, recipe.optimiser.rate, total_steps=steps + 1)
    factor = chosen.factor if chosen.kind == "step" else 1.0
    return torch.optim.lr_scheduler.StepLR(optimiser, chosen.every * batches, factor)


def loss_of(chosen: Loss, outputs: torch.Tensor, batch: Any) -> torch.Tensor:
    """The recipe's loss on the outputs of a batch."""
    labels, mask = batch.labels, batch.mask
    if chosen.kind == "cross_entropy" and labels.ndim == 1:
        return loss.cross_entropy(outputs, labels, mask, chosen.reading, chosen.smoothing)
    if labels.ndim == 2 and chosen.reading != "last":
        raise DataError("recipe: loss.reading", chosen.reading, "last: every step has a label of its own")
    if chosen.kind in ("per_step", "cross_entropy"):
        return loss.per_step(outputs, labels, mask, chosen.smoothing)
    if chosen.kind == "tet":
        return loss.tet(outputs, labels, mask, chosen.share, chosen.level)
    function = loss.rate if chosen.kind == "rate" else loss.count
    return function(outputs, labels, mask, chosen.correct, chosen.incorrect)


def _taught(recipe: Recipe, outputs: torch.Tensor, batch: Any) -> torch.Tensor:
    """The loss of training: the recipe's, and how far the outputs are from the ANN's that is followed."""
    value, chosen = loss_of(recipe.loss, outputs, batch), recipe.distillation
    if not chosen.weight:
        return value
    if batch.teacher is None:
        raise DataError("distillation", "batches without logits of a teacher", "Arrays whose teacher is set")
    found = reading.read(outputs, recipe.loss.reading, batch.mask)
    follows = loss.distillation(found, batch.teacher, chosen.temperature)
    return (1 - chosen.weight) * value + chosen.weight * follows


def _surrogates(net: nn.Module, recipe: Recipe) -> dict[str, Callable[[int], Surrogate]]:
    """For each layer that spikes, by its path, the surrogate of each epoch; none where they stay."""
    chosen, found = recipe.surrogate, dict[str, Callable[[int], Surrogate]]()
    if not chosen.last:
        return found
    cells = {id(layer) for layer in spiking(net).values()}
    for path, first in surrogates_of(net).items():
        if id(net.get_submodule(path)) in cells:
            known = [f.name for f in fields(first)] if isinstance(first, Surrogate) else []
            if not isinstance(first, Surrogate) or set(chosen.last) - set(known):
                wanted = f"numbers of {first}: {', '.join(known)}"
                raise DataError("recipe: surrogate.last", f"{dict(chosen.last)}", wanted)
            found[path] = between(
                first, replace(first, **chosen.last), chosen.epochs or max(2, recipe.epochs)
            )
    return found


def _penalty(model: Model, found: dict[str, torch.Tensor], share: Share) -> torch.Tensor:
    """What spikes of the whole batch cost, without those of padding; of several ranks each adds its part."""
    chosen, terms = model.recipe.regularise, []
    plain = model.ranks.alone and inside(share) is None
    count = 1.0 if plain else moments(share, model.ranks, len(next(iter(found.values()))))
    for name in model.spiking:
        # one step of one sample that holds the rates: what is made of rates is the same
        spikes = found[name].flatten(2) if plain else rates(found[name], share, model.ranks, count)
        if chosen.rate_weight:
            cost = regularise.rate(spikes, chosen.rate_low, chosen.rate_high)
            terms.append(chosen.rate_weight * cost)
        if chosen.silence_weight:
            terms.append(chosen.silence_weight * regularise.silence(spikes * count, chosen.silence_least))
        if chosen.operations_weight:
            most = torch.stack([fan.sum() for fan in model.fans.values()]).sum()
            fan = model.fans[name].flatten()
            terms.append(chosen.operations_weight * (spikes.mean((0, 1)) * fan).sum() / most)
    return torch.stack(terms).sum() / model.ranks.world


class _Sum:
    """Loss and accuracy over batches, each counted by its samples; of labels a step by its steps."""

    def __init__(self) -> None:
        self.loss, self.right, self.samples = 0.0, 0, 0

    def add(self, value: float, recipe: Recipe, outputs: torch.Tensor, share: Share) -> None:
        """A share's part of a batch's loss, and how many of its answers are right."""
        self.loss, self.samples = self.loss + value * share.of, self.samples + share.of
        if share.counted:
            batch = share.batch
            right = accuracy(outputs, batch.labels, batch.mask, recipe.loss.reading)
            self.right += round(right * share.counted)

    def score(self, ranks: Ranks) -> Score:
        own = torch.tensor([self.loss, self.right], dtype=torch.float64)
        loss, right = ranks.added(own).tolist()
        return Score(loss / self.samples, right / self.samples, self.samples)


def train_epoch(model: Model, batches: Batches, number: int) -> tuple[Score, float]:
    """One epoch, counted from 0: its score, and the largest norm of a gradient.

    Raises
    ------
    TrainingError
        For a loss or a gradient that is no finite number.
    """
    recipe, sums = model.recipe, _Sum()
    gradients = Gradients(model.net.named_parameters())
    model.net.train()
    if model.surrogates:
        replace_surrogates(model.net, {path: at(number) for path, at in model.surrogates.items()})
    for given, when in looked_at(batches, number, f"in epoch {number + 1}"):
        batch = moved(given, model.device)
        check_lone(model.net, batch.x, when)
        share = share_of(batch, model.ranks, recipe.loss.kind in BY_STEPS)
        model.optimiser.zero_grad()
        try:
            outputs, value = _backward(model, share, when)
        except RuntimeError:  # torch has no class for shapes that do not fit
            check_shapes(model.net, share.batch.x)
            raise
        model.ranks.add_gradients(model.net.parameters())
        norm = gradients.see(when)
        if recipe.optimiser.clip:
            clipped(model.net.parameters(), recipe.optimiser.clip, norm)
        model.optimiser.step()
        model.after_step()
        sums.add(float(value), recipe, outputs, share)
    gradients.tell(number + 1)
    return sums.score(model.ranks), gradients.largest


def _backward(model: Model, share: Share, when: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients by the recipe's rule; outputs of a share and its part of the loss."""
    recipe, x = model.recipe, share.batch.x
    part = weighted(lambda outputs: _taught(recipe, outputs, share.batch), share)
    with shared(model.net, share, model.ranks):
        if recipe.rule.kind != "bptt":
            outputs, value = backward(recipe.rule, model.net, x, part)
            total = value
        else:
            wanted = share.batch.layers if recipe.distillation.layers else {}
            record = (*model.spiking, *(name for name in wanted if name not in model.spiking))
            found, _ = model.net(x, record=record)
            outputs = next(iter(found.values())) if record else found
            total = value = part(outputs)
            if model.spiking:
                total = total + _penalty(model, found, share)
            if wanted:
                follows = loss.layers(found, wanted) * share.weight
                total = value = total + recipe.distillation.layers * follows
    bad = model.ranks.which(not bool(torch.isfinite(total)))
    if model.ranks.rank in bad:
        raise not_a_number(model.net, x, when)
    if bad:
        raise TrainingError(f"process {bad[0]}", f"met a loss that is no finite number {when}")
    if recipe.rule.kind == "bptt":
        total.backward()
    return outputs.detach(), value.detach()


def evaluate(model: Model, batches: Batches, net: nn.Module | None = None) -> Score:
    """The score of the selected network, or of another, on all batches of a split."""
    return score(net or model.selected, batches, model.recipe, Place(model.device, model.ranks))


@torch.no_grad()
def score(net: nn.Module, batches: Batches, recipe: Recipe, place: Place) -> Score:
    """The score of a network, in evaluation mode, on all batches of a split."""
    sums, modes = _Sum(), {module: module.training for module in net.modules()}
    net.eval()
    for given, _ in looked_at(batches, 0, "in an evaluation"):
        share = share_of(moved(given, place.device), place.ranks, recipe.loss.kind in BY_STEPS)
        try:
            with shared(net, share, place.ranks):
                outputs, _ = net(share.batch.x)
        except RuntimeError:  # torch has no class for shapes that do not fit
            check_shapes(net, share.batch.x)
            raise
        value = loss_of(recipe.loss, outputs, share.batch) * share.weight
        sums.add(float(value), recipe, outputs, share)
    for module, mode in modes.items():
        module.training = mode
    return sums.score(place.ranks)

"""An epoch of training, an evaluation, and what moves while both run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from spikeflow.errors import DataError
from spikeflow.train import loss, quantise, regularise
from spikeflow.train.batches import Batches
from spikeflow.train.device import moved
from spikeflow.train.health import Gradients, not_a_number
from spikeflow.train.init import make_fire
from spikeflow.train.inside import spiking
from spikeflow.train.metric import accuracy
from spikeflow.train.recipe import Loss, Recipe
from spikeflow.train.rules import backward

NAN = float("nan")


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
    device : on which the network lies.
    """

    def __init__(self, net: nn.Module, recipe: Recipe, batches: int, device: torch.device) -> None:
        self.net, self.recipe, self.device = net, recipe, device
        if recipe.weights.quantise_bits:
            quantise.quantised(net, recipe.weights.quantise_bits)
        self.optimiser = _optimiser(net, recipe)
        self.schedule = _schedule(self.optimiser, recipe, batches)
        self.averaged: AveragedModel | None = None
        if recipe.weights.average:
            update = get_ema_multi_avg_fn(recipe.weights.average)
            self.averaged = AveragedModel(net, multi_avg_fn=update, use_buffers=True)
        self.spiking = tuple(spiking(net)) if _regular(recipe) else ()

    @property
    def selected(self) -> nn.Module:
        """The network that is evaluated and kept: the averaged one where there is one."""
        return self.net if self.averaged is None else self.averaged.module

    def begin(self, train: Batches) -> None:
        """What is done once before the first epoch."""
        if self.recipe.weights.fire:
            make_fire(self.net, moved(next(iter(train.epoch(0))), self.device).x)
        if self.averaged is not None:
            self.averaged.module.load_state_dict(self.net.state_dict())

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


def _regular(recipe: Recipe) -> bool:
    return bool(recipe.regularise.rate_weight or recipe.regularise.silence_weight)


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
    if chosen.kind in ("per_step", "cross_entropy"):
        return loss.per_step(outputs, labels, mask, chosen.smoothing)
    if chosen.kind == "tet":
        return loss.tet(outputs, labels, mask, chosen.share, chosen.level)
    function = loss.rate if chosen.kind == "rate" else loss.count
    return function(outputs, labels, mask, chosen.correct, chosen.incorrect)


def _penalty(recipe: Recipe, found: dict[str, torch.Tensor], names: tuple[str, ...]) -> torch.Tensor:
    chosen, terms = recipe.regularise, []
    for name in names:
        if chosen.rate_weight:
            cost = regularise.rate(found[name], chosen.rate_low, chosen.rate_high)
            terms.append(chosen.rate_weight * cost)
        if chosen.silence_weight:
            terms.append(chosen.silence_weight * regularise.silence(found[name], chosen.silence_least))
    return torch.stack(terms).sum()


class _Sum:
    """Loss and accuracy over batches, each counted by its samples; of labels a step by its steps."""

    def __init__(self) -> None:
        self.loss, self.right, self.samples = 0.0, 0.0, 0

    def add(self, value: float, share: float, batch: Any) -> None:
        count = int(batch.mask.sum()) if batch.labels.ndim == 2 else len(batch.labels)
        self.loss, self.right = self.loss + value * count, self.right + round(share * count)
        self.samples += count

    def score(self) -> Score:
        return Score(self.loss / self.samples, self.right / self.samples, self.samples)


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
    for index, given in enumerate(batches.epoch(number)):
        batch = moved(given, model.device)
        when = f"in epoch {number + 1}, batch {index + 1}"
        model.optimiser.zero_grad()
        outputs, value = _backward(model, batch, when)
        gradients.see(when)
        if recipe.optimiser.clip:
            nn.utils.clip_grad_norm_(model.net.parameters(), recipe.optimiser.clip)
        model.optimiser.step()
        model.after_step()
        sums.add(float(value), _right(recipe, outputs, batch), batch)
    gradients.tell(number + 1)
    return sums.score(), gradients.largest


def _backward(model: Model, batch: Any, when: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients by the recipe's rule; outputs and loss of a batch."""
    recipe = model.recipe
    if recipe.rule.kind == "bptt":
        found, _ = model.net(batch.x, record=model.spiking)
        outputs = found["output"] if model.spiking else found
        value = loss_of(recipe.loss, outputs, batch)
        total = value + _penalty(recipe, found, model.spiking) if model.spiking else value
        if bool(torch.isfinite(total)):
            total.backward()
            return outputs.detach(), value.detach()
    else:
        outputs, value = backward(recipe.rule, model.net, batch.x, lambda o: loss_of(recipe.loss, o, batch))
        if bool(torch.isfinite(value)):
            return outputs, value
    raise not_a_number(model.net, batch.x, when)


@torch.no_grad()
def evaluate(model: Model, batches: Batches, net: nn.Module | None = None) -> Score:
    """The score of the selected network, or of another, on all batches of a split."""
    chosen, sums = net or model.selected, _Sum()
    modes = {module: module.training for module in chosen.modules()}
    chosen.eval()
    for given in batches.epoch(0):
        batch = moved(given, model.device)
        outputs, _ = chosen(batch.x)
        value = loss_of(model.recipe.loss, outputs, batch)
        sums.add(float(value), _right(model.recipe, outputs, batch), batch)
    for module, mode in modes.items():
        module.training = mode
    return sums.score()


def _right(recipe: Recipe, outputs: torch.Tensor, batch: Any) -> float:
    return accuracy(outputs, batch.labels, batch.mask, recipe.loss.reading)

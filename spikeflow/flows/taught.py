"""Taught: batches of a fine-tuning, with what the ANN says to each sample; to train on, and to select by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch

from spikeflow.convert.passes.balance import readout_of
from spikeflow.convert.passes.forward import outputs_of
from spikeflow.convert.passes.units import thresholds_of
from spikeflow.convert.pipeline import Conversion
from spikeflow.convert.verify.answers import ann_outputs
from spikeflow.convert.verify.calibrated import Calibration
from spikeflow.errors import DataError
from spikeflow.ir.nodes import Activation, Population
from spikeflow.ir.record import Network
from spikeflow.samples import Samples
from spikeflow.sim.classify import evaluate
from spikeflow.train.augment import Augment
from spikeflow.train.batches import Arrays, Batch, Coding
from spikeflow.typing import Array

FEWEST = 20  # samples to train on, and to select by


@dataclass(frozen=True)
class Teaching:
    """What batches are made for.

    Parameters
    ----------
    batch_size, seed : of the batches, and of their order.
    augment : what is done to samples that are trained on.
    labelled : whether samples have labels that count.
    layers : whether the ANN's layers are followed, too.
    """

    batch_size: int
    seed: int
    augment: Augment
    labelled: bool
    layers: bool


class Taught:
    """Batches with what the ANN answers to each sample, augmented as it is; the class that it names is the
    label where samples have none. Not every class need occur.

    Parameters
    ----------
    followed : thresholds by name of the layers that are followed, too.
    """

    def __init__(
        self, arrays: Arrays, conversion: Conversion, labelled: bool, followed: Mapping[str, Array]
    ) -> None:
        self.arrays, self.ann, self.labelled, self.followed = arrays, conversion.ann, labelled, followed
        self.counted = counted_steps(conversion.network)

    @property
    def digest(self) -> str:
        """Of all that decides which batches an epoch gives."""
        return f"{self.arrays.digest} {self.ann.digest} {self.labelled} {sorted(self.followed)}"

    def __len__(self) -> int:
        """Batches of an epoch."""
        return len(self.arrays)

    def epoch(self, number: int) -> Iterator[Batch]:
        """All batches of an epoch; the read-out adds up so many steps, and so do the ANN's answers."""
        for batch in self.arrays.epoch(number):
            active: dict[str, torch.Tensor] = {}
            logits = torch.from_numpy(self._answers(batch.x[0].numpy(), active))
            labels = batch.labels if self.labelled else logits.argmax(1)
            yield replace(batch, labels=labels, teacher=logits * self.counted, layers=active)

    def right(self, network: Network) -> float:
        """The share of samples that a network answers as their labels say."""
        x = self.arrays.x
        wanted = self.arrays.y if self.labelled else ann_outputs(self.ann, x)[self.ann.outputs[0]].argmax(1)
        return float((evaluate(network, Samples(x, prepared=True)).predictions() == wanted).mean())

    def _answers(self, x: Array, active: dict[str, torch.Tensor]) -> Array:
        """The ANN's; and of layers that are followed the share of steps that spikes worth their values
        take.
        """

        def see(name: str, value: torch.Tensor) -> None:
            if name in self.followed:
                theta = torch.from_numpy(np.array(self.followed[name], np.float32))
                active[name] = (value / theta).clamp(0, 1)

        return outputs_of(self.ann, x, see)[self.ann.outputs[0]]


@dataclass(frozen=True, eq=False)
class Parts:
    """Samples to train on, and to select by."""

    train: Taught
    valid: Taught


def parted(conversion: Conversion, calibration: Calibration, teaching: Teaching) -> Parts:
    """Samples to train on, and to select by: of those that set thresholds, whose order is that of hashes.

    Raises
    ------
    DataError
        For fewer samples than can be trained on and selected by.
    """
    x = calibration.setting
    selecting = max(len(x) // 10, FEWEST)
    if len(x) < selecting + FEWEST:
        wanted = f"{2 * FEWEST} samples beside the quarter that is held back"
        raise DataError("calibration data: --finetune", f"{len(x)} samples", wanted, "more samples")
    y = np.zeros(len(x), np.int64)
    if teaching.labelled:
        assert calibration.y is not None
        y = calibration.y[calibration.parts.setting]

    def part(chosen: slice, augment: Augment, shuffle: bool) -> Arrays:
        coding = Coding("direct", conversion.network.record.steps, augment=augment)
        return Arrays(x[chosen], y[chosen], coding, teaching.batch_size, teaching.seed, shuffle)

    followed = _followed(conversion) if teaching.layers else {}
    train = part(slice(selecting, None), teaching.augment, True)
    valid = part(slice(selecting), Augment(), False)
    return Parts(
        Taught(train, conversion, teaching.labelled, followed),
        Taught(valid, conversion, teaching.labelled, {}),
    )


def counted_steps(network: Network) -> int:
    """The steps that the read-out adds up."""
    node = network.graph.nodes[readout_of(network.graph)]
    assert isinstance(node, Population)
    return network.record.steps - node.start


def _followed(conversion: Conversion) -> dict[str, Array]:
    """Thresholds of the layers that stand for one activation of the ANN, value for value, by its name."""
    nodes, graph = conversion.ann.nodes, conversion.network.graph
    return {
        name: theta
        for name, theta in thresholds_of(graph).items()
        if isinstance(nodes.get(name), Activation) and conversion.ann.shapes[name] == graph.shapes[name]
    }

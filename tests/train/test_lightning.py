"""A network trains in Lightning's loop as in a plain one, bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from spikeflow.neurons import LIF, Integrator, Neuron, Recurrent, Sequential
from spikeflow.train import loss
from tests.train.digits import splits

lightning = pytest.importorskip("lightning", reason="Lightning is not installed")
EPOCHS = 3


def _network() -> Sequential:
    torch.manual_seed(0)
    return Sequential(
        nn.Linear(64, 24),
        nn.BatchNorm1d(24),
        Recurrent(Neuron(LIF(0.8, 0.5), learn="decay"), nn.Linear(24, 24)),
        nn.Linear(24, 10),
        Neuron(Integrator()),
    )


class _Epochs(torch.utils.data.IterableDataset[Any]):
    """The batches of one epoch after the other."""

    def __init__(self) -> None:
        self.batches, self.number = splits(100).train, 0

    def __iter__(self) -> Any:
        self.number += 1
        yield from ((b.x, b.labels) for b in self.batches.epoch(self.number - 1))


def test_lightning_trains_as_a_plain_loop(tmp_path: Path) -> None:
    class Module(lightning.LightningModule):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.net = _network()

        def training_step(self, batch: Any, index: int) -> torch.Tensor:
            outputs, _ = self.net(batch[0])
            return loss.cross_entropy(outputs, batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.Adam(self.parameters(), 1e-2)

    module = Module()
    trainer = lightning.Trainer(
        max_epochs=EPOCHS, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    trainer.fit(module, torch.utils.data.DataLoader(_Epochs(), batch_size=None))
    plain, data = _network(), _Epochs()
    optimiser = torch.optim.Adam(plain.parameters(), 1e-2)
    values = []
    for _ in range(EPOCHS):
        for x, labels in data:
            optimiser.zero_grad()
            value = loss.cross_entropy(plain(x)[0], labels)
            value.backward()
            optimiser.step()
            values.append(float(value.detach()))
    assert values[-1] < values[0]
    for name, value in plain.state_dict().items():
        assert torch.equal(module.net.state_dict()[name], value), name

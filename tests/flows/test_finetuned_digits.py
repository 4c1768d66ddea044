"""Fine-tuned digits: a small convolutional network at two and at four steps, tested on digits that nothing saw."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from spikeflow.convert import convert
from spikeflow.flows.finetune import Finetune, finetune
from spikeflow.sim.classify import classify

pytestmark = pytest.mark.filterwarnings("ignore::spikeflow.errors.SpikeflowWarning")
SEEN = 1200


class Digits(nn.Module):
    """Four convolutions, a skip and a maximum between them."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1)
        self.c, self.d = nn.Conv2d(8, 16, 3, padding=1), nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.a(x))
        x = nn.functional.max_pool2d(torch.relu(self.b(x) + x), 2)
        x = nn.functional.avg_pool2d(torch.relu(self.d(torch.relu(self.c(x)))), 2)
        return self.head(x.flatten(1))


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    held = load_digits()
    order = np.random.default_rng(0).permutation(len(held.target))
    return (held.images[:, None].astype(np.float32) / 16)[order], held.target[order]


@pytest.fixture(scope="module")
def ann(digits: tuple[np.ndarray, np.ndarray]) -> nn.Module:
    """A few epochs on the digits that are seen."""
    torch.manual_seed(0)
    net, (x, y) = Digits(), (torch.from_numpy(v[:SEEN]) for v in digits)
    optimiser = torch.optim.Adam(net.parameters(), 5e-3)
    for _ in range(20):
        for chosen in torch.randperm(SEEN).split(50):
            optimiser.zero_grad()
            nn.functional.cross_entropy(net(x[chosen]), y[chosen].long()).backward()
            optimiser.step()
    return net.eval()


@pytest.mark.parametrize(
    ("steps", "gradient", "lost"), [(2, "rates", 0.05), (4, "rates", 0.02), (2, "steps", 0.06)]
)
def test_near_the_ann_at_few_steps(
    ann: nn.Module, digits: tuple[np.ndarray, np.ndarray], steps: int, gradient: str, lost: float
) -> None:
    """Without a label, without a look at the digits that test."""
    x, y = digits
    made = convert(ann, x[:SEEN], steps=steps, method="largest")
    found = finetune(made, x[:SEEN], options=Finetune(epochs=8, rate=3e-3, gradient=gradient))
    with torch.no_grad():
        wanted = float((ann(torch.from_numpy(x[SEEN:])).argmax(1).numpy() == y[SEEN:]).mean())
    before, after = (
        float((classify(n, x[SEEN:]).predictions() == y[SEEN:]).mean())
        for n in (made.network, found.conversion.network)
    )
    assert wanted > 0.96
    assert after > before + 0.01, (before, after)
    assert after > wanted - lost, (wanted, before, after)

"""Networks of recipes: what each key makes, and the refusal of what does not fit, by key."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from spikeflow.errors import DataError
from spikeflow.flows import recipe_file
from spikeflow.flows.data import load
from spikeflow.flows.networks import network
from spikeflow.flows.recipe_file import Data, Layers
from spikeflow.neurons import LeakyIntegrator, Neuron, Recurrent
from spikeflow.neurons.surrogate import ArcTangent
from spikeflow.train.augment import Augment


def _cells(layers: Layers, shape: tuple[int, ...] = (1, 8, 8)) -> list[Neuron]:
    return [m for m in network(layers, shape, 5).modules() if isinstance(m, Neuron)]


def test_convolutions_pool_by_their_own_numbers_and_learn_for_each_channel() -> None:
    spread = {"decay": (0.2, 0.8)}
    layers = Layers(
        "conv",
        (),
        (4, 6),
        pools=(1, 2),
        pooling="max",
        batch_norm=True,
        spread=spread,
        learn=("decay",),
        scope="channel",
    )
    torch.manual_seed(3)
    net = network(layers, (1, 8, 8), 5)
    assert [type(m).__name__ for m in net.layers].count("MaxPool2d") == 1
    assert net(torch.rand(3, 2, 1, 8, 8))[0].shape == (3, 2, 5)
    for cells, channels in zip(_cells(layers), (4, 6), strict=False):
        decay = cells.get_parameter("decay").detach()
        assert decay.shape == (channels, 1, 1) and 0.2 <= decay.min() < decay.max() <= 0.8
    again = (torch.manual_seed(3), network(layers, (1, 8, 8), 5))[1]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


def test_two_point_cells_get_their_own_spikes_at_the_apical_port() -> None:
    layers = Layers(
        "two_point", (7,), neuron="TwoPointLIF", feedback_gain=1.5, batch_norm=True, batch_norm_start=0.5
    )
    net = network(layers, (4,), 3)
    (back,) = (m for m in net.modules() if isinstance(m, Recurrent))
    assert back.port == "apical"
    assert torch.allclose(back.feedback.weight @ back.feedback.weight.T, 2.25 * torch.eye(7), atol=1e-5)  # type: ignore[union-attr, operator]
    (norm,) = (m for m in net.modules() if isinstance(m, nn.BatchNorm1d))
    assert torch.equal(norm.weight.detach(), torch.full((7,), 0.5))


def test_read_outs_leak_and_surrogates_have_numbers() -> None:
    layers = Layers(
        read_out_decay=0.75, learn=("decay",), scope="neuron", surrogate_parameters={"slope": 5.0}
    )
    hidden, out = _cells(layers)
    assert hidden.derivative == ArcTangent(5.0) and hidden.get_parameter("decay").shape == (128,)
    assert isinstance(out.model, LeakyIntegrator) and out.get_parameter("decay").shape == (5,)


@pytest.mark.parametrize(
    ("layers", "match"),
    (
        ({"kind": "two_point"}, r"network\.neuron: got LIF.*TwoPointLIF"),
        ({"surrogate_parameters": {"steep": 1.0}}, r"surrogate_parameters.*slope"),
        ({"spread": {"decoy": (0.1, 0.2)}}, r"network\.parameters: got decoy.*Try: decay"),
        ({"spread": {"decay": (0.2, 0.1)}}, r"network\.spread\.decay"),
        ({"pools": (2,)}, r"network\.pools"),
        ({"pooling": "mean"}, r"network\.pooling.*average"),
        ({"scope": "layer"}, r"network\.scope.*shared"),
        ({"read_out_decay": 1.5}, r"network\.read_out_decay"),
    ),
)
def test_what_does_not_fit_is_refused_by_key(layers: dict[str, object], match: str) -> None:
    with pytest.raises(DataError, match=match):
        network(Layers(**layers), (1, 8, 8), 5)  # type: ignore[arg-type]


def test_augmentation_is_read_and_changes_the_training_split_alone(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text('[data]\nset = "digits"\n[data.augment]\nshift = 1\nflip = true\n')
    data = recipe_file.read(path).data
    assert data.augment == Augment(1, True)
    plain, moved = load(Data("digits"), 0).splits, load(data, 0).splits
    for name, same in (("train", False), ("valid", True), ("test", True)):
        a, b = (next(iter(getattr(splits, name).epoch(0))) for splits in (plain, moved))
        assert torch.equal(a.x, b.x) is same and torch.equal(a.labels, b.labels)
    with pytest.raises(DataError, match=r"data\.augment: got workers"):
        Data("nmnist", coding="frames", workers=1, augment=Augment(1))

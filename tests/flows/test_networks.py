"""Networks of recipes: what each key makes, and the refusal of what does not fit, by key."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert import capture_trained
from spikeflow.errors import DataError, SpikeflowWarning
from spikeflow.flows import recipe_file
from spikeflow.flows.data import load
from spikeflow.flows.networks import network
from spikeflow.flows.recipe_file import Data, Layers
from spikeflow.hw import map_network
from spikeflow.neurons import LeakyIntegrator, Neuron, Recurrent
from spikeflow.neurons.surrogate import ArcTangent
from spikeflow.sim.classify import classify
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


def _banded(hidden: tuple[int, ...] = (7,), **more: Any) -> Layers:
    given: dict[str, Any] = {
        "shape": (2, 12),
        "kernel": 3,
        "pool": 2,
        "neuron": "TwoPointLIF",
        "learn": ("decay",),
        **more,
    }
    return Layers("conv_two_point", hidden, (4, 6), scope="channel", **given)


def test_convolutions_along_one_axis_share_their_kernel_and_feed_cells_that_are_fed_back() -> None:
    torch.manual_seed(2)
    net = network(_banded(batch_norm=True), (24,), 5)
    assert [type(m).__name__ for m in net.layers].count("AvgPool1d") == 2
    assert net(torch.rand(3, 2, 24))[0].shape == (3, 2, 5)
    (back,) = (m for m in net.modules() if isinstance(m, Recurrent))
    assert back.port == "apical" and back.neuron.get_parameter("decay").shape == (7,)
    first = next(m for m in net.modules() if isinstance(m, Neuron))
    assert first.get_parameter("decay").shape == (4, 1)
    x = torch.zeros(6, 1, 2, 12)
    x[:, :, :, 3:6] = (torch.rand(6, 1, 2, 3) < 0.6) * 3.0
    moved = x.roll(4, -1)  # what is heard four bands higher makes the same spikes four places higher
    net.eval()
    a, b = (net(each.flatten(2), record=("layers.3",))[0]["layers.3"] for each in (x, moved))
    assert a.shape == (6, 1, 4, 12) and a.any() and torch.equal(a[..., 2:7], b[..., 6:11])
    plain = network(replace(_banded(), kind="conv_recurrent", neuron="LIF"), (2, 12), 5)
    assert [m.port for m in plain.modules() if isinstance(m, Recurrent)] == ["in"]
    assert not any(isinstance(m, nn.Unflatten) for m in plain.modules())


def test_delayed_synapses_see_earlier_moments() -> None:
    torch.manual_seed(4)
    net = network(Layers("dense", (6,), hidden_delays=(1, 3), read_out=False), (5,), 2)
    x = torch.randn(8, 2, 5)
    found = net(x, record=("layers.1",))[0]["layers.1"]
    weights = dict(net.layers[1].named_parameters())
    assert set(weights) == {"nodes.late_1.weight", "nodes.late_1.bias", "nodes.late_3.weight"}
    for t in range(len(x)):
        wanted = weights["nodes.late_1.bias"].expand(2, 6)
        for late in (1, 3):
            wanted = wanted + (x[t - late] @ weights[f"nodes.late_{late}.weight"].T if t >= late else 0)
        assert torch.allclose(found[t], wanted, atol=1e-6)


@pytest.mark.parametrize("delays", ((0,), (0, 1, 4)))
def test_convolutions_along_one_axis_run_in_the_engine_and_on_a_chip(delays: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    parameters = {"decay": 0.7, "threshold": 0.2, "gain": 2.0}
    layers = _banded((7,), parameters=parameters, delays=delays, hidden_delays=delays)
    net = network(layers, (24,), 5).eval()
    captured = capture_trained(net, (24,), 1e-3, 9)  # proves each layer against its graph
    x = (np.random.default_rng(1).random((100, 9, 24)) < 0.3).astype(np.float32)
    wanted, _ = net(torch.from_numpy(x).swapaxes(0, 1), record=("layers.2", "output"))
    assert wanted["layers.2"].any()
    found = classify(captured, x)
    assert np.array_equal(found.predictions(), wanted["output"][-1].argmax(1).numpy())
    mapping = map_network(captured, "loihi2", x, accept_loss=True)
    assert mapping.cores_used >= 1 and classify(mapping.as_network(), x).predictions().shape == (100,)


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
        ({"hidden_delays": ()}, r"network\.hidden_delays.*ascending"),
        ({"hidden_delays": (3, 1)}, r"network\.hidden_delays.*ascending"),
        ({"kind": "conv", "delays": (-1,)}, r"network\.delays.*from 0 to 1000"),
        ({"kind": "conv", "delays": (0, 1001)}, r"network\.delays.*from 0 to 1000"),
        ({"kind": "conv", "shape": (64,)}, r"network\.shape.*length"),
        ({"kind": "conv", "shape": (0, 4)}, r"network\.shape.*sizes from 1"),
        ({"kind": "conv", "shape": (2, 30)}, r"network\.shape.*64 values"),
        ({"kind": "conv_two_point"}, r"network\.neuron: got LIF.*kind conv_two_point"),
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


def test_a_row_without_a_shape_for_convolutions_is_told_the_key() -> None:
    with pytest.raises(DataError, match=r"moments have shape \(80,\)\. Try: network\.shape"):
        network(Layers("conv"), (80,), 5)
    assert any("network.shape" in text for text in Layers("dense", shape=(2, 40)).unused())
    assert not Layers("conv_two_point", shape=(2, 40), feedback_gain=1.0).unused()


@pytest.mark.parametrize(
    ("kind", "neuron", "said"),
    (
        ("dense", "TwoPointLIF", "TwoPointLIF reads 0 at apical: networks of kind dense feed basal alone"),
        ("recurrent", "DHLIF", "DHLIF reads 0 at branch2, branch3, branch4: networks of kind recurrent feed branch1 alone"),
        ("dense", "EGRU", "EGRU reads 0 at reset, candidate, recurrent"),
    ),
)
def test_ports_that_a_recipe_does_not_feed_are_told(kind: str, neuron: str, said: str) -> None:
    with pytest.warns(SpikeflowWarning, match=f"recipe: network.neuron {said}"):
        network(Layers(kind, (6,), neuron=neuron), (5,), 3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        network(Layers("two_point", (6,), neuron="TwoPointLIF"), (5,), 3)
        network(_banded(), (24,), 5)
        network(Layers("dense", (6,), neuron="DHLIF", parameters={"branches": 1}), (5,), 3)
    with pytest.warns(SpikeflowWarning, match="TwoPointLIF reads 0 at apical: networks of kind conv_two_point"):
        network(_banded(()), (24,), 5)

"""Law: a thing of another kind, given to a public door, ends in our error, which says what makes the right one of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from spikeflow import (
    Constant,
    Graph,
    Network,
    agreement,
    classify,
    convert,
    map_network,
    quantise,
    run,
    write_mapping,
    write_network,
)
from spikeflow.errors import SpikeflowError, SpikeflowWarning
from spikeflow.hw.chips.chip import load

X = np.random.default_rng(0).random((100, 6)).astype(np.float32)


@pytest.fixture(scope="module")
def module() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)).eval()


def test_every_door_names_what_it_got_instead_of_a_network(module: nn.Module) -> None:
    conversion = convert(module, X)
    mapping = map_network(conversion.network, "loihi2", X)
    wrong = (mapping, module, conversion, "net.h5", None, 3, conversion.network.record)
    doors: tuple[Callable[..., object], ...] = (classify, lambda n, x: map_network(n, "loihi2", x))
    for door in doors:
        for thing in wrong:
            with pytest.raises(SpikeflowError, match="mapping" if thing is mapping else type(thing).__name__):
                door(thing, X)
    program = torch.export.export(module, (torch.zeros(2, 6),))
    for thing, hint in (
        (program, "torch.export.save"),
        (conversion.network, "spikes already"),
        (lambda x: module(x), "torch.nn.Module"),
        (None, "path"),
        (X, "path"),
    ):
        with pytest.raises(SpikeflowError, match=hint):
            convert(thing, X)  # type: ignore[arg-type]


def test_what_is_no_graph_input_or_record_of_a_run_is_named(module: nn.Module, tmp_path: Path) -> None:
    network = convert(module, X, steps=4).network
    mapping, graph, x = map_network(network, "loihi2", X), network.graph, Constant(X[:5])
    file = tmp_path / "a.h5"
    for door, said in (
        (lambda: run(network, x, 4), "got a Network.*its .graph"),
        (lambda: run(mapping, x, 4), "as_graph"),
        (lambda: run("net.h5", x, 4), "read_network"),
        (lambda: run(graph, X[:5], 4), "got a ndarray.*Constant"),
        (lambda: run(graph, torch.tensor(X[:5]), 4), "got a Tensor.*Dense"),
        (lambda: run(graph, {"input": X[:5]}, 4), "input: got a ndarray"),
        (lambda: run(graph, None, 4), "got a NoneType"),
        (lambda: run(graph, x, 4.0), "4.0 steps.*whole number"),
        (lambda: run(graph, x, None), "None steps"),
        (lambda: run(graph, x, True), "True steps"),
        (lambda: run(graph, x, 4, record="input"), "the text 'input'.*'input',"),
        (lambda: run(graph, x, 4, threads=-1), "threads: got -1"),
        (lambda: classify(graph, X), "got a Graph.*RunRecord"),
        (lambda: map_network(network, None, X), "chip: got a NoneType.*loihi1"),
        (lambda: quantise(graph, "loihi2", X), "got a Graph"),
        (lambda: agreement(network, X), "the conversion: got a Network"),
        (lambda: write_network(file, graph), "got a Graph"),
        (lambda: write_network(network, file), "got a .*Path"),
        (lambda: write_mapping(file, network), "got a Network.*write_network"),
        (lambda: Network(graph, None), "RunRecord"),
        (lambda: Network(mapping, network.record), "as_graph"),
        (lambda: Graph(graph.nodes, [("input", "output")]), "is no edge.*Edge"),
        (lambda: Graph([], ()), "nodes are a list"),
        (lambda: Graph({"input": 3}, ()), "'input': is a int"),
    ):
        with pytest.raises(SpikeflowError, match=said):
            door()  # type: ignore[no-untyped-call]
    assert not file.exists()


def test_whatever_holds_numbers_makes_an_input(module: nn.Module) -> None:
    graph = convert(module, X, steps=4).network.graph
    wanted = run(graph, Constant(X[:5]), 4)
    for given in (X[:5].tolist(), torch.tensor(X[:5]), torch.tensor(X[:5], requires_grad=True)):
        again = run(graph, Constant(given), 4)  # type: ignore[arg-type]
        assert all((again.outputs[name] == values).all() for name, values in wanted.outputs.items())
    with pytest.raises(SpikeflowError, match="Constant: got"):
        Constant("five")  # type: ignore[arg-type]


def test_networks_and_mappings_are_short_in_print(module: nn.Module) -> None:
    network = convert(module, X, steps=4).network
    mapping = map_network(network, "loihi2", X)
    assert "input, 0, 1" in repr(network) and len(repr(network)) < 600
    assert repr(mapping).startswith("Mapping('loihi2', 1 cores on 1 chips") and len(repr(mapping)) < 100


@pytest.mark.parametrize("steps", ["64", None, [64], 0, 1.5, True])
def test_steps_of_another_kind(module: nn.Module, steps: object) -> None:
    with pytest.raises(SpikeflowError, match="steps"):
        convert(module, X, steps=steps)  # type: ignore[arg-type]


@pytest.mark.parametrize("chips", [0, -1, "2", 1.5, None])
def test_chips_of_another_kind(module: nn.Module, chips: object) -> None:
    with pytest.raises(SpikeflowError, match="--chips"):
        map_network(convert(module, X).network, "loihi2", X, chips=chips)  # type: ignore[arg-type]


@pytest.mark.parametrize("percentile", [0.5, 0.999, 0.0, -1.0, 100.5])
def test_a_quantile_is_no_percentile(module: nn.Module, percentile: float) -> None:
    with pytest.raises(SpikeflowError, match="99.9"):
        convert(module, X, percentile=percentile)


@pytest.mark.parametrize("name", ["loihi2", " loihi2", "LOIHI2\n", "Loihi2 "])
def test_blanks_and_case_do_not_change_a_chip(name: str) -> None:
    assert load(name).name == "loihi2"


@pytest.mark.parametrize("seed", range(5))
def test_labels_in_another_order_than_the_samples_came_with_are_told(module: nn.Module, seed: int) -> None:
    """Drawn: the order in which a DataLoader shuffles 100 samples, and their 3 classes."""
    torch.manual_seed(seed)
    labels = torch.randint(0, 3, (100,))
    network = convert(module, X).network
    found = classify(network, DataLoader(TensorDataset(torch.tensor(X), labels), batch_size=7, shuffle=True))
    with pytest.warns(SpikeflowWarning, match="another order"):
        found.accuracy(labels.numpy())
    assert found.accuracy() == classify(network, X).accuracy(labels.numpy())


def test_a_percentile_too_low_is_advised_against() -> None:
    """Drawn: a network of 64-32-10 whose thresholds stand at the median of its activations."""
    torch.manual_seed(1)
    x = np.random.default_rng(1).random((200, 64)).astype(np.float32)
    network = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10)).eval()
    with pytest.warns(SpikeflowWarning, match="--percentile 99.9"):
        convert(network, x, percentile=20.0)


def test_advice_never_leaves_lost_answers_lost() -> None:
    """Answers tied in the original stay tied after any number of steps, so more steps are no advice."""
    x = (np.random.default_rng(0).random((200, 10)) < 0.5).astype(np.float32)
    with pytest.warns(SpikeflowWarning) as told:
        convert(nn.Sequential(nn.ReLU()), x)
    texts = [str(w.message) for w in told if "agreement" in str(w.message)]
    assert texts and not any("--steps" in text for text in texts)


def test_a_sigmoid_that_is_put_back_is_not_said_to_be_gone(module: nn.Module) -> None:
    for last, said in ((nn.Sigmoid(), "put through it again"), (nn.ELU(), "values before it")):
        with pytest.warns(SpikeflowWarning, match=said):
            convert(nn.Sequential(*module, last).eval(), X)  # type: ignore[misc]

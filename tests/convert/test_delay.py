"""Delayed read-out: answers without the first steps, in floats and integers, in one run and in two."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from spikeflow.convert import Conversion, convert
from spikeflow.convert.passes.observe import ActivationStats, Stats
from spikeflow.convert.verify.delay import delayed, of_text, proposal
from spikeflow.errors import ConversionError, DataError, SpikeflowWarning
from spikeflow.hw import map_network
from spikeflow.ir import file
from spikeflow.ir.record import Network
from spikeflow.ir.show import show_network
from spikeflow.sim.checkpoint import Checkpoint
from spikeflow.sim.classify import RunOptions, classify, evaluate
from tests.convert.networks import samples, settled, small_cnn

X = samples((1, 8, 8), 120)


@pytest.fixture(scope="module")
def made() -> Conversion:
    return convert(settled(small_cnn()), X, steps=20, read_from=6)


def recorded(network: Network, **changes: Any) -> Network:
    return replace(network, record=replace(network.record, **changes))


@pytest.mark.parametrize("engine", ["cpp", "reference"])
@pytest.mark.parametrize("kept", [(), (1, 8, 9, 10, 20)])
def test_answers_are_those_of_the_later_steps(made: Conversion, engine: str, kept: tuple[int, ...]) -> None:
    x = X[:7]
    whole = evaluate(recorded(made.network, read_from=0), x).logits
    late = classify(made.network, x, RunOptions(engine, kept=kept))
    assert made.network.record.read_from == 6 and late.steps == 20
    for steps in (10, 20):
        assert np.array_equal(late.accumulated(steps), whole[steps - 1] - whole[5])
        assert np.allclose(late.values(steps), (whole[steps - 1] - whole[5]) / (steps - 6), rtol=1e-6)
    # with fewer than 4 steps left the delay is off
    for steps in (1, 8, 9):
        assert np.array_equal(late.accumulated(steps), whole[steps - 1])
        assert np.allclose(late.values(steps), whole[steps - 1] / steps, rtol=1e-6)


@pytest.mark.parametrize("cut", [3, 6, 7, 15])
def test_a_run_that_goes_on_reads_the_same(made: Conversion, cut: int, tmp_path: Path) -> None:
    x = X[:5]
    whole = classify(made.network, x)
    first = classify(made.network, x, RunOptions(steps=cut, keep_state=True)).checkpoint
    assert first is not None
    first.save(tmp_path / "state.h5")
    rest = classify(made.network, x, RunOptions(steps=20 - cut, start=Checkpoint.load(tmp_path / "state.h5")))
    assert np.array_equal(rest.accumulated(), whole.accumulated())
    assert np.array_equal(rest.values(), whole.values())
    if cut >= 6:
        with pytest.raises(DataError, match="had added up"):
            classify(made.network, x, RunOptions(steps=2, start=replace(first, behind={})))


def test_integers_on_a_chip_read_the_same_steps(made: Conversion) -> None:
    mapped = map_network(made.network, "loihi2", X, accept_loss=True).as_network()
    assert mapped.record.read_from == 6
    late = classify(mapped, X[:6])
    whole = evaluate(recorded(mapped, read_from=0), X[:6]).logits
    assert np.array_equal(late.accumulated(), whole[19] - whole[5]) and late.logits.dtype == np.int64


def test_the_record_keeps_it_and_old_records_have_none(made: Conversion, tmp_path: Path) -> None:
    file.write(tmp_path / "net.h5", made.network)
    assert file.read(tmp_path / "net.h5").record.read_from == 6
    assert "from step 6 on" in show_network(made.network) and "read from step 6 on" in made.report.to_text()
    with pytest.raises(DataError, match="read_from"):
        recorded(made.network, read_from=-1)


def test_depth_counts_spiking_layers_on_the_longest_path(made: Conversion) -> None:
    assert proposal(made.network.graph, "depth", None) == 2
    found = convert(settled(small_cnn()), X, steps=20, read_from="depth").report.read_out.delay
    assert found is not None and found.proposed == 2 and found.taken in (0, 2)
    assert found.agreement is not None and found.whole is not None
    # what is taken answers no worse
    assert (found.agreement >= found.whole) or found.taken == 0


def test_the_estimate_is_that_of_hand_made_statistics(made: Conversion) -> None:
    graph = made.network.graph

    def seen(name: str, time: float) -> ActivationStats:
        theta = graph.nodes[name].params["threshold"].ravel()  # type: ignore[union-attr]
        mean = theta / 2 / (3 * time)
        mean[-1] = theta[-1] / 2 / time  # the fastest channel decides
        mean[0] = 0.0  # a silent one does not
        none = np.zeros((len(theta), 1))
        return ActivationStats(1, theta, mean, none[:, 0], none)

    stats = Stats(1, {"2": seen("2", 3.0), "6": seen("6", 4.5)}, {}, 0.0, 1.0)
    assert proposal(graph, "estimated", stats) == 8  # 7.5, rounded up
    with pytest.raises(ConversionError, match="depth"):
        proposal(graph, "estimated", None)


@pytest.mark.parametrize("sign", [1, -1])
def test_the_estimate_of_neurons_that_follow_a_function(sign: int) -> None:
    """They hand on a value from half of a threshold on: as soon as an IF neuron that starts there."""
    graph = convert(settled(small_cnn()), X, steps=20, alphabet="signed").network.graph
    assert proposal(graph, "depth", None) == 2

    def seen(name: str) -> ActivationStats:
        theta = graph.nodes[name].params["threshold"].ravel()  # type: ignore[union-attr]
        none = np.zeros((len(theta), 1))
        return ActivationStats(1, theta, sign * theta / 2 / 3, none[:, 0], none)

    assert proposal(graph, "estimated", Stats(1, {"2": seen("2"), "6": seen("6")}, {}, 0.0, 1.0)) in (6, 7)


def test_a_delay_that_answers_worse_is_not_taken(made: Conversion) -> None:
    """Hand-made: the ANN answers as the network read from the beginning, or from step 2 on."""
    network, x = recorded(made.network, read_from=0), X[:60]
    run = evaluate(network, x)
    whole, late = ({"output": replace(run, read_from=first).in_units()} for first in (0, 2))
    assert delayed(network, whole, x, "depth", None).taken == 0
    assert delayed(network, late, x, "depth", None).taken == 2
    assert delayed(network, whole, x, 17, None).taken == 0  # fewer than 4 steps would be left
    assert delayed(network, whole, x, 16, None).taken == 16  # a number is taken as it is


def test_with_until_the_fewer_steps_are_taken() -> None:
    module = settled(nn.Sequential(*small_cnn()))
    plain = convert(module, X, until="drop<=3").report.read_out.until
    both = convert(module, X, until="drop<=3", read_from="depth")
    assert plain is not None and both.report.read_out.until is not None
    assert both.network.record.steps <= plain.steps


def test_a_number_that_until_does_not_reach_is_told_and_not_recorded() -> None:
    with pytest.warns(SpikeflowWarning, match="--read-from: answers are read from the beginning"):
        made = convert(settled(small_cnn()), X, until="drop<=20", read_from=100)
    whole = convert(settled(small_cnn()), X, until="drop<=20")
    found, steps = made.report.read_out, made.network.record.steps
    assert made.network.record.read_from == 0 and found.until == whole.report.read_out.until
    assert steps == 1 and "asked for 100, for which 1 step is too few" in made.report.to_text()
    assert any("--read-from" in text for text in made.warnings)
    # nor in a run of a number of steps
    with pytest.warns(SpikeflowWarning, match="20 steps are too few: at least 4 are read"):
        assert convert(settled(small_cnn()), X, steps=20, read_from=17).network.record.read_from == 0


@pytest.mark.parametrize("text", ["", "deep", "-1", "1.5", "99999999"])
def test_what_is_no_delay_is_told(text: str) -> None:
    with pytest.raises(ConversionError, match="--read-from"):
        of_text(text)


def test_a_run_too_short_for_the_delay_is_told(made: Conversion) -> None:
    """It read answers from the beginning without a word."""
    x = X[:4]
    assert not [text for text in classify(made.network, x).warnings if "not from step" in text]
    for steps in (5, 6, 9):
        (text,) = [t for t in classify(made.network, x, RunOptions(steps=steps)).warnings if "not from step" in t]
        assert "not from step 6 on" in text and "--steps 10 or more" in text
    assert not [t for t in classify(made.network, x, RunOptions(steps=10)).warnings if "not from step" in t]

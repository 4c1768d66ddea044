"""Agreement of two networks: its interval, ties, constant answers, and what is told."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spikeflow.ir.interval import of_samples, wilson
from spikeflow.sim.fidelity import (
    Fidelity,
    LayerFidelity,
    compare_outputs,
    correlation,
    fidelity_warnings,
    lossy,
)


@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    [(0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (95, 100, 0.8882, 0.9785), (1, 2, 0.0945, 0.9055)],
)
def test_wilson_gives_the_published_intervals(right: int, of: int, low: float, high: float) -> None:
    # values of the score interval as other statistics packages print them
    assert wilson(right / of, of) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 10**6), st.data())
def test_wilson_holds_the_share_and_narrows(count: int, data: st.DataObject) -> None:
    share = data.draw(st.integers(0, count)) / count
    low, high = wilson(share, count)
    assert 0 <= low <= share <= high <= 1
    wide = wilson(share, max(1, count // 4))
    assert high - low <= wide[1] - wide[0] + 1e-12


def test_few_samples_cannot_look_like_many() -> None:
    assert of_samples(1.0, 1) == "100.00 % of 1 sample (95 % interval 20.7 to 100.0 %)"
    assert of_samples(0.975, 1000) == "97.50 % of 1,000 samples (95 % interval 96.3 to 98.3 %)"


def test_nothing_measured_is_every_share() -> None:
    assert wilson(0.0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("seed", range(10))
def test_networks_that_are_silent_or_tied_do_not_agree(seed: int) -> None:
    """Drawn: 1 to 50 samples of 2 to 10 classes; both networks the same and constant over the classes."""
    draw = np.random.default_rng(seed)
    shape = (int(draw.integers(1, 51)), int(draw.integers(2, 11)))
    tied = np.repeat(draw.normal(size=(shape[0], 1)), shape[1], axis=1)
    for both in (np.zeros(shape), tied):
        found = compare_outputs("out", both, both, "class")
        assert (found.agreement, found.tied) == (0.0, 1.0)


def test_one_class_for_everything_agrees_in_nothing() -> None:
    reference = np.eye(3)[[0, 0, 0, 0, 1]]
    tested = np.eye(3)[[0] * 5]
    found = compare_outputs("out", tested, reference, "class")
    assert found.agreement == 0.0 and found.constant
    # where the original has one class as well, that is what it should answer
    assert compare_outputs("out", tested, tested, "class").agreement == 1.0


def test_a_sign_of_nothing_is_undecided() -> None:
    found = compare_outputs(
        "out", np.array([[1.0], [0.0], [-2.0]]), np.array([[2.0], [-1.0], [-1.0]]), "sign"
    )
    assert found.agreement == pytest.approx(2 / 3) and found.tied == pytest.approx(1 / 3)


def test_values_agree_by_their_error() -> None:
    found = compare_outputs("out", np.array([[1.0], [3.0]]), np.array([[2.0], [2.0]]), "value")
    assert (found.agreement, found.low, found.high, found.error) == (0.5, 0.5, 0.5, 0.5)
    assert compare_outputs("out", np.ones((2, 1)), np.zeros((2, 1)), "value").agreement == 0.0


def test_a_layer_that_is_constant_is_never_equal() -> None:
    assert correlation(np.zeros(5), np.zeros(5)) is None and correlation(np.ones(5), np.arange(5)) is None
    assert correlation(np.arange(5), 3.0 * np.arange(5)) == pytest.approx(1.0)


def measured(agreement: float, samples: int, *layers: LayerFidelity) -> Fidelity:
    answers = np.arange(samples) >= round(agreement * samples)
    reference = np.eye(2)[np.arange(samples) % 2]
    tested = np.where(answers[:, None], 1 - reference, reference)
    return Fidelity("the ANN", samples, 8, (compare_outputs("out", tested, reference, "class"),), layers)


def test_what_is_told() -> None:
    first, second = LayerFidelity("a", 0.1, 0.97), LayerFidelity("b", 0.1, 0.5)
    (text,) = fidelity_warnings(measured(0.5, 100, first, second), "--steps 64")
    assert "50.00 %" in text and "95 % interval" in text and "100 held-back samples" in text
    assert "the first layer that differs is b (correlation 0.500)" in text and text.endswith(
        "Try: --steps 64"
    )
    assert fidelity_warnings(measured(1.0, 100, first)) == () and not lossy(measured(1.0, 100))
    assert "3 held-back samples only" in fidelity_warnings(measured(1.0, 3))[0]
    assert "not measured" in fidelity_warnings(Fidelity("the ANN", 0, 8))[0]
    assert (
        "never spikes on the held-back samples: c"
        in fidelity_warnings(measured(1.0, 100, LayerFidelity("c", 0.0, None, True)))[0]
    )


def test_the_layer_named_falls_first_or_most() -> None:
    layers = [LayerFidelity(n, 0.1, c) for n, c in (("a", 0.99), ("b", 0.96), ("c", 0.955))]
    found = measured(0.5, 10, *layers).first_lost()
    assert found is not None and found.name == "b"
    silent = measured(0.5, 10, layers[0], LayerFidelity("s", 0.0, None, True)).first_lost()
    assert silent is not None and silent.name == "s"


@pytest.mark.parametrize("seed", range(20))
def test_an_offset_that_all_samples_share_hides_no_error_of_values(seed: int) -> None:
    """Drawn: 2 to 200 samples of 1 to 5 values, an offset of 0 to 10^6 and an error of 20 to 100 % of the spread."""
    draw = np.random.default_rng(seed)
    reference = draw.normal(size=(int(draw.integers(2, 201)), int(draw.integers(1, 6))))
    share = draw.uniform(0.2, 1.0)
    spread = np.abs(reference - reference.mean(axis=0))
    wrong = reference + share * spread * draw.choice([-1, 1], reference.shape)
    offset = draw.choice([0, 10.0 ** draw.uniform(0, 6)])
    found = compare_outputs("out", wrong + offset, reference + offset, "value")
    assert found.spread_error == pytest.approx(share, rel=1e-3)
    fidelity = Fidelity("the ANN", len(wrong), 64, (found,))
    assert lossy(fidelity)
    assert any(
        "spread" in text or "agreement with" in text
        for text in fidelity_warnings(fidelity)
        if "held-back samples only" not in text
    )


def test_values_that_do_not_vary_have_no_spread() -> None:
    assert compare_outputs("out", np.full((5, 1), 1.1), np.ones((5, 1)), "value").spread_error is None

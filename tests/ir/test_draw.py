"""What is drawn from counters follows its distribution; the formulas are those of the mathematics.

Statistics are of fixed seeds, so a test either always holds or never: each is asserted at the stated p.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
import pytest
from scipy import stats

from spikeflow.counters import bits53, keys, words
from spikeflow.errors import GraphError
from spikeflow.ir import draw
from spikeflow.ir.projections import (
    FixedInDegree,
    FixedTotal,
    Normal,
    OneToOne,
    Probability,
    Projection,
    Rule,
    drawn,
)

P = 1e-3  # a test of these statistics fails by chance once in a thousand seeds


def test_the_logarithm_is_right_to_the_last_places() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate(
        [2.0**-53 * np.arange(1, 50), rng.random(20000), 10.0 ** rng.uniform(-300, 300, 2000), [1.0]]
    )
    np.testing.assert_allclose(draw.log(x), np.log(x), rtol=1e-15, atol=0)


def test_normal_numbers_are_those_of_the_normal_distribution() -> None:
    u = np.concatenate(
        [
            draw.uniform(bits53(keys(1), np.arange(20000))),
            2.0 ** -np.arange(1, 54),
            1 - 2.0 ** -np.arange(2, 53),
        ]
    )
    expected = [NormalDist().inv_cdf(float(p)) for p in u]
    np.testing.assert_allclose(draw.normal(u), expected, rtol=1e-14, atol=1e-16)
    assert np.abs(draw.normal(draw.uniform(np.array([0, 2**53 - 1], np.uint64)))).max() < 9


def test_words_depend_on_their_counters_alone() -> None:
    together = words(keys(7, np.arange(5), 3)[:, None], np.arange(4))
    for row in range(5):
        for column in range(4):
            assert words(keys(7, row, 3), column)[0] == together[row, column]
    assert len(np.unique(together)) == together.size


@pytest.mark.parametrize(("part", "whole"), [(1, 2), (1, 3), (8, 13), (4096, 4097)])
@pytest.mark.parametrize("count", [1, 7, 64, 1000])
def test_a_binomial_number_is_one(part: int, whole: int, count: int) -> None:
    found = [draw.binomial(keys(11, n), count, part, whole) for n in range(2000)]
    expected = stats.binom(count, part / whole)
    edges = sorted(set(expected.ppf(np.linspace(0.1, 0.9, 9)).astype(int).tolist()))
    observed = np.histogram(found, [-1, *[e + 0.5 for e in edges], count + 1])[0]
    chance = np.diff([0, *expected.cdf(edges), 1])
    kept = chance > 1e-9
    assert observed[~kept].sum() == 0
    if kept.sum() > 1:
        assert stats.chisquare(observed[kept], 2000 * chance[kept] / chance[kept].sum()).pvalue > P


@pytest.mark.parametrize("targets", [1, 2, 7, 64, 1000])
def test_a_total_is_split_as_by_single_choices(targets: int) -> None:
    shares = draw.shares(5, 2, 20000, targets)
    assert shares.sum() == 20000 and shares.min() >= 0
    if targets > 1:
        assert P < stats.chisquare(shares).pvalue < 1 - P


def projection(rule: Rule, sources: int, number: int = 0) -> Projection:
    return Projection(0, sources, rule, 1.0, seed=4, number=number)


@pytest.mark.parametrize("autapses", [True, False])
@pytest.mark.parametrize("multapses", [True, False])
def test_fixed_in_degree(autapses: bool, multapses: bool) -> None:
    rule = FixedInDegree(20, autapses, multapses)
    found = drawn(projection(rule, 200), 200)
    assert (np.bincount(found.target) == 20).all()
    pairs = np.unique(found.target.astype(np.int64) * 200 + found.source).size
    assert (pairs == 4000) == (not multapses)
    assert (found.target == found.source).any() == autapses
    assert stats.chisquare(np.bincount(found.source, minlength=200)).pvalue > P


def test_fixed_in_degree_of_all_sources_is_all_to_all() -> None:
    found = drawn(projection(FixedInDegree(30, multapses=False), 30), 5)
    assert (np.sort(found.source.reshape(5, 30)) == np.arange(30)).all()


@pytest.mark.parametrize("p", [0.003, 0.1, 0.9])
@pytest.mark.parametrize("autapses", [True, False])
def test_probability(p: float, autapses: bool) -> None:
    found = drawn(projection(Probability(p, autapses), 300), 300)
    choices = 300 if autapses else 299
    joined = np.zeros((300, 300), bool)
    joined[found.target, found.source] = True
    assert joined.sum() == found.target.size and (autapses or not joined.diagonal().any())
    total = stats.binom(choices * 300, p)
    assert P < total.cdf(found.target.size) < 1 - P
    for counts in (joined.sum(axis=0), joined.sum(axis=1)):
        spread = ((counts - choices * p) ** 2).sum() / (choices * p * (1 - p))
        assert P < stats.chi2(300).cdf(spread) < 1 - P


def test_probability_1_is_all_to_all_and_one_to_one_is_itself() -> None:
    every = drawn(projection(Probability(1.0), 9), 4)
    assert every.source.tolist() == list(range(9)) * 4
    single = drawn(projection(OneToOne(), 9), 9)
    assert single.source.tolist() == single.target.tolist() == list(range(9))


@pytest.mark.parametrize("autapses", [True, False])
def test_fixed_total(autapses: bool) -> None:
    found = drawn(projection(FixedTotal(30000, autapses), 100), 100)
    counts = np.bincount(found.target.astype(np.int64) * 100 + found.source, minlength=10000)
    possible = np.ones((100, 100), bool) if autapses else ~np.eye(100, dtype=bool)
    assert counts.sum() == 30000 and not counts[~possible.reshape(-1)].any()
    assert P < stats.chisquare(counts[possible.reshape(-1)]).pvalue < 1 - P


def test_weights_and_delays_are_normal_clipped_and_whole() -> None:
    spread, delay = Normal(1.0, 0.1), Normal(15, 7, 1, 30)
    made = Projection(0, 50, FixedInDegree(400), spread, delay, 4)
    found = drawn(made, 50)
    assert stats.kstest(found.weight, stats.norm(1.0, 0.1).cdf).pvalue > P
    assert found.delay.min() == 1 and found.delay.max() == 30 == made.longest
    inner = stats.norm(15, 7)
    chance = np.diff([0, *inner.cdf(np.arange(1.5, 30)), 1])
    assert stats.chisquare(np.bincount(found.delay, minlength=31)[1:], 20000 * chance).pvalue > P
    assert abs(np.corrcoef(found.weight, found.delay)[0, 1]) < 4 / math.sqrt(20000)
    clipped = drawn(Projection(0, 50, FixedInDegree(400), Normal(1.0, 0.1, 0.9, 1.05), 0, 4), 50)
    np.testing.assert_array_equal(clipped.weight, np.clip(found.weight, 0.9, 1.05))


def test_numbers_and_seeds_draw_differently_and_first_shifts() -> None:
    rule = FixedInDegree(20)
    found = [drawn(projection(rule, 100, number), 100).source for number in (0, 1)]
    other = drawn(Projection(0, 100, rule, 1.0, seed=5), 100).source
    assert not np.array_equal(found[0], found[1]) and not np.array_equal(found[0], other)
    np.testing.assert_array_equal(drawn(Projection(7, 100, rule, 1.0, seed=4), 100).source, found[0] + 7)


BAD: dict[str, Projection] = {
    "sources beyond": Projection(5, 6, FixedInDegree(1), 1.0),
    "no sources": Projection(0, 0, FixedInDegree(1), 1.0),
    "more different sources than there are": Projection(0, 5, FixedInDegree(6, multapses=False), 1.0),
    "as many without autapses": Projection(0, 10, FixedInDegree(10, autapses=False, multapses=False), 1.0),
    "autapses of two populations": Projection(0, 5, FixedInDegree(2, autapses=False), 1.0),
    "one to one of two sizes": Projection(0, 5, OneToOne(), 1.0),
    "chance of 0": Projection(0, 5, Probability(0.0), 1.0),
    "chance above 1": Projection(0, 5, Probability(1.5), 1.0),
    "a chance that is none": Projection(0, 5, Probability(math.nan), 1.0),
    "negative count": Projection(0, 5, FixedTotal(-1), 1.0),
    "too many": Projection(0, 5, FixedTotal(2**31), 1.0),
    "infinite weight": Projection(0, 5, FixedInDegree(1), math.inf),
    "weight beyond float32": Projection(0, 5, FixedInDegree(1), Normal(3e38, 1e38)),
    "negative deviation": Projection(0, 5, FixedInDegree(1), Normal(1, -1)),
    "crossed ends": Projection(0, 5, FixedInDegree(1), Normal(1, 1, 2, 0)),
    "negative delay": Projection(0, 5, FixedInDegree(1), 1.0, -1),
    "delay without a longest": Projection(0, 5, FixedInDegree(1), 1.0, Normal(2, 1, 0)),
    "longest delay of half a step": Projection(0, 5, FixedInDegree(1), 1.0, Normal(2, 1, 0, 4.5)),
    "delays below 0": Projection(0, 5, FixedInDegree(1), 1.0, Normal(2, 1, -1, 4)),
    "negative seed": Projection(0, 5, FixedInDegree(1), 1.0, seed=-1),
    "negative number": Projection(0, 5, FixedInDegree(1), 1.0, number=-1),
}


@pytest.mark.parametrize("what", BAD)
def test_what_cannot_be_drawn_is_refused_by_name(what: str) -> None:
    with pytest.raises(GraphError, match="^n: "):
        BAD[what].check("n", 10, 10)

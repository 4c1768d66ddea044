"""STDP by its programs: pairs and triplets computed by hand, the window, and what an event-driven form must give."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from spikeflow.errors import DataError, GraphError, ShapeError
from spikeflow.ir.plasticity import MODULATOR, Plasticity, faded
from spikeflow.neurons.stdp import PairSTDP, RewardSTDP, TripletSTDP
from spikeflow.sim.interpreter import Step
from spikeflow.sim.learning import Synapses, learn

ONE = Synapses(*(np.array([0]) for _ in range(3)), np.array([0.5]))
F = np.float32


def _trains(steps: int, pre: list[int], post: list[int]) -> tuple[np.ndarray, np.ndarray]:
    made = np.zeros((2, steps, 1), np.float32)
    made[0, pre], made[1, post] = 1, 1
    return made[0], made[1]


def _change(rule: Any, pre: list[int], post: list[int], delay: int = 0) -> float:
    synapse = Synapses(ONE.source, ONE.target, np.array([delay]), ONE.weight)
    return float(learn(rule.plasticity(), synapse, *_trains(60, pre, post)).weights[-1, 0]) - 0.5


@pytest.mark.parametrize("delay", (0, 3))
def test_the_window_is_two_exponentials(delay: int) -> None:
    rule = PairSTDP(0.02, 0.03, float(np.exp(-1 / 17)), float(np.exp(-1 / 34)))
    for distance in range(-25, 26):
        found = _change(rule, [26], [26 + delay + distance], delay)
        if distance > 0:
            wanted = 0.02 * np.exp(-distance / 17)
        else:  # at equal times neither sees the other
            wanted = -0.03 * np.exp(distance / 34) if distance < 0 else 0.0
        # float32: the decay rounded, multiplied up to 25 times, and added to 0.5
        assert found == pytest.approx(wanted, abs=2.0**-24 + 0.03 * 50 * 2.0**-24), distance


def test_pairings() -> None:
    everyone, nearest = (PairSTDP(0.02, 0.03, 0.5, 0.25, pairing=p) for p in ("all", "nearest"))
    # powers of two and sums of few of them: what is left is the rounding of 0.5 + a trace
    assert _change(everyone, [1, 3], [5]) == pytest.approx(0.02 * (0.5**4 + 0.5**2), abs=1e-7)
    assert _change(nearest, [1, 3], [5]) == pytest.approx(0.02 * 0.5**2, abs=1e-7)
    assert _change(everyone, [5], [1, 3]) == pytest.approx(-0.03 * (0.25**4 + 0.25**2), abs=1e-7)
    assert _change(nearest, [5], [1, 3]) == pytest.approx(-0.03 * 0.25**2, abs=1e-7)
    # both in step 5: neither sees the other, but each what came before
    assert _change(everyone, [3, 5], [2, 5]) == pytest.approx(0.02 * 0.25 - 0.03 * (0.25 + 0.25**3), abs=1e-7)


def test_weights_stay_within_bounds_and_arrival_comes_first() -> None:
    up = PairSTDP(a_plus=0.3, a_minus=0.0, decay_plus=1.0, high=0.9)
    assert _change(up, [0], [1, 2, 3]) == pytest.approx(0.4, abs=1e-7)
    down = PairSTDP(a_plus=0.0, a_minus=0.3, decay_minus=1.0, low=0.1)
    assert _change(down, [1, 2, 3], [0]) == pytest.approx(-0.4, abs=1e-7)
    both = PairSTDP(a_plus=0.3, a_minus=0.3, decay_plus=1.0, decay_minus=1.0, low=0.4, high=1.0)
    # spikes of both in step 2, after one of both in step 1: down to 0.4 first, then up by 0.3
    assert _change(both, [1, 2], [1, 2]) == pytest.approx(0.2, abs=1e-7)


def test_triplets_by_hand() -> None:
    rule = TripletSTDP(0.01, 0.04, 0.02, 0.08, 0.5, 0.25, 0.5, 0.25)
    # pre 1, post 3, post 4: a pair two apart, then one three apart with a slow trace of 0.25 of the target
    wanted = 0.01 * 0.5**2 + 0.5**3 * (0.01 + 0.04 * 0.25)
    assert _change(rule, [1], [3, 4]) == pytest.approx(wanted, abs=1e-7)
    # post 1, pre 3, pre 4, the other way round
    wanted = -0.02 * 0.5**2 - 0.5**3 * (0.02 + 0.08 * 0.25)
    assert _change(rule, [3, 4], [1]) == pytest.approx(wanted, abs=1e-7)


def test_a_reward_turns_what_is_eligible_into_weight() -> None:
    rule = RewardSTDP(0.02, 0.03, 0.5, 0.25, 0.75)
    modulator = np.zeros(60)
    modulator[[6, 9]] = 2.0, -1.0
    found = learn(rule.plasticity(), ONE, *_trains(60, [1], [3]), modulator)
    e = 0.02 * 0.5**2  # since step 3
    after = [0.5, 0.5 + 2 * e * 0.75**3, 0.5 + 2 * e * 0.75**3 - e * 0.75**6]
    assert found.weights[[6, 7, 10], 0] == pytest.approx(after, abs=1e-7)
    assert found.eligibility["e"][0] == F(0.02) * F(0.25) and found.since["e"][0] == 56


def test_what_is_left_of_an_eligibility() -> None:
    table = faded(0.9)
    assert table[0] == 1 and table[-1] == 0 and (table[:-1] >= 2.0**-100).all()
    assert np.allclose(table[:-1], 0.9 ** np.arange(len(table) - 1, dtype=np.float64), rtol=1e-6, atol=0)
    assert faded(1.0).tolist() == [1] and faded(0.0).tolist() == [1, 0]
    for decay, match in ((1.1, "0 to 1"), (1 - 1e-7, "more than"), (np.nan, "0 to 1")):
        with pytest.raises(GraphError, match=match):
            faded(decay)


class _Touched:
    """One synapse, touched at its events alone: its eligibility is a value and the step of its last event."""

    def __init__(self, rule: Plasticity, weight: float) -> None:
        self.rule, self.held = rule, {"w": F(weight), **dict.fromkeys(rule.eligibility, F(0))}
        self.last = dict.fromkeys(rule.eligibility, 0)

    def at(self, program: Any, t: int, seen: dict[str, np.float32]) -> None:
        params = {name: F(self.rule.params[name]) for name in program.params}
        read = dict(self.held)
        for name, last in self.last.items():
            table = faded(self.rule.eligibility[name])
            read[name] = self.held[name] * table[min(t - last, len(table) - 1)]
        given = [np.array([seen[name]]) for name in program.inputs]
        _, after = Step(program, params, False)([np.array([read[n]]) for n in self.rule.states], given)
        for name, register, (value,) in zip(self.rule.states, program.next_states, after, strict=True):
            if program.code[register].op != "state":
                self.held[name] = (
                    F(np.clip(value, *self.rule.bounds)) if name == "w" and self.rule.bounds else value
                )
                if name in self.last:
                    self.last[name] = t


def _traces(rule: Plasticity, program: Any, spikes: np.ndarray) -> list[dict[str, np.ndarray]]:
    step, rows = Step(program, {n: F(rule.params[n]) for n in program.params}, False), []
    state = tuple(np.zeros(spikes.shape[1], F) for _ in program.states)
    for now in spikes.astype(F):
        rows.append(dict(zip(program.states, state, strict=True)))
        state = step(state, (now,))[1]
    return rows


def _by_events(
    rule: Plasticity, s: Synapses, pre: np.ndarray, post: np.ndarray, modulator: np.ndarray
) -> list[np.float32]:
    before, after = _traces(rule, rule.pre, pre), _traces(rule, rule.post, post)
    ends = []
    for i, j, delay, weight in zip(s.source, s.target, s.delay, s.weight, strict=True):
        synapse = _Touched(rule, weight)
        for t in range(len(pre)):
            arrives = t >= delay and pre[t - delay, i]
            seen = {f"pre.{n}": before[t - delay][n][i] if t >= delay else F(0) for n in before[0]}
            seen |= {f"post.{n}": v[j] for n, v in after[t].items()} | {MODULATOR: F(modulator[t])}
            for program, happens in (
                (rule.at_pre, arrives),
                (rule.at_post, post[t, j]),
                (rule.at_modulator, modulator[t]),
            ):
                if happens and program is not None:
                    synapse.at(program, t, seen)
        ends.append(synapse.held["w"])
    return ends


RULES = (
    *(PairSTDP(0.05, 0.06, pairing=pairing) for pairing in ("all", "nearest")),
    *(TripletSTDP(0.02, 0.05, 0.03, 0.01, pairing=pairing) for pairing in ("all", "nearest")),
    RewardSTDP(0.05, 0.06, decay=0.9), RewardSTDP(0.05, 0.06, decay=0.1, low=-1.0), RewardSTDP(decay=1.0),
)  # fmt: skip


@pytest.mark.parametrize(
    "rule", RULES, ids=lambda r: f"{type(r).__name__} {r.pairing} {getattr(r, 'decay', '')}"
)
@pytest.mark.parametrize("seed", range(2))
def test_every_step_and_every_event_are_the_same_bits(rule: Any, seed: int) -> None:
    """6 sources, 5 targets, 20 synapses of delays 0 to 4, 120 steps at 5 to 30 %, a reward in 10 %."""
    draw, made = np.random.default_rng(seed), rule.plasticity()
    pre, post = (
        draw.random((120, 6)) < draw.uniform(0.05, 0.3),
        draw.random((120, 5)) < draw.uniform(0.05, 0.3),
    )
    synapses = Synapses(*(draw.integers(0, n, 20) for n in (6, 5, 5)), draw.random(20).astype(F))
    modulator = np.where(draw.random(120) < 0.1, draw.normal(size=120), 0).astype(F)
    found = learn(made, synapses, pre, post, None if made.at_modulator is None else modulator)
    assert np.array_equal(found.weights[-1], np.array(_by_events(made, synapses, pre, post, modulator)))
    assert (found.weights[-1] != found.weights[0]).any() and found.weights.dtype == F


def test_a_rule_is_a_value() -> None:
    for rule in RULES:
        made = rule.plasticity()
        again = pickle.loads(pickle.dumps(made))
        assert again == made and again.at_pre == rule.plasticity().at_pre


def test_what_does_not_fit_is_refused_by_name() -> None:
    for rule, match in (
        (lambda: PairSTDP(pairing="some"), "pairing 'some'"),
        (lambda: PairSTDP(decay_plus=1.5), "decay_plus 1.5"),
        (lambda: TripletSTDP(low=2.0), "bounds 2.0 to 1.0"),
        (lambda: RewardSTDP(a_plus=float("nan")), "a_plus nan"),
    ):
        with pytest.raises(GraphError, match=match):
            rule()
    made = PairSTDP().plasticity()
    with pytest.raises(GraphError, match=r"plasticity, at_post: reads the input pre\.x"):
        Plasticity(made.post, made.post, made.at_pre, made.at_post, params=made.params)
    with pytest.raises(GraphError, match=r"plasticity, pre: reads the parameter decay_plus"):
        Plasticity(made.pre, made.post, made.at_pre, made.at_post)
    trains = _trains(9, [1], [2])
    with pytest.raises(ShapeError, match="spikes"):
        learn(made, ONE, trains[0][:4], trains[1])
    with pytest.raises(DataError, match="0 and 1"):
        learn(made, ONE, trains[0] * 2, trains[1])
    with pytest.raises(DataError, match="target"):
        learn(made, Synapses(ONE.source, np.array([1]), ONE.delay, ONE.weight), *trains)
    with pytest.raises(DataError, match="modulator"):
        learn(made, ONE, *trains, np.zeros(9))
    with pytest.raises(DataError, match="synapses: delay"):
        Synapses(ONE.source, ONE.target, np.array([-1]), ONE.weight)

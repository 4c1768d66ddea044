"""until: the fewest steps after which a converted network answers the held-back samples as wanted.

``drop<=0.5`` asks for at most 0.5 points (percent of the samples) answered otherwise than by the ANN,
``agreement>=0.99`` for at least that share answered alike. Both count the held-back calibration samples, of
several outputs the worst, and say nothing of labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod

from spikeflow.convert.verify.answers import alike
from spikeflow.errors import ConversionError
from spikeflow.ir.interval import shown
from spikeflow.ir.record import Network
from spikeflow.sim.classify import Evaluation, RunOptions, evaluate
from spikeflow.sim.fidelity import OutputFidelity
from spikeflow.typing import Array

FIRST = 32  # steps that are tried first; then twice as many, up to the limit
VALUES = 2**26  # numbers of the outputs of all steps and samples that are held at once
MOST = 1000  # held-back samples at most
_ROUNDING = 1e-12  # 99.5 % is 1 - 0.5 / 100 up to rounding
_FORM = re.compile(r"\s*(drop|agreement)\s*(<=|>=)\s*([0-9.eE+-]+)\s*(%?)\s*")
_FORMS = "drop<=0.5 (points answered otherwise) or agreement>=0.99 (share answered alike)"


@dataclass(frozen=True)
class Until:
    """What is asked for: the smallest agreement, a share of the samples."""

    text: str
    agreement: float

    @staticmethod
    def of(text: str) -> Until:
        """``drop<=0.5``, in points, or ``agreement>=0.99``, also as ``agreement>=99 %``.

        Raises
        ------
        ConversionError
            For any other text, with what is wrong in it.
        """
        match = _FORM.fullmatch(text)
        if match is None:
            raise ConversionError("--until", f"{text!r:.80} is not understood", _FORMS)
        word, sign, number, percent = match.groups()
        if sign != {"drop": "<=", "agreement": ">="}[word]:
            raise ConversionError("--until", f"{text!r:.80}: {word} takes the other sign", _FORMS)
        try:
            value = float(number)
        except ValueError:
            raise ConversionError("--until", f"{number!r} is no number", _FORMS) from None
        share = 1 - value / 100 if word == "drop" else value / 100 if percent else value
        if not 0 <= share <= 1:
            limits = "0 to 100 points" if word == "drop" else "0 to 1, a share"
            hint = f"agreement>={value:g}%" if word == "agreement" and value <= 100 else _FORMS
            raise ConversionError("--until", f"{value:g} lies outside {limits}", hint)
        return Until(text, share)


@dataclass(frozen=True)
class Reached:
    """What `steps_until` found.

    Parameters
    ----------
    asked : as the user wrote it.
    steps : the smallest number of steps that does.
    agreement, low, high : after these steps, with its 95 % interval.
    samples : held back, on which that was measured.
    later : the lowest agreement after any more steps, up to `tried`.
    """

    asked: str
    steps: int
    agreement: float
    low: float
    high: float
    samples: int
    later: float
    tried: int

    def __str__(self) -> str:
        share = shown(self.agreement, (self.low, self.high))
        text = (
            f"{self.asked}: {self.steps} steps, after which the agreement with the ANN is {share} on "
            f"{self.samples} held-back samples"
        )
        if self.later < self.agreement:
            text += f"; at least {100 * self.later:.2f} % after more steps, up to {self.tried}"
        return text


def steps_until(
    network: Network, ann_answers: Mapping[str, Array], x: Array, asked: Until, most: int
) -> Reached:
    """The smallest number of steps whose disagreement is at most what is asked for.

    Parameters
    ----------
    ann_answers : of the graph of stage ann to the samples `x`, by name of the Output node.
    most : steps beyond which nothing is tried.

    Raises
    ------
    ConversionError
        Where no number of steps up to the limit does; it says the best that was reached.
    """
    limit, tried = min(FIRST, most), dict[int, OutputFidelity]()
    while True:
        run = evaluate(network, x, RunOptions(steps=limit))
        new = {t: worst(run, network, ann_answers, t) for t in range(len(tried) + 1, limit + 1)}
        for steps, output in new.items():
            if output.agreement >= asked.agreement - _ROUNDING:
                later = min(o.agreement for t, o in new.items() if t >= steps)
                figures = output.agreement, output.low, output.high
                return Reached(asked.text, steps, *figures, len(x), later, limit)
        tried |= new
        if limit >= most:
            raise _missed(asked, tried, len(x))
        limit = min(2 * limit, most)


def steps_made_for(
    make: Callable[[int], Network], ann_answers: Mapping[str, Array], x: Array, asked: Until, most: int
) -> tuple[Network, Reached]:
    """The fewest steps for which a network that was made for just as many answers as wanted, and the network:
    twice as many until one does, then by halves.

    Parameters
    ----------
    make : the network for so many steps.
    ann_answers, asked, most : as of `steps_until`.

    Raises
    ------
    ConversionError
        Where none of those tried does.
    """
    tried = dict[int, OutputFidelity]()

    def reaches(steps: int) -> bool:
        network = make(steps)
        tried[steps] = worst(evaluate(network, x, RunOptions(steps=steps)), network, ann_answers, steps)
        return tried[steps].agreement >= asked.agreement - _ROUNDING

    low, high = 0, 1
    while not reaches(high):
        if high >= most:
            raise _missed(asked, tried, len(x))
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    found = tried[high]
    figures = found.agreement, found.low, found.high
    return make(high), Reached(asked.text, high, *figures, len(x), found.agreement, high)


def worst(run: Evaluation, network: Network, ann_answers: Mapping[str, Array], steps: int) -> OutputFidelity:
    """The output of the lowest agreement after so many steps."""
    outputs = (alike(run, output, ann_answers[output.node], steps) for output in network.outputs)
    return min(outputs, key=lambda output: output.agreement)


def few_of(network: Network, held: Array, steps: int) -> Array:
    """As many of the held-back samples as there is room for with the outputs of every step."""
    size = steps * sum(prod(network.graph.shapes[name]) for name in network.graph.outputs)
    return held[: max(1, min(MOST, VALUES // size))]


def _missed(asked: Until, tried: Mapping[int, OutputFidelity], samples: int) -> ConversionError:
    steps = max(tried, key=lambda t: tried[t].agreement)
    best = tried[steps]
    reason = (
        f"no number of steps up to {max(tried)} reaches {asked.text}: the best is "
        f"{shown(best.agreement, (best.low, best.high))} of agreement with the ANN on {samples} held-back "
        f"samples, after {steps} steps"
    )
    return ConversionError("--until", reason, f"--most-steps {2 * max(tried)}, or --method largest")

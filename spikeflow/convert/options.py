"""ConvertOptions: every choice of a conversion, with its default."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import TypedDict

from spikeflow.convert.capture.refusals import APPROXIMATIONS
from spikeflow.convert.passes.methods import AUTO, METHODS
from spikeflow.convert.rules import Rules
from spikeflow.convert.rules import check as check_rules
from spikeflow.convert.verify.delay import of_text
from spikeflow.convert.verify.until import Until
from spikeflow.errors import ConversionError, GraphError
from spikeflow.ir.alphabet import BINARY, alphabet, names
from spikeflow.ir.nodes import Shape
from spikeflow.ir.nodes.max_pool import MODES
from spikeflow.ir.preprocessing import FIRST, Step, plain
from spikeflow.ir.record import MAX_STEPS
from spikeflow.neurons.model import RESETS

CODINGS = ("direct", "rate", "onoff")


@dataclass(frozen=True)
class ConvertOptions:
    """The choices of a conversion.

    Parameters
    ----------
    steps : length of a run; `--steps` of a run overrides it.
    percentile : which one of a channel's activations above 0 on the calibration data is its threshold, 1 to
        100; of the method ``percentile``.
    method : the rule for thresholds, a name of `METHODS`; empty takes ``percentile`` where there is data,
        else ``batch-norm``, which needs none. ``auto`` runs several and takes the best.
    reset : "subtract" or "zero".
    approximate : what may become a function of running means, which runs in floats and on no chip; words of
        `APPROXIMATIONS`: ``norms`` (layer, group, instance and RMS norm, norms, variances, square roots),
        ``products`` (products and quotients of two values, powers, attention, softmax inside the network).
        Refused by name without.
    alphabet : what a neuron may hand on in a step: ``binary``, ``signed``, ``burst:M`` or
        ``multi-threshold:N``, or the changes of ``differential:M``; see ``ir.alphabet``. Functions with
        values below 0 get ``signed`` at least.
    coding : "direct" (the sample as a current in every step), "rate", or "onoff" for signed data.
    scale : for rate and onoff, the value of one spike in every step; None takes the largest of the data.
    seed : of the spikes that rate coding draws.
    arch : ``package.module:function`` or ``path/to/file.py:function``, which
        makes the module of a state dict.
    input_shape : of one sample; needed only without data where the file does not say it.
    labels : names of the classes, in order.
    output : the output that answers, where forward() returns several: its key or index.
    answer : what outputs say, where shape and labels do not tell: ``class`` or ``value`` for the one that
        answers, ``box=value,label=class`` for several; see ``ir.answer``.
    preprocessing : what is done to samples first, here and in every run; see ``ir.preprocessing``.
    read_from : read answers from this step on: a number, or ``depth`` or ``estimated``, which are taken where
        held-back samples are answered no worse; `steps` counts all steps. With fewer than 4 steps left it
        is off.
    until : take the smallest number of steps after which held-back samples are answered as wanted, in place
        of `steps`: ``drop<=0.5`` (points answered otherwise than by the ANN) or ``agreement>=0.99``.
    most_steps : beyond which `until` tries nothing.
    exit : let a sample stop as soon as it is sure; at most so many points (percent of the held-back samples)
        may then be answered otherwise than after all steps. None lets each run to the end.
    max_pool : how spikes are pooled by their maximum: ``running`` hands on as many as the window's busiest
        source, exactly; ``any`` one in every step in which any source spikes, at least as many as the busiest
        sends, and at most one a step and as many as all together: a neuron without memory on any chip.
    check_identity : hold theta N = sum of z + v(0) - v(T) for every neuron, on a few samples, or raise.
    rules : for operations of your own, by name (``my::op``) or class of module; see `convert.rules`.
    thresholds : the former name of `method`.
    """

    steps: int = 64
    percentile: float = 99.9
    reset: str = "subtract"
    coding: str = "direct"
    scale: float | None = None
    seed: int = 0
    arch: str | None = None
    input_shape: Shape | None = None
    labels: tuple[str, ...] = ()
    output: str = ""
    answer: str = ""
    preprocessing: tuple[Step, ...] = ()
    method: str = ""
    alphabet: str = BINARY
    read_from: int | str = 0
    until: str = ""
    most_steps: int = 512
    exit: float | None = None
    check_identity: bool = False
    rules: Rules = field(default_factory=dict, compare=False, repr=False)
    approximate: tuple[str, ...] = ()
    max_pool: str = MODES[-1]
    thresholds: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "preprocessing", plain(self.preprocessing))
        if any(isinstance(step, FIRST) for step in self.preprocessing):
            reason = "recordings have a time axis, which a network of one sample at a time does not take"
            raise ConversionError("preprocessing", reason, "arrays without time, made before the conversion")
        unknown = [word for word in self.approximate if word not in APPROXIMATIONS]
        if unknown or isinstance(self.approximate, str):
            reason = f"{self.approximate!r} is unknown"
            raise ConversionError("--approximate", reason, f"some of {', '.join(APPROXIMATIONS)}")
        if self.reset not in RESETS:
            raise ConversionError("--reset", f"{self.reset!r} is unknown", f"one of {', '.join(RESETS)}")
        try:
            object.__setattr__(self, "alphabet", alphabet(self.alphabet).name)
        except GraphError as error:
            raise ConversionError("--alphabet", f"{self.alphabet!r} is unknown", names()) from error
        if self.coding not in CODINGS:
            raise ConversionError("--input", f"{self.coding!r} is unknown", f"one of {', '.join(CODINGS)}")
        self._check_pools()
        self._check_method()
        check_rules(self.rules)
        object.__setattr__(self, "read_from", of_text(str(self.read_from)))
        if self.until:
            Until.of(self.until)
        if not 1 <= self.most_steps <= MAX_STEPS:
            reason = f"{self.most_steps} lies outside 1 to {MAX_STEPS}"
            raise ConversionError("--most-steps", reason, "512")
        if self.exit is not None and not 0 <= self.exit <= 100:
            raise ConversionError("--exit", f"{self.exit} lies outside 0 to 100 points", "--exit 0")
        if self.exit is not None and self.read_from:
            reason = "does not go with --read-from, which needs steps that an early answer lacks"
            raise ConversionError("--exit", reason, "one of the two")
        if self.check_identity and self.reset != "subtract":
            reason = f"holds for reset by subtraction, not for --reset {self.reset}"
            raise ConversionError("--debug", reason, "--reset subtract")
        if not 1 <= self.percentile <= 100:
            # 0.999 is a quantile; taken as a percentile it would silence every difference
            raise ConversionError("--percentile", f"{self.percentile} lies outside 1 to 100", "99.9")

    def _check_pools(self) -> None:
        if self.max_pool not in MODES:
            raise ConversionError("--max-pool", f"{self.max_pool!r} is unknown", f"one of {', '.join(MODES)}")
        if self.max_pool != MODES[-1] and alphabet(self.alphabet).differential:
            reason = f"pools spikes, and {self.alphabet} hands on changes, whose means are pooled exactly"
            raise ConversionError(f"--max-pool {self.max_pool}", reason, f"--max-pool {MODES[-1]}")

    def _check_method(self) -> None:
        if self.thresholds:
            warnings.warn("thresholds= is now called method=", DeprecationWarning, stacklevel=4)
            object.__setattr__(self, "method", self.method or self.thresholds)
            object.__setattr__(self, "thresholds", "")
        if self.method and self.method not in METHODS:
            reason = f"{self.method!r} is unknown"
            raise ConversionError("--method", reason, f"one of {', '.join(METHODS)}")

    def rule(self, observed: bool) -> str:
        """The rule for thresholds, by whether activations were observed."""
        if not observed and self.method in ("", AUTO):
            return "batch-norm"
        return self.method or "percentile"

    def threshold_words(self, samples: int) -> str:
        """The rule for thresholds in words, and of how many samples."""
        how = self.rule(samples > 0)
        if how == "batch-norm":
            return "batch norm"
        return f"{f'percentile {self.percentile:g}' if how == 'percentile' else how} of {samples} samples"


class Settings(TypedDict, total=False):
    """The same choices as keywords of `convert`."""

    steps: int
    percentile: float
    reset: str
    coding: str
    scale: float | None
    seed: int
    arch: str | None
    input_shape: Shape | None
    labels: tuple[str, ...]
    output: str
    answer: str
    preprocessing: tuple[Step, ...]
    method: str
    alphabet: str
    read_from: int | str
    until: str
    most_steps: int
    exit: float | None
    check_identity: bool
    rules: Rules
    approximate: tuple[str, ...]
    max_pool: str
    thresholds: str

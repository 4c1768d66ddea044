"""Recipes: how a network is trained, as plain data; read from a table, such as that of a TOML file."""

from __future__ import annotations

import difflib
import math
import re
import types
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from numbers import Integral, Real
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from spikeflow.errors import DataError
from spikeflow.train.rules import Rule

T = TypeVar("T")
LOSSES = ("cross_entropy", "per_step", "tet", "rate", "count")
OPTIMISERS = ("adam", "adamw", "sgd")
SCHEDULES = ("constant", "cosine", "one_cycle", "step")
DEVICES = r"cpu|cuda(:[0-9]{1,3})?"
LARGEST = 1 - 2.0**-24  # an average of itself alone never moves, labels smoothed by 1 are all the same
READINGS = ("last", "sum", "mean", "max", "summed_softmax")


def _among(where: str, value: str, words: tuple[str, ...]) -> None:
    if value not in words:
        near = difflib.get_close_matches(value, words, 1)
        raise DataError(f"recipe: {where}", repr(value), f"one of {', '.join(words)}", *near)


def check_types(where: str, record: Any) -> None:
    """Raise DataError for a value, of a record made in Python, that is of another type than its field."""
    hints: dict[str, Any] = get_type_hints(type(record))
    for name, kind in hints.items():
        value = getattr(record, name)
        at = ".".join(filter(None, (where, name)))
        if isinstance(kind, type) and hasattr(kind, "__dataclass_fields__") and not isinstance(value, kind):
            raise _wrong(at, value, f"a {kind.__name__}")
        numeric: Any = {int: Integral, float: Real}.get(kind)
        if numeric and (isinstance(value, bool) or not isinstance(value, numeric)):
            raise _wrong(at, value, _WORDS[str(kind)])
        if kind in (str, bool) and not isinstance(value, kind):
            raise _wrong(at, value, _WORDS[str(kind)])


def _within(where: str, value: float, low: float, high: float = math.inf) -> None:
    if not low <= value <= high:
        wanted = f"{low:g} or more" if high == math.inf else f"{low:g} to {high:g}"
        raise DataError(f"recipe: {where}", value, wanted)


@dataclass(frozen=True)
class Loss:
    """What is minimised; the numbers are those of `train.loss`.

    Parameters
    ----------
    kind : cross_entropy, per_step, tet, rate or count.
    reading : what is read of the outputs, for the loss where it takes one, and for the answer: last, sum,
        mean, max, summed_softmax.
    correct, incorrect : of rate shares of steps; of count numbers of spikes, which have to be stated.
    """

    kind: str = "cross_entropy"
    reading: str = "last"
    smoothing: float = 0.0
    share: float = 1e-3
    level: float = 1.0
    correct: float = 0.9
    incorrect: float = 0.1

    def __post_init__(self) -> None:
        check_types("loss", self)
        _among("loss.kind", self.kind, LOSSES)
        _among("loss.reading", self.reading, READINGS)
        _within("loss.smoothing", self.smoothing, 0, LARGEST)
        _within("loss.share", self.share, 0, 1)
        for name in ("correct", "incorrect"):
            _within(f"loss.{name}", getattr(self, name), 0)
        if self.kind == "count" and max(self.correct, self.incorrect) < 1:
            raise DataError("recipe: loss.correct", self.correct, "spikes, 1 or more, with kind count")


@dataclass(frozen=True)
class Optimiser:
    """Torch's optimiser; `clip` is the largest norm of the gradient, 0 for none."""

    kind: str = "adam"
    rate: float = 2e-3
    weight_decay: float = 0.0
    momentum: float = 0.9
    clip: float = 0.0

    def __post_init__(self) -> None:
        check_types("optimiser", self)
        _among("optimiser.kind", self.kind, OPTIMISERS)
        for name in ("rate", "weight_decay", "momentum", "clip"):
            _within(f"optimiser.{name}", getattr(self, name), 0)


@dataclass(frozen=True)
class Schedule:
    """How the step size falls, batch by batch: torch's schedules; `step` multiplies by `factor` every so many
    epochs.
    """

    kind: str = "cosine"
    factor: float = 0.5
    every: int = 10

    def __post_init__(self) -> None:
        check_types("schedule", self)
        _among("schedule.kind", self.kind, SCHEDULES)
        _within("schedule.factor", self.factor, 0, 1)
        _within("schedule.every", self.every, 1)


@dataclass(frozen=True)
class Regularise:
    """What spikes cost, in every layer that spikes: `train.regularise.rate` and `silence`, times a weight;
    and `operations_weight` times the synaptic operations, as a share of those if every neuron spiked in every
    step.
    """

    rate_weight: float = 0.0
    rate_low: float = 0.0
    rate_high: float = 1.0
    silence_weight: float = 0.0
    silence_least: float = 1.0
    operations_weight: float = 0.0

    @property
    def acts(self) -> bool:
        """Whether anything costs."""
        return bool(self.rate_weight or self.silence_weight or self.operations_weight)

    def __post_init__(self) -> None:
        check_types("regularise", self)
        _within("regularise.operations_weight", self.operations_weight, 0)
        _within("regularise.rate_weight", self.rate_weight, 0)
        _within("regularise.silence_weight", self.silence_weight, 0)
        _within("regularise.rate_high", self.rate_high, self.rate_low)


@dataclass(frozen=True)
class Distillation:
    """An ANN that is followed: (1 - weight) of the loss, and weight times `train.loss.distillation`.

    Parameters
    ----------
    file : of the ANN, as `spikeflow convert` reads it; it sees training samples before augmentation.
    layers : so many times `train.loss.layers` is added, where batches say what layers should hand on.
    """

    file: str = ""
    weight: float = 0.0
    temperature: float = 4.0
    layers: float = 0.0

    def __post_init__(self) -> None:
        check_types("distillation", self)
        _within("distillation.weight", self.weight, 0, 1)
        _within("distillation.layers", self.layers, 0)
        if self.weight and not self.file:
            raise DataError("recipe: distillation.file", "nothing", "the file of an ANN, which is followed")
        if not self.temperature > 0:
            raise DataError("recipe: distillation.temperature", self.temperature, "a number above 0")


@dataclass(frozen=True)
class SurrogateSchedule:
    """Surrogates that change epoch by epoch, each number of them geometrically, from those of the network.

    Parameters
    ----------
    last : numbers, by name, that they have at epoch `epochs` and after; none: they stay.
    epochs : 0 for all.
    """

    last: Mapping[str, float] = field(default_factory=dict[str, float])
    epochs: int = 0

    def __post_init__(self) -> None:
        check_types("surrogate", self)
        if self.epochs != 0:
            _within("surrogate.epochs", self.epochs, 2)


@dataclass(frozen=True)
class Weights:
    """What is done to weights besides descent.

    Parameters
    ----------
    average : decay of an exponential average over batches, which is what is selected and kept; 0 for none.
    quantise_bits : weights are trained as integers of so many bits; 0 for floats.
    clip : the largest magnitude of a weight; 0 for none.
    fire : scale them at first until every layer fires on the first batch (`train.init.make_fire`).
    """

    average: float = 0.0
    quantise_bits: int = 0
    clip: float = 0.0
    fire: bool = False

    def __post_init__(self) -> None:
        check_types("weights", self)
        _within("weights.average", self.average, 0, LARGEST)
        _within("weights.clip", self.clip, 0)
        if self.quantise_bits:
            _within("weights.quantise_bits", self.quantise_bits, 2, 16)


@dataclass(frozen=True)
class Recipe:
    """How a network is trained.

    Parameters
    ----------
    epochs : at most so many.
    seed : of everything that is drawn.
    patience : stop after so many epochs without a better validation; 0: never.
    device : cpu, cuda or cuda:NUMBER; where it is not there, training is refused.
    rule : how gradients come about; all but bptt go without `regularise`.
    others : see each.

    Raises
    ------
    DataError
        For a value out of range, by its key.
    """

    epochs: int = 20
    seed: int = 0
    patience: int = 0
    loss: Loss = field(default=Loss())
    optimiser: Optimiser = field(default=Optimiser())
    schedule: Schedule = field(default=Schedule())
    regularise: Regularise = field(default=Regularise())
    weights: Weights = field(default=Weights())
    distillation: Distillation = field(default=Distillation())
    surrogate: SurrogateSchedule = field(default=SurrogateSchedule())
    rule: Rule = field(default=Rule())
    device: str = "cpu"

    def __post_init__(self) -> None:
        check_types("", self)
        if self.rule.kind != "bptt" and self.regularise.acts:
            raise DataError(
                "recipe: regularise", "a penalty", f"none with rule {self.rule.kind}", "rule bptt"
            )
        _within("epochs", self.epochs, 1)
        _within("seed", self.seed, 0, 2**32 - 1)
        _within("patience", self.patience, 0)
        if not re.fullmatch(DEVICES, self.device):
            raise DataError("recipe: training.device", repr(self.device), "cpu, cuda or cuda:NUMBER")


def unused(recipe: Recipe) -> tuple[str, ...]:
    """In words, of each key that does nothing what it does nothing without."""
    kind, rule, costs = recipe.loss.kind, recipe.rule, recipe.regularise
    random = rule.kind == "local" or (rule.kind == "eprop" and rule.feedback == "random")
    needs: tuple[tuple[str, Any, str, bool, str], ...] = (
        ("optimiser", recipe.optimiser, "momentum", recipe.optimiser.kind == "sgd", "kind sgd"),
        ("schedule", recipe.schedule, "factor every", recipe.schedule.kind == "step", "kind step"),
        ("loss", recipe.loss, "smoothing", kind in LOSSES[:2], "kind cross_entropy or per_step"),
        ("loss", recipe.loss, "share level", kind == "tet", "kind tet"),
        ("loss", recipe.loss, "correct incorrect", kind in ("rate", "count"), "kind rate or count"),
        ("regularise", costs, "rate_low rate_high", costs.rate_weight > 0, "rate_weight"),
        ("regularise", costs, "silence_least", costs.silence_weight > 0, "silence_weight"),
        ("distillation", recipe.distillation, "file temperature", recipe.distillation.weight > 0, "weight"),
        ("surrogate", recipe.surrogate, "epochs", bool(recipe.surrogate.last), "last"),
        ("rule", rule, "steps", rule.kind == "truncated", "kind truncated"),
        ("rule", rule, "feedback", rule.kind == "eprop", "kind eprop"),
        ("rule", rule, "seed", random, "kind local, or eprop with feedback random"),
    )
    return tuple(
        f"recipe: {table}.{key} does nothing without {table}.{wanted}"
        for table, record, keys, used, wanted in needs
        for key in keys.split()
        if not used and getattr(record, key) != _default(record, key)
    )


def _default(record: Any, key: str) -> Any:
    return next(f.default for f in fields(record) if f.name == key)


_WORDS = {
    str(kind): words
    for kind, words in ((int, "a whole number"), (float, "a number"), (str, "text"), (bool, "true or false"))
}


def of_table(kind: type[T], table: Mapping[str, Any], where: str = "") -> T:
    """A frozen dataclass of a table, tables within it those of its fields.

    Raises
    ------
    DataError
        For a key that it does not have, with the nearest that it has, and for a value of another type.
    """
    hints, names = get_type_hints(kind), [f.name for f in fields(kind)]  # type: ignore[arg-type]
    for key in table:
        if key not in names:
            near = difflib.get_close_matches(str(key), names, 1)
            known = f"one of {', '.join(names)}"
            raise DataError(f"recipe: {_at(where, str(key))}", "an unknown key", known, *near)
    missing = [f.name for f in fields(kind) if f.name not in table and _required(f)]  # type: ignore[arg-type]
    if missing:
        raise DataError(f"recipe: {_at(where, missing[0])}", "nothing", "a value: it has no default")
    return kind(**{key: _value(hints[key], value, _at(where, key)) for key, value in table.items()})


def plain(record: Any) -> dict[str, Any]:
    """A recipe as a table, the inverse of `of_table`."""
    return {f.name: _plain(getattr(record, f.name)) for f in fields(record)}


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return plain(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _at(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _required(each: Any) -> bool:
    return each.default is MISSING and each.default_factory is MISSING


def _value(kind: Any, value: Any, where: str) -> Any:
    origin = get_origin(kind)
    if is_dataclass(kind) and isinstance(kind, type):
        if not isinstance(value, Mapping):
            raise _wrong(where, value, f"a table [{where}]")
        return of_table(kind, value, where)
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise _wrong(where, value, "a list")
        return tuple(_value(get_args(kind)[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin in (dict, Mapping) or getattr(origin, "__name__", "") == "Mapping":
        if not isinstance(value, Mapping):
            raise _wrong(where, value, f"a table [{where}]")
        return types.MappingProxyType(
            {str(k): _value(get_args(kind)[1], v, _at(where, k)) for k, v in value.items()}
        )
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if kind is not Any and (type(value) is not kind):
        raise _wrong(where, value, _WORDS.get(str(kind), str(kind)))
    if kind is float and not math.isfinite(value):
        raise _wrong(where, value, "a finite number")
    return value


def _wrong(where: str, value: Any, wanted: str) -> DataError:
    return DataError(f"recipe: {where}", f"{value!r:.60} ({type(value).__name__})", wanted)

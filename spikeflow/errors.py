"""Every error that spikeflow raises on purpose.

::

    SpikeflowError
    ├── ModelError(ValueError)      the network cannot be represented
    │   ├── UnsupportedLayer        name, kind, hint, layer
    │   │   └── UnsupportedLayers   refusals
    │   ├── ShapeError              node, got, expected
    │   ├── GraphError              node, reason, hint
    │   ├── StageError              node, stage, reason
    │   └── OperationRefused        domain, operation, hint
    ├── ConversionError(ValueError) layer, reason, hint
    ├── DataError(ValueError)       what, got, expected
    ├── NotExpressible              node, feature, format
    ├── HardwareError               violations
    ├── LossError                   chip, agreement, least, layer, hint
    ├── FileError(OSError)          path, reason, hint
    │   └── UnsafeFile              the file would have to run code
    ├── MissingPackage(ImportError) package, purpose, reason, hint
    ├── NotEnoughMemory(MemoryError) what, needed, room, hint
    ├── TrainingError(ValueError)   node, reason, hint
    └── SimulationError             node, reason, hint

    SpikeflowWarning(UserWarning)   what a user should know of an answer that is given all the same

Each carries its facts as attributes. Its text names the node as the user named it, says the need and the
limit, and gives one thing to try.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


class SpikeflowError(Exception):
    """Root of all errors of this package; each goes from process to process with its fields."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _again, (type(self), self.args, self.__dict__)


def _again(kind: type[SpikeflowError], args: tuple[Any, ...], fields: dict[str, Any]) -> SpikeflowError:
    """An error as it was; its constructor takes the fields, not the sentence."""
    error = kind.__new__(kind, *args)
    error.args = args
    error.__dict__.update(fields)
    return error


class SpikeflowWarning(UserWarning):
    """What a user should know of an answer that is given all the same: a loss, a guess, a range left."""


class ModelError(SpikeflowError, ValueError):
    """The network cannot be represented."""


def _sentence(text: str, hint: str) -> str:
    return f"{text} Try: {hint}" if hint else text


class UnsupportedLayer(ModelError):
    """A layer or operation that spikeflow cannot take."""

    def __init__(self, name: str, kind: str, hint: str = "", layer: str = "") -> None:
        self.name, self.kind, self.hint, self.layer = name, kind, hint, layer
        where = f" (in a layer {layer})" if layer else ""
        super().__init__(_sentence(f"{name}: {kind} is not supported{where}.", hint))


class UnsupportedLayers(UnsupportedLayer):
    """Several layers or operations that spikeflow cannot take; holds every refusal, not the first."""

    def __init__(self, refusals: Sequence[ModelError]) -> None:
        self.refusals = tuple(refusals)
        first = self.refusals[0]
        name, kind, hint, layer = (getattr(first, n, "") for n in ("name", "kind", "hint", "layer"))
        self.name, self.kind, self.hint, self.layer = name, kind, hint, layer
        lines = "\n".join(f"  {refusal}" for refusal in self.refusals)
        text = f"{len(self.refusals)} parts of the network cannot be taken:\n{lines}"
        ModelError.__init__(self, text)


def refused(refusals: Sequence[ModelError]) -> ModelError:
    """One error for everything that was refused; equal texts are told once."""
    distinct = list({str(refusal): refusal for refusal in refusals}.values())
    return distinct[0] if len(distinct) == 1 else UnsupportedLayers(distinct)


class ShapeError(ModelError):
    """Shapes do not fit together."""

    def __init__(self, node: str, got: object, expected: object, hint: str = "") -> None:
        self.node, self.got, self.expected, self.hint = node, got, expected, hint
        super().__init__(_sentence(f"{node}: got {got}, expected {expected}.", hint))


class GraphError(ModelError):
    """The graph's structure is wrong: unknown names, ports, cycles without delay, bad numbers."""

    def __init__(self, node: str, reason: str, hint: str = "") -> None:
        self.node, self.reason, self.hint = node, reason, hint
        super().__init__(_sentence(f"{node}: {reason}.", hint))


class StageError(ModelError):
    """A node is not legal at the stage the graph claims to be at."""

    def __init__(self, node: str, stage: str, reason: str) -> None:
        self.node, self.stage, self.reason = node, stage, reason
        super().__init__(f"{node}: not legal at stage {stage}: {reason}.")


class OperationRefused(ModelError):
    """An operation of a neuron's program that has no meaning on the values it is asked of."""

    def __init__(self, domain: str, operation: str, hint: str = "") -> None:
        self.domain, self.operation, self.hint = domain, operation, hint
        super().__init__(_sentence(f"{operation}: this operation has no meaning for {domain}.", hint))


class ConversionError(SpikeflowError, ValueError):
    """A layer cannot be converted, or its statistics are missing or degenerate."""

    def __init__(self, layer: str, reason: str, hint: str = "") -> None:
        self.layer, self.reason, self.hint = layer, reason, hint
        super().__init__(_sentence(f"{layer}: {reason}.", hint))


class DataError(SpikeflowError, ValueError):
    """Input data that does not fit the network or is empty or not finite."""

    def __init__(self, what: str, got: object, expected: object, hint: str = "") -> None:
        self.what, self.got, self.expected, self.hint = what, got, expected, hint
        super().__init__(_sentence(f"{what}: got {got}, expected {expected}.", hint))


class NotExpressible(SpikeflowError, ValueError):
    """A target format has no word for a feature of the network."""

    def __init__(self, node: str, feature: str, format: str, hint: str = "") -> None:
        self.node, self.feature, self.format, self.hint = node, feature, format, hint
        super().__init__(_sentence(f"{node}: {format} cannot express {feature}.", hint))


@dataclass(frozen=True)
class Violation:
    """One limit of a chip that one node breaks: what it needs, what there is, what to try.

    Without a need the limit is a sentence of its own.
    """

    node: str
    need: str
    limit: str
    hint: str = ""

    def __str__(self) -> str:
        said = f"needs {self.need}; available: {self.limit}" if self.need else self.limit
        return _sentence(f"{self.node}: {said}.", self.hint)


class HardwareError(SpikeflowError, ValueError):
    """The network does not fit the chip; holds every violation, not the first."""

    def __init__(self, chip: str, violations: Sequence[Violation]) -> None:
        self.chip, self.violations = chip, tuple(violations)
        lines = "\n".join(f"  {violation}" for violation in self.violations)
        count = f"{len(self.violations)} reason{'s' * (len(self.violations) != 1)}"
        whole = [v.node for v in self.violations] == [chip]  # the chip's name is at fault, no network
        super().__init__(lines.strip() if whole else f"{chip} cannot take this network, {count}:\n{lines}")


@dataclass(frozen=True)
class Agreement:
    """A share of samples answered alike, with its 95 % interval."""

    share: float
    low: float
    high: float
    samples: int

    def __str__(self) -> str:
        share, low, high = (f"{100 * part:.1f}" for part in (self.share, self.low, self.high))
        return f"{share} % (95 % interval {low} to {high} %) of {self.samples} held-back samples"


class LossError(SpikeflowError, ValueError):
    """Integers that do not answer as the network that they were made from."""

    def __init__(
        self, chip: str, agreement: Agreement, least: float, layer: tuple[str, str], hint: str
    ) -> None:
        self.chip, self.agreement, self.least, self.hint = chip, agreement, least, hint
        self.layer, where = layer
        text = (
            f"{chip}: the integers answer as the float network on {agreement}; at least {100 * least:g} % is "
            "asked for (--min-agreement)" + (f"; {where}." if where else ".")
        )
        super().__init__(_sentence(text, f"{hint}; or --accept-loss, which maps it all the same"))


class FileError(SpikeflowError, OSError):
    """A file that is missing, damaged, of the wrong kind, or cannot be written."""

    def __init__(self, path: object, reason: str, hint: str = "") -> None:
        self.path, self.reason, self.hint = str(path), reason, hint
        super().__init__(_sentence(f"{path}: {reason}.", hint))

    def __str__(self) -> str:
        return str(self.args[0])


class UnsafeFile(FileError):
    """A file that could only be opened by running code from it."""


class MissingPackage(SpikeflowError, ImportError):
    """A package that a part of spikeflow needs cannot be imported; ``spikeflow doctor`` lists them all."""

    def __init__(self, package: str, purpose: str, reason: object) -> None:
        self.package, self.purpose, self.reason = package, purpose, str(reason)
        self.hint = f"pip install '{package}'"
        super().__init__(
            _sentence(f"{package}: is needed for {purpose}, and cannot be imported ({reason}).", self.hint)
        )


class SimulationError(SpikeflowError, ValueError):
    """A run that cannot give a true answer, such as an overflow in strict integer mode."""

    def __init__(self, node: str, reason: str, hint: str = "") -> None:
        self.node, self.reason, self.hint = node, reason, hint
        super().__init__(_sentence(f"{node}: {reason}.", hint))


class TrainingError(SpikeflowError, ValueError):
    """Training that cannot go on: a loss or a gradient that is no number, named by layer and step."""

    def __init__(self, node: str, reason: str, hint: str = "") -> None:
        self.node, self.reason, self.hint = node, reason, hint
        super().__init__(_sentence(f"{node}: {reason}.", hint))


class NotEnoughMemory(SpikeflowError, MemoryError):
    """A task that would need more memory than there is room for; nothing of it has been taken.

    `needed` (by forecast) and `room` are bytes.
    """

    def __init__(self, what: str, needed: int, room: int, hint: str = "") -> None:
        self.what, self.needed, self.room, self.hint = what, needed, room, hint
        text = f"{what}: needs about {_gigabytes(needed)} of memory; there is room for {_gigabytes(room)}."
        super().__init__(_sentence(text, hint))


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.3g} GB" if count >= 1e8 else f"{count / 1e6:.3g} MB"

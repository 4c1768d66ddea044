"""How the answers of a converted network are read, settled on samples that set none of its thresholds."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.verify.answers import Case, ann_outputs
from spikeflow.convert.verify.identity import Identity, check_identity
from spikeflow.convert.verify.until import Reached, Until, few_of, steps_until
from spikeflow.errors import ConversionError
from spikeflow.ir.record import Network
from spikeflow.sim.fidelity import ENOUGH
from spikeflow.typing import Array

_DRAWN = 4  # samples on which the identity is held where none were given


@dataclass(frozen=True)
class ReadOut:
    """What was settled.

    Parameters
    ----------
    until : the steps that were found for what was asked for; None where nothing was.
    identity : held for every neuron; None where that was not asked for.
    """

    until: Reached | None = None
    identity: Identity | None = None

    def lines(self) -> list[str]:
        """The same as text for people."""
        return [str(part) for part in (self.until, self.identity) if part is not None]


def settled(case: Case, options: ConvertOptions) -> tuple[Network, ReadOut]:
    """The network with its record of how it is read, and what was found on the way.

    Raises
    ------
    ConversionError
        Where what was asked for is not reached.
    SimulationError
        For a neuron that breaks the identity that `options.check_identity` asks for.
    """
    network, until = case.network, None
    if options.until:
        _expect_held("--until", case.x)
        few = few_of(network, case.x, options.most_steps)
        asked = Until.of(options.until)
        until = steps_until(network, ann_outputs(case.ann, few), few, asked, options.most_steps)
        network = replace(network, record=replace(network.record, steps=until.steps))
    identity = check_identity(network, _samples(case)) if options.check_identity else None
    return network, ReadOut(until, identity)


def _expect_held(option: str, held: Array) -> None:
    if not len(held):
        reason = "no sample was held back to measure it on"
        raise ConversionError(option, reason, f"--data, {ENOUGH} or more")


def _samples(case: Case) -> Array:
    """Held-back samples, or where there are none random ones that any coding can take."""
    if len(case.x):
        return case.x
    shape = case.network.record.input_shape
    return np.random.default_rng(0).random((_DRAWN, *shape), np.float32)

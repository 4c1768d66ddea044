"""How the answers of a converted network are read, settled on samples that set none of its thresholds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from spikeflow.convert.options import ConvertOptions
from spikeflow.convert.passes.observe import Stats
from spikeflow.convert.verify.answers import Case, ann_outputs
from spikeflow.convert.verify.delay import Delay, delayed, proposal, too_few
from spikeflow.convert.verify.early import Exit, calibrated_exit
from spikeflow.convert.verify.identity import Identity, check_identity
from spikeflow.convert.verify.until import Reached, Until, few_of, steps_made_for, steps_until, worst
from spikeflow.errors import ConversionError
from spikeflow.ir.exit_rule import ExitRule
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Population
from spikeflow.ir.record import LEAST_READ, Network
from spikeflow.sim.classify import evaluate
from spikeflow.sim.fidelity import ENOUGH
from spikeflow.typing import Array

_LATER = "which takes no fewer steps"
_DRAWN = 4  # samples on which the identity is held where none were given


@dataclass(frozen=True)
class ReadOut:
    """What was settled.

    Parameters
    ----------
    delay : from which step on answers are read; None where that was not asked for.
    until : the steps that were found for what was asked for; None where nothing was.
    exit : when samples stop early; None where each runs to the end.
    identity : held for every neuron; None where that was not asked for.
    """

    delay: Delay | None = None
    until: Reached | None = None
    exit: Exit | None = None
    identity: Identity | None = None

    @property
    def read_from(self) -> int:
        """The first step that is read."""
        return 0 if self.delay is None else self.delay.taken

    @property
    def rule(self) -> ExitRule | None:
        """When a sample stops."""
        return None if self.exit is None else self.exit.rule

    @property
    def warnings(self) -> tuple[str, ...]:
        """That a number of steps which the user gave is not left out."""
        delay = self.delay
        if delay is None or not delay.asked.isdecimal() or delay.taken == delay.proposed:
            return ()
        return (f"--read-from: {delay}. Try: more --steps, or a lower --read-from",)

    def lines(self) -> list[str]:
        """The same as text for people."""
        return [str(part) for part in (self.delay, self.until, self.exit, self.identity) if part is not None]


def settled(case: Case, options: ConvertOptions, stats: Stats | None = None) -> tuple[Network, ReadOut]:
    """The network with its record of how it is read, and what was found on the way.

    Raises
    ------
    ConversionError
        Where what was asked for is not reached.
    SimulationError
        For a neuron that breaks the identity that `options.check_identity` asks for.
    """
    network, delay, until = case.network, None, None
    wanted = {"--read-from": options.read_from, "--until": options.until, "--exit": options.exit is not None}
    asked = [option for option, on in wanted.items() if on]
    few, answers = case.x, dict[str, Array]()
    if asked:
        _expect_held(asked[0], case.x)
        few = few_of(network, case.x, options.most_steps if options.until else options.steps)
        answers = ann_outputs(case.ann, few)
    if options.read_from and not options.until:
        delay = delayed(network, answers, few, options.read_from, stats)
        network = _recorded(network, read_from=delay.taken)
    if options.until:
        network, delay, until = _until(case, answers, few, options, stats)
    early = None if options.exit is None else calibrated_exit(network, answers, few, options.exit)
    network = network if early is None else _recorded(network, exit=early.rule)
    identity = check_identity(network, _samples(case)) if options.check_identity else None
    return network, ReadOut(delay, until, early, identity)


def _until(
    case: Case, answers: Mapping[str, Array], x: Array, options: ConvertOptions, stats: Stats | None
) -> tuple[Network, Delay | None, Reached]:
    """The fewest steps, read from the beginning or from a later step on: the one asked for, or where none was
    and layers wake late, the one in which all are awake.
    """
    asked, most, named = Until.of(options.until), options.most_steps, options.read_from
    network, made = case.network, case.for_steps
    proposed = proposal(network.graph, named, stats) if isinstance(named, str) else named
    proposed = proposed if named else awake(network.graph)
    both = isinstance(named, str) or (made is None and not named)
    firsts = (0, proposed) if both else (proposed,)
    if made is not None:
        network, until = _fewest_made(made, answers, x, (options, firsts))
        left = until.steps - proposed >= LEAST_READ
        reason = "" if network.record.read_from == proposed else _LATER if left else too_few(until.steps)
    else:
        until, taken = _fewest(network, answers, x, (options, firsts))
        reason = _LATER if taken != proposed else ""
        if taken and until.steps - taken < LEAST_READ:
            # so early that its answers left nothing out: a longer run is to be read in the same way
            reason, taken = too_few(until.steps), 0
            until = steps_until(_recorded(network, read_from=0), answers, x, asked, most)
        network = _recorded(network, read_from=taken, steps=until.steps)
    taken = network.record.read_from
    if not named:
        return network, None, until
    if taken != proposed:
        return network, Delay(str(named), proposed, taken, reason=reason), until
    whole = worst(evaluate(_recorded(network, read_from=0), x), network, answers, until.steps).agreement
    return network, Delay(str(named), proposed, taken, until.agreement, whole), until


def _made(made: Callable[[int], Network], first: int, steps: int) -> Network:
    """The network for so many steps, read from the first on that is asked for where enough are left."""
    return _recorded(made(steps), read_from=first if steps - first >= LEAST_READ else 0)


def _fewest_made(
    made: Callable[[int], Network],
    answers: Mapping[str, Array],
    x: Array,
    how: tuple[ConvertOptions, tuple[int, ...]],
) -> tuple[Network, Reached]:
    """The fewest steps of networks made for as many, read from one of some steps on, and the network."""
    options, firsts = how
    found: list[tuple[Network, Reached]] = []
    refused: ConversionError | None = None
    for first in dict.fromkeys(firsts):
        make, asked = partial(_made, made, first), Until.of(options.until)
        try:
            found.append(steps_made_for(make, answers, x, asked, options.most_steps))
        except ConversionError as error:
            refused = error
    if not found:
        assert refused is not None
        raise refused
    return min(found, key=lambda one: one[1].steps)


def _fewest(
    network: Network, answers: Mapping[str, Array], x: Array, how: tuple[ConvertOptions, tuple[int, ...]]
) -> tuple[Reached, int]:
    """The fewest steps of one network read from some steps on, and the one of these that takes the fewest."""
    options, firsts = how
    asked, most = Until.of(options.until), options.most_steps
    found: dict[int, Reached] = {}
    refused: ConversionError | None = None
    for first in firsts:
        try:
            found[first] = steps_until(_recorded(network, read_from=first), answers, x, asked, most)
        except ConversionError as error:
            refused = error
    if not found:
        assert refused is not None
        raise refused
    taken = min(found, key=lambda first: found[first].steps)
    return found[taken], taken


def awake(graph: Graph) -> int:
    """The step in which the last of the neurons that wake late does."""
    return max((node.start for node in graph.nodes.values() if isinstance(node, Population)), default=0)


def _recorded(network: Network, **changes: Any) -> Network:
    return replace(network, record=replace(network.record, **changes))


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

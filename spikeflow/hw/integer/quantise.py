"""Pass: stage snn to stage fixed, for one chip, with the ranges of calibration samples.

1. The float network runs on the samples: what each source sends, and how far each neuron's registers go.
2. Inputs get a format; each neuron its scale and each edge its exponent (`choose`); each population its
   integer program (`translate`).
3. The integer network runs on the same samples. Where a register of a neuron overflows, other than a membrane
   at its low end, that neuron gets a smaller scale, and the network is quantised again, until nothing
   overflows; a network for which that fails is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from spikeflow.errors import HardwareError, Violation
from spikeflow.hw.chips.chip import Chip, load
from spikeflow.hw.integer import registers, weights
from spikeflow.hw.integer.choose import Choice, Edge, choose
from spikeflow.hw.integer.losses import Finished, report
from spikeflow.hw.integer.measured import SHARE, At, Measured, by_group
from spikeflow.hw.integer.observe import Observed, observe
from spikeflow.hw.integer.quantisation import Quantisation
from spikeflow.hw.integer.scales import current_ports
from spikeflow.hw.integer.translate import Port
from spikeflow.hw.integer.weights import Float
from spikeflow.hw.passes.gains import fold_gains
from spikeflow.hw.passes.pools import counts_exactly
from spikeflow.hw.tables.origin import for_chip
from spikeflow.ir import stages
from spikeflow.ir.arrays import Array
from spikeflow.ir.nodes import Input, Node, Population
from spikeflow.ir.record import Network, expect_network
from spikeflow.sim.classify import RunOptions

MAX_ROUNDS = 16
SAMPLES = 64  # of the calibration samples, spread evenly, that are run
STEPPED = 0.9  # a scale is lowered a little further than what overflowed asks for


def quantise(
    network: Network,
    chip: str | Chip,
    x: npt.ArrayLike,
    options: RunOptions = RunOptions(),  # noqa: B008  frozen
) -> Quantisation:
    """The network in the chip's integers.

    Parameters
    ----------
    network : composed and retimed, at stage snn.
    x : calibration samples ``(N, *shape)``, as `classify` takes them; at most 64 of them are run.
    options : engine and threads of the calibration runs; their steps are the run record's.

    Raises
    ------
    HardwareError
        Where a threshold, a bias or an overflowing register cannot be brought into the chip's range; it names
        the neurons.
    """
    expect_network(network)
    chip, origin = load(chip), network.graph.digest
    network = replace(network, graph=fold_gains(network.graph))
    array = np.asarray(x)
    if len(array) > SAMPLES:
        array = array[np.linspace(0, len(array) - 1, SAMPLES).astype(int)]
        # those that are followed come first, spread over all
        array = np.concatenate([array[part::SHARE] for part in range(SHARE)])
    job = _Job(network, chip, array, options)
    for _ in range(MAX_ROUNDS):
        fixed = job.fixed()
        seen = observe(fixed, array, options)
        over = job.overflowing(fixed, seen)
        if not over:
            stages.check(fixed.graph, "fixed")
            return job.quantisation(for_chip(fixed, chip, origin), seen)
        job.lower(fixed, over)
    raise job.refusal()


quantize = quantise  # the American spelling


class _Job(Measured):
    """One network on its way into integers: the choices made so far, and what overflowed."""

    def __init__(self, network: Network, chip: Chip, x: Array, options: RunOptions) -> None:
        super().__init__(network, chip, x, options)
        self.chosen: dict[At, Choice] = {}
        self.rounds: dict[str, int] = {}
        self.over: dict[
            str, list[str]
        ] = {}  # what overflowed last: registers, and how many times too large they were
        self.excess: dict[str, dict[str, Float]] = {}

    # --- the integer network ---

    def fixed(self) -> Network:
        """The network in integers, with the bounds as they are now."""
        nodes: dict[str, Node] = {
            n: replace(node, format=self.inputs[n])
            for n, node in self.graph.nodes.items()
            if isinstance(node, Input) and n in self.inputs
        }
        for at, edges in self.edges.items():
            if at not in self.chosen:
                self.chosen[at] = self._choice(at, edges)
            choice = self.chosen[at]
            for edge, exponent in zip(edges, choice.exponents, strict=True):
                incoming = edge.incoming
                nodes[incoming.name] = weights.quantised(incoming, choice.scale, exponent)
        refused: list[Violation] = []
        for name in self.nodes:
            try:
                nodes[name] = self._population(name)
            except HardwareError as error:
                refused += error.violations
        if refused:
            raise HardwareError(self.chip.name, refused)
        return replace(self.network, graph=self.graph.with_nodes(nodes))

    def _choice(self, at: At, edges: list[Edge]) -> Choice:
        if counts_exactly(self.graph, at[0]):
            return Choice(np.ones(self.groups(at[0])), (0,) * len(edges), 0.0)
        return choose(edges, self.bounds[at], self.formats)

    def _population(self, name: str) -> Population:
        node = self.nodes[name]
        ports = {p: self._port(name, p) for p in node.ports}
        a = self.formats.arithmetic
        if counts_exactly(self.graph, name):  # there is nothing between 0 and one spike
            a = replace(a, smallest_threshold=1)
        return self.formats.kernel(name, node, ports, a)

    def _port(self, name: str, port: str) -> Port:
        scale = weights.per_neuron(self.chosen[name, port].scale, self.nodes[name].shape)
        return Port(scale, self.biases[name, port])

    # --- what overflows ---

    def overflowing(self, fixed: Network, seen: Observed) -> dict[str, list[str]]:
        """For each population the registers that overflowed, other than a membrane's at its low end."""
        found = {
            n: registers.overflowing(_fixed(fixed, n), seen.counts[n], list(current_ports(node.program)))
            for n, node in self.nodes.items()
        }
        return {name: names for name, names in found.items() if names}

    def lower(self, fixed: Network, over: Mapping[str, list[str]]) -> None:
        """Smaller scales for the neurons that overflowed."""
        self.over, self.excess = dict(over), self._excess(fixed, over)
        for name, by_port in self.excess.items():
            self.rounds[name] = self.rounds.get(name, 0) + 1
            for port, excess in by_port.items():
                self._lower((name, port), by_group(excess, self.groups(name), np.max))

    def _excess(self, fixed: Network, over: Mapping[str, list[str]]) -> dict[str, dict[str, Float]]:
        """How many times too large each neuron's registers became, for each port whose scale can mend it."""
        currents = {n: list(current_ports(self.nodes[n].program)) for n in over}
        wanted = {
            n: list(
                dict.fromkeys(r for x in names for r in registers.watched(_fixed(fixed, n), x, currents[n]))
            )
            for n, names in over.items()
        }
        seen = observe(fixed, self.x, self.options, wanted)
        found: dict[str, dict[str, Float]] = {}
        for name, names in over.items():
            node = _fixed(fixed, name)
            for label in names:
                most = registers.excess(node, label, seen.reaches[name], currents[name])
                if most.max() <= 1:  # too close to tell whose it was
                    most = np.full_like(most, 1 / STEPPED)
                ports = [p for p in node.ports if label.startswith(f"{p} ")] or list(node.ports)
                for port in ports:
                    by_port = found.setdefault(name, {})
                    by_port[port] = np.maximum(by_port.get(port, 0.0), most)
        return found

    def _lower(self, at: At, excess: Float) -> None:
        bounds, scale = self.bounds[at], self.chosen[at].scale
        share = np.where(excess > 1, STEPPED / np.maximum(excess, 1.0), 1.0)
        ceiling = np.where(excess > 1, np.minimum(bounds.ceiling, scale * share), bounds.ceiling)
        self.bounds[at] = replace(bounds, ceiling=ceiling)
        del self.chosen[at]

    def refusal(self) -> HardwareError:
        """Which neurons cannot be brought into the chip's registers."""
        found = []
        for name, names in sorted(self.over.items()):
            excess = np.max(list(self.excess.get(name, {"": np.zeros(1)}).values()), axis=0)
            neurons = ", ".join(map(str, np.flatnonzero(excess > 1)[:8]))
            need = f"registers that hold its sums ({', '.join(names)}; neurons {neurons})"
            limit = f"{self.chip.title}'s widths, at the smallest scale"
            found.append(Violation(name, need, limit, "smaller weights and biases, or fewer steps"))
        return HardwareError(self.chip.name, found)

    # --- the report ---

    def quantisation(self, fixed: Network, seen: Observed) -> Quantisation:
        """The finished network with its report."""
        edges = {at: [e.incoming for e in found] for at, found in self.edges.items()}
        scales = {at: choice.scale for at, choice in self.chosen.items()}
        weight = {at: bounds.weight for at, bounds in self.bounds.items()}
        done = Finished(self.network, fixed, self.run, seen, edges, scales, weight, self.rounds)
        return report(done, self.inputs, self.x, self.formats.arithmetic)


def _fixed(network: Network, name: str) -> Population:
    node = network.graph.nodes[name]
    assert isinstance(node, Population)
    return node

"""Synapses that learn, in the reference: what they remember, and what a step does to them.

Each row of a batch has its own weights. What a node that learns remembers is listed by `memory`: the weights,
each eligibility with the steps since an event changed it (at most as many as its table is long), the traces
of the sources as they stood at the beginning of the last steps, as far back as a delay reads, the newest
first, and those of the targets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from spikeflow.errors import DataError, GraphError, SimulationError
from spikeflow.ir.arrays import Array, Codes
from spikeflow.ir.graph import Graph
from spikeflow.ir.nodes import Linear, Shape, Sparse
from spikeflow.ir.nodes.families import Past
from spikeflow.ir.plastic import Plastic, plastic_nodes
from spikeflow.ir.plasticity import MODULATOR, SUM, changed, faded
from spikeflow.ir.program import Program
from spikeflow.sim.interpreter import FLUSH, Step

WEIGHT = "synapse.w"  # in a state
Kind = Linear | Sparse


def since(name: str) -> str:
    """The name, in a state, of the steps since an eligibility was changed."""
    return f"synapse.{name}.since"


def memory(node: Kind, plastic: Plastic, arriving: Shape, out: Shape) -> dict[str, Shape]:
    """What a node that learns remembers, by name, with its shape."""
    rule, synapses = plastic.rule, node.stored_weights.shape
    named = {WEIGHT: synapses}
    for name in rule.eligibility:
        named |= {f"synapse.{name}": synapses, since(name): synapses}
    longest = int(node.reach_of_sources().max(initial=0)) if node.reach else 0
    named |= {f"pre.{name}": (longest + 1, *arriving) for name in rule.pre.states}
    return named | {f"post.{name}": out for name in rule.post.states}


def ends(node: Kind) -> tuple[Array, Array, Array]:
    """Source, target and delay of each synapse, in stored order."""
    shape = node.stored_weights.shape
    source, target = node.over_columns(np.arange(node.columns)), node.over_rows(np.arange(node.rows))
    delay = np.zeros(1, np.int64) if node.delays is None else node.delays
    if isinstance(node, Sparse):
        delay = node.each_delay()
    return tuple(np.broadcast_to(x, shape).reshape(-1) for x in (source, target, delay))  # type: ignore[return-value]


def check_held(graph: Graph, memory: Mapping[str, Mapping[str, Array]]) -> None:
    """Raise DataError for steps since an eligibility was changed that are none."""
    for name, _, plastic in plastic_nodes(graph):
        for state, decay in plastic.rule.eligibility.items():
            steps, most = memory[name][since(state)], len(faded(decay)) - 1
            if not ((steps >= 0) & (steps <= most) & (steps == np.floor(steps))).all():
                raise DataError(f"state: {name}.{since(state)}", "no numbers of steps", f"0 to {most}")


def rounded(plastic: Plastic, weight: object, w: Array) -> Array:
    """Weights as they are kept: of codes the nearest code times the scale."""
    if not isinstance(weight, Codes):
        return w
    scale, (low, high) = np.float32(weight.scale), plastic.codes
    return np.clip(np.rint(np.where(w == w, w, low * scale) / scale), low, high).astype(np.float32) * scale


def with_learnt(node: Kind, w: Array) -> Kind:
    """The node with these weights, one for each synapse, and as codes where its own are."""
    values = w.reshape(node.stored_weights.shape)
    if isinstance(node.weight, Codes):
        scale = node.weight.scale
        return node.with_weights(Codes(np.rint(values / np.float32(scale)).astype(np.int16), scale))
    return node.with_weights(values)


def expect_exact(graph: Graph, exact: Mapping[str, int]) -> None:
    """Refuse codes that learn where sums of codes are not exact.

    Raises
    ------
    GraphError, SimulationError
    """
    for name, node, plastic in plastic_nodes(graph):
        if not isinstance(node.weight, Codes):
            continue
        if name not in exact:
            hint = "weights in floats, or spikes before it"
            raise GraphError(
                name, "has codes that learn, and what arrives is not proven to be integers", hint
            )
        fan_in = int(node.row_sums(np.ones(node.stored_weights.shape, np.int64)).max(initial=0))
        if exact[name] * fan_in << (plastic.bits - 1) >= 2**63:
            raise SimulationError(name, "sums of codes that learn may not fit 64 bits", "floats")


class Learning:
    """A node's synapses in a run under way; every array has the rows of the batch before its shape."""

    def __init__(self, node: Kind, plastic: Plastic, held: Mapping[str, Array]) -> None:
        self.node, self.plastic, self.rule = node, plastic, plastic.rule
        self.source, self.target, self.delay = ends(node)
        self.shapes = {name: array.shape for name, array in held.items()}
        self.held: dict[str, Array] = {}
        for name, array in held.items():
            past = array.shape[1:2] if name.startswith("pre.") else ()
            self.held[name] = array.reshape(len(array), *past, -1).copy()
        self.held[WEIGHT] = rounded(plastic, node.weight, self.held[WEIGHT])
        self.tables = {name: faded(decay) for name, decay in self.rule.eligibility.items()}
        params = {name: np.array(value, np.float32) for name, value in self.rule.params.items()}
        self.steps = {
            which: Step(program, {name: params[name] for name in program.params}, False)
            for which, program in self.rule.programs.items()
        }

    def state(self) -> dict[str, Array]:
        """What is remembered, as a state holds it."""
        return {name: array.reshape(self.shapes[name]).copy() for name, array in self.held.items()}

    def row(self, b: int) -> Kind:
        """The node as it delivers for one row of the batch; it does not learn."""
        return replace(with_learnt(self.node, self.held[WEIGHT][b]), plastic=None)

    def learn(self, past: Past, post: Array, modulator: Array | None, now: Array) -> None:
        """The end of a step.

        Parameters
        ----------
        past : what arrived so many steps ago.
        post : spikes of the targets.
        now : the step of each row.
        """
        for name, table in self.tables.items():
            self.held[since(name)] = np.minimum(self.held[since(name)] + 1, np.float32(len(table) - 1))
        rows = len(post)
        post = post.reshape(rows, -1)
        seen = {n: x[:, self.delay, self.source] for n, x in self.held.items() if n.startswith("pre.")}
        seen |= {n: x[:, self.target] for n, x in self.held.items() if n.startswith("post.")}
        self._at("at_pre", seen, self._arrived(past) != 0)
        self._at("at_post", seen, post[:, self.target] != 0)
        if modulator is not None:
            signal = np.broadcast_to(modulator.reshape(rows, -1), post.shape)[:, self.target]
            self._at("at_modulator", seen | {MODULATOR: signal}, signal != 0)
        if self.rule.scaling is not None:
            self._scale((now + 1) % self.rule.every == 0)
        self._trace("pre", past(0).reshape(rows, -1))
        self._trace("post", post)

    def _arrived(self, past: Past) -> Array:
        """What arrives at each synapse in this step, ``(B, S)``."""
        found = np.zeros(self.held[WEIGHT].shape, np.float32)
        for delay in np.unique(self.delay).tolist():
            on = np.flatnonzero(self.delay == delay)
            values = past(delay)
            found[:, on] = values.reshape(len(values), -1)[:, self.source[on]]
        return found

    def _at(self, which: str, seen: Mapping[str, Array], where: Array) -> None:
        """Run a program on the synapses at which something happens."""
        if not where.any():
            return
        program: Program = getattr(self.rule, which)
        state = [self._read(name)[where] for name in self.rule.states]
        _, after = self.steps[which](state, [seen[name][where] for name in program.inputs])
        for name, new, value in zip(self.rule.states, changed(program), after, strict=True):
            if not new:
                continue
            self.held[f"synapse.{name}"][where] = self._kept(value) if name == "w" else value
            if name in self.tables:
                self.held[since(name)][where] = 0

    def _read(self, name: str) -> Array:
        held = self.held[f"synapse.{name}"]
        if name not in self.tables:
            return held
        return held * self.tables[name][self.held[since(name)].astype(np.int64)]

    def _kept(self, w: Array) -> Array:
        if self.rule.bounds is not None:
            low, high = map(np.float32, self.rule.bounds)
            w = np.where(w > low, w, low)
            w = np.where(w < high, w, high)
        return rounded(self.plastic, self.node.weight, np.where(np.abs(w) < FLUSH, np.float32(0), w))

    def _scale(self, due: Array) -> None:
        """The weights of each target by one factor, in the rows where that is due."""
        program = self.rule.scaling
        assert program is not None
        for b in np.flatnonzero(due):
            sums = np.zeros(self.node.rows, np.float32)
            w = self.held[WEIGHT][b]
            with np.errstate(all="ignore"):
                np.add.at(sums, self.target, w)  # one after the other, in stored order
                seen = {n: x[b] for n, x in self.held.items() if n.startswith("post.")} | {SUM: sums}
                factor, _ = self.steps["scaling"]((), [seen[name] for name in program.inputs])
                self.held[WEIGHT][b] = self._kept(w * factor[self.target])

    def _trace(self, side: str, spikes: Array) -> None:
        """The traces take their step."""
        program: Program = getattr(self.rule, side)
        if not program.states:
            return
        names = [f"{side}.{name}" for name in program.states]
        last = [self.held[n][:, 0] if side == "pre" else self.held[n] for n in names]
        _, after = self.steps[side](last, [spikes] * len(program.inputs))
        for name, value in zip(names, after, strict=True):
            if side == "pre":
                value = np.concatenate([value[:, None], self.held[name][:, :-1]], axis=1)
            self.held[name] = np.ascontiguousarray(value)


def learning(graph: Graph, memory: Mapping[str, Mapping[str, Array]]) -> dict[str, Learning]:
    """The nodes that learn, as they were left."""
    return {n: Learning(node, plastic, memory[n]) for n, node, plastic in plastic_nodes(graph)}


def initial_of(node: Kind, name: str) -> Array:
    """What a node that learns remembers before its first step."""
    return node.stored_weights if name == WEIGHT else np.zeros((), np.float32)

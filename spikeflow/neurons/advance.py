"""advance: a stretch of time through wired modules; what has no cycle at once, cycles step by step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

from spikeflow.errors import GraphError, ShapeError, UnsupportedLayer
from spikeflow.ir.graph import Edge
from spikeflow.neurons.driving import driven, drivers
from spikeflow.neurons.layer import Neuron
from spikeflow.neurons.members import bare, by_source, check_inside, has_state, is_opened, ports_of
from spikeflow.neurons.stateless import neurons_in, through
from spikeflow.neurons.stepping import added, at_rest, step_through, stepper
from spikeflow.neurons.stretch import check_stretch, check_tensor
from spikeflow.neurons.wiring import FIRST, Part, Wiring, chain, source_of

Wanted = Mapping[str, tuple[str, ...]]
Values = dict[str, Any]


class NetState(NamedTuple):
    """The state of a network after a stretch of time.

    Parameters
    ----------
    nodes : by name the state of each node that has one.
    past : for each value that is read with a delay its last ones, oldest first, ``(delay, B, *shape)``.
    """

    nodes: dict[str, Any]
    past: dict[str, torch.Tensor]


class Members(NamedTuple):
    """Modules by name, how they are wired, what is to be recorded, and what of their inside."""

    wiring: Wiring
    modules: Mapping[str, nn.Module]
    record: tuple[str, ...]
    wanted: Wanted


def advance(members: Members, given: Values, before: NetState) -> tuple[Values, NetState]:
    """A stretch of time through all nodes: values ``(T, B, *shape)`` by name, and the state after it.

    Parameters
    ----------
    given : by name what enters, ``(T, B, *shape)``.
    """
    run = _Run(members, given, before)
    for part in members.wiring.parts:
        run.take(part)
    for name in members.wiring.outputs:
        run.values[name] = run.arriving(name)[FIRST]
    return run.values, NetState(run.after, run.past())


def through_chain(
    names: tuple[str, ...], layers: Iterable[nn.Module], x: Any, states: Any, record: Iterable[str] = ()
) -> tuple[Values, tuple[Any, ...]]:
    """Through layers one after the other; `states` has one entry a layer, None for those without a state."""
    if states is not None and (not isinstance(states, Sequence) or len(states) != len(names)):
        got = f"{len(states)} states" if isinstance(states, Sequence) else type(states).__name__
        path = names[0].rpartition(".")[0] if names else "the network"
        raise ShapeError(path, got, f"one for each of {len(names)} layers, as the network gives them")
    wiring = chain(names)
    before = {} if states is None else {n: s for n, s in zip(names, states, strict=True) if s is not None}
    record = tuple(record)
    members = Members(wiring, dict(zip(names, layers, strict=True)), record, inside_of(wiring, record))
    values, after = advance(members, {"input": x}, NetState(before, {}))
    return values, tuple(after.nodes.get(name) for name in names)


def inside_of(wiring: Wiring, record: Iterable[str]) -> Wanted:
    """For each node what of its inside is named; GraphError for a name of nothing here."""
    found: dict[str, tuple[str, ...]] = {}
    known = (*wiring.inputs, *wiring.names, *wiring.outputs)
    for name in record:
        if name in known:
            continue
        owners = [n for n in wiring.names if isinstance(name, str) and name.startswith(f"{n}.")]
        if not owners:
            hint = f"a node, or a state of its neurons such as 'node.v'; nodes: {', '.join(known)}"
            raise GraphError(f"{name!s:.80}", "is nothing to record", hint)
        owner = max(owners, key=len)
        found[owner] = (*found.get(owner, ()), name[len(owner) + 1 :])
    return found


class _Run:
    """The values of a stretch of time while they are computed, by name of their source."""

    def __init__(self, members: Members, given: Values, before: NetState) -> None:
        self.wiring, self.modules, record, self.wanted = members
        self.values, self.before = dict(given), before
        self.drivers = drivers(self.wiring, self.modules, frozenset({*record, *self.wanted}))
        self.after: dict[str, Any] = {}

    def take(self, part: Part) -> None:
        """Compute the values of a part."""
        first = part.names[0]
        if first in self.drivers:
            return  # it runs when the neurons do that it drives
        if part.cyclic or (first in self.wanted and isinstance(bare(self.modules[first]), Neuron)):
            self._step_through(part)
        elif is_opened(self.modules[first]):
            self._open(first)
        elif has_state(self.modules[first]):
            self._through_state(first)
        else:
            self._stateless(first)

    def arriving(self, name: str) -> Values:
        """What arrives at each port of a node, over the whole stretch."""
        return {port: self._sum(name, edges) for port, edges in self.wiring.incoming[name].items()}

    def _sum(self, name: str, edges: Sequence[Edge]) -> Any:
        stretches = [self.delayed(edge) for edge in edges]
        wide = name in self.modules and isinstance(bare(self.modules[name]), Neuron)
        return stretches[0] if len(edges) == 1 else added(name, edges, stretches, wide)

    def delayed(self, edge: Edge) -> Any:
        """What an edge carries: its source, later by the delay."""
        now = self.values[source_of(edge)]
        if not edge.delay:
            return now
        past = self.held(source_of(edge), now[0])
        return torch.cat([past[len(past) - edge.delay :], now])[: len(now)]

    def held(self, source: str, like: torch.Tensor) -> torch.Tensor:
        """The values of a source before this stretch, ``(depth, B, *shape)``; 0 before the first step."""
        depth = self.wiring.depth[source]
        if source not in self.before.past:
            return like.new_zeros((depth, *like.shape))
        past = self.before.past[source]
        check_tensor(f"past of {source}", past, like.expand(depth, *like.shape))
        return past

    def past(self) -> dict[str, torch.Tensor]:
        """The last values of every source that is read with a delay."""
        found = {}
        for source, depth in self.wiring.depth.items():
            now = self.values[source]
            whole = now if len(now) >= depth else torch.cat([self.held(source, now[0]), now])
            found[source] = whole[len(whole) - depth :].clone()
        return found

    def _step_through(self, part: Part) -> None:
        """The nodes of a cycle, step by step; or neurons whose states are wanted after each step."""
        modules = {n: self.modules[n] for n in part.names}
        incoming = {n: self.wiring.incoming[n] for n in part.names}
        edges = [e for ports in incoming.values() for port in ports.values() for e in port]
        outer = {e: self.delayed(e).unbind(0) for e in edges if e.src not in modules}
        if not outer:
            hint = "an edge into it from an input, or from what an input reaches"
            raise GraphError(part.names[0], "lies on a cycle that nothing drives", hint)
        fed_back = {source_of(e) for e in edges if e.src in modules and e.delay}
        rest = at_rest(fed_back, modules, incoming, outer)
        past = {s: list(self.held(s, rest[s]).unbind(0)) for s in fed_back}
        steppers = {
            n: stepper(n, module, self.before.nodes.get(n), self.wanted.get(n, ()))
            for n, module in modules.items()
        }
        self.values.update(step_through(steppers, incoming, outer, past))
        self.after.update({n: s.state for n, s in steppers.items() if s.state is not None})

    def _stateless(self, name: str) -> None:
        layer, x = self.modules[name], self.arriving(name)[FIRST]
        if self.before.nodes.get(name) is not None:
            got = f"a state of type {type(self.before.nodes[name]).__name__}"
            raise ShapeError(name, got, "None: the layer has no neurons")
        if found := neurons_in(layer):  # put there after the network was built
            raise UnsupportedLayer(name, type(layer).__name__, f"the layers it holds ({found}) one by one")
        check_inside(name, layer, self.wanted.get(name, ()))
        check_stretch(name, x)
        self.values[name] = through(name, layer, x)

    def _driven(self, name: str) -> bool:
        """Neurons with the Linear that drives them; whether both could run at once."""
        (port, (edge,)), *_ = self.wiring.incoming[name].items()
        linear, neurons = self.modules[edge.src], self.modules[name]
        assert isinstance(linear, nn.Linear) and isinstance(neurons, Neuron)
        if self.before.nodes.get(edge.src) is None:
            x = self.arriving(edge.src)[FIRST]
            if (found := driven(linear, neurons, x, port, self.before.nodes.get(name))) is not None:
                self.values[name], self.after[name] = found
                return True
        self._stateless(edge.src)
        return False

    def _through_state(self, name: str) -> None:
        if name in self.drivers.values() and self._driven(name):
            return
        layer, arriving = self.modules[name], self.arriving(name)
        ports, inside = ports_of(layer), self.wanted.get(name, ())
        x = arriving[FIRST] if set(arriving) == {FIRST} else {p or ports[0]: v for p, v in arriving.items()}
        check_inside(name, layer, inside)
        more = {"record": inside} if inside else {}
        answer, self.after[name] = layer(x, self.before.nodes.get(name), **more)
        edges, inner = next(iter(self.wiring.incoming[name].values())), bare(layer)
        if isinstance(inner, Neuron) and len(edges) > 1:
            # a sum for neurons is taken in the type of their state; spikes keep the type of what came in
            answer = inner.handed_on(answer, self.values[source_of(edges[0])])
        self.values.update(by_source(name, layer, answer))

    def _open(self, name: str) -> None:
        layer: Any = self.modules[name]
        if layer._forward_hooks or layer._forward_pre_hooks or layer._backward_hooks:
            hint = "the hook on one of its layers"
            raise UnsupportedLayer(name, "a hook on a container of neurons", hint)
        names = tuple(f"{name}.{index}" for index in range(len(layer)))
        record = [f"{name}.{inside}" for inside in self.wanted.get(name, ())]
        x = self.arriving(name)[FIRST]
        values, self.after[name] = through_chain(names, layer, x, self.before.nodes.get(name), record)
        self.values.update({key: values[key] for key in record}, **{name: values["output"]})

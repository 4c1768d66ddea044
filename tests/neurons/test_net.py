"""Laws of Net: what it computes is what its graph means; it can be cut anywhere; what it cannot be is refused.

Drawn: networks of 2 to 6 layers of neurons of six kinds, 1 or 2 inputs and outputs, delays of 0 to 3 steps on any
edge, edges that lead back by 1 to 3 steps; 3 samples of 12 steps.
"""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils import _pytree as pytree

from spikeflow.errors import GraphError, ShapeError, SpikeflowError, UnsupportedLayer
from spikeflow.ir.graph import Edge
from spikeflow.neurons import LIF, Integrator, Net, Neuron, Recurrent, Residual, Sequential, TwoPointLIF
from spikeflow.sim import Dense, run
from tests.neurons.random_nets import Drawn, tensors

N = 6
seeds = pytest.mark.parametrize("seed", range(40))


def named(answer: Any, outputs: tuple[str, ...]) -> dict[str, torch.Tensor]:
    return answer if isinstance(answer, dict) else {outputs[0]: answer}


def equal(a: Any, b: Any) -> bool:
    """Whether two nests of tensors are equal bit for bit."""
    (flat, form), (other, same) = pytree.tree_flatten(a), pytree.tree_flatten(b)
    return form == same and all(
        torch.equal(x, y) if isinstance(x, torch.Tensor) else x is y for x, y in zip(flat, other, strict=True)
    )


@seeds
def test_a_network_is_its_graph(seed: int) -> None:
    drawn = Drawn(seed)
    net, graph, x = drawn.net(), drawn.graph(), drawn.moments(12, 3, seed)
    with torch.no_grad():
        outputs, _ = net(tensors(x), record=tuple(drawn.nodes))
    found = run(graph, {n: Dense(v) for n, v in x.items()}, 12, engine="reference", record=tuple(drawn.nodes))
    for name in drawn.outputs:
        np.testing.assert_array_equal(outputs[name].numpy(), found.outputs[name], err_msg=name)
    for name in drawn.nodes:
        np.testing.assert_array_equal(outputs[name].numpy(), found.recorded[name].dense(), err_msg=name)


def test_the_drawn_networks_have_cycles_delays_and_spikes() -> None:
    """What the laws above rest on."""
    drawn = [Drawn(seed) for seed in range(40)]
    nets = [d.net() for d in drawn]
    assert sum(any(part.cyclic for part in net.wiring.parts) for net in nets) > 20
    assert sum(any(len(part.names) > 2 for part in net.wiring.parts) for net in nets) > 10
    assert sum(e.delay > 0 for d in drawn for e in d.edges) > 80
    assert sum(len(d.inputs) > 1 for d in drawn) > 10 and sum(len(d.outputs) > 1 for d in drawn) > 10
    with torch.no_grad():
        spikes = [
            net(tensors(d.moments(12, 3, 0)), record=tuple(d.nodes))[0]
            for d, net in zip(drawn, nets, strict=True)
        ]
    cells = [s[n] for d, s in zip(drawn, spikes, strict=True) for n in d.nodes if n.startswith("cells")]
    assert 0.05 < np.mean([c.mean().item() for c in cells]) < 0.8


@seeds
def test_a_cut_run_is_the_whole(seed: int) -> None:
    """Outputs, records and states; in two pieces or more."""
    drawn = Drawn(seed)
    net, x = drawn.net(), drawn.moments(12, 3, seed)
    record = tuple(drawn.nodes) + tuple(
        f"{n}.{s}" for n, m in drawn.modules.items() if isinstance(m, Neuron) for s in m.model.states()
    )
    cuts = sorted(set(np.random.default_rng(seed).integers(1, 12, 3).tolist()))
    with torch.no_grad():
        whole, end = net(tensors(x), record=record)
        pieces, states = [], None
        for first, last in zip([0, *cuts], [*cuts, 12], strict=True):
            piece, states = net(tensors({n: v[first:last] for n, v in x.items()}), states, record)
            pieces.append(piece)
            states = pickle.loads(pickle.dumps(states))
        plain, after = net(tensors(x))
    for name in whole:
        assert torch.equal(torch.cat([piece[name] for piece in pieces]), whole[name]), name
    assert equal(states, end) and equal(after, end)
    assert all(torch.equal(v, whole[n]) for n, v in named(plain, net.outputs).items())
    for name, module in drawn.modules.items():
        for state in module.model.states() if isinstance(module, Neuron) else ():
            assert torch.equal(whole[f"{name}.{state}"][-1], getattr(end.nodes[name], state))


@pytest.mark.parametrize("seed", range(3))
def test_copies_and_compiled_networks_go_on(seed: int) -> None:
    torch._dynamo.reset()
    drawn = Drawn(seed)
    net, x = drawn.net(), tensors(drawn.moments(3, 2, seed))
    wanted, states = net(x)
    again = pickle.loads(pickle.dumps(copy.deepcopy(net)))
    assert equal(again(x, states), net(x, states))
    compiled = torch.compile(net, fullgraph=True, backend="aot_eager")
    assert equal(compiled(x)[0], wanted) and equal(compiled(x, states)[0], net(x, states)[0])


def two_stream() -> Net:
    torch.manual_seed(0)
    return Net(
        {
            "left": nn.Linear(3, N),
            "right": nn.Linear(4, N),
            "cells": Neuron(TwoPointLIF()),
            "context": nn.Linear(N, N),
            "answer": nn.Linear(N, 2),
            "readout": Neuron(Integrator()),
        },
        [
            Edge("what", "left"),
            Edge("where", "right"),
            Edge("left", "cells", "basal"),
            Edge("right", "cells", "apical"),
            Edge("cells", "context", delay=2),
            Edge("context", "cells", "apical"),
            Edge("cells", "answer"),
            Edge("answer", "readout"),
            Edge("readout", "logits"),
            Edge("cells", "spikes"),
        ],
        ("what", "where"),
        ("logits", "spikes"),
    )


def streams(steps: int = 9, batch: int = 3) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    return {n: 2 * torch.rand(steps, batch, k, generator=draw) for n, k in (("what", 3), ("where", 4))}


def test_ports_inputs_and_outputs_are_named() -> None:
    net, x = two_stream(), streams()
    outputs, states = net(x)
    assert set(outputs) == {"logits", "spikes"} and outputs["spikes"].any()
    assert set(states.nodes) == {"cells", "readout"} and states.past["cells"].shape == (2, 3, N)
    last, cells = torch.zeros(2, 3, N), None
    for t in range(9):  # by hand
        apical = net.nodes["right"](x["where"][t]) + net.nodes["context"](last[0])
        z, cells = net.nodes["cells"](
            {"basal": net.nodes["left"](x["what"][t])[None], "apical": apical[None]}, cells
        )
        assert torch.equal(outputs["spikes"][t], z[0])
        last = torch.cat([last[1:], z])


def test_what_is_recorded_carries_gradients_of_a_regulariser() -> None:
    net, x = two_stream(), streams()
    outputs, _ = net(x, record=("cells", "cells.u"))
    assert torch.equal(outputs["cells"], outputs["spikes"])
    (outputs["cells"].mean() + outputs["cells.u"].square().mean()).backward()
    for name in ("left", "right", "context"):
        assert net.nodes[name].weight.grad.any(), name
    assert net.nodes["answer"].weight.grad is None


def test_networks_within_networks_are_recorded_by_their_path() -> None:
    torch.manual_seed(0)
    again = Recurrent(Neuron(LIF(0.9)), nn.Linear(N, N))
    inner = Net({"a": nn.Linear(N, N), "b": again}, [Edge("input", "a"), Edge("a", "b"), Edge("b", "output")])
    net = Sequential(nn.Linear(N, N), nn.Sequential(Neuron(LIF(0.8))), Residual(inner), Neuron(Integrator()))
    x = 2 * torch.rand(7, 3, N)
    record = ("layers.1.0.v", "layers.2.body", "layers.2.body.b.v", "layers.2.body.b.feedback", "layers.3.v")
    outputs, states = net(x, record=record)
    assert set(outputs) == {"output", *record}
    plain, after = net(x)
    assert torch.equal(plain, outputs["output"]) and equal(states, after)
    assert torch.equal(outputs["layers.2.body.b.v"][-1], states[2].nodes["body"].nodes["b"][0].v)
    assert torch.equal(outputs["layers.3.v"], outputs["output"])
    for wrong in ("layers.9", "layers.0.v", "layers.1.0.w", "layers.2.body.c", "v", 3):
        with pytest.raises(GraphError, match="record|state"):
            net(x, record=(wrong,))
    with pytest.raises(GraphError, match="record"):
        net(x, record="layers.1")


@pytest.mark.parametrize("seed", range(10))
def test_a_network_as_a_node_is_its_nodes(seed: int) -> None:
    """Whatever is wrapped, and also within a cycle: sums are those of the flat network."""
    drawn = Drawn(seed)
    x = tensors(drawn.moments(8, 3, seed))
    outputs = [
        Edge("inner", name, src_port=name if len(drawn.outputs) > 1 else "out") for name in drawn.outputs
    ]
    around = Net(
        {"inner": drawn.net()},
        [*(Edge(n, "inner", n) for n in drawn.inputs), *outputs],
        drawn.inputs,
        drawn.outputs,
    )
    wanted, _ = drawn.net()(x)
    drawn.modules = {n: copy.deepcopy(m) for n, m in drawn.modules.items()}
    assert equal(around(x)[0], wanted)
    first, states = around({n: v[:3] for n, v in x.items()} if isinstance(x, dict) else x[:3])
    rest, _ = around({n: v[3:] for n, v in x.items()} if isinstance(x, dict) else x[3:], states)
    joined = {
        n: torch.cat([named(first, around.outputs)[n], named(rest, around.outputs)[n]]) for n in drawn.outputs
    }
    assert equal(joined, named(wanted, around.outputs))


def test_a_network_within_a_cycle_keeps_its_state() -> None:
    torch.manual_seed(0)
    block = Sequential(nn.Linear(N, N), Neuron(LIF(0.9)), nn.Linear(N, N))
    net = Net(
        {"block": block, "cells": Neuron(LIF(0.7))},
        [
            Edge("input", "cells"),
            Edge("cells", "block"),
            Edge("block", "cells", delay=1),
            Edge("cells", "output"),
        ],
    )
    x = 2 * torch.rand(9, 3, N)
    out, states = net(x, record=("block", "block.layers.1.v"))
    back, cells, inner, seen = torch.zeros(3, N), None, None, []
    for t in range(9):
        z, cells = net.nodes["cells"]((x[t] + back)[None], cells)
        y, inner = block(z, inner)
        back = y[0]
        seen.append(z[0])
    assert torch.equal(torch.stack(seen), out["output"]) and torch.equal(out["block"][-1], back)
    assert torch.equal(out["block.layers.1.v"][-1], states.nodes["block"][1].v)


def test_residual_adds_the_way_around() -> None:
    torch.manual_seed(0)
    body, shortcut, x = nn.Linear(N, 4), nn.Linear(N, 4), torch.rand(5, 3, N)
    assert torch.equal(Residual(body, shortcut)(x)[0], body(x) + shortcut(x))
    cells = Sequential(nn.Linear(N, N), Neuron(LIF(0.9)))
    out, states = Residual(cells)(x)
    assert torch.equal(out, cells(x)[0] + x) and equal(states.nodes["body"], cells(x)[1])
    with pytest.raises(ShapeError, match="output.*equal shapes"):
        Residual(body)(x)


def test_state_dict_keys_are_the_names_of_the_nodes() -> None:
    net = Net(
        {"enc": nn.Linear(N, N), "a.b": Neuron(LIF(), learn="decay"), "type": nn.Linear(N, N)},
        [Edge("input", "enc"), Edge("enc", "a.b"), Edge("a.b", "type"), Edge("type", "output")],
    )
    assert set(net.state_dict()) == {
        "nodes.enc.weight",
        "nodes.enc.bias",
        "nodes.a/b.decay",
        "nodes.a/b.threshold",
        "nodes.type_.weight",
        "nodes.type_.bias",
    }
    x = torch.rand(3, 2, N)
    assert torch.equal(net(x, record=("type",))[0]["type"], net(x)[0])


class Holding(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.cells = Neuron(LIF(0.9))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cells(x)[0]


def lone(module: Any, *edges: Edge) -> Net:
    return Net({"a": module}, [Edge("input", "a"), Edge("a", "output"), *edges])


REFUSED: dict[str, tuple[Callable[[], Any], str]] = {
    "a module that holds neurons": (lambda: lone(Holding()), "a: Holding.*one by one"),
    "an LSTM": (lambda: lone(nn.LSTM(N, N)), "a: LSTM"),
    "a function": (lambda: lone(torch.relu), "a: "),
    "a list of nodes": (lambda: Net([nn.Linear(N, N)], []), "named"),  # type: ignore[arg-type]
    "an unknown source": (lambda: lone(nn.Linear(N, N), Edge("b", "a")), "b: the edge b -> a.*source"),
    "an unknown reader": (lambda: lone(nn.Linear(N, N), Edge("a", "b")), "b: the edge a -> b.*reader"),
    "an unknown port": (lambda: lone(Neuron(LIF()), Edge("input", "a", "basal")), "a: has no port 'basal'"),
    "a port that is not said": (lambda: lone(Neuron(TwoPointLIF())), "a: has no port 'in'.*basal, apical"),
    "an unknown output": (
        lambda: lone(nn.Linear(N, N), Edge("a", "output", src_port="v")),
        "a: has no output 'v'",
    ),
    "a delay that is none": (
        lambda: lone(nn.Linear(N, N), Edge("a", "output", delay=-1)),
        "output: a delay of -1",
    ),
    "a delay of a half": (lambda: lone(nn.Linear(N, N), Edge("a", "output", delay=0.5)), "whole steps"),  # type: ignore[arg-type]
    "no edge": (lambda: Net({"a": nn.Linear(N, N)}, [("input", "a")]), "is no edge"),  # type: ignore[list-item]
    "a node that reads nothing": (
        lambda: Net({"a": nn.Identity(), "b": nn.Identity()}, [Edge("input", "a"), Edge("b", "output")]),
        "b: reads nothing",
    ),
    "an output that reads nothing": (
        lambda: Net({}, [Edge("input", "output")], outputs=("output", "o2")),
        "o2: reads",
    ),
    "an input that nobody reads": (
        lambda: Net({}, [Edge("input", "output")], inputs=("input", "x")),
        "x: is an input",
    ),
    "an input of a network left open": (
        lambda: Net(
            {"a": two_stream()}, [Edge("input", "a", "what"), Edge("a", "output", src_port="logits")]
        ),
        "a: nothing is connected to its input 'where'",
    ),
    "an output of several that is not said": (
        lambda: Net({"a": two_stream()}, [Edge("input", "a", "what"), Edge("a", "output")]),
        "a: has no output 'out'.*logits, spikes",
    ),
    "one name twice": (lambda: Net({"input": nn.Identity()}, [Edge("input", "output")]), "input: names two"),
    "no name": (lambda: Net({"": nn.Identity()}, [Edge("input", "output")]), "a node's name"),
    "a name for names": (lambda: Net({}, [Edge("input", "output")], inputs="input"), "no list of names"),
    "a cycle without delay": (
        lambda: Net(
            {n: nn.Identity() for n in ("a", "b", "c")},
            [Edge("input", "a"), Edge("a", "b"), Edge("b", "c"), Edge("c", "a"), Edge("c", "output")],
        ),
        "cycle without delay: (a -> b -> c -> a|b -> c -> a -> b|c -> a -> b -> c).*delay=1",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_no_network_is_refused_when_it_is_built(what: str) -> None:
    make, words = REFUSED[what]
    with pytest.raises((GraphError, UnsupportedLayer), match=words):
        make()


def cyclic(*layers: nn.Module) -> Net:
    return Net(
        {"cells": Neuron(LIF(0.9)), "back": nn.Sequential(*layers)},
        [
            Edge("input", "cells"),
            Edge("cells", "back", delay=1),
            Edge("back", "cells"),
            Edge("cells", "output"),
        ],
    )


@pytest.mark.parametrize(
    "layer",
    [
        lambda: nn.BatchNorm1d(N),
        lambda: nn.Dropout(0.5),
        lambda: Sequential(nn.Linear(N, N), nn.Dropout(0.5)),
        lambda: Sequential(nn.BatchNorm1d(N)),
    ],
)
def test_what_draws_anew_in_every_step_is_refused_in_a_cycle_while_it_trains(layer: Any) -> None:
    inner = layer()
    net = cyclic(nn.Linear(N, N), inner) if not isinstance(inner, Sequential) else cyclic(nn.Linear(N, N))
    if isinstance(inner, Sequential):
        net = Net({**net.modules_by_name(), "back": inner}, net.edges)
    with pytest.raises(UnsupportedLayer, match="back.*while training"):
        net.train()(torch.rand(4, 3, N))
    assert net.eval()(torch.rand(4, 3, N))[0].shape == (4, 3, N)
    outside = Sequential(layer(), cyclic(nn.Linear(N, N)))
    assert outside.train()(torch.rand(4, 3, N))[0].shape == (4, 3, N)


def test_inputs_and_states_that_are_not_the_networks_are_refused() -> None:
    net, x = two_stream(), streams()
    _, states = net(x)
    for wrong in (
        x["what"],
        {"what": x["what"]},
        {**x, "more": x["what"]},
        {**x, "what": x["what"][:4]},
        None,
    ):
        with pytest.raises(SpikeflowError):
            net(wrong)
    past = states.past["cells"]
    for wrong in (
        (states.nodes,),
        (states.nodes, {}),
        ({**states.nodes, "no": 1}, states.past),
        (states.nodes, {"cells": past[:1]}),
        (states.nodes, {"cells": past[:, :2]}),
        (states.nodes, {"cells": past.double()}),
        (states.nodes, {"cells": past.detach().numpy()}),
        (dict.fromkeys(states.nodes, 3), states.past),
        7,
    ):
        with pytest.raises(SpikeflowError):
            net(x, wrong)


def test_values_of_several_shapes_do_not_broadcast() -> None:
    net = Net(
        {"a": nn.Linear(N, 1), "b": nn.Linear(N, N), "cells": Neuron(LIF())},
        [*(Edge("input", n) for n in "ab"), *(Edge(n, "cells") for n in "ab"), Edge("cells", "output")],
    )
    with pytest.raises(ShapeError, match=r"cells: .*'a': \(4, 3, 1\)"):
        net(torch.rand(4, 3, N))


@pytest.mark.parametrize("dtype", [torch.bool, torch.uint8, torch.int64])
def test_spikes_given_as_whole_numbers_add_up(dtype: torch.dtype) -> None:
    """Torch's own bools would add up to True, its bytes wrap around at 256."""
    net = Net(
        {"a": nn.Linear(N, N), "cells": Neuron(LIF(0.9))},
        [Edge("input", "a"), Edge("input", "a", delay=1), Edge("a", "cells"), Edge("input", "cells")]
        + [Edge("input", "output"), Edge("input", "output"), Edge("cells", "spikes")],
        outputs=("output", "spikes"),
    )
    x = torch.randint(
        0, 2 if dtype is torch.bool else 200, (6, 3, N), generator=torch.Generator().manual_seed(0)
    )
    wanted, _ = net(x.float())
    got, _ = net(x.to(dtype))
    assert equal({n: v.float() for n, v in got.items()}, wanted)


def test_no_samples_are_no_samples() -> None:
    net = two_stream()
    outputs, states = net({n: x[:, :0] for n, x in streams().items()})
    assert outputs["logits"].shape == (9, 0, 2) and states.past["cells"].shape == (2, 0, N)


def test_states_are_detached_by_torchs_own_tools() -> None:
    """As truncated backpropagation through time does it."""
    net, x = two_stream(), streams()
    _, states = net(x)
    kept = pytree.tree_map(lambda t: t.detach(), states)
    assert type(kept) is type(states) and not kept.past["cells"].requires_grad
    net(x, kept)[0]["logits"].sum().backward()


def test_a_cycle_that_nothing_drives_is_refused() -> None:
    net = Net(
        {"a": Neuron(LIF()), "b": nn.Identity()},
        [Edge("a", "a", delay=1), Edge("a", "output"), Edge("input", "b"), Edge("b", "output")],
    )
    with pytest.raises(GraphError, match="a: lies on a cycle that nothing drives"):
        net(torch.rand(4, 3, N))


class Lightning(nn.Module):
    """As users wrap: a module that owns the network and its loss."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: dict[str, torch.Tensor], y: torch.Tensor) -> torch.Tensor:
        outputs, _ = self.net(x, record=("cells",))
        rate = outputs["cells"].mean((0, 1))
        return nn.functional.cross_entropy(outputs["logits"][-1], y) + (rate - 0.1).square().mean()


def test_a_module_that_wraps_a_network_trains_it() -> None:
    module, x, y = Lightning(two_stream()), streams(), torch.tensor([0, 1, 1])
    optimiser = torch.optim.Adam(module.parameters(), 0.02)
    losses = []
    for _ in range(20):
        optimiser.zero_grad()
        loss = module(x, y)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]
    with pytest.raises(UnsupportedLayer, match="layers.0: Lightning"):
        Sequential(module)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_precision_is_that_of_the_layers_states_stay_exact(dtype: torch.dtype) -> None:
    net = cyclic(nn.Linear(N, N)).to(dtype)
    out, states = net(torch.rand(5, 3, N).to(dtype))
    assert out.dtype is dtype
    assert states.nodes["cells"].v.dtype is (torch.float64 if dtype is torch.float64 else torch.float32)


def test_a_node_named_as_an_output_of_another_is_refused() -> None:
    """Both were one value by name, and the later one was read for both."""
    inner = Net({"p": nn.Linear(3, 3), "q": nn.Linear(3, 3)}, [Edge("input", "p"), Edge("input", "q"), Edge("p", "x"), Edge("q", "y")], outputs=("x", "y"))
    edges = [Edge("input", "a"), Edge("input", "a.x"), Edge("a", "one", src_port="x"), Edge("a", "two", src_port="y"), Edge("a.x", "three")]
    with pytest.raises(GraphError, match=r"a\.x: is a node, and the output 'x' of a"):
        Net({"a": inner, "a.x": nn.Linear(3, 3)}, edges, outputs=("one", "two", "three"))

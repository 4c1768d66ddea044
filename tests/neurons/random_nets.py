"""Random networks of torch modules, each with the graph that means the same.

Weights and biases lie on a grid of eighths, so that every sum is exact in any order; what is done elementwise is
done in one order everywhere. So network and reference agree bit for bit.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import nn

from spikeflow.ir import nodes as ir
from spikeflow.ir.graph import Edge, Graph
from spikeflow.neurons import IF, LIF, CubaLIF, Net, Neuron, TwoPointLIF

SIZES = (3, 4, 6)
MODELS = (
    IF(0.75),
    LIF(0.9),
    LIF(0.5, reset="subtract"),
    CubaLIF(0.6, 0.8),
    TwoPointLIF(gain=2.0),
    TwoPointLIF(bap=0.5, back_propagation=True),
)


def dense(draw: np.random.Generator, inputs: int, outputs: int) -> tuple[nn.Linear, ir.Linear]:
    """A Linear on the grid, and its node."""
    weight = draw.integers(-6, 9, (outputs, inputs)).astype(np.float32) / 8
    bias = draw.integers(-3, 4, outputs).astype(np.float32) / 8
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(weight))
        layer.bias.copy_(torch.from_numpy(bias))
    return layer, ir.Linear(weight, bias)


class Drawn:
    """A network while it grows: every value is of spikes, or of one Linear behind them."""

    def __init__(self, seed: int) -> None:
        self.draw = np.random.default_rng(seed)
        self.modules: dict[str, nn.Module] = {}
        self.nodes: dict[str, Any] = {}
        self.edges: list[Edge] = []
        self.size: dict[str, int] = {}
        self.linear: set[str] = set()
        self.inputs = [f"in{i}" for i in range(self.draw.integers(1, 3))]
        for name in self.inputs:
            self.size[name] = int(self.draw.choice(SIZES))
        for index in range(self.draw.integers(2, 7)):
            self.grow(index)
        self.lead_back()
        self.finish()

    def delay(self) -> int:
        return 0 if self.draw.random() < 0.7 else int(self.draw.integers(1, 4))

    def port(self, model: Any) -> str:
        return str(model.inputs[self.draw.integers(len(model.inputs))])

    def add(self, name: str, module: nn.Module, node: Any, size: int) -> None:
        self.modules[name], self.nodes[name], self.size[name] = module, node, size

    def grow(self, index: int) -> None:
        """A Linear behind one or two values, then neurons behind it and behind others of its size."""
        spiking = [n for n in self.size if n not in self.linear]
        source = spiking[-1 - int(len(spiking) * self.draw.random() ** 2)]
        size = int(self.draw.choice(SIZES))
        layer, node = dense(self.draw, self.size[source], size)
        name = f"layer{index}"
        self.edges.append(Edge(source, name, "in", self.delay()))
        self.add(name, layer, node, size)
        self.linear.add(name)
        self.cells(f"cells.{index}", size)

    def cells(self, name: str, size: int) -> None:
        model = MODELS[self.draw.integers(len(MODELS))]
        same = [n for n in self.size if self.size[n] == size]
        sources = [same[-1], *(same[i] for i in self.draw.integers(0, len(same), self.draw.integers(0, 3)))]
        self.edges += [Edge(s, name, self.port(model), self.delay()) for s in sources]
        self.add(name, Neuron(model), model.node((size,)), size)

    def lead_back(self) -> None:
        """Edges back in time: to neurons, and through the layers before them."""
        for name, node in list(self.nodes.items()):
            later = [n for n in self.nodes if self.size[n] == self.size[name] and n not in self.linear]
            if isinstance(node, ir.Population) and later and self.draw.random() < 0.5:
                port = str(node.ports[self.draw.integers(len(node.ports))])
                source = later[self.draw.integers(len(later))]
                self.edges.append(Edge(source, name, port, int(self.draw.integers(1, 4))))
            elif isinstance(node, ir.Linear) and self.draw.random() < 0.3:
                width = node.weight.shape[1]
                fitting = [n for n in self.nodes if self.size[n] == width and n not in self.linear]
                if fitting:
                    source = fitting[self.draw.integers(len(fitting))]
                    self.edges.append(Edge(source, name, "in", int(self.draw.integers(1, 4))))

    def finish(self) -> None:
        populations = [n for n, node in self.nodes.items() if isinstance(node, ir.Population)]
        self.outputs = ["out0"] if self.draw.random() < 0.6 else ["out0", "out1"]
        for name in self.outputs:
            self.edges.append(Edge(populations[-1], name, "in", self.delay()))
        first = self.size[populations[-1]]
        same = [n for n in self.nodes if self.size[n] == first]
        self.edges.append(Edge(same[self.draw.integers(len(same))], self.outputs[-1], "in", self.delay()))
        for name in self.inputs:  # an input that nothing reads is refused
            if not any(e.src == name for e in self.edges):
                layer, node = dense(self.draw, self.size[name], 3)
                self.add(f"from {name}", layer, node, 3)
                self.edges.append(Edge(name, f"from {name}"))
                self.cells(f"cells {name}", 3)

    def net(self) -> Net:
        return Net(self.modules, self.edges, self.inputs, self.outputs)

    def graph(self) -> Graph:
        ends = {name: ir.Output() for name in self.outputs}
        starts = {name: ir.Input((self.size[name],), "current") for name in self.inputs}
        return Graph({**starts, **self.nodes, **ends}, tuple(self.edges))

    def moments(self, steps: int, batch: int, seed: int) -> dict[str, np.ndarray]:
        """Spikes for each input, ``(T, B, size)``."""
        draw = np.random.default_rng(seed)
        return {
            name: (draw.random((steps, batch, self.size[name])) < 0.5).astype(np.float32)
            for name in self.inputs
        }


def tensors(x: dict[str, np.ndarray]) -> Any:
    """As a network takes them: a tensor, or several by name."""
    made = {name: torch.from_numpy(value) for name, value in x.items()}
    return made if len(made) > 1 else next(iter(made.values()))

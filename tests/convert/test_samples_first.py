"""Samples that stand on another axis for a while: the graph is written with them in front, and computes the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from spikeflow.convert.trace.aten import from_module
from spikeflow.convert.trace.atengraph import AtenGraph, Ref, base_name
from spikeflow.convert.trace.evaluate import MOST_VALUES, Allowance, dependent, operation
from spikeflow.convert.trace.samples_first import samples_first
from tests.convert.networks import Calls


class Attention(nn.Module):
    """Torch's own layer, over itself or over a part, with or without its weights, masked or not."""

    def __init__(self, part: int = 5, need_weights: bool = True, masked: bool = False) -> None:
        super().__init__()
        self.layer = nn.MultiheadAttention(8, 2, batch_first=True)
        self.part, self.need_weights = part, need_weights
        self.register_buffer("mask", torch.ones(5, part).triu(1) > 0 if masked else None)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        own = x if self.part == 5 else x[:, : self.part]
        return self.layer(x, own, own, need_weights=self.need_weights, attn_mask=self.mask)[0]


NETWORKS: dict[str, nn.Module] = {
    "attention": Attention(),
    "attention without weights": Attention(need_weights=False),
    "attention over others": Attention(3),
    "attention masked": Attention(masked=True),
    "attention masked, without weights": Attention(need_weights=False, masked=True),
    "encoder": nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True),
    "encoder, norms behind": nn.TransformerEncoderLayer(8, 4, 16, batch_first=True, activation="gelu"),
    "samples second": Calls(lambda m, x: torch.relu(x.transpose(0, 1) * 2).softmax(-1).permute(1, 2, 0)),
    "samples and rows as one": Calls(
        lambda m, x: m.a(x.reshape(-1, 8)).view(len(x), 5, 3), a=nn.Linear(8, 3)
    ),
    "rows and samples as one": Calls(
        lambda m, x: m.a(x.transpose(0, 1).reshape(-1, 8)).view(5, len(x), 3).transpose(0, 1),
        a=nn.Linear(8, 3),
    ),
    "samples last of two": Calls(
        lambda m, x: x.unsqueeze(0).transpose(0, 2).squeeze(2).unflatten(-1, (2, 4)).movedim(1, 0)
    ),
}


def computed(graph: AtenGraph, x: torch.Tensor) -> torch.Tensor:
    """What a traced graph gives for a batch of the size that it was traced with."""
    known: dict[str, Any] = {name: torch.from_numpy(np.array(a)) for name, a in graph.tensors.items()}
    known[graph.inputs[0]] = x

    def value(argument: Any) -> Any:
        if isinstance(argument, tuple):
            return [value(item) for item in argument]
        return known[argument.name] if isinstance(argument, Ref) else argument

    for node in graph.nodes:
        if base_name(node.op) == "baddbmm":  # of as many axes as the values have, which capture takes
            mask, left, right = map(value, node.args)
            known[node.name] = mask + left @ right
        else:
            known[node.name] = operation(node, value, Allowance(MOST_VALUES))
        if isinstance(known[node.name], torch.Tensor) and node.name in moving(graph):
            assert tuple(known[node.name].shape) == tuple(node.shape)
    return known[graph.outputs[0].name]


def moving(graph: AtenGraph) -> set[str]:
    return set(dependent(graph, graph.inputs))


@pytest.mark.parametrize("what", NETWORKS)
@pytest.mark.parametrize("batch", [2, 5])
def test_the_same_is_computed_with_the_samples_in_front(what: str, batch: int) -> None:
    """A batch of 5 as long as the rows, too: no axis is taken for another by its size."""
    module = NETWORKS[what].eval()
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(batch, 5, 8)).astype(np.float32))
    graph = from_module(module, x)
    found = samples_first(graph)
    assert found is not graph
    assert all(node.shape[0] == batch for node in found.nodes if node.name in moving(found))
    with torch.no_grad():
        wanted = module(x)
        if type(module) is nn.TransformerEncoderLayer or isinstance(module, Attention):
            np.testing.assert_allclose(computed(found, x), wanted, rtol=1e-5, atol=1e-6)
        else:
            np.testing.assert_array_equal(computed(found, x), wanted)


@pytest.mark.parametrize(
    "of",
    [
        lambda m, x: x.transpose(0, 1),
        lambda m, x: x.transpose(0, 1).cumsum(0).transpose(0, 1),
        lambda m, x: x.transpose(0, 2).softmax(-1).transpose(0, 2),
        lambda m, x: x.reshape(-1, 4).reshape(len(x), 8, 5),
        lambda m, x: torch.relu(x),
    ],
)
def test_what_cannot_be_written_so_stays_as_it_is(of: Any) -> None:
    graph = from_module(Calls(of), torch.zeros(2, 5, 8))
    assert samples_first(graph) is graph

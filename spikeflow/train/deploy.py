"""deployed: a trained network as it is exported, normalisation folded into weights and thresholds."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from spikeflow.neurons.members import bare, is_opened
from spikeflow.neurons.net import Net
from spikeflow.neurons.stateless import FoldedOfVectors
from spikeflow.train.inside import network
from spikeflow.train.norm import MembraneNormLIF, refuse_unfoldable

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


@torch.no_grad()
def deployed(net: nn.Module) -> Net:
    """A copy in evaluation mode: batch norm folded into the layer before it, MPBN into thresholds, weights as
    their parametrisations give them.

    What is folded becomes an Identity, so that all names stay. Batch norm that no linear layer alone feeds is
    left as it is; capture places it. Equal to the network in evaluation mode up to rounding.

    Raises
    ------
    UnsupportedLayer, GraphError
        For TEBN, by name, and for thresholds below 0.
    """
    made = copy.deepcopy(network(net)).eval()
    for path, layer in made.named_modules():
        refuse_unfoldable(path, layer)
    _plain_weights(made)
    for path, layer in list(made.named_modules()):
        if isinstance(layer, MembraneNormLIF):
            made.set_submodule(path, layer.folded(path).eval())
    for before, after in list(_pairs(made)):
        _fold(made, before, after)
    return made


def _plain_weights(net: nn.Module) -> None:
    for path, layer in list(net.named_modules()):
        if not parametrize.is_parametrized(layer):
            continue
        # torch's own removal would take the weights from the class, which copies of the layer share
        kind: Any = type(layer).__mro__[1]
        made: nn.Module = kind.__new__(kind)
        made.__dict__.update(layer.__dict__)
        values = {name: getattr(layer, name) for name in layer.parametrizations}  # type: ignore[union-attr]
        made.__dict__["_modules"] = {n: m for n, m in layer.named_children() if n != "parametrizations"}
        made.__dict__["_parameters"] = dict(vars(layer)["_parameters"])
        for name, value in values.items():
            made.register_parameter(name, nn.Parameter(value.detach().clone()))
        net.set_submodule(path, made)


def _pairs(net: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """Each batch norm that reads one linear layer alone, without delay, with that layer; which nothing else
    reads.
    """
    inner = bare(net)
    if isinstance(inner, Net):
        modules, edges = inner.modules_by_name(), inner.wiring.edges
        for name, module in modules.items():
            into = [e for e in edges if e.dst == name]
            if len(into) == 1 and into[0].src in modules and not into[0].delay:
                readers = [e for e in edges if e.src == into[0].src]
                if len(readers) == 1:
                    yield modules[into[0].src], module
        children = list(modules.values())
    else:
        children = list(inner.children()) if type(inner) is nn.Sequential else []
        yield from zip(children[:-1], children[1:], strict=True)
    for child in children:
        if isinstance(bare(child), Net) or is_opened(child) or type(child) is nn.Sequential:
            yield from _pairs(child)


def _fold(net: nn.Module, before: nn.Module, after: nn.Module) -> None:
    paths = {id(module): path for path, module in net.named_modules()}
    if id(before) not in paths or id(after) not in paths:
        return  # of a block that stands in several places: folded already
    if not isinstance(after, _NORMS) or after.running_mean is None:
        return
    if not after.affine:  # torch folds such norms into convolutions alone
        after.weight, after.bias = (
            nn.Parameter(value(after.running_mean)) for value in (torch.ones_like, torch.zeros_like)
        )
    if isinstance(before, nn.Linear) and isinstance(after, nn.BatchNorm1d):
        fused: nn.Module = fuse_linear_bn_eval(before, after)
    elif isinstance(before, nn.Conv1d | nn.Conv2d | nn.Conv3d):
        fused = fuse_conv_bn_eval(before, after)
    else:
        return
    vectors = isinstance(before, nn.Linear)
    net.set_submodule(paths[id(before)], fused)
    net.set_submodule(paths[id(after)], FoldedOfVectors(paths[id(after)]) if vectors else nn.Identity())

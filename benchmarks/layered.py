"""A network of the data folder as a torch module: weights in ``NAME.npz``, layers in ``NAME.layers.json``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

ACTIVATIONS = {"relu": nn.ReLU, "relu6": nn.ReLU6}


class Layered(nn.Module):
    """The layers in their order, each under its name with underscores for points."""

    def __init__(self, stem: Path) -> None:
        super().__init__()
        written = json.loads(stem.with_name(stem.name + ".layers.json").read_text())
        self.plan: list[dict[str, Any]] = written["layers"]
        weights = np.load(stem.with_name(stem.name + ".npz"))
        for layer in self.plan:
            made = _made(layer, weights)
            if made is not None:
                setattr(self, _name(layer), made)
            if layer.get("activation"):
                setattr(self, _name(layer) + "_act", ACTIVATIONS[layer["activation"]]())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last layer's value for ``(N, C, H, W)``."""
        values = {"input": x}
        for layer in self.plan:
            x = self._applied(layer, [values[name] for name in layer["inputs"]])
            values[layer["name"]] = getattr(self, _name(layer) + "_act")(x) if layer.get("activation") else x
            x = values[layer["name"]]
        return x

    def _applied(self, layer: dict[str, Any], given: list[torch.Tensor]) -> torch.Tensor:
        x, op = given[0], layer["op"]
        if op == "global_avg_pool2d":
            return x.mean((2, 3))
        if op == "concat":
            return torch.cat(given, 1)
        return torch.flatten(x, 1) if op == "flatten" else getattr(self, _name(layer))(x)


def _name(layer: dict[str, Any]) -> str:
    return layer["name"].replace(".", "_")


def _made(layer: dict[str, Any], weights: Mapping[str, np.ndarray]) -> nn.Module | None:
    """The module of a layer with weights or a window; other layers are functions."""
    if layer["op"] == "max_pool2d":
        return nn.MaxPool2d(layer["kernel"], layer["stride"], ceil_mode=layer["ceil_mode"])
    if layer["op"] == "avg_pool2d":
        return nn.AvgPool2d(layer["kernel"], layer["stride"])
    if "weight" not in layer:
        return None
    weight, bias = (torch.from_numpy(weights[layer[k]]) for k in ("weight", "bias"))
    if layer["op"] == "linear":
        made: nn.Module = nn.Linear(weight.shape[1], weight.shape[0])
    else:
        weight, padding = _evenly_padded(weight, layer["pad_top_bottom_left_right"])
        sizes = weight.shape[1] * layer["groups"], weight.shape[0], tuple(weight.shape[2:])
        made = nn.Conv2d(*sizes, layer["stride"], padding, groups=layer["groups"])
    made.load_state_dict({"weight": weight, "bias": bias})
    return made


def _evenly_padded(weight: torch.Tensor, padding: list[int]) -> tuple[torch.Tensor, tuple[int, int]]:
    """The same convolution with as much padding before as behind: where a side has less, the kernel gets zeros
    that read what the other side's padding does not.
    """
    top, bottom, left, right = padding
    high, wide = max(top, bottom), max(left, right)
    return F.pad(weight, (wide - left, wide - right, high - top, high - bottom)), (high, wide)

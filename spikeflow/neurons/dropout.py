"""OneMask: dropout within a stateless layer draws one mask for a whole sequence.

A mask drawn anew in every step would average out over a membrane's memory. Torch's own functions are met on
their way, so that dropout is found wherever it is called: as a layer, in a container, in a user's forward().
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

from spikeflow.errors import ShapeError, UnsupportedLayer

# for each function the place of the flag that says it draws: (index, keyword, default)
_DRAWS: Mapping[Callable[..., Any], tuple[int, str, bool]] = {
    **dict.fromkeys((F.dropout, F.dropout1d, F.dropout2d, F.dropout3d), (2, "training", True)),
    **dict.fromkeys((F.alpha_dropout, F.feature_alpha_dropout), (2, "training", False)),
    **dict.fromkeys(
        (torch.dropout, torch.dropout_, torch.feature_dropout, torch.feature_dropout_), (2, "train", True)
    ),
    **dict.fromkeys((torch.alpha_dropout, torch.alpha_dropout_), (2, "train", True)),
    **dict.fromkeys((torch.feature_alpha_dropout, torch.feature_alpha_dropout_), (2, "train", True)),
}


def draws(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call of one of torch's functions is dropout that draws."""
    if func not in _DRAWS:
        return False
    index, word, default = _DRAWS[func]
    return bool(args[index] if len(args) > index else kwargs.get(word, default))


class OneMask(TorchFunctionMode):
    """While it is active, dropout on ``(T * B, *shape)`` draws for ``(B, *shape)`` and repeats over T.

    Parameters
    ----------
    name : of the layer, for errors.
    steps, batch : T and B.
    """

    def __init__(self, name: str, steps: int, batch: int) -> None:
        super().__init__()
        self.name, self.steps, self.batch = name, steps, batch

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        named = dict(kwargs or {})
        if not draws(func, args, named):
            return func(*args, **named)
        x, rest = (args[0], args[1:]) if args else (named.pop("input"), ())
        if x.shape[:1] != (self.steps * self.batch,):
            got = f"dropout on a tensor of shape {tuple(x.shape)}"
            raise ShapeError(self.name, got, f"{self.steps * self.batch} (steps x samples) first")
        return one_mask(
            lambda moment: func(moment, *rest, **named), x.unflatten(0, (self.steps, self.batch))
        ).flatten(0, 1)


def one_mask(draw: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    """`draw` on every moment of ``(T, B, *shape)``, its random numbers the same in each."""
    result: torch.Tensor = torch.vmap(draw, randomness="same")(x)
    return result


class NoMask(TorchFunctionMode):
    """While it is active, dropout that draws is refused: it would draw anew in every step."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if draws(func, args, kwargs or {}):
            raise UnsupportedLayer(
                self.name, "dropout in a cycle while training", "dropout outside the cycle"
            )
        return func(*args, **(kwargs or {}))

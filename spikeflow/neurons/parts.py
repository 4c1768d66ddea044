"""What enters a stretch of time through a layer, as tensors in C order; cotangents of what leaves it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from spikeflow.neurons.compiled import Given, Values

Tensor = torch.Tensor


class Parts(NamedTuple):
    """What enters a stretch: by port ``(T, B, *shape)``; parameters; states ``(B, *shape)``."""

    ports: tuple[Tensor, ...]
    params: tuple[Tensor, ...]
    state: tuple[Tensor, ...]

    def given(self) -> Given:
        """By address; parameters and states are contiguous."""
        return Given(
            [values(p) for p in self.ports],
            [(p.data_ptr(), tuple(p.shape)) for p in self.params],
            [s.data_ptr() for s in self.state],
        )

    def plain(self) -> Parts:
        """Of tensors in C order; one number that was expanded stays as it is."""
        state, params = (tuple(map(whole, part)) for part in (self.state, self.params))
        return Parts(tuple(map(dense, self.ports)), params, state)


def values(x: Tensor) -> Values:
    """Its address, and how many values lie there."""
    return x.data_ptr(), x.numel() if any(x.stride()) else 1


def whole(x: Tensor) -> Tensor:
    """In C order, as its values."""
    # torch may keep a sign as a mark of the tensor: what lies in memory is then the negative
    return x.contiguous().resolve_neg()


def dense(x: Tensor) -> Tensor:
    """In C order, but for one number that was expanded."""
    return whole(x) if any(x.stride()) else x.resolve_neg()


@dataclass(frozen=True)
class Cotangents:
    """Those of the output and of the states after the last step, None for 0; and the states kept."""

    kept: Tensor
    out: Tensor | None
    after: Sequence[Tensor | None]

    def dense(self, like: Tensor) -> list[Tensor]:
        """One for each, in C order; 0 is one number."""
        none = like.new_zeros(())
        return [none if x is None else dense(x) for x in (self.out, *self.after)]

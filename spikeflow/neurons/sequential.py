"""Sequential: layers one after the other, of neurons and without a state."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from torch import nn

from spikeflow.neurons.advance import through_chain
from spikeflow.neurons.members import Timed, check_member
from spikeflow.neurons.net import Net, answered, names_of
from spikeflow.neurons.wiring import Wiring, chain


class Sequential(Net):
    """Layers one after the other: ``(out, states) = net(x, states=None, record=())``.

    A layer is a `Neuron` or a network (`Net`, `Recurrent`, `Residual`, `Sequential`), also compiled, averaged
    or in DDP; a `torch.nn.Sequential` that holds such layers; or a module without neurons. `states` is a
    tuple with one entry a layer, None for those without neurons, a tuple for a container.

    Modules without neurons see steps times samples as one batch. So batch norm, while training, takes its
    statistics over steps and samples together. Dropout, wherever it is called within such a module, draws one
    mask for a sequence: what is dropped stays dropped in all its steps.

    Raises
    ------
    UnsupportedLayer
        By name: for what is no module, a list of modules, a user's module that holds neurons (their state
        would be lost), and torch layers that would relate steps and samples, such as an LSTM.
    """

    def __init__(self, *layers: nn.Module) -> None:
        super(Timed, self).__init__()
        for index, layer in enumerate(layers):
            check_member(f"layers.{index}", layer)
        self.layers = nn.ModuleList(layers)

    @property
    def wiring(self) -> Wiring:
        """The layers as they are now, in a row."""
        return chain(self._names())

    def _names(self) -> tuple[str, ...]:
        return tuple(f"layers.{index}" for index in range(len(self.layers)))

    def extra_repr(self) -> str:
        """Nothing: the layers stand in their order."""
        return ""

    def modules_by_name(self) -> dict[str, nn.Module]:
        """The layers."""
        return dict(zip(self._names(), self.layers, strict=True))

    def forward(
        self, x: Any, states: Sequence[Any] | None = None, record: Iterable[str] = ()
    ) -> tuple[Any, tuple[Any, ...]]:
        """``(T, B, *shape)`` through all layers; `record` as in `Net.forward`, by names such as
        ``layers.1.v``.

        Raises
        ------
        ShapeError, DataError
            For no step at all, states that are not these layers', and as the layers themselves do.
        """
        record = names_of("record", record)
        values, after = through_chain(self._names(), self.layers, x, states, record)
        return answered(values, ("output",), record), after

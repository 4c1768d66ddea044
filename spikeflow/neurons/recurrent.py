"""Recurrent: a layer of neurons whose spikes come back to it one step later."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn

from spikeflow.errors import GraphError, ShapeError
from spikeflow.ir.graph import Edge
from spikeflow.neurons.advance import NetState
from spikeflow.neurons.layer import Neuron, State
from spikeflow.neurons.members import Timed
from spikeflow.neurons.net import Net, names_of
from spikeflow.neurons.spike_linear import SpikeLinear, changed
from spikeflow.neurons.stateless import check_stateless
from spikeflow.neurons.stretch import arriving, check_stretch, check_tensor, state_dtype
from spikeflow.neurons.sweep_recurrent import Feedback
from spikeflow.neurons.sweeping import untouchable
from spikeflow.neurons.wiring import FIRST, wire

Fed = tuple[State, torch.Tensor]


class Recurrent(Net):
    """A layer of neurons whose spikes come back, one step later, through `feedback` to one port.

    Its state is that of the neurons and their last spikes: ``(out, (state, last)) = layer(x)``.

    Parameters
    ----------
    feedback : maps the spikes ``(B, *shape)`` of the step before to a current of that shape, a Linear for
        example. It runs in every step, so it holds no neurons; and no dropout or batch norm while training,
        which would draw a mask and take statistics anew in every step.
    port : where the current arrives; the first port gets it in addition to the input.

    Raises
    ------
    GraphError, ShapeError, UnsupportedLayer
        For what is no Neuron, a port that the model lacks, a feedback that holds neurons.
    """

    def __init__(self, neuron: Neuron, feedback: nn.Module, port: str = "in") -> None:
        super(Timed, self).__init__()
        if not isinstance(neuron, Neuron):
            raise GraphError(
                "Recurrent", f"{type(neuron).__name__} is no layer of neurons", "Neuron(LIF(0.9))"
            )
        ports = neuron.model.inputs
        if port not in ports:
            raise ShapeError(neuron.model.name, f"port {port!r}", f"one of {ports}")
        check_stateless("feedback", feedback)
        self.neuron, self.feedback, self.port = neuron, feedback, port
        back = Edge("feedback", "neuron", FIRST if port == ports[0] else port)
        edges = (Edge("input", "neuron", FIRST), Edge("neuron", "feedback", FIRST, 1), back)
        self.wiring = wire(("neuron", "feedback"), (*edges, Edge("neuron", "output", FIRST)))

    _because: str = "not run yet"

    def extra_repr(self) -> str:
        """The port."""
        return f"port={self.port!r}"

    def modules_by_name(self) -> dict[str, nn.Module]:
        """The neurons and their feedback."""
        return {"neuron": self.neuron, "feedback": self.feedback}

    def path_of(self, name: str) -> str:
        """The neurons bear the name of the layer itself."""
        return "" if name == "neuron" else name

    def initial(self, like: torch.Tensor) -> Fed:
        """The state at rest for inputs of the shape of `like`, ``(B, *shape)``."""
        return self.neuron.initial(like), torch.zeros_like(like, dtype=state_dtype(like.dtype))

    def step(self, x: torch.Tensor, state: Fed) -> tuple[torch.Tensor, Fed]:
        """One moment; the state is that of the neurons and their last spikes."""
        check_stretch(self.neuron.model.name, x, timed=False)
        z, after = self.forward(x[None], state)
        return z[0], after

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, x: torch.Tensor, state: Fed | None = None, record: Iterable[str] = ()
    ) -> tuple[Any, Fed]:
        """A stretch of time ``(T, B, *shape)`` to spikes of the same shape, and the state after it.

        `record` names states of the neurons, such as ``v``, and ``feedback``; see `Net.forward`.

        Raises
        ------
        ShapeError, DataError
            For no step at all, a state that does not fit, a feedback whose current has not the input's shape.
        """
        check_stretch(self.neuron.model.name, x)
        because = "states that are recorded" if names_of("record", record) else self._stepped_because(x)
        self._because = because  # for `kernel` alone: another thread may run the layer, too
        if not because and (found := self._at_once(x, state)) is not None:
            return found
        states = self.neuron.model.states()
        inner = {name: f"neuron.{name}" if name in states else name for name in names_of("record", record)}
        before = None if state is None else self._entered(state, x)
        answer, after = super().forward(x, before, tuple(inner.values()))
        if inner:
            answer = {"output": answer["output"], **{name: answer[path] for name, path in inner.items()}}
        return answer, (after.nodes["neuron"], after.past["neuron"][-1].to(state_dtype(x.dtype)))

    @property
    def kernel(self) -> str:
        """What ran the last stretch: ``compiled forward and backward``, all steps at once in the C++ core; or
        ``step by step``, and why.
        """
        return f"step by step: {self._because}" if self._because else "compiled forward and backward"

    def _stepped_because(self, x: torch.Tensor) -> str:
        """Why the core cannot run all steps at once, as far as the feedback tells; empty where it can."""
        feedback = self.feedback
        if torch.compiler.is_compiling():
            return "torch.compile"
        if type(feedback) not in (nn.Linear, SpikeLinear) or changed(feedback):
            return f"a feedback of {type(feedback).__name__}, or one that was changed"
        assert isinstance(feedback, nn.Linear)
        tensors = [x, *feedback.parameters()]
        kinds = {(t.dtype, t.device.type, t.layout) for t in tensors}
        if kinds != {(torch.float32, "cpu", torch.strided)}:
            weight = feedback.weight
            given = f"{x.dtype} on {x.device.type} and weights of {weight.dtype} on {weight.device.type}"
            return f"an input of {given}"
        if torch.is_autocast_enabled("cpu") or type(self.neuron) is not Neuron:
            return "autocast" if torch.is_autocast_enabled("cpu") else f"a {type(self.neuron).__name__}"
        if x.ndim != 3 or feedback.weight.shape != (x.shape[2], x.shape[2]):
            return f"moments of shape {tuple(x.shape[1:])}"
        bias = dict(feedback.named_parameters()).get("bias")  # torch types an absent bias as one
        if bias is not None and bias.shape != x.shape[2:]:
            return f"a bias of shape {tuple(bias.shape)}"
        return untouchable(tensors)

    def _at_once(self, x: torch.Tensor, state: Fed | None) -> tuple[Any, Fed] | None:
        """All steps in the core; None where the neurons cannot."""
        neuron, feedback = self.neuron, self.feedback
        assert isinstance(feedback, nn.Linear)
        inputs = arriving(neuron.model.name, x, neuron.model.inputs, timed=True)
        if state is None:
            cells, last = self.initial(x[0])
        else:
            entered = self._entered(state, x)
            cells, last = entered.nodes["neuron"], entered.past["neuron"][0]
        neuron.check(inputs[0][0], cells)
        port = neuron.model.inputs.index(self.port)
        parts = neuron.entering(neuron.values(inputs[0].dtype), inputs, cells)
        given = Feedback(feedback.weight, feedback.bias, last, port)
        found = neuron.fed_back(parts, given, neuron.budget)
        if found is None:
            self._because = neuron.kernel
            return None
        z, after = found
        return z, (neuron.state_type(*after), z[-1].clone())

    def _entered(self, state: Any, x: torch.Tensor) -> NetState:
        if not isinstance(state, Sequence) or len(state) != 2:
            got = f"{len(state)} parts" if isinstance(state, Sequence) else type(state).__name__
            raise ShapeError(
                self.neuron.model.name, f"a state of {got}", "(state of the neurons, last spikes)"
            )
        cells, last = state
        check_tensor(f"{self.neuron.model.name}, last spikes", last, x[0].to(state_dtype(x.dtype)))
        return NetState({"neuron": cells}, {"neuron": self.neuron.handed_on(last, x)[None]})

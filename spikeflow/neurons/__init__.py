"""Neuron models (no torch needed) and the torch layers around them (imported when first asked for)."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from spikeflow.errors import MissingPackage
from spikeflow.neurons.adex import AdEx
from spikeflow.neurons.adlif import AdLIF
from spikeflow.neurons.alif import ALIF
from spikeflow.neurons.burst_if import BurstIF
from spikeflow.neurons.c_silif import CSiLIF
from spikeflow.neurons.cuba_lif import CubaLIF
from spikeflow.neurons.dh_lif import DHLIF, branch_masks
from spikeflow.neurons.differences import DifferenceDecoder, DifferenceEncoder
from spikeflow.neurons.differential_if import DifferentialIF
from spikeflow.neurons.egru import EGRU
from spikeflow.neurons.following import FollowingIF
from spikeflow.neurons.iaf import IF
from spikeflow.neurons.ilif import ILIF
from spikeflow.neurons.integrator import Integrator
from spikeflow.neurons.izhikevich import Izhikevich
from spikeflow.neurons.leaky_integrator import LeakyIntegrator
from spikeflow.neurons.lif import LIF
from spikeflow.neurons.model import NeuronModel
from spikeflow.neurons.models import MODELS
from spikeflow.neurons.multi_threshold_if import MultiThresholdIF
from spikeflow.neurons.plif import ParametricLIF
from spikeflow.neurons.signed_if import SignedIF
from spikeflow.neurons.silif import SiLIF
from spikeflow.neurons.sliding_psn import SlidingPSN
from spikeflow.neurons.tc_lif import TCLIF
from spikeflow.neurons.telemetry import telemetry, telemetry_by_context
from spikeflow.neurons.two_point import TwoPointLIF
from spikeflow.neurons.two_point_analog import TwoPointAnalog

if TYPE_CHECKING:
    from spikeflow.neurons.delayed import DelayedLinear
    from spikeflow.neurons.graph_net import GraphNet
    from spikeflow.neurons.layer import Neuron
    from spikeflow.neurons.learned import Learned
    from spikeflow.neurons.masked_psn import MaskedPSN
    from spikeflow.neurons.net import Net
    from spikeflow.neurons.node_layer import NodeLayer
    from spikeflow.neurons.recurrent import Recurrent
    from spikeflow.neurons.residual import Residual
    from spikeflow.neurons.sequential import Sequential
    from spikeflow.neurons.spike_linear import SpikeLinear
    from spikeflow.neurons.surrogate_schedule import (
        SurrogateSchedule,
        between,
        replace_surrogates,
        surrogates_of,
    )

_LAYERS = {
    "DelayedLinear": "delayed",
    "GraphNet": "graph_net",
    "MaskedPSN": "masked_psn",
    "Net": "net",
    "Learned": "learned",
    "Neuron": "layer",
    "NodeLayer": "node_layer",
    "Recurrent": "recurrent",
    "Residual": "residual",
    "Sequential": "sequential",
    "SurrogateSchedule": "surrogate_schedule",
    "between": "surrogate_schedule",
    "replace_surrogates": "surrogate_schedule",
    "surrogates_of": "surrogate_schedule",
    "SpikeLinear": "spike_linear",
}

__all__ = [
    "ALIF",
    "AdEx",
    "AdLIF",
    "BurstIF",
    "CSiLIF",
    "CubaLIF",
    "DHLIF",
    "DelayedLinear",
    "DifferenceDecoder",
    "DifferenceEncoder",
    "DifferentialIF",
    "EGRU",
    "FollowingIF",
    "GraphNet",
    "IF",
    "ILIF",
    "Integrator",
    "Izhikevich",
    "LIF",
    "Learned",
    "LeakyIntegrator",
    "MODELS",
    "MaskedPSN",
    "MultiThresholdIF",
    "Net",
    "Neuron",
    "NeuronModel",
    "NodeLayer",
    "ParametricLIF",
    "Recurrent",
    "Residual",
    "Sequential",
    "SpikeLinear",
    "SiLIF",
    "SignedIF",
    "SlidingPSN",
    "SurrogateSchedule",
    "TCLIF",
    "TwoPointAnalog",
    "TwoPointLIF",
    "between",
    "branch_masks",
    "replace_surrogates",
    "surrogates_of",
    "telemetry",
    "telemetry_by_context",
]


def __getattr__(name: str) -> Any:
    if name in _LAYERS:
        try:
            import torch as torch
        except ImportError as error:
            raise MissingPackage("torch>=2.10", f"the layer {name}", error) from error
        return getattr(import_module(f"spikeflow.neurons.{_LAYERS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

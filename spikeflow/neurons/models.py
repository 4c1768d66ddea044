"""MODELS: every neuron model that is declared here; the laws of `tests/laws` hold for each."""

from __future__ import annotations

from spikeflow.neurons.adlif import AdLIF
from spikeflow.neurons.alif import ALIF
from spikeflow.neurons.cuba_lif import CubaLIF
from spikeflow.neurons.iaf import IF
from spikeflow.neurons.integrator import Integrator
from spikeflow.neurons.lif import LIF
from spikeflow.neurons.model import NeuronModel
from spikeflow.neurons.plif import ParametricLIF
from spikeflow.neurons.two_point import TwoPointLIF

MODELS: tuple[type[NeuronModel], ...] = (
    IF,
    LIF,
    CubaLIF,
    ParametricLIF,
    ALIF,
    AdLIF,
    TwoPointLIF,
    Integrator,
)

"""MODELS: every neuron model that is declared here; the laws of `tests/laws` hold for each."""

from __future__ import annotations

from spikeflow.neurons.adex import AdEx
from spikeflow.neurons.adlif import AdLIF
from spikeflow.neurons.alif import ALIF
from spikeflow.neurons.burst_if import BurstIF
from spikeflow.neurons.c_silif import CSiLIF
from spikeflow.neurons.cuba_lif import CubaLIF
from spikeflow.neurons.dh_lif import DHLIF
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
from spikeflow.neurons.multi_threshold_if import MultiThresholdIF
from spikeflow.neurons.plif import ParametricLIF
from spikeflow.neurons.signed_if import SignedIF
from spikeflow.neurons.silif import SiLIF
from spikeflow.neurons.sliding_psn import SlidingPSN
from spikeflow.neurons.tc_lif import TCLIF
from spikeflow.neurons.two_point import TwoPointLIF
from spikeflow.neurons.two_point_analog import TwoPointAnalog

MODELS: tuple[type[NeuronModel], ...] = (
    IF,
    FollowingIF,
    SignedIF,
    BurstIF,
    MultiThresholdIF,
    DifferentialIF,
    DifferenceEncoder,
    DifferenceDecoder,
    LIF,
    CubaLIF,
    ParametricLIF,
    ALIF,
    AdLIF,
    SiLIF,
    CSiLIF,
    TCLIF,
    ILIF,
    Izhikevich,
    AdEx,
    EGRU,
    DHLIF,
    SlidingPSN,
    TwoPointLIF,
    TwoPointAnalog,
    Integrator,
    LeakyIntegrator,
)

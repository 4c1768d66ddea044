"""SpiNNaker2 with a kernel that this project declares: 8-bit weights, 32-bit states, sums saturated once.

It is not claimed to compute as py-spinnaker2 does, whose state is float32.
"""

from __future__ import annotations

import numpy as np

from spikeflow.hw.chips.arithmetic import PROGRAMMABLE, Arithmetic, Register
from spikeflow.hw.chips.chip import Chip, Delays, Energy, Fact, Formats, Grid, IntArray, Memory
from spikeflow.hw.integer.translate import translate

PAPER = "SpiNNaker2 chip paper, arXiv:2607.24396"
OURS = "declared by this project's kernel"


def list_bits(synapses: IntArray, bits: int) -> IntArray:
    """Bits of each row: its synapse words, rounded up to 32 bits. Its pointer is counted with the axon."""
    return -(-np.asarray(synapses, np.int64) * bits // 32) * 32


def synapse_bits(index_bits: int, delay_bits: int) -> int:
    """Weight (8 bits), delay and index in a word of 16 or 32 bits."""
    return 16 if 8 + index_bits + delay_bits <= 16 else 32


ARITHMETIC = Arithmetic(
    state_shift=8,
    current=Register(32, "saturate", f"{OURS}: the sum of a step, exact, then saturated once to 32 bits"),
    state=Register(32, "saturate", f"{OURS}: 32-bit state"),
    readout=Register(32, "saturate", f"{OURS}: 32-bit state"),
    decay_bits=15,
    current_decay_high=2**15,
    state_decay_low=0,
    threshold=2**31 - 1,
    threshold_shift=0,
    strict=False,
    bias_mantissa=2**31 - 1,
    bias_exponent=0,
    excitatory_bits=False,
    table_frac=15,
    current_bias=True,
)

CHIP = Chip(
    name="spinnaker2",
    title="SpiNNaker2",
    grid=Grid(
        columns=Fact(19, "38 quads; their floor plan is not published, 19 x 2 holds them", assumed=True),
        rows=Fact(2, "38 quads; their floor plan is not published, 19 x 2 holds them", assumed=True),
        cores_per_tile=Fact(4, f"{PAPER}: quads of 4 processing elements, 152 in all"),
    ),
    neurons=Fact(
        1024, "no number published; the kernel's index has 10 bits and memory binds first", assumed=True
    ),
    axons_in=Fact(
        65536, "no number published; rows are found by a 16-bit key and memory binds first", assumed=True
    ),
    axons_out=Fact(
        65536, "multicast: one packet whatever the number of targets; no number published", assumed=True
    ),
    memory=Memory(
        limit=Fact(128 * 1024 * 8, f"{PAPER}: 128 kB a processing element, no cache, no shared memory"),
        overhead=Fact(32 * 1024 * 8, f"{PAPER}: about 32 kB of code"),
        axon=Fact(64, f"{OURS}: an 8-byte row pointer", assumed=True),
        state_word=Fact(32, f"{OURS}: 32-bit states", assumed=True),
        ring_word=Fact(32, f"{OURS}: 32-bit ring buffer", assumed=True),
        list_bits=list_bits,
        synapse_bits=synapse_bits,
        table_word=Fact(32, f"{OURS}: 32-bit table entries", assumed=True),
    ),
    delays=Delays(
        minimum=Fact(1, f"{OURS}: a packet is handled in the tick after it was sent", assumed=True),
        maximum=Fact(8, "a 3-bit field, 0 to 7, as the lif application is remembered to have", assumed=True),
        offset=Fact(1, f"{OURS}: delay of the graph = field + 1", assumed=True),
        from_input=Fact(1, f"{OURS}: inputs come as packets like any other", assumed=True),
    ),
    formats=Formats(
        weight_bits=Fact(8, f"{OURS}: 8-bit weights, as py-spinnaker2's conversion uses", assumed=True),
        exponent_low=Fact(0, f"{OURS}: sums are shifted left only", assumed=True),
        exponent_high=Fact(15, f"{OURS}: sums are shifted left by up to 15", assumed=True),
        threshold_mantissa=Fact(32, f"{OURS}: thresholds are as wide as states", assumed=True),
        input_bits=Fact(8, f"{OURS}: currents come as packets with an 8-bit payload", assumed=True),
        arithmetic=ARITHMETIC,
        kernel=translate,
    ),
    models=("IF", "LIF", "CubaLIF", "TwoPointLIF", "Integrator"),
    resets=("zero", "subtract"),
    inputs=("spikes", "current"),
    operations=PROGRAMMABLE,
    energy=Energy(
        picojoule={"synaptic_operation": None, "neuron_update": None, "hop": None},
        nanosecond={
            "synaptic_operation": Fact(1e9 / 12e6, f"{PAPER}: up to 12 M events/s a processing element"),
            "neuron_update": None,
            "hop": Fact(5 / 0.3, f"{PAPER}: 5 cycles a hop, 300 MHz at 0.8 V"),
        },
        note="Energy of an operation is not published; measured figures of whole networks only. Time of a "
        "step: at least the busiest element's synaptic events at 12 M/s, and real time ticks of 1 to 10 ms.",
    ),
    notes=("The kernel is this project's own declaration; it is not claimed to be py-spinnaker2.",),
    extra={
        "power_asleep_watt": Fact(0.235, f"{PAPER}: elements asleep, 0.5 V"),
        "power_coremark_watt": Fact(1.248, f"{PAPER}: all elements busy, 0.8 V"),
        "router_entries": Fact(16384, f"{PAPER}: ternary entries of the multicast router"),
    },
)

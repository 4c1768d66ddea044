"""Loihi 1, computing as the nengo-loihi emulator does: the exponent acts on each weight."""

from __future__ import annotations

import numpy as np

from spikeflow.hw.chips.arithmetic import Arithmetic, Register
from spikeflow.hw.chips.chip import Chip, Delays, Energy, Fact, Formats, Grid, IntArray, Memory
from spikeflow.hw.integer.translate import translate

DAVIES = "Davies et al., IEEE Micro 2018, 0.75 V, pre-silicon timing simulation"
SANA_FE = "SANA-FE loihi.yaml, fit to silicon"
NENGO = "nengo-loihi"
GROUP, HEADER, WORD = 64, 10, 64
INDEX_BITS = (0, 6, 7, 8, 9, 10, 11, 12)


def list_bits(synapses: IntArray, bits: int) -> IntArray:
    """Bits of each axon's list: groups of 64 synapses, each with a header of 10 bits, rounded up to 64-bit
    words.

    Source: nengo-loihi, hardware/nxsdk_shim and block.py (synapse_bits).
    """
    count = np.asarray(synapses, np.int64)
    full, rest = count // GROUP, count % GROUP
    return full * _words(GROUP, bits) + np.where(rest > 0, _words(rest, bits), 0)


def _words(count: IntArray | int, bits: int) -> IntArray:
    return -(-(np.asarray(count, np.int64) * bits + HEADER) // WORD) * WORD


def synapse_bits(index_bits: int, delay_bits: int) -> int:
    """8 bits of weight, the next index width that the chip knows (0 is the dense form), and the delay."""
    return 8 + next((b for b in INDEX_BITS if b >= index_bits), index_bits) + delay_bits


ARITHMETIC = Arithmetic(
    # weights are stored with the real exponent 6 + field, so a port already counts in units of v
    state_shift=0,
    total=Register(22, "wrap", f"{NENGO} emulator: q has 21 bits + sign and wraps"),
    current=Register(24, "wrap", f"{NENGO} emulator: u has 23 bits + sign and wraps"),
    biased=Register(24, "wrap", f"{NENGO} emulator: u + bias wraps into a temporary"),
    state=Register(24, "symmetric", f"{NENGO} discretize.py: floor -(2**23) + 1, ceiling 2**23 - 1"),
    readout=Register(22, "symmetric", "ceiling 2**21 - 1 under the highest threshold, floor -(2**21) + 1"),
    decay_bits=12,
    current_decay_high=4095,
    state_decay_low=1,
    threshold=131072,  # M: the 17 bits hold M - 1, at most lava's and nengo-loihi's 131071
    threshold_shift=6,
    strict=True,
    smallest_threshold=2,
    bias_mantissa=4095,
    bias_exponent=7,
    excitatory_bits=True,
)

CHIP = Chip(
    name="loihi1",
    title="Intel Loihi 1",
    grid=Grid(
        columns=Fact(8, f"{SANA_FE}: 32 tiles, 8 x 4"),
        rows=Fact(4, f"{SANA_FE}: 32 tiles, 8 x 4"),
        cores_per_tile=Fact(4, "nengo-loihi allocators.py caps at 128 cores; 4 a tile by SANA-FE"),
    ),
    neurons=Fact(1024, f"{NENGO} block.py"),
    axons_in=Fact(4096, f"{NENGO} block.py"),
    axons_out=Fact(4096, f"{NENGO} block.py"),
    memory=Memory(
        limit=Fact(16384 * 64, f"{NENGO} block.py: 16384 words of 64 bits"),
        overhead=Fact(
            0, "nengo-loihi counts synapses only; other memories have limits of their own", assumed=True
        ),
        axon=Fact(0, "input axons are a memory of their own: 4096 a core"),
        state_word=Fact(0, "compartments are a memory of their own: 1024 a core"),
        ring_word=Fact(0, "8 delay slots for each of 1024 compartments are a memory of their own"),
        list_bits=list_bits,
        synapse_bits=synapse_bits,
        table_word=Fact(32, "no tables on this chip; any number would do", assumed=True),
    ),
    delays=Delays(
        minimum=Fact(1, "lava-nc/lava proc/dense: a spike arrives one step later"),
        maximum=Fact(8, "8 delay slots by default, Davies 2018; more would cost compartments and is refused"),
        offset=Fact(1, "lava-nc/lava proc/dense: delay of the graph = field + 1"),
        from_input=Fact(2, f"{NENGO} emulator: an input generator needs one step more"),
    ),
    formats=Formats(
        weight_bits=Fact(8, f"{NENGO} block.py: codes up to 8 bits and a sign mode"),
        exponent_low=Fact(
            1,
            f"{NENGO}: real exponent 6 + field, field from -6 (no bit is lost), one more for even "
            "mixed weights",
        ),
        exponent_high=Fact(13, f"{NENGO}: real exponent 6 + field, field up to 7"),
        threshold_mantissa=Fact(17, f"{NENGO} and lava: 17 bits, shifted left by 6"),
        input_bits=Fact(8, "takes no currents; spikes only", assumed=True),
        arithmetic=ARITHMETIC,
        kernel=translate,
    ),
    models=("CubaLIF", "Integrator"),
    resets=("zero",),
    inputs=("spikes",),
    energy=Energy(
        picojoule={
            "synaptic_operation": Fact(23.6, f"{DAVIES}; minimum"),
            "neuron_update": Fact(81, f"{DAVIES}; active"),
            "neuron_update_idle": Fact(52, DAVIES),
            "spike_within_tile": Fact(1.7, DAVIES),
            "hop_east_west": Fact(3.0, DAVIES),
            "hop_north_south": Fact(4.0, DAVIES),
            "barrier": None,
            "sanafe_synaptic_dense": Fact(35.5, SANA_FE),
            "sanafe_synaptic_sparse": Fact(33.6, SANA_FE),
            "sanafe_synaptic_conv": Fact(24.0, SANA_FE),
            "sanafe_neuron_access": Fact(51.2, SANA_FE),
            "sanafe_neuron_update": Fact(21.6, SANA_FE),
            "sanafe_neuron_firing": Fact(69.3, SANA_FE),
            "sanafe_hop_east_west": Fact(3.0, SANA_FE),
            "sanafe_hop_north_south": Fact(4.2, SANA_FE),
            "sanafe_message_out": Fact(111, SANA_FE),
            "sanafe_message_in": Fact(0, SANA_FE),
        },
        nanosecond={
            "synaptic_operation": Fact(3.5, f"{DAVIES}; maximum"),
            "neuron_update": Fact(8.4, f"{DAVIES}; active"),
            "neuron_update_idle": Fact(5.3, DAVIES),
            "spike_within_tile": Fact(2.1, DAVIES),
            "hop_east_west": Fact(4.1, DAVIES),
            "hop_north_south": Fact(6.5, DAVIES),
            "barrier_1_tile": Fact(113, DAVIES),
            "barrier_32_tiles": Fact(465, DAVIES),
            "sanafe_synaptic_dense": Fact(3.8, SANA_FE),
            "sanafe_synaptic_sparse": Fact(4.7, SANA_FE),
            "sanafe_synaptic_conv": Fact(3.1, SANA_FE),
            "sanafe_neuron_access": Fact(6.0, SANA_FE),
            "sanafe_neuron_update": Fact(3.7, SANA_FE),
            "sanafe_neuron_firing": Fact(30.0, SANA_FE),
            "sanafe_hop_east_west": Fact(4.1, SANA_FE),
            "sanafe_hop_north_south": Fact(6.5, SANA_FE),
            "sanafe_message_out": Fact(5.1, SANA_FE),
            "sanafe_message_in": Fact(16, SANA_FE),
            "sanafe_barrier_1_tile": Fact(600, SANA_FE),
            "sanafe_barrier_2_tiles": Fact(1000, SANA_FE),
            "sanafe_barrier_4_tiles": Fact(1400, SANA_FE),
            "sanafe_barrier_29_tiles": Fact(1800, SANA_FE),
        },
        note="Davies: energies are minima and times maxima of a simulation before silicon. SANA-FE: an "
        "idle neuron "
        "costs the access term only; checked upstream against a board within 11.7 % (energy), 24.3 % (time).",
    ),
    notes=(
        "The read-out cannot spike: its ceiling 2**21 - 1 lies under the highest threshold.",
        "Static power, the barrier's energy and loading weights: not published.",
    ),
)

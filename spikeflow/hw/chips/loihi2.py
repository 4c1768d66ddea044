"""Loihi 2, computing as lava's fixed-point CPU model does (proc/dense, proc/lif): the exponent acts on the
sum.
"""

from __future__ import annotations

from spikeflow.hw.chips.arithmetic import PROGRAMMABLE, Arithmetic, Register
from spikeflow.hw.chips.chip import Chip, Delays, Energy, Fact, Formats, Grid, Memory
from spikeflow.hw.chips.loihi1 import list_bits
from spikeflow.hw.integer.translate import translate

BRIEF = "Intel Loihi 2 technology brief"
LAVA = "lava-nc/lava"
DAVIES = "Loihi 1 by Davies et al., IEEE Micro 2018"
RATIO = "bound: Intel states a ratio to Loihi 1 of"
LOIHI1 = "no figure published for Loihi 2; taken from Loihi 1"
INDEX_BITS = (0, 6, 7, 8, 9, 10, 11, 12, 13)


def synapse_bits(index_bits: int, delay_bits: int) -> int:
    """8 bits of weight, the next index width (0 is the dense form), and the delay."""
    return 8 + next((b for b in INDEX_BITS if b >= index_bits), index_bits) + delay_bits


ARITHMETIC = Arithmetic(
    state_shift=6,
    current=Register(24, "fold", f"{LAVA} LIF, fixed point: one fold of 2**24"),
    state=Register(24, "symmetric", f"{LAVA} LIF, fixed point: clipped to +-(2**23 - 1)"),
    readout=Register(24, "symmetric", "a program of its own that never spikes; as v (assumed)"),
    # the chip adds 1 to the decay of the current: du = 4095 leaves nothing, du = 0 leaves 4095 / 4096
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
    current_bias=True,
)

CHIP = Chip(
    name="loihi2",
    title="Intel Loihi 2",
    grid=Grid(
        columns=Fact(8, "8 x 4 tiles; no floor plan published, Loihi 1 has this one", assumed=True),
        rows=Fact(4, "8 x 4 tiles; no floor plan published, Loihi 1 has this one", assumed=True),
        cores_per_tile=Fact(4, f"128 cores in 32 tiles ({BRIEF} gives the 128)", assumed=True),
    ),
    neurons=Fact(8192, BRIEF),
    axons_in=Fact(4096, LOIHI1, assumed=True),
    axons_out=Fact(4096, LOIHI1, assumed=True),
    memory=Memory(
        limit=Fact(192 * 1024 * 8, f"{BRIEF}: 192 KiB a core, shared between synapses, neurons and axons"),
        overhead=Fact(0, "the size of the microcode is not published", assumed=True),
        axon=Fact(64, "one word of synaptic memory an axon; not published", assumed=True),
        state_word=Fact(32, "one 32-bit word a state; not published", assumed=True),
        ring_word=Fact(32, "one 32-bit word a delay slot; not published", assumed=True),
        list_bits=list_bits,
        synapse_bits=synapse_bits,
        table_word=Fact(32, "one 32-bit word an entry; not published", assumed=True),
    ),
    delays=Delays(
        minimum=Fact(1, f"{LAVA} proc/dense: a spike arrives one step later"),
        maximum=Fact(64, f"{LAVA} proc/dense: 6-bit field, 0 to 63, delivered field + 1 steps later"),
        offset=Fact(1, f"{LAVA} proc/dense: delay of the graph = field + 1"),
        from_input=Fact(1, f"{LAVA}: no extra step for inputs"),
    ),
    formats=Formats(
        weight_bits=Fact(8, f"{LAVA} proc/dense: 1 to 8 bits and a sign mode"),
        exponent_low=Fact(-6, f"{LAVA} proc/dense: field from -7, one more for even mixed weights"),
        exponent_high=Fact(7, f"{LAVA} proc/dense: field up to 7"),
        threshold_mantissa=Fact(17, f"{LAVA} LIF: 17 bits, shifted left by 6"),
        input_bits=Fact(8, "graded spikes carry up to 32 bits; 8 are used, as signed integers", assumed=True),
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
            "synaptic_operation": Fact(3.5 / 5, f"{RATIO} 5, {DAVIES}: 3.5 ns at most"),
            "neuron_update": Fact(8.4 / 2, f"{RATIO} 2, {DAVIES}: 8.4 ns at most, active"),
            "neuron_update_idle": Fact(5.3 / 2, f"{RATIO} 2, {DAVIES}: 5.3 ns at most, idle"),
            "barrier": None,
            "shortest_step": Fact(200, "Intel statement: shortest step about 200 ns"),
        },
        note="Energy of an operation is not published. The time of a step is bounded below by the largest of "
        "five terms: the busiest core's neuron updates, its synaptic operations, its memory reads, the "
        "busiest link, the barrier (Timcheck et al., arXiv:2601.10035). Intel states, against Loihi 1: "
        "neuron update 2x, synaptic operation 5x, spike generation 10x as fast; Loihi 1's published times "
        "over these ratios give the terms of neurons and synapses.",
        bound="Loihi 1's published times over Intel's ratios, the largest of five terms",
    ),
    notes=(
        "Resets by subtraction and neurons other than CubaLIF run as microcode of add, sub, multiply and "
        "shift, min, max, compare, select and table; which operations microcode has is assumed.",
        "A read-out that never compares is assumed to be possible in microcode.",
    ),
)

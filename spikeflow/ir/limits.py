"""Numbers that a network's meaning rests on, whatever its kinds of node: every part takes them from here."""

LONGEST_DELAY = 2**20 - 1  # steps, of an edge, a synapse or a Delay
MAX_ELEMENTS = 2**31 - 1  # of a shape, and synapses of a projection: indices are int32 in the engine
FLUSH = 2.0**-100  # a float state of smaller magnitude is +0 at the end of a step

"""How far a network may go, whatever its kinds of node: what every check of these asks."""

LONGEST_DELAY = 2**20 - 1  # steps, of an edge, a synapse or a Delay
MAX_ELEMENTS = 2**31 - 1  # of a shape, and synapses of a projection: indices are int32 in the engine

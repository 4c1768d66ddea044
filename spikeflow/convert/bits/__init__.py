"""The spiking network against the quantised ANN of equal bits: `budget` counts, `quantised` evaluates."""

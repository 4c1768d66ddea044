"""Event time: a graph run in continuous time, from spike to spike, exactly, instead of in steps.

    found = sim.run_events(graph, {"x": (times_s, neurons)}, end_s=0.1)
    print(found.difference())            # what steps of the graph's dt make of it

It is a run of the same graph: a step's decay becomes a time constant, a delay of d steps d times `dt`, a
current that comes in every step one that flows. Neurons with a membrane and at most one synaptic current,
linear between events (LIF, IF, CubaLIF, without leak as well, any reset but none, a refractory period), have
a closed form; other neurons are refused by name, as are nodes that are not linear.

`closed` reads the form from a population's program, whatever its name; `crossing` is when a membrane reaches
its threshold; `wires` is what leads where; `simulation` goes from event to event; `difference` compares.
"""

from __future__ import annotations

from spikeflow.sim.event_time.difference import Difference, EventRun
from spikeflow.sim.event_time.simulation import run_events

__all__ = ["Difference", "EventRun", "run_events"]

"""Networks of every kind, made and run while their calls are recorded: python -m tests.laws.recordings FOLDER [SEEDS]

Random graphs in float and integers and with codes, populations by rules that threads share, synapses that learn, random
drive, functions of means. Each is run, cut and gone on with from the state, and run live; now and then with the kernels of an older processor.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikeflow.ir.divided import divided_of
from spikeflow.ir.graph import Graph
from spikeflow.sim import engine, process
from spikeflow.sim.divided import DividedProcess
from spikeflow.sim.inputs import samples_of
from tests.hw import fixed_nets
from tests.laws import calls, test_of_means, test_poisson
from tests.sim import random_graphs, random_rules, test_codes, test_cut, test_sharing

Inputs = dict[str, Any]
STEPS = 9
MOST = 2**17  # bytes of a file: small ones are played often


def _graph(rng: np.random.Generator, fixed: bool) -> tuple[Graph, Inputs]:
    graph = random_graphs.graph(rng, fixed)
    return graph, random_graphs.inputs(rng, graph, STEPS, 2, fixed)


def _codes(rng: np.random.Generator) -> tuple[Graph, Inputs]:
    graph = random_graphs.graph(rng, False)
    inputs = test_codes.integer_inputs(rng, graph, STEPS, 2)
    return test_codes.with_codes(graph, rng), inputs


def _populations(rng: np.random.Generator) -> tuple[Graph, Inputs]:
    graph = test_sharing.a_network(rng, int(rng.choice([0, 8, 16])))
    return graph, test_sharing.entering(rng, graph, STEPS, 2)


def _learning(rng: np.random.Generator) -> tuple[Graph, Inputs]:
    make = (random_rules.taught, random_rules.recurrent)[rng.integers(2)]
    graph = make(rng, int(rng.choice([0, 0, 8])))
    return graph, _dense(random_rules.inputs(rng, graph, STEPS, 2))


def _drive(rng: np.random.Generator) -> tuple[Graph, Inputs]:
    return test_poisson.driven(test_poisson.drawn(int(rng.integers(2**20)))), {}


def _means(rng: np.random.Generator) -> tuple[Graph, Inputs]:
    _, graph, inputs = test_of_means.case(str(rng.choice(test_of_means.KINDS)), int(rng.integers(2**20)))
    return graph, _dense(inputs)


def _mapped(rng: np.random.Generator) -> tuple[Graph, Inputs]:
    seed = int(rng.integers(2**20))
    graph = fixed_nets.drawn(seed, str(rng.choice(["current", "spikes"])))
    inputs = {"x": fixed_nets.inputs_for(graph, seed, 2, STEPS)}
    return fixed_nets.mapped(graph, fixed_nets.tiny_chip()).as_graph(), inputs


def _engine(graph: Graph, threads: int, isa: int) -> engine.Engine:
    """Of a graph in parts its whole layers."""
    divided = divided_of(graph)
    if divided is None:
        return engine.prepare(graph, threads, isa)
    return engine.Engine(divided.whole, threads, isa, DividedProcess(graph, divided))


def _dense(inputs: dict[str, np.ndarray]) -> Inputs:
    return {name: test_cut.Dense(x) for name, x in inputs.items()}


KINDS: dict[str, Callable[[np.random.Generator], tuple[Graph, Inputs]]] = {
    "float": lambda rng: _graph(rng, False),
    "integer": lambda rng: _graph(rng, True),
    "codes": _codes,
    "populations": _populations,
    "learning": _learning,
    "drive": _drive,
    "means": _means,
    "mapped": _mapped,
}


def recorded(kind: str, seed: int) -> list[calls.Call]:
    """The calls of one network, made and run in pieces."""
    rng = np.random.default_rng([list(KINDS).index(kind), seed])
    with warnings.catch_warnings(), calls.recording() as found, pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")
        patch.setattr(process, "shares_of", lambda graph, threads: threads)
        graph, inputs = KINDS[kind](rng)
        shared = kind in ("populations", "drive")
        run = _engine(graph, int(rng.integers(2, 4)) if shared else 1, int(rng.choice([0, 1, 2, 2])))
        steps = min((len(x.values) for x in inputs.values() if isinstance(x, test_cut.Dense)), default=STEPS)
        all_of_it = inputs and kind != "mapped" and rng.random() < 0.3
        record = test_cut.everything(graph) if all_of_it else []
        state: Any = None if inputs else engine.State.initial(graph, 2)
        if rng.random() < 0.5:
            live = run.begin(samples_of(next(iter(inputs.values()))) if inputs else 2)
            live.advance(inputs, steps, record)
            assert live.state() is not None
            return found
        cut = int(rng.integers(0, steps))
        if cut:
            state = run(test_cut.stretch(inputs, 0, cut), cut, record, None, state).state
        run(test_cut.stretch(inputs, cut, steps), steps - cut, record, None, state)
    return found


def files(folder: Path, seeds: int) -> None:
    """So many files of each kind, of at most MOST bytes."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind in KINDS:
        seed, made = 0, 0
        while made < seeds:
            path = folder / f"{kind}-{seed}.calls"
            calls.write(path, recorded(kind, seed))
            if path.stat().st_size > MOST:
                path.unlink()
            else:
                made += 1
            seed += 1


if __name__ == "__main__":
    files(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 12)

"""Train two-point cells between two streams: what they see drives them, what else is there gates it.

The left half of a digit comes row by row to the basal point, the right half to the apical point of the same cells.

python examples/two_stream.py
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from sequences import digit_rows
from torch import nn
from trained import arguments, fit, report

from spikeflow.ir.graph import Edge
from spikeflow.neurons import Integrator, Net, Neuron, TwoPointLIF


def network(cells: int = 96) -> Net:
    """Two inputs, one layer of two-point cells whose own spikes come back as context, a read-out that adds up."""
    feedback = nn.Linear(cells, cells, bias=False)
    nn.init.normal_(feedback.weight, std=0.3 / cells**0.5)
    return Net(
        {
            "seen": nn.Linear(4, cells),
            "context": nn.Linear(4, cells),
            "cells": Neuron(TwoPointLIF(gain=1.0)),
            "feedback": feedback,
            "answer": nn.Linear(cells, 10),
            "readout": Neuron(Integrator()),
        },
        [
            Edge("left", "seen"),
            Edge("right", "context"),
            Edge("seen", "cells", "basal"),
            Edge("context", "cells", "apical"),
            Edge("cells", "feedback", delay=1),
            Edge("feedback", "cells", "apical"),
            Edge("cells", "answer"),
            Edge("answer", "readout"),
            Edge("readout", "output"),
        ],
        inputs=("left", "right"),
    )


def halves(x: np.ndarray) -> dict[str, np.ndarray]:
    """The two streams of sequences of rows ``(N, T, 8)``."""
    return {"left": np.ascontiguousarray(x[..., :4]), "right": np.ascontiguousarray(x[..., 4:])}


def main() -> None:
    args = arguments(
        argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    )
    torch.manual_seed(args.seed)
    data = digit_rows()
    net = network()
    fit(net, data, epochs=1 if args.smoke else 30, enter=halves)
    report(net, data, args, halves)


if __name__ == "__main__":
    main()

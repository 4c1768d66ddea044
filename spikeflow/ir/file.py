"""A network and its run record as one file, ``net.h5``; trusts nothing that it reads."""

from __future__ import annotations

import os

from spikeflow.errors import FileError, GraphError, SpikeflowError
from spikeflow.ir import stages, store
from spikeflow.ir.codec import decode_record, encoded
from spikeflow.ir.nodes import Input
from spikeflow.ir.record import Network, expect_network
from spikeflow.ir.versions import needed

KIND = "network"


def write(path: str | os.PathLike[str], network: Network) -> None:
    """Write a network, whole or not at all.

    Raises
    ------
    ModelError
        Where the graph is not legal at its stage or the record does not fit it.
    FileError
        Where the file cannot be written; what was there before is then still there.
    """
    expect_network(network)
    check(network)
    store.write_whole(path, KIND, *encoded(network), needed(network))


def read(path: str | os.PathLike[str], limits: store.Limits | None = None) -> Network:
    """The network in a file; FileError for anything that is not one."""
    manifest, arrays = store.read(path, KIND, limits, Network)
    try:
        network = decode_record(Network, manifest, arrays)
        check(network)
    except SpikeflowError as error:
        raise FileError(path, f"does not hold a legal network ({error})") from error
    return network


def check(network: Network) -> None:
    """Raise ModelError where the graph is not legal at its stage or the record does not fit it."""
    graph = network.graph
    stage = stages.stage_of(graph)
    stages.check(graph, stage)
    network.check()
    if stage == "ann":
        return
    for described in network.inputs:
        wanted = {"direct": "current", "rate": "spikes", "onoff": "spikes"}.get(described.coding)
        node = graph.nodes[described.node]
        if wanted and isinstance(node, Input) and node.kind != wanted:
            raise GraphError(
                described.node, f"takes {node.kind}, but the coding {described.coding} gives {wanted}"
            )

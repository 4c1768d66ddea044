"""Proofs of a conversion: `compare` the captured graph, `ties` the captured layers, `answers` the spiking
network.
"""

from spikeflow.convert.verify.answers import Case, verify

__all__ = ["Case", "verify"]

"""Batches: `batch` joins samples, `loader` gives them to torch, `cache` keeps them, `export` writes them."""

from spikeflow.datasets.loading.settings import Loading, Position

__all__ = ["Loading", "Position"]

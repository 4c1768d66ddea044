"""spikeflow: neural networks to neuromorphic hardware, with the truth on the way.

Importing the package loads nothing heavy; import what you need from its parts, for example
``from spikeflow.convert import convert`` or ``from spikeflow.sim import run``.
"""

import sys

from spikeflow.moved import Moved

__version__ = "0.1.0"

if not any(isinstance(finder, Moved) for finder in sys.meta_path):
    sys.meta_path.insert(0, Moved())

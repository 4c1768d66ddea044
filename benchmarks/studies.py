"""What `benchmarks/recipes.py` runs: for each set a recipe, folds, seeds, and the candidates chosen between."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Study:
    """A recipe of `examples/recipes` on all folds and seeds.

    Parameters
    ----------
    candidates : by name, what each changes of the recipe, by dotted key; chosen on validation.
    """

    recipe: str
    folds: tuple[int, ...] = (-1,)
    seeds: tuple[int, ...] = (0, 1, 2)
    candidates: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"recipe": {}})


_BRAILLE = {
    "lif": {},
    "two_point": {
        "network.kind": "two_point",
        "network.neuron": "TwoPointLIF",
        "network.feedback_gain": 0.5,
        "network.spread": {"decay": [0.7, 0.98], "decay_apical": [0.8, 0.99]},
        "network.learn": ["decay", "decay_apical"],
    },
}
_NMNIST = {"recipe": {}, "wide": {"network.channels": [32, 64, 96], "network.dropout": 0.2}}

_ADAM = {"training.optimiser.kind": "adam", "training.optimiser.weight_decay": 0.0, "network.dropout": 0.0}
_TWO_POINT = {
    "network.kind": "two_point",
    "network.neuron": "TwoPointLIF",
    "network.learn": ["decay", "decay_apical", "threshold"],
}
_WIDE = {
    **_TWO_POINT,
    "network.feedback_gain": 1.0,
    "network.spread": {"decay": [0.6, 0.98], "decay_apical": [0.9, 0.999]},
}
_ECG = {
    "lif": {},
    "lif_3": {"network.members": 3},
    "lif_5": {"network.members": 5},
    "narrow": {**_ADAM, "network.hidden": [64], "training.epochs": 80},
    "alif": {
        "network.neuron": "ALIF",
        "network.parameters": {"adaptation": 0.05},
        "network.spread": {"decay": [0.6, 0.98], "decay_adaptation": [0.95, 0.999]},
        "network.learn": ["decay", "threshold", "decay_adaptation"],
        "training.epochs": 30,
    },
    "two_point": {
        **_TWO_POINT,
        **_ADAM,
        "network.hidden": [64],
        "network.feedback_gain": 1.5,
        "network.spread": {"decay": [0.6, 0.98], "decay_apical": [0.8, 0.99]},
        "network.surrogate": "atan",
        "network.surrogate_parameters": {},
        "training.optimiser.rate": 1e-2,
        "training.epochs": 80,
    },
    "two_point_wide": _WIDE,
    "two_point_dropout": {
        **_WIDE,
        "network.dropout": 0.35,
        "training.optimiser.weight_decay": 0.03,
        "training.epochs": 36,
    },
}

STUDIES = {
    "digits": Study("digits_lif", candidates={"slow": {"training.optimiser.rate": 1e-3}, "recipe": {}}),
    "fashion_mnist": Study("fashion_mnist_conv"),
    "nmnist": Study("nmnist_conv", (0, 1, 2, 3, 4, -1), candidates=_NMNIST),
    "ecg_qtdb": Study("ecg_recurrent", candidates=_ECG),
    "braille": Study("braille_recurrent", candidates=_BRAILLE),
}

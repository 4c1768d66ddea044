"""Which samples of a set train, select and test: one rule a set, so that figures can be compared.

============== =================================== ============================ =======================
set            training                            selection                    test
============== =================================== ============================ =======================
mnist,         the first 11 of 12                  the last 12th of the         official
fashion_mnist                                      official training split
nmnist         official, without the selection     every tenth by number        official
nmnist, fold k official whose number is not k      of these every tenth         official training split
               modulo 5, without the selection                                  whose number is k
spoken_digits, numbers 5 to 44 of each digit and   45 to 49                     official (0 to 4)
mel            speaker
spoken_digits, all recordings of the others, all   the speaker who follows in   all recordings of
mel, fold k    recordings but the selection's      the alphabet                 speaker k
keywords,      the others, without the selection   of the others every tenth    position k modulo 5
fold k
braille        repetitions 0 to 24 of each letter  25 to 27                     28 to 34
ecg_qtdb       the first nine tenths               the last tenth (62 of 618)   official
others         official, without the selection     a share drawn from the seed, official
                                                   whole groups (speakers)
============== =================================== ============================ =======================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikeflow.datasets.base import Dataset
from spikeflow.datasets.sets.braille import Braille
from spikeflow.datasets.stored.layouts import number
from spikeflow.errors import DataError
from spikeflow.flows.recipe_file import Data

FOLDS = 5
TENTH = 0.1
Parts = tuple[Dataset[Any], Dataset[Any], Dataset[Any]]


def parted(data: Data, train: Dataset[Any], test: Dataset[Any], seed: int) -> Parts:
    """The parts that train, select and test; each says in `facts` which samples it holds.

    Raises
    ------
    DataError
        For a fold that there is not, and a share where the set's own rule says it.
    """
    if data.set in RULES:
        if data.valid:
            words = f"0: the split of {data.set} is laid down (spikeflow.flows.splits)"
            raise DataError("recipe: data.valid", data.valid, words)
        return RULES[data.set](data, train, test)
    return (*train.validation(data.valid or TENTH, seed), test)


def _last(data: Data, train: Dataset[Any], test: Dataset[Any]) -> Parts:
    first = len(train) - len(train) // 12
    return (
        train.subset(range(first), f"the first {first} of the training split"),
        train.subset(range(first, len(train)), f"the last {len(train) - first} of the training split"),
        test,
    )


def _by_number(data: Data, train: Dataset[Any], test: Dataset[Any]) -> Parts:
    numbers = np.array([number(train.locate(i)) for i in range(len(train))])
    left, words = np.argsort(numbers, kind="stable"), "of the training split"
    if data.fold >= 0:
        if data.fold >= FOLDS:
            raise DataError("recipe: data.fold", data.fold, f"0 to {FOLDS - 1}")
        words = f"of those whose number is not {data.fold} modulo {FOLDS}"
        test = train.subset(numbers % FOLDS == data.fold, f"those whose number is {data.fold} modulo {FOLDS}")
        left = left[numbers[left] % FOLDS != data.fold]
    selects = np.arange(len(left)) % 10 == 9
    return (
        train.subset(np.sort(left[~selects]), f"all but every tenth {words}"),
        train.subset(np.sort(left[selects]), f"every tenth {words}"),
        test,
    )


def _by_repetition(data: Data, train: Dataset[Any], test: Dataset[Any]) -> Parts:
    assert isinstance(train, Braille)
    return train.repetitions(0, 24), train.repetitions(25, 27), train.repetitions(28, 34)


RULES: dict[str, Callable[[Data, Dataset[Any], Dataset[Any]], Parts]] = {
    "mnist": _last,
    "fashion_mnist": _last,
    "nmnist": _by_number,
    "braille": _by_repetition,
}
FOLDED = ("nmnist",)

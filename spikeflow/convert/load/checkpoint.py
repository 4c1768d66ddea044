"""Checkpoints: where a file keeps the tensors of a network, and by which of their names they fit a module.

Trainers put a state dict under a key (`state_dict`, `model`, `net`, `ema`, ...) and wrappers put a word of
their own into every name (`module.` of DataParallel and AveragedModel, `_orig_mod.` of torch.compile,
`model.` of Lightning). Each reading is tried, and the one taken whose names and shapes are the module's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from spikeflow.convert.load.pickled import Instance, Tensor
from spikeflow.errors import FileError

KEYS = (
    "state_dict",
    "model_state_dict",
    "model",
    "net",
    "network",
    "module",
    "ema",
    "model_ema",
    "ema_state_dict",
)
_WRAPPERS = ("module", "_orig_mod", "model", "net", "network")
_COUNTERS = frozenset({"n_averaged"})  # kept beside the tensors by AveragedModel
_DEPTH, _DICTIONARIES = 3, 1000
_SHOWN = 6
_HINT = "the --arch that the file was trained with"

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class Reading:
    """Named tensors of a checkpoint, and the keys under which they stand ("" at its top)."""

    key: str
    tensors: Mapping[str, Tensor]

    @property
    def title(self) -> str:
        """How a message calls it."""
        return f"the key {printable(self.key)!r}" if self.key else "its top"

    def places(self) -> set[tuple[str, int]]:
        """Where its values stand; two readings of the same values are one."""
        return {(t.storage.key, t.offset) for t in self.tensors.values()}


def readings(root: object) -> list[Reading]:
    """Every dictionary of a checkpoint that holds named tensors and nothing else, the likeliest first."""
    found = [
        Reading(key, named)
        for key, value in _dictionaries(root)
        if (named := {str(k): v for k, v in value.items() if isinstance(v, Tensor)})
        and len(named) == len(value)
    ]
    return sorted(found, key=lambda reading: _rank(reading.key))


def modules(root: object) -> list[tuple[str, Instance]]:
    """Whole modules that stand in a checkpoint beside other things, the likeliest first."""
    found = [
        (f"{key}.{name}".lstrip("."), value)
        for key, held in _dictionaries(root)
        for name, value in held.items()
        if isinstance(value, Instance)
    ]
    return sorted(found, key=lambda pair: _rank(pair[0]))


def _rank(key: str) -> int:
    last = key.rpartition(".")[2]
    return -1 if not key else KEYS.index(last) if last in KEYS else len(KEYS)


def _dictionaries(root: object) -> Iterator[tuple[str, dict[Any, Any]]]:
    """The dictionaries of a checkpoint with their keys, so many and so deep at most; each once."""
    todo: list[tuple[str, object, int]] = [("", root, 0)]
    seen: set[int] = set()
    while todo and len(seen) < _DICTIONARIES:
        key, value, depth = todo.pop(0)
        if not isinstance(value, dict) or id(value) in seen:
            continue
        seen.add(id(value))
        yield key, value
        if depth < _DEPTH:
            todo += [
                (f"{key}.{k}".lstrip("."), v, depth + 1) for k, v in value.items() if isinstance(v, dict)
            ]


def fitted(path: str, found: list[Reading], wanted: Shapes) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """The tensors by the module's own names, and what is to be told where several readings fit.

    Raises
    ------
    FileError
        Where no reading has the module's names and shapes.
    """
    fits = [(reading, tensors) for reading in found for tensors in _fits(reading, wanted)]
    if not fits:
        raise _unfit(path, found[0], wanted)
    taken, tensors = fits[0]
    warned = _taken_off(path, taken, tensors)
    others = [reading for reading, _ in fits if reading.places() != taken.places()]
    if others:
        titles = ", ".join(dict.fromkeys(reading.title for reading in others))
        warned.append(
            f"{path}: {taken.title} was taken; tensors that fit as well stand under {titles} (save those "
            "alone to "
            "take them)"
        )
    if any(reading is taken and other != tensors for reading, other in fits):
        warned.append(
            f"{path}: its names fit the module in more than one way; the one that drops least was taken"
        )
    return tensors, tuple(warned)


def _taken_off(path: str, taken: Reading, tensors: Mapping[str, Tensor]) -> list[str]:
    """What is to be told where a wrapper's word was taken off the names."""
    kept = {id(tensor): name for name, tensor in tensors.items()}
    # two names may stand for one tensor, so the module's own is looked for first
    first = next((n for n, t in taken.tensors.items() if id(t) in kept and tensors.get(n) is not t), None)
    if first is None:
        return []
    now = kept[id(taken.tensors[first])]
    words = f"{printable(first)!r} as {printable(now)!r}"
    return [f"{path}: its names are taken without a wrapper's words, {words}"]


def _fits(reading: Reading, wanted: Shapes) -> list[dict[str, Tensor]]:
    """The ways in which a reading fits, the one that drops least of the names first."""
    found: list[dict[str, Tensor]] = []
    for named in _renamed(reading):
        if _difference(named, wanted) == ([], []) and all(
            record.size == wanted[name] for name, record in named.items() if name in wanted
        ):
            chosen = {name: record for name, record in named.items() if name in wanted}
            if chosen not in found:
                found.append(chosen)
    return found


def _difference(named: Mapping[str, Tensor], wanted: Shapes) -> tuple[list[str], list[str]]:
    """Names that the module misses, and names that it does not know."""
    # torch before 0.4.1 wrote no such counter, and it has no effect here.
    missing = [key for key in wanted if key not in named and not key.endswith("num_batches_tracked")]
    return missing, [key for key in named if key not in wanted and key not in _COUNTERS]


def _renamed(reading: Reading) -> list[dict[str, Tensor]]:
    """The tensors under their names without what wrappers put into them, the names that drop least first.

    Dropped are up to three first words of all names, and any of the words wherever they stand behind these.
    """
    found: list[tuple[int, dict[str, Tensor]]] = []
    for count in range(4):
        if not all(_leads(name, count) for name in reading.tensors if name not in _COUNTERS):
            break
        for size in range(len(_WRAPPERS) + 1):
            for dropped in combinations(_WRAPPERS, size):
                named = {_without(name, count, dropped): t for name, t in reading.tensors.items()}
                if len(named) == len(reading.tensors):
                    kept = sum(name.count(".") for name in named)
                    found.append((-kept, named))
    return [named for _, named in sorted(found, key=lambda pair: pair[0])]


def _leads(name: str, count: int) -> bool:
    parts = name.split(".")
    return len(parts) > count and all(part in _WRAPPERS for part in parts[:count])


def _without(name: str, count: int, dropped: tuple[str, ...]) -> str:
    if name in _COUNTERS:
        return name
    return ".".join(part for part in name.split(".")[count:] if part not in dropped)


def _unfit(path: str, first: Reading, wanted: Shapes) -> FileError:
    """The error of the likeliest reading, under the names that come nearest."""
    named = min(_renamed(first), key=lambda n: sum(map(len, _difference(n, wanted))))
    missing, unexpected = _difference(named, wanted)
    where = f" (under {first.title})" if first.key else ""
    if missing or unexpected:
        text = (
            f"its names{where} are not those of the module: missing {few(missing)}; unexpected "
            f"{few(unexpected)}"
        )
        return FileError(path, text, _HINT)
    name = next(name for name, record in named.items() if name in wanted and record.size != wanted[name])
    reason = f"{printable(name)} has shape {named[name].size}, the module wants {wanted[name]}"
    return FileError(path, reason, _HINT)


def printable(name: object) -> str:
    """A name of the file, short and without signs that cannot be shown."""
    text = str(name)[:80]
    return text if text.isprintable() else ascii(text)


def few(names: list[str]) -> str:
    """The first names of a list, and how many more there are."""
    shown = ", ".join(printable(name) for name in names[:_SHOWN])
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return shown + more if names else "none"

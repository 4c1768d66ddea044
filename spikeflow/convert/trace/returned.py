"""What forward() returns: a tensor, or dictionaries, lists and tuples of tensors; each output by its keys and
indices.

A tensor alone has no name. In a container it is called by the way to it: ``logits``, ``0``, ``heads.box``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.utils._pytree as tree

MAX_NAME = 200
MAX_DEPTH = 20
MAX_OUTPUTS = 1000
_MAPPINGS = frozenset({"builtins.dict", "collections.OrderedDict", "collections.defaultdict"})


def tensors_of(returned: Any) -> list[torch.Tensor]:
    """The tensors in what a module returned, in torch's order; what is None is left out."""
    return [leaf for leaf in tree.tree_leaves(returned) if isinstance(leaf, torch.Tensor)]


def names_of_spec(spec: tree.TreeSpec) -> tuple[str, ...]:
    """The names of the leaves of a container as torch traced it."""
    whole = tree.tree_unflatten(list(range(spec.num_leaves)), spec)
    paths, _ = tree.tree_flatten_with_path(whole)
    return _distinct([".".join(map(_key, path)) for path, _ in paths])


def names_of_text(text: str) -> tuple[str, ...]:
    """The names of the leaves as torch writes them into an archive; numbers where the text is not of that
    form.
    """
    try:
        _, spec = json.loads(text)
        return _distinct(list(_leaves(spec, "", 0)))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return ()


def _key(entry: Any) -> str:
    return str(next(getattr(entry, a) for a in ("key", "idx", "name") if hasattr(entry, a)))


def _leaves(spec: Any, path: str, depth: int) -> Iterator[str]:
    kind, inner = spec["type"], spec["children_spec"]
    if kind is None:
        yield path
        return
    if depth > MAX_DEPTH or len(inner) > MAX_OUTPUTS:
        raise ValueError("deeper or wider than any network")
    keys: Sequence[Any] = range(len(inner))
    if kind in _MAPPINGS:
        said: Any = json.loads(spec["context"])
        keys = said[-1] if kind.endswith("defaultdict") else said
    for key, child in zip(keys, inner, strict=True):
        yield from _leaves(child, f"{path}.{key}" if path else str(key), depth + 1)


def _distinct(names: list[str]) -> tuple[str, ...]:
    """The names where each is printable and stands for one output; else numbers."""
    plain = all(name.isprintable() and len(name) <= MAX_NAME for name in names)
    if plain and len(set(names)) == len(names):
        return tuple(names)
    return tuple(str(i) for i in range(len(names)))

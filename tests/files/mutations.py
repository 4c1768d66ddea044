"""Good files changed at random: bytes, the manifests of our own files behind a right hash, and what commands are told."""

from __future__ import annotations

import copy
import json
import random
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikeflow.ir import store

Draw = random.Random
VALUES: tuple[Any, ...] = (
    *(-1, 0, 1, 2, 7, 63, 2**15, 2**20, 2**31 - 1, 2**31, 2**40, 2**62, -(2**31), -(2**62)),
    *(0.5, -0.5, 1e-300, 3e38, -3e38, 1e300, "", "x", "subtract", "a" * 1000, "\u202e", None, True, False, [], {}),
)  # fmt: skip
_TELLING = "mode op args value delay shape padding stride start stop step bits frac steps coding scale"
TELLING = frozenset(_TELLING.split())
_TARGETS = """
    relu.default linear.default conv2d.default conv1d.default cat.default stack.default permute.default view.default
    reshape.default flatten.using_ints slice.Tensor select.int pad.default constant_pad_nd.default mul.Tensor add.Tensor
    sub.Tensor div.Tensor clamp.default avg_pool2d.default max_pool2d.default adaptive_avg_pool2d.default mean.dim
    sum.dim_IntList upsample_nearest2d.vec batch_norm.default transpose.int squeeze.dim unsqueeze.default expand.default
    to.dtype softmax.int matmul.default addmm.default t.default where.self full.default arange.default split.Tensor
    dropout.default
"""
TARGETS = tuple(_TARGETS.split())
FLOATS = (0.0, -0.0, 1.0, 1e-45, 3e38, -3e38, 1e10)
INTEGERS = (-1, 0, 1, 127, 2**31 - 1, -(2**31))


def changed_bytes(content: bytes, draw: Draw) -> bytes:
    """Bytes changed, cut out, repeated, put in, or the end cut off, once to four times."""
    out = bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(min(len(out), 300) if draw.random() < 0.4 else len(out)) if out else 0
        length = draw.choice((1, 2, 4, 8, 16, 100, 1000))
        action = draw.randrange(6)
        if action == 0 and out:
            out[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF, draw.randrange(256)))
        elif action == 1 and out:
            out[at] ^= 1 << draw.randrange(8)
        elif action == 2:
            del out[at : at + length]
        elif action == 3:
            out[at:at] = out[at : at + length]
        elif action == 4:
            out[at:at] = draw.randbytes(length)
        else:
            del out[at + length :]
    return bytes(out)


def changed_file(kind: str, good: Path, target: Path, draw: Draw) -> None:
    """One of our own files with another manifest or other arrays, behind a right hash."""
    manifest, arrays = store.read(good, kind)
    manifest, arrays = copy.deepcopy(manifest), [np.array(array) for array in arrays]
    for _ in range(draw.choice((1, 1, 1, 2, 5))):
        if arrays and draw.random() < 0.25:
            at = draw.randrange(len(arrays))
            arrays[at] = _changed_array(arrays[at], draw)
        else:
            _change(manifest, draw)
    store.write_whole(target, kind, manifest, arrays)


def changed_archive(good: Path, target: Path, draw: Draw) -> None:
    """An archive of torch with another part behind a right checksum: of its JSON a value, of its pickle some bytes."""
    with zipfile.ZipFile(good) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as new:
        for item in old.infolist():
            data = old.read(item)
            if item.filename.endswith("models/model.json"):
                model = json.loads(data)
                for _ in range(draw.choice((1, 1, 2, 5))):
                    _change_model(model, draw)
                data = json.dumps(model).encode()
            elif item.filename.endswith("data.pkl"):
                data = changed_bytes(data, draw)
            new.writestr(item.filename, data)


def _change_model(model: Any, draw: Draw) -> None:
    """Another operation in the place of one, other arguments of one, or anything."""
    nodes = _nodes(model)
    if not nodes:  # an earlier change took them away
        _change(model, draw)
        return
    node = draw.choice(nodes)
    where = draw.random()
    if where < 0.3:
        node["target"] = f"torch.ops.aten.{draw.choice(TARGETS)}"
    elif where < 0.8:
        _change(node["inputs"], draw)
    else:
        _change(model["graph_module"] if where < 0.97 else model, draw)


def _nodes(model: Any) -> list[Any]:
    """The operations of an archive's model that still look like some."""
    for key in ("graph_module", "graph", "nodes"):
        model = model.get(key) if isinstance(model, dict) else None
    found = model if isinstance(model, list) else []
    return [n for n in found if isinstance(n, dict) and isinstance(n.get("inputs"), dict | list)]


def _changed_array(array: Any, draw: Draw) -> Any:
    action = draw.randrange(4)
    if action == 0 and array.size:
        flat = array.reshape(-1)
        low, high = (None, None) if array.dtype.kind == "f" else _ends(array.dtype)
        value = draw.choice(FLOATS if low is None else INTEGERS)
        flat[draw.randrange(flat.size)] = value if low is None else min(max(value, low), high)
    elif action == 1:
        return array.reshape(-1)[: draw.randrange(array.size + 1)].copy()
    elif action == 2:
        return array[None].copy() if array.ndim < 8 else array
    else:
        return array.astype(draw.choice(("i1", "u1", "<i4", "<i8", "<f4", "<f8")))
    return array


def _ends(dtype: Any) -> tuple[int, int]:
    found = np.iinfo(dtype)
    return int(found.min), int(found.max)


def _change(value: Any, draw: Draw) -> None:
    """Something at a random place of a JSON value, which is changed where it lies."""
    places = list(_places(value))
    telling = [(holder, key) for holder, key in places if key in TELLING]
    # half of the time where a number or a word decides what is done
    places = telling if telling and draw.random() < 0.5 else places
    if not places:
        return
    holder, key = draw.choice(places)
    action = draw.randrange(4)
    if action == 0 and isinstance(holder, list):
        del holder[key]
    elif action == 1 and isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    elif action == 2:
        other, at = draw.choice(places)
        holder[key] = copy.deepcopy(other[at])
    else:
        holder[key] = draw.choice(VALUES)


def _places(holder: Any) -> Any:
    for key, value in holder.items() if isinstance(holder, dict) else enumerate(holder):
        yield holder, key
        if isinstance(value, dict | list):
            yield from _places(value)


WORDS = (
    *("", " ", "0", "1", "-1", "2", "3", "64", "1000000", "1048576", "2147483647", "2147483648", "4294967296"),
    *("9223372036854775808", "-9223372036854775809", "1e9", "nan", "inf", "0.5", "x", "a,b", "3x4", "1,1,1,1,1,1,1,1,1"),
    *("2147483648,1", "99999999999", "loihi2", "LOIHI1", "spinnaker2", "direct", "rate", "onoff", "zero", "cpp"),
    *("reference", "os:getcwd", "../x", "/dev/null", "/", "\u202e", "é" * 300),
)  # fmt: skip


def drawn_options(names: Sequence[str], draw: Draw) -> list[str]:
    """Some options of a command with any words behind them."""
    chosen = draw.sample(list(names), draw.randint(0, min(3, len(names))))
    return [
        word for name in chosen for word in ((name, draw.choice(WORDS)) if draw.random() < 0.95 else (name,))
    ]


Change = Callable[[Path, Path, Draw], None]

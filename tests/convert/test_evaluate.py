"""The evaluator runs what is listed and nothing else, in memory that the stored tensors explain."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from spikeflow.convert.trace.atengraph import AtenGraph, AtenNode, Ref, Size
from spikeflow.convert.trace.evaluate import Evaluation, constants
from spikeflow.convert.trace.normal import normalised
from spikeflow.errors import ConversionError

STORED = {
    "w": np.ones((4, 6), np.float32),
    "i": np.array([1_000_000, 2]),
    "line": np.ones(100_000, np.float32),
}
W, INDEX, LINE = Ref("w"), Ref("i"), Ref("line")


def graph(*nodes: AtenNode, sizes: Any = None) -> AtenGraph:
    return AtenGraph(
        nodes, ("x",), ((2, 6),), (Ref(nodes[-1].name),), STORED, {n: n for n in STORED}, True, sizes or {}
    )


HOSTILE: dict[str, tuple[str, tuple[Any, ...]]] = {
    "zeros": ("aten.zeros.default", ((10**9,),)), "full": ("aten.full.default", ((2**20, 2**20), 1.0)), "eye": ("aten.eye.default", (200_000,)),
    "arange": ("aten.arange.default", (10**10,)), "linspace": ("aten.linspace.default", (0, 1, 10**9)),
    "repeat": ("aten.repeat.default", (W, (10**6, 10**6))), "tile": ("aten.tile.default", (W, (10**5, 10**5))),
    "pad": ("aten.pad.default", (W, (2**40, 2**40))), "diagonal": ("aten.diag_embed.default", (LINE,)), "outer": ("aten.outer.default", (LINE, LINE)),
    "one hot": ("aten.one_hot.default", (INDEX, 10**9)), "three factors": ("aten.einsum.default", ("a,b,c->", (LINE, LINE, LINE))),
    "magnitudes": ("aten._weight_norm.default", (W, INDEX, 0)), "index": ("aten.index.Tensor", (W, (INDEX,))), "words": ("aten.zeros.default", ("x",)),
    "nothing": ("aten.zeros.default", ()), "negative": ("aten.ones.default", ((-3,),)), "split": ("aten.split.Tensor", (W, 0)),
    "item of nothing": ("getitem", ()), "a layer": ("aten.conv2d.default", (W, W)), "a form of none": ("aten.add.Evil", (W, W)),
    "values decide": ("aten.repeat_interleave.Tensor", (INDEX,)), "in place": ("aten.index_put_.default", (W, (INDEX,), W)),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_what_does_not_fit_is_told_not_computed(name: str) -> None:
    op, args = HOSTILE[name]
    known, failed = constants(graph(AtenNode("a", op, args)))
    assert "a" not in known and failed.get("a")


def test_the_budget_is_that_of_all_operations_together() -> None:
    ones = [AtenNode(f"a{i}", "aten.ones.default", ((2**22,),)) for i in range(12)]
    _, failed = constants(graph(*ones))
    assert failed and "a0" not in failed


@pytest.mark.parametrize(
    "op",
    [
        "aten.rand.default",
        "aten.empty.default",
        "aten.as_strided.default",
        "aten.set_.source_Storage",
        "os.system",
    ],
)
def test_what_is_not_listed_is_never_called(op: str) -> None:
    known, _ = constants(graph(AtenNode("a", op, ((3,),))))
    assert "a" not in known


@pytest.mark.parametrize("seed", range(20))
def test_sizes_are_those_of_the_run(seed: int) -> None:
    """Batches of 1 to 9 where 2 was traced; sums, differences, products and quotients of sizes."""
    draw = np.random.default_rng(seed)
    batch, number = int(draw.integers(1, 10)), int(draw.integers(1, 5))
    word = str(draw.choice(["add", "sub", "mul", "floordiv"]))
    compute = {
        "add": lambda a: a + number,
        "sub": lambda a: a - number,
        "mul": lambda a: a * number,
        "floordiv": lambda a: a // number,
    }[word]
    traced = Size(2, "s")
    nodes = (
        AtenNode("s", "aten.sym_size.int", (Ref("x"), 0)),
        AtenNode("t", f"size.{word}", (traced, number)),
        AtenNode("y", "aten.mul.Tensor", (Ref("x"), Size(compute(2), "t"))),
        AtenNode("z", "aten.view.default", (Ref("y"), (traced, -1))),
    )
    made = normalised(AtenGraph(nodes, ("x",), ((2, 6),), (Ref("z"),), {}, {}, True))
    x = torch.from_numpy(draw.normal(size=(batch, 2, 3)))
    found = Evaluation(made, constants(made)[0]).run({"x": x})
    result = found[0] if isinstance(found, list | tuple) else found
    assert torch.equal(result, (x * compute(batch)).view(batch, 6))


@pytest.mark.parametrize("way", ["squares", "doubles", "power"])
def test_sizes_that_grow_without_end_are_refused(way: str) -> None:
    """Chains of 2,000 operations, each on the one before, and a power of a million."""
    word, times = {"squares": ("mul", 2000), "doubles": ("add", 2000), "power": ("pow", 1)}[way]
    sizes = {"s0": AtenNode("s0", "aten.sym_size.int", (Ref("x"), 0))}
    for i in range(times):
        before = Size(2, f"s{i}")
        sizes[f"s{i + 1}"] = AtenNode("", f"size.{word}", (before, 10**6 if way == "power" else before))
    made = graph(AtenNode("y", "aten.mul.Tensor", (Ref("x"), Size(2, f"s{times}"))), sizes=sizes)
    with pytest.raises(ConversionError, match="mul cannot be evaluated"):
        Evaluation(made, constants(made)[0]).run({"x": torch.ones(3, 6)})


def test_a_size_by_an_unknown_operation_is_an_error() -> None:
    sizes = {"t": AtenNode("t", "size.evil", (2,))}
    made = graph(AtenNode("y", "aten.mul.Tensor", (Ref("x"), Size(2, "t"))), sizes=sizes)
    with pytest.raises(ConversionError, match="mul cannot be evaluated.*evil"):
        Evaluation(made, constants(made)[0]).run({"x": torch.ones(3, 6)})

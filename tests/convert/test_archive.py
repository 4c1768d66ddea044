"""Archives of torch.export: the same graph as tracing gives, and nothing evaluated or unpickled."""

from __future__ import annotations

import contextlib
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.convert.capture.traced import capture
from spikeflow.convert.load.network_file import load
from spikeflow.convert.trace.aten import AtenGraph, AtenNode, Ref, from_module
from spikeflow.errors import ConversionError, FileError, UnsafeFile, UnsupportedLayer
from tests.convert.test_torchfile import damaged, rezip


class Mixed(nn.Module):
    """Residual sums, shared layers, operations in place, several results, sizes of the batch, constants."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.relu = nn.ReLU(inplace=True)
        self.drop = nn.Dropout()
        self.fc = nn.Linear(8 * 4, 3)
        self.scale = torch.arange(8.0).view(1, 8, 1, 1)
        self.register_buffer("shift", torch.full((1,), 0.5), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = torch.chunk(x, 2, 1)
        y = torch.cat([b, a], 1)
        y = self.relu(self.block(y))
        y = self.relu(self.block(y) + y)
        y = F.pad(y[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))
        y = F.max_pool2d(y, 2) * self.scale + self.shift
        y += torch.tensor([1.0])
        y = self.drop(F.interpolate(y, scale_factor=1.0)).to(torch.float32)
        return self.fc(y.view(y.size(0), -1))


def traced(module: nn.Module, example: torch.Tensor, path: Path) -> tuple[AtenGraph, AtenGraph]:
    """The graph of the module itself, and that of its archive."""
    shapes = ({0: torch.export.Dim.AUTO},)
    program = torch.export.export(module.eval(), (example,), dynamic_shapes=shapes, strict=False)
    torch.export.save(program, path)
    found = load(path)
    assert isinstance(found, AtenGraph)
    return from_module(module, example), found


def renamed(graph: AtenGraph) -> AtenGraph:
    """The graph with its values numbered in order."""
    names: dict[str, str] = {}

    def new(value: Any) -> Any:
        if isinstance(value, Ref):
            return Ref(names.setdefault(value.name, f"v{len(names)}"))
        return tuple(new(item) for item in value) if isinstance(value, tuple) else value

    def node(old: AtenNode) -> AtenNode:
        kwargs = {key: new(value) for key, value in old.kwargs.items()}
        return replace(old, args=new(old.args), kwargs=kwargs, name=new(Ref(old.name)).name)

    inputs = tuple(new(Ref(name)).name for name in graph.inputs)
    nodes = tuple(node(old) for old in graph.nodes)
    user = {new(Ref(name)).name: value for name, value in graph.parameter_names.items()}
    return replace(
        graph, nodes=nodes, inputs=inputs, outputs=new(graph.outputs), parameter_names=user, tensors={}
    )


def test_module_and_archive_give_the_same_graph(tmp_path: Path) -> None:
    here, there = traced(Mixed(), torch.randn(2, 4, 8, 8), tmp_path / "net.pt2")
    assert renamed(here) == renamed(there)
    assert here.dynamic_batch and here.input_shapes == ((2, 4, 8, 8),)
    by_user = {here.parameter_names[name]: array for name, array in here.tensors.items()}
    for name, array in there.tensors.items():
        np.testing.assert_array_equal(array, by_user[there.parameter_names[name]])
        assert array.flags.c_contiguous


def test_what_a_graph_says(tmp_path: Path) -> None:
    _, graph = traced(Mixed(), torch.randn(2, 4, 8, 8), tmp_path / "net.pt2")
    operations = [node.op.split(".")[1] if "." in node.op else node.op for node in graph.nodes]
    assert not any(
        name.endswith("_") or name in ("detach", "sym_size", "lift_fresh_copy") for name in operations
    )
    assert operations.count("conv2d") == 2 and operations.count("getitem") == 2
    conv = next(node for node in graph.nodes if node.op == "aten.conv2d.default")
    assert conv.module == "block.0" and conv.shape == (2, 4, 8, 8) and conv.args[3:] == ((1, 1), (1, 1))
    assert {*graph.parameter_names.values()} >= {"block.0.weight", "block.1.running_var", "fc.bias", "scale"}
    view = next(node for node in graph.nodes if node.op == "aten.view.default")
    assert view.args[1] == (2, -1)


def test_an_example_of_one_sample_leaves_the_batch_open() -> None:
    graph = from_module(nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten()), torch.zeros(1, 1, 5, 5))
    assert graph.dynamic_batch and graph.input_shapes == ((2, 1, 5, 5),)


class Fixed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x.view(3, 4)).reshape(3, 2, 2)


def test_a_batch_that_the_module_fixes() -> None:
    graph = from_module(Fixed(), torch.zeros(3, 2, 2))
    assert not graph.dynamic_batch and graph.nodes[0].args[1] == (3, 4)


class Later(nn.Module):
    """Reads a value after it was changed in place: it must be the changed one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        z = F.relu(F.dropout(y, training=self.training), inplace=True)
        return y + z


class Viewed(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = x * 2
        y[:, 0].relu_()
        return y


class Stateful(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(3))
        self.note = torch.zeros(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.note += 1
        return x + self.note


class Sums(nn.Module):
    """Adds to a constant made in forward, which is new at each call."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.tensor([1.0, 2.0, 3.0])
        z = torch.zeros_like(x)
        z += x
        z += y
        return z


def test_stored_tensors_that_change() -> None:
    with pytest.raises(ConversionError):
        from_module(Stateful(), torch.ones(2, 3))
    assert from_module(Sums(), torch.ones(2, 3)).nodes[-1].op == "aten.add.Tensor"


def test_operations_in_place() -> None:
    graph = from_module(Later(), torch.ones(2, 3))
    relu, add = graph.nodes[-2:]
    assert relu.op == "aten.relu.default" and add.args == (Ref(relu.name), Ref(relu.name))
    with pytest.raises(ConversionError, match="view"):
        from_module(Viewed(), torch.ones(2, 3))


class Branch(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def test_what_cannot_be_traced_says_what_would_help() -> None:
    with pytest.raises(ConversionError, match="Branch.*branches on values"):
        from_module(Branch(), torch.ones(2, 3))
    with pytest.raises(ConversionError, match="Linear"):
        from_module(nn.Linear(3, 3), torch.ones(2, 4))


class Unlisted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = nn.CosineSimilarity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.linalg.svdvals(self.inner(x, x) + torch.fft.fft(x).real.sum() + x)


def test_operations_outside_the_list_are_named(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedLayer, match=r"the operation aten\.linalg_svdvals"):
        capture(from_module(Unlisted(), torch.ones(3, 3)))
    torch.export.save(torch.export.export(Unlisted(), (torch.ones(3, 3),)), tmp_path / "x.pt2")
    with pytest.raises(UnsupportedLayer, match=r"aten\.linalg_svdvals"):
        found = load(tmp_path / "x.pt2")
        assert isinstance(found, AtenGraph)
        capture(found)


def test_shared_and_strided_weights(tmp_path: Path) -> None:
    module = nn.Sequential(
        nn.Linear(3, 3), nn.Linear(3, 3), nn.Conv2d(1, 4, 2).to(memory_format=torch.channels_last)
    )
    module[1].weight = module[0].weight
    module[0].bias = nn.Parameter(torch.arange(6.0)[::2])
    here, there = traced(module, torch.randn(2, 1, 3, 3), tmp_path / "net.pt2")
    found = {there.parameter_names[name]: array for name, array in there.tensors.items()}
    np.testing.assert_array_equal(found["0.bias"], [0, 2, 4])
    np.testing.assert_array_equal(found["2.weight"], module[2].weight.detach().numpy())
    assert len(here.tensors) == len(there.tensors)


def test_a_network_in_training_mode(tmp_path: Path) -> None:
    for layer in (nn.BatchNorm1d(3), nn.Dropout()):
        program = torch.export.export(nn.Sequential(layer).train(), (torch.ones(2, 3),), strict=False)
        torch.export.save(program, tmp_path / "x.pt2")
        with pytest.raises(ConversionError, match=r"model\.eval"):
            load(tmp_path / "x.pt2")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "small.pt2"
    module = nn.Sequential(nn.Linear(4, 3), nn.ReLU()).eval()
    torch.export.save(torch.export.export(module, (torch.ones(2, 4),)), path)
    return path


def edited(source: Path, target: Path, end: str, change: Callable[[Any], None]) -> Path:
    """The archive with one of its JSON entries changed."""

    def entry(name: str, data: bytes) -> bytes:
        if not name.endswith(end):
            return data
        found = json.loads(data)
        change(found)
        return json.dumps(found).encode()

    return rezip(source, target, entry)


def graph_of(model: Any) -> Any:
    return model["graph_module"]["graph"]


def first_weight(config: Any) -> Any:
    return config["config"]["0.weight"]


INPUT = {"as_tensor": {"name": "input"}}
MODEL_ATTACKS: list[tuple[str, Callable[[Any], Any]]] = [
    ("not supported", lambda m: graph_of(m)["nodes"][0].update(target="os.system")),
    ("not supported", lambda m: graph_of(m)["nodes"][0].update(target="torch.ops.evil.run.default")),
    ("not supported", lambda m: graph_of(m)["nodes"][0].update(target="torch.ops.aten.set_.source_Storage")),
    ("signs", lambda m: graph_of(m)["nodes"][0].update(target="torch.ops.aten.__import__('os').x")),
    (
        "not supported",
        lambda m: graph_of(m)["nodes"][0]["inputs"][0].update(arg={"as_custom_obj": {"name": "x"}}),
    ),
    ("before it is made", lambda m: graph_of(m)["nodes"].reverse()),
    ("made twice", lambda m: graph_of(m)["nodes"].append(graph_of(m)["nodes"][0])),
    ("no listed operation", lambda m: graph_of(m)["nodes"][0].update(target="torch.ops.aten._assert_x.y")),
    (
        "one name",
        lambda m: m["graph_module"]["signature"]["input_specs"].append({"user_input": {"arg": INPUT}}),
    ),
    ("version 9", lambda m: m["schema_version"].update(major=9)),
    ("no number", lambda m: graph_of(m)["tensor_values"]["input"]["sizes"].insert(0, {"as_int": "1"})),
    (
        "example value",
        lambda m: graph_of(m)["tensor_values"]["input"]["sizes"].insert(0, {"as_expr": {"hint": None}}),
    ),
    ("list", lambda m: graph_of(m).update(nodes=[], tensor_values=[])),
    ("missing", lambda m: m.pop("graph_module")),
    ("not plain data", lambda m: m["graph_module"]["signature"]["input_specs"].append({"custom_obj": {}})),
    (
        "changes its own",
        lambda m: m["graph_module"]["signature"]["output_specs"].append({"buffer_mutation": {}}),
    ),
]


@pytest.mark.parametrize(("words", "change"), MODEL_ATTACKS)
def test_hostile_graphs(tmp_path: Path, small: Path, words: str, change: Callable[[Any], None]) -> None:
    with pytest.raises((FileError, UnsupportedLayer, ConversionError), match=words):
        found = load(edited(small, tmp_path / "x.pt2", "models/model.json", change))
        assert isinstance(found, AtenGraph)
        capture(found)  # operations by other names are refused here, together with all else that is


def test_expressions_of_sizes_are_not_evaluated(tmp_path: Path, small: Path) -> None:
    code = f"__import__('os').system('touch {tmp_path / 'ran'}')"
    size = {"as_expr": {"expr_str": code, "hint": {"as_int": 2}}}

    def change(model: Any) -> None:
        graph_of(model)["tensor_values"]["input"]["sizes"][0] = size
        model["range_constraints"] = {code: {"min_val": 0, "max_val": None}}
        model["guards_code"] = [code]

    found = load(edited(small, tmp_path / "x.pt2", "models/model.json", change))
    assert isinstance(found, AtenGraph) and found.input_shapes == ((2, 4),)
    assert not (tmp_path / "ran").exists()


WEIGHT_ATTACKS: list[tuple[str, Callable[[Any], Any]]] = [
    ("pickled", lambda c: first_weight(c).update(use_pickle=True)),
    ("elements", lambda c: first_weight(c)["tensor_meta"].update(sizes=[{"as_int": 10**6}] * 2)),
    ("reaches", lambda c: first_weight(c)["tensor_meta"]["strides"][0].update(as_int=100)),
    ("whole number", lambda c: first_weight(c)["tensor_meta"]["strides"][0].update(as_int=-1)),
    ("reaches", lambda c: first_weight(c)["tensor_meta"]["storage_offset"].update(as_int=5)),
    ("type that is not read", lambda c: first_weight(c)["tensor_meta"].update(dtype=10)),
    ("type that is not read", lambda c: first_weight(c)["tensor_meta"].update(layout=1)),
    ("no entry", lambda c: first_weight(c).update(path_name="../sample_inputs/small.pt")),
    ("missing", lambda c: c["config"].pop("0.weight")),
    ("missing", lambda c: first_weight(c).pop("tensor_meta")),
]


@pytest.mark.parametrize(("words", "change"), WEIGHT_ATTACKS)
def test_hostile_weights(tmp_path: Path, small: Path, words: str, change: Callable[[Any], None]) -> None:
    with pytest.raises(FileError, match=words):
        load(edited(small, tmp_path / "x.pt2", "weights_config.json", change))


@pytest.mark.parametrize(
    "text", [b"[" * 10**6, b'{"a": 1, "a": 2}', b"[]", b"{", b'{"x": 1e999999}', b"\xff"]
)
def test_text_that_is_no_graph(tmp_path: Path, small: Path, text: bytes) -> None:
    path = rezip(small, tmp_path / "x.pt2", lambda name, old: text if "models/" in name else old)
    with pytest.raises(FileError):
        load(path)


def test_pickled_inputs_are_not_opened_and_compiled_code_is_refused(tmp_path: Path, small: Path) -> None:
    evil = rezip(
        small, tmp_path / "x.pt2", lambda name, old: b"cos\nsystem\n." if "sample_inputs" in name else old
    )
    assert isinstance(load(evil), AtenGraph)
    with zipfile.ZipFile(evil, "a") as archive:
        archive.writestr("small/data/aotinductor/model/x.so", b"\x7fELF")
    with pytest.raises(UnsafeFile, match="compiled"):
        load(evil)


def test_damaged_archives_end_in_a_documented_error(tmp_path: Path, small: Path) -> None:
    assert "refused" in damaged(small, tmp_path, 100)


def test_changed_graphs_end_in_a_documented_error(tmp_path: Path, small: Path) -> None:
    """Values of the JSON replaced one at a time by others of every kind, with the checksum right."""
    kinds = [
        None,
        True,
        -1,
        2**70,
        0.5,
        "x",
        [],
        {},
        [1],
        {"as_int": 1},
        {"as_none": True},
        {"name": "input"},
    ]

    def places(value: Any) -> list[tuple[Any, Any]]:
        items = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        found = [(value, key) for key, _ in items]
        return found + [place for _, item in items if isinstance(item, dict | list) for place in places(item)]

    rng = np.random.default_rng(3)
    for end in ("models/model.json", "weights_config.json"):
        for _ in range(150):

            def change(model: Any) -> None:
                holders = places(model)
                holder, key = holders[rng.integers(len(holders))]
                holder[key] = kinds[rng.integers(len(kinds))]

            with contextlib.suppress(FileError, UnsupportedLayer, ConversionError):
                load(edited(small, tmp_path / "x.pt2", end, change))

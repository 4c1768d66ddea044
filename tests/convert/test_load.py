"""What `load` gives for each kind of file, and what it refuses with which words."""

from __future__ import annotations

import pickle
import sys
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from spikeflow.convert.load.network_file import load
from spikeflow.convert.trace.aten import AtenGraph
from spikeflow.errors import ConversionError, FileError, UnsafeFile
from tests.convert.test_torchfile import with_pickle

ARCH = "loaded_arch"
ARCH_TEXT = """
from torch import nn

def build():
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))

def fails():
    raise RuntimeError("no such width")

def nothing():
    return 3
"""

LAYERS: list[nn.Module] = [
    nn.Identity(), nn.Sigmoid(), nn.Tanh(), nn.LogSigmoid(), nn.Softsign(), nn.Softmax2d(),
    nn.Linear(3, 4), nn.Linear(3, 4, bias=False),
    nn.Conv1d(2, 4, 3, stride=2, padding=1), nn.Conv2d(4, 4, 3, padding="same", groups=2, bias=False),
    nn.Conv2d(2, 2, (3, 1), padding=(1, 0), dilation=2, padding_mode="circular"), nn.Conv3d(1, 1, 2),
    nn.ConvTranspose1d(2, 2, 2), nn.ConvTranspose2d(2, 4, 3, stride=2, output_padding=1, groups=2),
    nn.BatchNorm1d(3), nn.BatchNorm2d(3, eps=1e-3, momentum=None), nn.BatchNorm2d(3, affine=False),
    nn.BatchNorm3d(3, track_running_stats=False), nn.InstanceNorm2d(3), nn.InstanceNorm1d(3, affine=True),
    nn.LayerNorm((3, 4)), nn.LayerNorm(3, bias=False), nn.LayerNorm(3, elementwise_affine=False),
    nn.GroupNorm(2, 4), nn.LocalResponseNorm(3),
    nn.ReLU(inplace=True), nn.ReLU6(), nn.LeakyReLU(0.2), nn.PReLU(3), nn.ELU(0.5), nn.CELU(), nn.SELU(),
    nn.GELU("tanh"), nn.SiLU(), nn.Mish(), nn.Hardsigmoid(), nn.Hardswish(), nn.Hardtanh(-2, 2),
    nn.Softplus(2.0), nn.Threshold(0.1, 0.0), nn.Softmax(1), nn.LogSoftmax(-1), nn.Softmin(0),
    nn.AvgPool1d(2), nn.AvgPool2d(3, 2, 1, count_include_pad=False, divisor_override=4), nn.AvgPool3d(2),
    nn.MaxPool1d(2), nn.MaxPool2d((2, 3), ceil_mode=True), nn.MaxPool3d(2),
    nn.AdaptiveAvgPool1d(2), nn.AdaptiveAvgPool2d((1, None)), nn.AdaptiveAvgPool3d(1),
    nn.AdaptiveMaxPool1d(2), nn.AdaptiveMaxPool2d(1), nn.AdaptiveMaxPool3d(1),
    nn.Flatten(1, 2), nn.Unflatten(1, (2, 3)), nn.Dropout(0.3), nn.Dropout1d(), nn.Dropout2d(),
    nn.Dropout3d(), nn.AlphaDropout(), nn.FeatureAlphaDropout(),
    nn.ZeroPad1d(1), nn.ZeroPad2d((1, 2, 3, 4)), nn.ZeroPad3d(1), nn.ConstantPad1d(1, 2.0),
    nn.ConstantPad2d(1, 2.0), nn.ConstantPad3d(1, 2.0), nn.ReflectionPad1d(1), nn.ReflectionPad2d(1),
    nn.ReplicationPad1d(1), nn.ReplicationPad2d(1),
    nn.Upsample(scale_factor=2), nn.Upsample(size=(4, 5), mode="bilinear", align_corners=True),
    nn.UpsamplingNearest2d(scale_factor=2), nn.UpsamplingBilinear2d(size=7),
    nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ChannelShuffle(2),
]  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A current directory with the user's own code in it."""
    (tmp_path / f"{ARCH}.py").write_text(ARCH_TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 5))


def module(path: str | Path, arch: str | None = None) -> nn.Module:
    found = load(path, arch)
    assert isinstance(found, nn.Module)
    return found


def same(a: nn.Module, b: nn.Module) -> bool:
    left, right = a.state_dict(), b.state_dict()
    return list(left) == list(right) and all(torch.equal(left[key], right[key]) for key in left)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: str(layer)[:60])
@pytest.mark.parametrize("new_format", [True, False])
def test_every_listed_layer_comes_back(here: Path, layer: nn.Module, new_format: bool) -> None:
    torch.save(nn.Sequential(layer), "layer.pt", _use_new_zipfile_serialization=new_format)
    found = module("layer.pt")
    assert isinstance(found, nn.Sequential) and type(found[0]) is type(layer)
    assert repr(found[0]) == repr(layer) and same(found[0], layer)
    assert not found.training


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_a_module_of_modules(here: Path, protocol: int) -> None:
    inner = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3), norm=nn.BatchNorm2d(2)))
    saved = nn.Sequential(OrderedDict(block=inner, head=nn.Sequential(nn.Flatten(), nn.Linear(8, 3)))).eval()
    torch.save(saved, "net.pt", pickle_protocol=protocol)
    found = module("net.pt")
    x = torch.randn(2, 1, 4, 4)
    assert same(found, saved) and torch.equal(found(x), saved(x))
    assert [name for name, _ in found.named_modules()] == [name for name, _ in saved.named_modules()]
    assert found.get_parameter("block.conv.weight").requires_grad


def test_nan_and_other_number_types_are_kept(here: Path) -> None:
    saved = nn.Sequential(nn.Linear(2, 2).half(), nn.Linear(2, 2).bfloat16(), nn.Linear(2, 2).double())
    with torch.no_grad():
        saved[2].weight[0, 0] = float("nan")
    torch.save(saved, "net.pt")
    found = module("net.pt")
    assert [p.dtype for p in found.parameters()] == [p.dtype for p in saved.parameters()]
    assert torch.isnan(found.get_parameter("2.weight")[0, 0])


def test_layouts_other_than_c_order(here: Path) -> None:
    saved = net().to(memory_format=torch.channels_last)
    saved[4].weight = nn.Parameter(torch.randn(12, 5).t())
    torch.save(saved, "net.pt")
    found = module("net.pt")
    assert same(found, saved) and all(p.is_contiguous() for p in found.parameters())
    torch.save(saved.state_dict(), "dict.pt")
    assert same(module("dict.pt", f"{ARCH}:build"), saved)


def test_one_relu_in_two_places(here: Path) -> None:
    relu = nn.ReLU()
    torch.save(nn.Sequential(nn.Linear(2, 2), relu, nn.Linear(2, 2), relu), "net.pt")
    found = module("net.pt")
    assert isinstance(found, nn.Sequential) and found[1] is found[3]


def test_containers_in_themselves_have_no_end(here: Path) -> None:
    shared, loop, deep = nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU())
    torch.save(nn.Sequential(shared, shared), "shared.pt")
    loop._modules["again"] = loop
    torch.save(loop, "loop.pt")
    for _ in range(80):
        deep = nn.Sequential(deep)
    torch.save(deep, "deep.pt")
    for name, words in (("shared.pt", "two places"), ("loop.pt", "two places"), ("deep.pt", "deeper")):
        with pytest.raises(UnsafeFile, match=words):
            load(name)


class Own(nn.Module):
    """A user's class, which cannot come back without running the user's code."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(x)


def replaced(x: torch.Tensor) -> torch.Tensor:
    return x


def test_a_users_own_class_is_named_with_both_ways_out(here: Path) -> None:
    for saved in (Own(), nn.Sequential(Own())):
        torch.save(saved, "own.pt")
        with pytest.raises(UnsafeFile, match=r"Own.*torch\.export.*--arch"):
            load("own.pt")


def test_layers_that_are_not_listed(here: Path) -> None:
    for saved in (nn.MultiheadAttention(4, 2), nn.Bilinear(1, 1, 1), nn.ModuleList([nn.ReLU()])):
        torch.save(saved, "other.pt")
        with pytest.raises(UnsafeFile, match=type(saved).__name__):
            load("other.pt")


def test_hooks_and_replaced_methods(here: Path) -> None:
    hooked, patched, noted, tensor_hook = nn.ReLU(), nn.ReLU(), nn.ReLU(), nn.Linear(1, 1)
    hooked.register_forward_hook(print)
    patched.forward = "x"  # type: ignore[assignment, method-assign]
    noted.remark = 3
    with_state = nn.Linear(1, 1)
    with_state.register_buffer("extra", torch.ones(1))
    cases: list[tuple[nn.Module, type[Exception], str]] = [
        (hooked, UnsafeFile, "print"),
        (patched, UnsafeFile, r"replaces ReLU\.forward"),
        (noted, UnsafeFile, "'remark'"),
        (with_state, FileError, "extra"),
    ]
    for saved, error, words in cases:
        torch.save(nn.Sequential(saved), "x.pt")
        with pytest.raises(error, match=words):
            load("x.pt")
    hooked._forward_hooks = OrderedDict({0: "x"})  # type: ignore[assignment, dict-item]
    torch.save(hooked, "x.pt")
    with pytest.raises(UnsafeFile, match="hooks"):
        load("x.pt")
    tensor_hook.forward = replaced  # type: ignore[method-assign]
    torch.save(tensor_hook, "x.pt")
    with pytest.raises(UnsafeFile, match="replaced"):
        load("x.pt")


def broken(layer: nn.Module, **fields: Any) -> nn.Module:
    vars(layer).update(fields)
    return layer


@pytest.mark.parametrize(
    "layer",
    [
        broken(nn.Linear(2, 2), in_features=2**30, out_features=2**30),
        broken(nn.Conv2d(1, 1, 1), kernel_size=(2**15, 2**15)),
        broken(nn.Conv2d(1, 1, 1), in_channels=-1),
        broken(nn.Conv2d(1, 1, 1), groups=0),
        broken(nn.Conv2d(1, 1, 1), kernel_size="os.system"),
        broken(nn.Conv2d(1, 1, 1), padding=(2**40, 0)),
        broken(nn.Conv2d(1, 1, 1), transposed=True),
        broken(nn.Conv2d(1, 1, 1), _reversed_padding_repeated_twice=[5, 5, 5, 5]),
        broken(nn.BatchNorm2d(1), num_features=10**12),
        broken(nn.BatchNorm2d(1), eps="small"),
        broken(nn.LayerNorm(3), normalized_shape=(2**30, 2**30, 2**30)),
        broken(nn.PReLU(1), num_parameters=2**31),
        broken(nn.ZeroPad2d(1), value=3.0),
        broken(nn.ZeroPad2d(1), padding=10**9),
        broken(nn.UpsamplingNearest2d(scale_factor=2), mode="bilinear"),
        broken(nn.Upsample(scale_factor=2), scale_factor=1e30),
        broken(nn.ReLU6(), max_val=7.0),
        broken(nn.ReLU(), inplace=[True]),
        broken(nn.ReLU(), _modules={"a": nn.ReLU()}),
        broken(nn.ReLU(), _parameters={"w": nn.Parameter(torch.ones(1))}),
        broken(nn.Linear(1, 1), _parameters={"weight": 3, "bias": None}),
        broken(nn.Linear(1, 1), _modules=None),
        broken(nn.Linear(1, 1), _buffers=[]),
        broken(nn.Linear(1, 1), training=torch.ones(1)),
        broken(nn.Sequential(), _modules={"forward": nn.ReLU()}),
        broken(nn.Sequential(), _modules={"a.b": nn.ReLU()}),
        broken(nn.Sequential(), _modules={3: nn.ReLU()}),
        broken(nn.Sequential(), _modules={"a": None}),
        broken(nn.Sequential(), _modules={"a": torch.ones(2)}),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_hostile_fields(here: Path, layer: nn.Module) -> None:
    """A constructor called with hostile sizes could claim terabytes; here none is given memory."""
    torch.save(layer, "x.pt")
    with pytest.raises(FileError):
        load("x.pt")


def test_integers_where_weights_belong(here: Path) -> None:
    layer = nn.Linear(2, 2)
    layer._parameters["weight"] = torch.ones(2, 2, dtype=torch.int64)  # type: ignore[assignment]
    torch.save(layer, "x.pt")
    with pytest.raises(FileError, match="int64"):
        load("x.pt")


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("nest", [None, "state_dict", "model_state_dict"])
def test_state_dicts(here: Path, new_format: bool, prefix: str, nest: str | None) -> None:
    saved = net()
    tensors: Any = OrderedDict((prefix + key, value) for key, value in saved.state_dict().items())
    content = {nest: tensors, "epoch": 3, "optimizer": {"state": {0: torch.ones(2)}}} if nest else tensors
    torch.save(content, "dict.pt", _use_new_zipfile_serialization=new_format)
    found = module("dict.pt", f"{ARCH}:build")
    assert same(found, saved) and not found.training
    with pytest.raises(FileError, match=r"bare state dict.*--arch package\.module:function"):
        load("dict.pt")


def test_counters_of_batches_may_be_absent(here: Path) -> None:
    saved = net()
    torch.save({k: v for k, v in saved.state_dict().items() if "num_batches" not in k}, "dict.pt")
    assert same(module("dict.pt", f"{ARCH}:build"), saved)
    del saved[1]._buffers["num_batches_tracked"]
    torch.save(saved, "net.pt")
    assert torch.equal(module("net.pt").get_buffer("1.running_var"), saved[1].running_var)


def test_names_and_shapes_that_do_not_fit(here: Path) -> None:
    tensors = dict(net().state_dict())
    tensors["extra"] = tensors.pop("4.bias")
    torch.save(tensors, "dict.pt")
    with pytest.raises(FileError, match=r"missing 4\.bias; unexpected extra"):
        load("dict.pt", f"{ARCH}:build")
    torch.save({**net().state_dict(), "4.bias": torch.zeros(6)}, "dict.pt")
    with pytest.raises(FileError, match=r"4\.bias has shape \(6,\)"):
        load("dict.pt", f"{ARCH}:build")
    torch.save({"state_dict": {"a": 3}}, "dict.pt")
    with pytest.raises(FileError, match="no tensors"):
        load("dict.pt", f"{ARCH}:build")
    torch.save([torch.ones(1)], "list.pt")
    with pytest.raises(FileError, match="neither"):
        load("list.pt", f"{ARCH}:build")


@pytest.mark.parametrize(
    ("arch", "words"),
    [
        ("loaded_arch", "of the form"),
        ("../x:build", "of the form"),
        ("loaded_arch:build(", "of the form"),
        ("loaded_arch:build(width=open('x'))", "no literals"),
        ("loaded_arch:build(**{})", "no literals"),
        ("loaded_arch:build) or (f(1)", "of the form"),
        ("loaded_arch:build() or (f)()", "no literals"),
        ("loaded_arch:build(1, 2, 3, 4)", "TypeError"),
        ("missing.py:build", "there is no file"),
        ("no_such_module_anywhere:build", "ModuleNotFoundError"),
        ("loaded_arch:absent", "AttributeError"),
        ("loaded_arch:fails", "no such width"),
        ("loaded_arch:nothing", "returned int"),
    ],
)
def test_an_arch_that_makes_no_module(here: Path, arch: str, words: str) -> None:
    torch.save(net().state_dict(), "dict.pt")
    with pytest.raises(ConversionError, match=words):
        load("dict.pt", arch)


def test_arch_beside_a_whole_module(here: Path) -> None:
    torch.save(net(), "net.pt")
    with pytest.raises(FileError, match="leave out --arch"):
        load("net.pt", f"{ARCH}:build")
    torch.export.save(torch.export.export(net().eval(), (torch.zeros(2, 2, 4, 4),)), "net.pt2")
    with pytest.raises(FileError, match="leave out --arch"):
        load("net.pt2", f"{ARCH}:build")
    assert isinstance(load("net.pt2"), AtenGraph)


def test_the_import_path_is_left_as_it_was(here: Path) -> None:
    torch.save(net().state_dict(), "dict.pt")
    before = list(sys.path)
    load("dict.pt", f"{ARCH}:build")
    assert sys.path == before


def test_an_ordered_dict_of_python_2(here: Path) -> None:
    """Python 2 wrote the pairs of an OrderedDict as an argument."""
    torch.save({"a": torch.ones(1)}, "new.pt")
    body = b"\x80\x02ccollections\nOrderedDict\n]]X\x01\x00\x00\x00aK\x01ea\x85R."
    with pytest.raises(FileError, match="no tensors"):
        load(with_pickle(here / "new.pt", here / "old.pt", body.replace(b"]]X", b"]](X")))
    assert pickle.loads(body.replace(b"]]X", b"]](X")) == OrderedDict(a=1)


class Block(nn.Module):
    """Residual block of the published CIFAR networks: the shortcut takes every second pixel."""

    def __init__(self, inside: int, planes: int) -> None:
        super().__init__()
        stride = planes // inside
        self.conv1 = nn.Conv2d(inside, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.grow = (planes - inside) // 2

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        short = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.grow, self.grow)) if self.grow else x
        return F.relu(y + short)


class ResNet(nn.Module):
    def __init__(self, blocks: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16)
        widths = [(16, 16), (16, 32), (32, 64)]
        for number, (inside, planes) in enumerate(widths, 1):
            rest = [Block(planes, planes) for _ in range(blocks - 1)]
            self.add_module(f"layer{number}", nn.Sequential(Block(inside, planes), *rest))
        self.linear = nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn1(self.conv1(x)))
        for number in (1, 2, 3):
            y = self.get_submodule(f"layer{number}")(y)
        return self.linear(F.avg_pool2d(y, y.shape[3]).flatten(1))


def resnet20() -> nn.Module:
    return ResNet(3)


def resnet32() -> nn.Module:
    return ResNet(5)


def no_bias() -> nn.Module:
    def block(*layers: nn.Module) -> list[nn.Module]:
        return [*layers, nn.ReLU(), nn.AvgPool2d(2)]

    convolutions = [
        *block(nn.Conv2d(1, 20, 5, bias=False)),
        *block(nn.Conv2d(20, 32, 5, bias=False)),
        *block(nn.Conv2d(32, 128, 3, bias=False)),
    ]
    last = [nn.Linear(128, 500, bias=False), nn.ReLU(), nn.Linear(500, 10, bias=False)]
    return nn.Sequential(*convolutions, nn.Flatten(), *last)


def lenet() -> nn.Module:
    return nn.ModuleDict(
        {
            "conv1": nn.Conv2d(1, 10, 5),
            "conv2": nn.Conv2d(10, 20, 5),
            "fc1": nn.Linear(320, 50),
            "fc2": nn.Linear(50, 10),
        }
    )


@pytest.mark.parametrize(
    ("name", "arch", "shape"),
    [
        ("cifar10_resnet/resnet20-12fca82f.th", "resnet20", (2, 3, 32, 32)),
        ("cifar10_resnet/resnet32-d509ac18.th", "resnet32", (2, 3, 32, 32)),
        ("mnist_cnn_nobias/mnist_params.pt", "no_bias", (2, 1, 28, 28)),
        ("mnist_lenet/lenet_mnist_model.pth", "lenet", None),
    ],
)
def test_networks_trained_by_others(
    data_folder: Path, name: str, arch: str, shape: tuple[int, ...] | None
) -> None:
    path = data_folder / "pretrained" / name
    found = module(path, f"{__name__}:{arch}")
    wanted = torch.load(path, map_location="cpu", weights_only=True)
    wanted = wanted.get("state_dict", wanted)
    tensors = found.state_dict()
    assert all(torch.equal(tensors[key.removeprefix("module.")], value) for key, value in wanted.items())
    if shape is not None:
        assert found(torch.zeros(shape)).shape == (2, 10)

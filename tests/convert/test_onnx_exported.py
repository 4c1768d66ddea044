"""Networks as torch's own exporter writes them answer as the modules that they were, for any number of samples."""

from __future__ import annotations

import io
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn import functional as F

pytest.importorskip("onnx", reason="the extra `onnx` is not installed")

from spikeflow.convert.load.network_file import read
from spikeflow.convert.load.tree import FileNetwork
from spikeflow.errors import ConversionError


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(8, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.norm(self.conv(x)))


class Shuffle(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, c, h, w = x.shape
        x = x.view(b, 2, c // 2, h, w).transpose(1, 2).contiguous().view(b, c, h, w)
        left, right = x.chunk(2, 1)
        return torch.cat([left, torch.relu(right)], 1).mean([2, 3])


class UNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.down, self.up, self.last = nn.Conv2d(8, 16, 3, padding=1), nn.ConvTranspose2d(16, 8, 2, 2), nn.Conv2d(24, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        h = torch.relu(self.down(F.max_pool2d(x, 2)))
        wide = F.interpolate(h, size=x.shape[2:], mode="bilinear")[:, :8]
        return self.last(torch.cat([x, self.up(h), wide], 1))


class Token(nn.Module):
    """A token before others, as of a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.token, self.norm, self.last = nn.Parameter(torch.randn(1, 1, 8)), nn.LayerNorm(8), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        return self.last(F.gelu(self.norm(x))[:, 1])


class Merged(nn.Module):
    """Samples and channels in one axis, which no other batch has."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x.reshape(2 * 16, 12, 12).sum(2)).reshape(2, -1)


def _with(*parts: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), *parts).eval()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean, part.running_var = torch.randn(8), torch.rand(8) + 0.5
    return net


NETS = {
    "residual": lambda: _with(Residual(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5)),
    "shuffle": lambda: _with(Shuffle()),
    "u-net": lambda: _with(UNet()),
    "token": lambda: _with(Token()),
    "activations": lambda: _with(
        *(nn.LeakyReLU(0.1), nn.PReLU(8), nn.ELU(), nn.SELU(), nn.Softplus(), nn.GELU(), nn.Mish(), nn.SiLU(), nn.Hardswish()),
        *(nn.Hardtanh(), nn.GroupNorm(2, 8), nn.Upsample(scale_factor=2), nn.PixelShuffle(2), nn.ReflectionPad2d(1)),
        *(nn.ZeroPad2d((1, 2, 0, 3)), nn.AvgPool2d(3, 2, 1, count_include_pad=False), nn.MaxPool2d(3, 2, ceil_mode=True)),
        *(nn.Flatten(), nn.Softmax(1)),
    ),
}


def exported(net: nn.Module, path: Path, opset: int, opened: bool, samples: int = 1) -> Path:
    x, out = torch.zeros(samples, 3, 14, 14), io.BytesIO()
    axes = {"x": {0: "n"}} if opened else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(net, (x,), out, opset_version=opset, dynamo=False, input_names=["x"], dynamic_axes=axes)
    path.write_bytes(out.getvalue())
    return path


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize(("opset", "opened"), [(11, False), (11, True), (17, False), (17, True)])
def test_networks_as_torch_exports_them(name: str, opset: int, opened: bool, tmp_path: Path) -> None:
    net = NETS[name]()
    network = read(exported(net, tmp_path / "net.onnx", opset, opened)).network
    assert isinstance(network, FileNetwork)
    for samples in (1, 3):
        x = torch.randn(samples, 3, 14, 14)
        with torch.no_grad():
            torch.testing.assert_close(network(x), net(x), atol=1e-5, rtol=1e-5)


def test_a_network_of_its_own_batch_alone_is_told(tmp_path: Path) -> None:
    network = read(exported(_with(nn.Conv2d(8, 16, 1), Merged()), tmp_path / "net.onnx", 17, False, 2)).network
    assert isinstance(network, FileNetwork)
    with pytest.raises(ConversionError, match="written for 2 at a time.*dynamic_axes"):
        network(torch.zeros(3, 3, 14, 14))

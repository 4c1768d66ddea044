"""A small vision transformer of torch's own layers: patches, class token, positions, pre-norm encoder, GELU.

python examples/train_ann.py --network transformer --out vit   # about a minute for the digits of scikit-learn
"""

from __future__ import annotations

import torch
from torch import nn


class VisionTransformer(nn.Module):
    """Classes of square pictures ``(B, 1, size, size)``, cut into patches of 2 x 2."""

    def __init__(self, size: int = 8, width: int = 32, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.patches = nn.Conv2d(1, width, 2, stride=2)
        self.token = nn.Parameter(torch.zeros(1, 1, width))
        self.positions = nn.Parameter(0.02 * torch.randn(1, (size // 2) ** 2 + 1, width))
        layer = nn.TransformerEncoderLayer(
            width, heads, 2 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.classes = nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        rows = self.patches(x).flatten(2).transpose(1, 2)
        rows = torch.cat([self.token.expand(len(x), -1, -1), rows], dim=1) + self.positions
        return self.classes(self.norm(self.encoder(rows)[:, 0]))

"""Channels as blocks of pixels, and back; the place within a block comes before the channel, as in files."""

from __future__ import annotations

import torch


def blocks_to_pixels(x: torch.Tensor, size: int) -> torch.Tensor:
    """(B, size size C, H, W) as (B, C, size H, size W)."""
    b, c, h, w = x.shape
    each = int(c) // size**2
    x = x.reshape(b, size, size, each, h, w).permute(0, 3, 4, 1, 5, 2)
    return x.reshape(b, each, h * size, w * size)


def pixels_to_blocks(x: torch.Tensor, size: int) -> torch.Tensor:
    """(B, C, size H, size W) as (B, size size C, H, W)."""
    b, c, h, w = x.shape
    x = x.reshape(b, c, h // size, size, w // size, size).permute(0, 3, 5, 1, 2, 4)
    return x.reshape(b, c * size**2, h // size, w // size)

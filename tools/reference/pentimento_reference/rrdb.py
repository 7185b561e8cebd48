"""RRDBNet, the large enlarger of Real-ESRGAN. RGB in [0, 1]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DenseBlock(nn.Module):
    """Five convolutions, each of which sees the results of all before it."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        for i in range(1, 6):
            out = features if i == 5 else growth
            conv = nn.Conv2d(features + (i - 1) * growth, out, 3, padding=1)
            setattr(self, f"conv{i}", conv)

    def forward(self, x: Tensor) -> Tensor:
        parts = [x]
        for i in range(1, 5):
            conv: nn.Conv2d = getattr(self, f"conv{i}")
            parts.append(F.leaky_relu(conv(torch.cat(parts, 1)), 0.2))
        last: Tensor = self.conv5(torch.cat(parts, 1))
        return x + 0.2 * last


class Rrdb(nn.Module):
    """Three dense blocks with a residual around them."""

    def __init__(self, features: int, growth: int) -> None:
        super().__init__()
        self.rdb1 = DenseBlock(features, growth)
        self.rdb2 = DenseBlock(features, growth)
        self.rdb3 = DenseBlock(features, growth)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.rdb3(self.rdb2(self.rdb1(x)))
        return x + 0.2 * y


class RrdbNet(nn.Module):
    """RRDBNet for factor 4: [N, 3, H, W] → [N, 3, 4·H, 4·W]. The defaults are x4plus'."""

    def __init__(self, features: int = 64, growth: int = 32, blocks: int = 23) -> None:
        super().__init__()
        self.conv_first = nn.Conv2d(3, features, 3, padding=1)
        self.body = nn.Sequential(*(Rrdb(features, growth) for _ in range(blocks)))
        for name in ["conv_body", "conv_up1", "conv_up2", "conv_hr"]:
            setattr(self, name, nn.Conv2d(features, features, 3, padding=1))
        self.conv_last = nn.Conv2d(features, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        for up in [self.conv_up1, self.conv_up2]:
            x = F.leaky_relu(up(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        y: Tensor = self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))
        return y

"""StyleGAN2's residual discriminator with equalised learning rates, for faces and their parts."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from pentimento_reference.stylegan2 import EqualLinear, fused_leaky_relu
from torch import Tensor, nn


class EqualConv(nn.Module):
    """A convolution whose weights are scaled by 1/√fan-in as it runs; padding keeps the size."""

    def __init__(self, c_in: int, c_out: int, kernel: int, bias: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c_out, c_in, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(c_out)) if bias else None
        self.scale = 1 / math.sqrt(c_in * kernel**2)
        self.padding = kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, self.weight * self.scale, self.bias, padding=self.padding)


class ResidualBlock(nn.Module):
    """[N, c_in, H, W] → [N, c_out, H/2, W/2]: two 3×3 convolutions beside a 1×1."""

    def __init__(self, c_in: int, c_out: int) -> None:
        super().__init__()
        self.first = EqualConv(c_in, c_in, 3)
        self.second = EqualConv(c_in, c_out, 3)
        self.skip = EqualConv(c_in, c_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        y = F.avg_pool2d(fused_leaky_relu(self.first(x)), 2)
        y = fused_leaky_relu(self.second(y))
        return (y + self.skip(F.avg_pool2d(x, 2))) / math.sqrt(2)


def batch_deviation(x: Tensor, group: int = 4) -> Tensor:
    """One more channel: the mean standard deviation over groups of the batch."""
    n, c, h, w = x.shape
    group = math.gcd(n, group)
    y = x.view(group, n // group, c, h, w)
    deviation = (y.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3), keepdim=True)
    return torch.cat([x, deviation.repeat(group, 1, h, w)], 1)


class Opinion(NamedTuple):
    """What a discriminator makes of pictures."""

    logits: list[Tensor]
    """[N, places] each, positive for what looks real: of the whole, and of its patches if asked for."""
    features: list[Tensor]
    """Behind every block."""


class Discriminator(nn.Module):
    """[N, C, S, S] in [-1, 1] → its opinion.

    `width` is that of the full resolution; each halving doubles it up to `most`. The picture is
    unshuffled by `unshuffle` first, which saves the work at high resolutions. With `patches` the
    features of that side are judged place by place too: textures, where the whole is about shapes.
    `channels` are 3, or 6 where pictures are judged beside what they were made of.
    """

    def __init__(
        self,
        size: int,
        width: int,
        most: int,
        unshuffle: int,
        patches: int = 0,
        channels: int = 3,
    ) -> None:
        super().__init__()
        self.unshuffle = unshuffle
        side = size // unshuffle
        self.first = EqualConv(channels * unshuffle**2, width, 1)
        blocks, sides = [], []
        self.patches = patches
        while side > 4:
            blocks.append(ResidualBlock(width, min(2 * width, most)))
            width, side = min(2 * width, most), side // 2
            sides.insert(0, side)
            if side == patches:
                self.patch = EqualConv(width, 1, 1)
        if patches and patches not in sides:
            raise ValueError(f"patches: no features have a side of {patches}, only of {sides}")
        self.blocks = nn.Sequential(*blocks)
        self.last = EqualConv(width + 1, width, 3)
        self.hidden = EqualLinear(width * 16, width)
        self.out = EqualLinear(width, 1)

    def forward(self, x: Tensor) -> Opinion:
        x = fused_leaky_relu(self.first(F.pixel_unshuffle(x, self.unshuffle)))
        features, logits = [], []
        for block in self.blocks:
            x = block(x)
            features.append(x)
            if x.shape[-1] == self.patches:
                logits.append(self.patch(x).flatten(1).float())
        x = fused_leaky_relu(self.last(batch_deviation(x)))
        whole = self.out(fused_leaky_relu(self.hidden(x.flatten(1)))).float()
        return Opinion([whole, *logits], features)

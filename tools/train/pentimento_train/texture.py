"""Textures as local spectra: how strong waves of each length and direction are, wherever exactly.

What was lost at ×8 cannot be drawn where it was: a loss that compares pixels asks for its mean, which
is smooth. The strength of its waves asks for hair that runs where hair ran, and for nothing that was not
there, as patterns are.
"""

from __future__ import annotations

import itertools
import math
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from .degradation import luma
from .losses import feature_distance

SIDE = 16
"""Of the windows, in pixels; they overlap by half."""

AREA = 3
"""Windows a side over which the power of a wave is averaged: a texture is what holds for an area."""

RINGS = (0.9, 1.9, 3.1, 4.6, 6.5, 12.0)
"""Bounds of the bands' frequencies, in waves per window: lengths from 16 pixels to 2."""

FLOOR = 1e-3
"""Power of a band that counts as none, about what rounding to bytes makes; its waves share it."""


@cache
def waves(side: int) -> tuple[Tensor, list[int]]:
    """Filters [2 · waves, 1, side, side] and how many of the waves are in each band, low ones first.

    The filters are the windowed discrete Fourier transform's real parts, then its imaginary parts, blind
    to the window's mean. Bands without a wave, as of windows of few pixels, are left out.
    """
    down, across = torch.meshgrid(
        torch.fft.fftfreq(side, 1 / side), torch.fft.rfftfreq(side, 1 / side), indexing="ij"
    )
    down, across = down.flatten(), across.flatten()
    radius = (across.square() + down.square()).sqrt()
    bands = [
        ((radius >= low) & (radius < high)).nonzero()[:, 0]
        for low, high in itertools.pairwise(RINGS)
    ]
    order = torch.cat(bands)
    place = torch.arange(side) * (2 * math.pi / side)
    phase = down[order, None, None] * place[:, None] + across[order, None, None] * place
    taper = torch.hann_window(side)
    filters = torch.cat([phase.cos(), phase.sin()]) * (taper * taper[:, None])
    filters = filters - filters.mean((1, 2), keepdim=True)
    return filters[:, None], [len(b) for b in bands if len(b)]


def strengths(x: Tensor) -> list[Tensor]:
    """[N, 3, H, W] in [-1, 1] → per band [N, waves, areas, areas]: root of each wave's power in luma."""
    side = min(SIDE, *x.shape[-2:])
    filters, counts = waves(side)
    parts = F.conv2d(luma(x), filters.to(x.device), stride=max(1, side // 2))
    real, imaginary = parts.square().chunk(2, 1)
    power = real + imaginary
    power = F.avg_pool2d(power, min(AREA, *power.shape[-2:]), 1)
    return [(p + FLOOR / p.shape[1]).sqrt() for p in power.split(counts, 1)]


def texture_distance(x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """How differently strong waves are in areas of pictures [N, 3, H, W], relative to `y`.

    Every wave for itself: a single one in place of its band's, as in a mesh, is no texture. Every band
    counts alike, and a sample by its `weight` [N].
    """
    return feature_distance(strengths(x), strengths(y), weight)

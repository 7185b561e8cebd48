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

RINGS = (0.9, 1.9, 3.1, 4.6, 6.5, 12.0)
"""Bounds of the bands' frequencies, in waves per window: lengths from 16 pixels to 2."""

DIRECTIONS = 4

FLOOR = 1e-3
"""Power of a band that counts as none: about what rounding to bytes makes."""


@cache
def waves(side: int) -> tuple[Tensor, Tensor]:
    """Filters [2 · waves, 1, side, side] and the waves' bands [bands, waves], 0 or 1.

    The filters are the windowed discrete Fourier transform's real parts, then its imaginary parts, blind
    to the window's mean. Bands without a wave, as of windows of few pixels, are left out.
    """
    down, across = torch.meshgrid(
        torch.fft.fftfreq(side, 1 / side), torch.fft.rfftfreq(side, 1 / side), indexing="ij"
    )
    down, across = down.flatten(), across.flatten()
    radius = (across.square() + down.square()).sqrt()
    sector = (torch.atan2(down, across) / (math.pi / DIRECTIONS)).round().remainder(DIRECTIONS)
    bands = torch.stack(
        [
            (radius >= low) & (radius < high) & (sector == d)
            for low, high in itertools.pairwise(RINGS)
            for d in range(DIRECTIONS)
        ]
    )
    used = bands.any(0)
    place = torch.arange(side) * (2 * math.pi / side)
    phase = down[used, None, None] * place[:, None] + across[used, None, None] * place
    taper = torch.hann_window(side)
    filters = torch.cat([phase.cos(), phase.sin()]) * (taper * taper[:, None])
    filters = filters - filters.mean((1, 2), keepdim=True)
    return filters[:, None], bands[bands.any(1)][:, used].float()


def strengths(x: Tensor) -> Tensor:
    """[N, 3, H, W] in [-1, 1] → [N, bands, windows, windows]: root of each band's power in luma."""
    side = min(SIDE, *x.shape[-2:])
    filters, bands = (t.to(x.device) for t in waves(side))
    parts = F.conv2d(luma(x), filters, stride=max(1, side // 2))
    real, imaginary = parts.square().chunk(2, 1)
    return (F.conv2d(real + imaginary, bands[:, :, None, None]) + FLOOR).sqrt()


def texture_distance(x: Tensor, y: Tensor, weight: Tensor | None = None) -> Tensor:
    """How differently strong waves are in windows of pictures [N, 3, H, W], relative to `y`.

    Every band counts alike, and a sample by its `weight` [N].
    """
    own, wanted = strengths(x), strengths(y)
    return feature_distance(list(own.unbind(1)), list(wanted.unbind(1)), weight)

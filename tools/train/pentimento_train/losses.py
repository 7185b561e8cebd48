"""Restoration losses on [N, 3, H, W] in [-1, 1]; each returns a scalar."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class LossConfig:
    """Weight of each term."""

    charbonnier: float
    multi_scale: float
    gradient: float
    frequency: float


def charbonnier(x: Tensor, y: Tensor) -> Tensor:
    """mean √((x − y)² + 10⁻⁶): L1 that is smooth at zero."""
    return ((x - y).square() + 1e-6).sqrt().mean()


def multi_scale(x: Tensor, y: Tensor) -> Tensor:
    """Charbonnier on means over 2×2, 4×4 and 8×8 pixels: colour and large shapes."""
    total = x.new_zeros(())
    for _ in range(3):
        x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
        total = total + charbonnier(x, y)
    return total / 3


def gradient(x: Tensor, y: Tensor) -> Tensor:
    """Charbonnier on horizontal and vertical differences of neighbours: edges."""
    d = x - y
    rows, columns = d[..., 1:, :] - d[..., :-1, :], d[..., 1:] - d[..., :-1]
    zero = x.new_zeros(())
    return (charbonnier(rows, zero) + charbonnier(columns, zero)) / 2


def focal_frequency(x: Tensor, y: Tensor) -> Tensor:
    """Focal frequency loss (Jiang et al., arXiv 2012.12821), α = 1, over the half spectrum.

    Squared distance of the orthonormal spectra, weighted by its own root relative to the largest.
    """
    distance = torch.fft.rfft2(x - y, norm="ortho").abs()
    weight = distance.detach()
    weight = weight / weight.amax((-2, -1), keepdim=True).clamp_min(1e-12)
    return (weight * distance.square()).mean()


def restoration_loss(x: Tensor, y: Tensor, config: LossConfig) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum, and the unweighted terms by name."""
    terms = {
        "charbonnier": charbonnier(x, y),
        "multi_scale": multi_scale(x, y),
        "gradient": gradient(x, y),
        "frequency": focal_frequency(x, y),
    }
    total = torch.stack([getattr(config, k) * v for k, v in terms.items()]).sum()
    return total, terms

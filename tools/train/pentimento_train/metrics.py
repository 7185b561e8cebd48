"""PSNR and SSIM of 8-bit pictures; inputs uint8 [N, 3, H, W], results per picture [N]."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def psnr(x: Tensor, y: Tensor) -> Tensor:
    """10·log10(255² / mean squared error over the three channels), in dB."""
    error = (x.double() - y.double()).square().mean((1, 2, 3))
    return 10 * torch.log10(255.0**2 / error)


def ssim(x: Tensor, y: Tensor) -> Tensor:
    """Wang et al. 2004: Gaussian window 11×11 with sigma 1.5, valid area, mean over channels."""
    axis = torch.arange(11, dtype=torch.float64) - 5
    taps = torch.exp(-axis.square() / (2 * 1.5**2))
    taps = taps / taps.sum()

    def window(v: Tensor) -> Tensor:
        v = F.conv2d(v.flatten(0, 1)[:, None], taps[None, None, :, None])
        return F.conv2d(v, taps[None, None, None, :])

    a, b = x.double(), y.double()
    mean_a, mean_b = window(a), window(b)
    var_a = window(a * a) - mean_a.square()
    var_b = window(b * b) - mean_b.square()
    covariance = window(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    score = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    score = score / ((mean_a.square() + mean_b.square() + c1) * (var_a + var_b + c2))
    return score.mean((1, 2, 3)).view(x.shape[0], x.shape[1]).mean(1)

"""Blur kernels [k, k] with sum 1 and odd k, and their application."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def _grid(radius: int) -> tuple[Tensor, Tensor]:
    axis = torch.arange(-radius, radius + 1, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return y, x


def gaussian_kernel(sigma_x: float, sigma_y: float, angle: float) -> Tensor:
    """A Gaussian turned by `angle`, wide enough for 2.5 sigma; isotropic where the widths agree."""
    y, x = _grid(max(1, math.ceil(2.5 * max(sigma_x, sigma_y))))
    cos, sin = math.cos(angle), math.sin(angle)
    u, v = (cos * x + sin * y) / sigma_x, (cos * y - sin * x) / sigma_y
    kernel = torch.exp(-0.5 * (u * u + v * v))
    return kernel / kernel.sum()


def motion_kernel(length: float, angle: float) -> Tensor:
    """A straight movement over `length` pixels: a segment one pixel wide with soft edges."""
    y, x = _grid(max(1, math.ceil(length / 2)))
    along = math.cos(angle) * x + math.sin(angle) * y
    across = math.cos(angle) * y - math.sin(angle) * x
    # The soft ends add half a pixel each.
    beyond = (along.abs() - max(0.0, length - 1) / 2).clamp(min=0)
    kernel = (1 - torch.hypot(beyond, across)).clamp(min=0)
    return kernel / kernel.sum()


def defocus_kernel(radius: float) -> Tensor:
    """A disc, the picture of a point out of focus, with an edge one pixel soft."""
    y, x = _grid(max(1, math.ceil(radius)))
    kernel = (radius + 0.5 - torch.hypot(x, y)).clamp(0, 1)
    return kernel / kernel.sum()


def blur(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolves [3, H, H] with [k, k] under reflected edges, by FFT: k reaches 60.

    A kernel that is wider than the picture loses its rim, because an edge reflects only once.
    """
    radius = kernel.shape[0] // 2
    most = x.shape[-1] - 1
    if radius > most:
        kernel = kernel[radius - most : radius + most + 1, radius - most : radius + most + 1]
        kernel, radius = kernel / kernel.sum(), most
    padded = F.pad(x[:, None], (radius,) * 4, mode="reflect")[:, 0]
    shape = (padded.shape[-2], padded.shape[-1])
    product = torch.fft.rfft2(padded) * torch.fft.rfft2(kernel, s=shape)
    return torch.fft.irfft2(product, s=shape)[:, 2 * radius :, 2 * radius :]

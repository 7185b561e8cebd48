"""Degradations ((x ⊗ k)↓f + n)_JPEG, then bicubic back to the original side.

Every random choice comes from the NumPy generator passed in, so a seed fixes the picture.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor


@dataclass(frozen=True)
class DegradationConfig:
    """Ranges each parameter is drawn from, uniformly except `factor` (uniform in its logarithm)."""

    factor: tuple[float, float]
    blur_sigma_per_factor: tuple[float, float]
    noise_sigma: tuple[float, float]
    jpeg_quality: tuple[int, int]


def gaussian_kernel(sigma_x: float, sigma_y: float, angle: float) -> Tensor:
    """Normalised rotated Gaussian [k, k], k odd and wide enough for 2.5 sigma."""
    radius = max(1, math.ceil(2.5 * max(sigma_x, sigma_y)))
    axis = torch.arange(-radius, radius + 1, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    cos, sin = math.cos(angle), math.sin(angle)
    u, v = (cos * x + sin * y) / sigma_x, (cos * y - sin * x) / sigma_y
    kernel = torch.exp(-0.5 * (u * u + v * v))
    return kernel / kernel.sum()


def blur(x: Tensor, kernel: Tensor) -> Tensor:
    """Convolves [3, H, H] with [k, k] under reflected edges, by FFT: k reaches 31."""
    radius = kernel.shape[0] // 2
    padded = F.pad(x[:, None], (radius,) * 4, mode="reflect")[:, 0]
    shape = (padded.shape[-2], padded.shape[-1])
    product = torch.fft.rfft2(padded) * torch.fft.rfft2(kernel, s=shape)
    return torch.fft.irfft2(product, s=shape)[:, 2 * radius :, 2 * radius :]


def resize(x: Tensor, side: int, mode: str) -> Tensor:
    """[3, H, W] → [3, side, side]; `mode` is area, bilinear or bicubic (antialiased)."""
    if mode == "area":
        return F.interpolate(x[None], (side, side), mode="area")[0]
    return F.interpolate(x[None], (side, side), mode=mode, antialias=True)[0]


def to_bytes(x: Tensor) -> Tensor:
    """[-1, 1] → uint8, clamped and rounded."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(x: Tensor) -> Tensor:
    """uint8 → [-1, 1]."""
    return x.float() / 127.5 - 1


def jpeg(x: Tensor, quality: int) -> Tensor:
    """Through a JPEG file and back: [3, H, W] in [-1, 1] → the same."""
    buffer = io.BytesIO()
    Image.fromarray(to_bytes(x).permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=quality)
    decoded = np.array(Image.open(buffer).convert("RGB"))
    return from_bytes(torch.from_numpy(decoded).permute(2, 0, 1))


def degrade(x: Tensor, config: DegradationConfig, rng: np.random.Generator) -> Tensor:
    """[3, H, H] in [-1, 1] → a degraded picture of the same shape, on the 8-bit grid."""
    side = x.shape[-1]
    low, high = config.factor
    factor = math.exp(rng.uniform(math.log(low), math.log(high)))
    sigmas = rng.uniform(*config.blur_sigma_per_factor, size=2) * factor
    kernel = gaussian_kernel(sigmas[0], sigmas[1], rng.uniform(0, math.pi))
    mode = ("area", "bilinear", "bicubic")[rng.integers(3)]
    small = resize(blur(x, kernel), max(4, round(side / factor)), mode)
    sigma = rng.uniform(*config.noise_sigma) / 127.5
    channels = 1 if rng.random() < 0.3 else 3
    noise = rng.standard_normal((channels, *small.shape[1:]), dtype=np.float32)
    small = small + sigma * torch.from_numpy(noise)
    small = jpeg(small, int(rng.integers(config.jpeg_quality[0], config.jpeg_quality[1] + 1)))
    return from_bytes(to_bytes(resize(small, side, "bicubic")))

"""What software does to a small photo before anybody restores it. Pictures are [3, H, W] in [-1, 1]."""

from __future__ import annotations

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from .blur import gaussian_kernel

Generator = np.random.Generator


def _shifted(x: Tensor, radius: int) -> tuple[Tensor, list[tuple[int, int]]]:
    """[(2r + 1)², 3, H, W]: the picture seen from every place within `radius`, and the places."""
    height, width = x.shape[-2:]
    padded = F.pad(x[None], (radius,) * 4, mode="replicate")[0]
    places = [(dy, dx) for dy in range(-radius, radius + 1) for dx in range(-radius, radius + 1)]
    seen = [
        padded[:, radius + dy : radius + dy + height, radius + dx : radius + dx + width]
        for dy, dx in places
    ]
    return torch.stack(seen), places


def median(x: Tensor, radius: int) -> Tensor:
    """The middle value of every channel in a square."""
    return _shifted(x, radius)[0].median(0).values


def bilateral(x: Tensor, radius: int, tolerance: float) -> Tensor:
    """The mean of what is near in place and in colour; `tolerance` is the colours' deviation."""
    seen, places = _shifted(x, radius)
    distance = (seen - x).square().mean(1, keepdim=True)
    near = x.new_tensor([math.exp(-0.5 * (dy * dy + dx * dx) / radius**2) for dy, dx in places])
    weight = near[:, None, None, None] * torch.exp(-0.5 * distance / tolerance**2)
    return (weight * seen).sum(0) / weight.sum(0)


def non_local_means(x: Tensor, radius: int, tolerance: float) -> Tensor:
    """The mean of what has like neighbours of 3×3 pixels (Buades et al. 2005), within `radius`."""
    seen, _ = _shifted(x, radius)
    distance = (seen - x).square().mean(1, keepdim=True)
    distance = F.avg_pool2d(distance, 3, 1, 1, count_include_pad=False)
    weight = torch.exp(-distance / tolerance**2)
    return (weight * seen).sum(0) / weight.sum(0)


def waxy(x: Tensor, rng: Generator) -> Tensor:
    """Denoised until skin is wax: by a median, a bilateral filter or non-local means."""
    kind = rng.integers(3)
    if kind == 0:
        out = median(x, int(rng.integers(1, 3)))
    elif kind == 1:
        out = bilateral(x, int(rng.integers(2, 4)), rng.uniform(0.08, 0.3))
    else:
        out = non_local_means(x, int(rng.integers(2, 4)), rng.uniform(0.06, 0.25))
    return torch.lerp(x, out, float(rng.uniform(0.6, 1.0)))


def sharpened(x: Tensor, rng: Generator) -> Tensor:
    """An unsharp mask that is too strong: halos on both sides of every edge, clipped."""
    sigma, amount = rng.uniform(0.5, 1.6), rng.uniform(0.4, 1.7)
    kernel = gaussian_kernel(sigma, sigma, 0.0).to(x)
    radius = min(kernel.shape[0] // 2, x.shape[-1] - 1)
    middle = kernel.shape[0] // 2
    kernel = kernel[middle - radius : middle + radius + 1, middle - radius : middle + radius + 1]
    kernel = kernel / kernel.sum()
    padded = F.pad(x[:, None], (radius,) * 4, mode="reflect")
    soft = F.conv2d(padded, kernel[None, None])[:, 0]
    return (x + amount * (x - soft)).clamp(-1, 1)


def rescaled(x: Tensor, rng: Generator) -> Tensor:
    """Enlarged and reduced again by filters that do not suit, once or several times, to its own side.

    Nearest neighbours leave steps, and reduction without a filter leaves aliases.
    """
    side = x.shape[-1]
    for _ in range(rng.integers(1, 4)):
        for between in (max(4, round(side * rng.uniform(0.6, 2.5))), side):
            mode = ("nearest", "bilinear", "bicubic")[rng.integers(3)]
            plain = {} if mode == "nearest" else {"align_corners": False}
            x = F.interpolate(x[None], (between, between), mode=mode, **plain)[0]
    return x.clamp(-1, 1)

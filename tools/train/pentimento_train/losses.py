"""Restoration losses on [N, 3, H, W] in [-1, 1]; each returns a scalar."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .degradation import luma


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


def structure(x: Tensor, y: Tensor, scales: int = 4) -> Tensor:
    """1 − the mean contrast-structure part of SSIM on luma, over scales halved each time.

    Wang et al., "Multi-scale structural similarity" (2003), without the luminance part, which the
    other terms cover, with a mean in place of the product, whose gradient vanishes early, and with
    uniform windows of 8×8 every 4 pixels, which a CPU computes much faster than Gaussian ones. Scales
    smaller than the window are left out.
    """
    a, b = luma(x), luma(y)
    # (0.03 · the range)²: the range of [-1, 1] is 2.
    c2 = (0.03 * 2) ** 2
    scores = []
    for scale in range(scales):
        if scale:
            a, b = F.avg_pool2d(a, 2), F.avg_pool2d(b, 2)
        if a.shape[-1] < 8:
            break
        maps = F.avg_pool2d(torch.cat([a, b, a * a, b * b, a * b]), 8, 4)
        mean_a, mean_b, square_a, square_b, product = maps.chunk(5)
        variances = square_a - mean_a.square() + square_b - mean_b.square()
        scores.append(((2 * (product - mean_a * mean_b) + c2) / (variances + c2)).mean())
    return 1 - torch.stack(scores).mean()


def checkerboard(x: Tensor, y: Tensor, period: int = 2, window: int = 4) -> Tensor:
    """Mean square of how far pixels in the same place of a period are off together, in a window.

    Patterns of this period, as sub-pixel convolutions by as much leave them. A window has `window`
    periods a side: what is off here and there, as invented hair is, nearly vanishes in its
    mean, and the square makes little of the rest. The window's mean error does not count at all.
    """
    places = F.avg_pool2d(F.pixel_unshuffle(x - y, period), window).unflatten(1, (-1, period**2))
    return (places - places.mean(2, keepdim=True)).square().mean()


def feature_distance(x: list[Tensor], y: list[Tensor], weight: Tensor | None = None) -> Tensor:
    """Mean over pairs [N, …] of mean |x − y| / mean |y|: the scale of each feature does not count.

    A sample counts by its `weight` [N].
    """
    distances = torch.stack(
        [
            (a - b).abs().flatten(1).mean(1) / b.abs().mean().clamp_min(1e-6)
            for a, b in zip(x, y, strict=True)
        ]
    ).mean(0)
    return distances.mean() if weight is None else (weight * distances).mean()


def balancing(given: Tensor, wanted: Tensor, most: float = 3.0) -> Tensor:
    """[N, 1, 1, 1]: weights that make samples count alike, however badly each was degraded.

    In proportion to 1 / mean |given − wanted|, within `1/most` to `most`, with a mean of 1. With them
    a sum of L1 losses falls as the mean PSNR rises; without them serious samples drown the mild ones.
    """
    error = (given - wanted).abs().mean((1, 2, 3), keepdim=True).clamp_min(1e-6)
    weights = (error.mean() / error).clamp(1 / most, most)
    return weights / weights.mean()


def severity(given: Tensor, wanted: Tensor, none: float = 0.06, full: float = 0.1) -> Tensor:
    """[N]: where mean |given − wanted| lies between `none` and `full`, 0 to 1.

    What is hardly degraded shows what was there, and invention would only take away from it: at ×2
    about 0.055 is lost. About `full` is lost at ×8.
    """
    lost = (given - wanted).abs().mean((1, 2, 3))
    return ((lost - none) / (full - none)).clamp(0.0, 1.0)


PICTURE_TERMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "charbonnier": charbonnier,
    "multi_scale": multi_scale,
    "gradient": gradient,
    "frequency": focal_frequency,
    "structure": structure,
    "checkerboard": checkerboard,
}
"""Terms that compare two pictures, by the name of their weight."""


def picture_loss(
    x: Tensor, y: Tensor, weights: Mapping[str, float], scale: Tensor | None = None
) -> tuple[Tensor, dict[str, Tensor]]:
    """The weighted sum of the terms that have a weight, and the unweighted terms by name.

    `scale` [N, 1, 1, 1] multiplies the samples' differences; `structure` compares pictures without it.
    """
    scaled = (x, y) if scale is None else (x * scale, y * scale)
    terms = {
        k: f(*((x, y) if f is structure else scaled))
        for k, f in PICTURE_TERMS.items()
        if weights.get(k, 0.0) > 0
    }
    total = sum((weights[k] * v for k, v in terms.items()), x.new_zeros(()))
    return total, terms

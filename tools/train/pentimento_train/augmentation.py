"""Adaptive discriminator augmentation (Karras et al., arXiv 2006.06676) for small sets of faces."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

TARGET = 0.6
"""Wanted mean sign of the real logits; above it the discriminator knows its pictures by heart."""


class Augmentation:
    """Shift, zoom, turn, brightness, contrast and saturation, each with probability `p`.

    Differentiable, drawn anew for every picture. `adapt` moves `p` so that the real logits keep
    their mean sign at `TARGET`; it takes `pictures_to_full` pictures from 0 to 1.
    """

    def __init__(self, pictures_to_full: float, generator: torch.Generator) -> None:
        self.p = 0.0
        self.pictures_to_full = pictures_to_full
        self.generator = generator

    def adapt(self, real_logits: Tensor) -> None:
        """After a step of the discriminator."""
        sign = real_logits.sign().mean().item()
        step = len(real_logits) / self.pictures_to_full
        self.p = min(0.8, max(0.0, self.p + math.copysign(step, sign - TARGET)))

    def _draw(self, count: int, deviation: float) -> Tensor:
        """Normal values, zero where the coin says that nothing happens."""
        values = torch.randn(count, generator=self.generator) * deviation
        return values * (torch.rand(count, generator=self.generator) < self.p)

    def __call__(self, x: Tensor) -> Tensor:
        """[N, 3, S, S] → the same shape."""
        if self.p == 0:
            return x
        n = len(x)
        zoom, angle = torch.exp2(self._draw(n, 0.2)), self._draw(n, 0.26)
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        shift = self._draw(n, 0.125), self._draw(n, 0.125)
        rows = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], 1)
        grid = F.affine_grid(rows.view(n, 2, 3).to(x), list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, padding_mode="reflection", align_corners=False)
        brightness, contrast, saturation = (self._draw(n, v) for v in (0.2, 0.5, 1.0))
        x = x * torch.exp2(contrast).to(x)[:, None, None, None]
        luma = x.mean(1, keepdim=True)
        x = luma + (x - luma) * torch.exp2(saturation).to(x)[:, None, None, None]
        return x + brightness.to(x)[:, None, None, None]

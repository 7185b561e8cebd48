"""Adaptive discriminator augmentation (Karras et al., arXiv 2006.06676) for small sets of faces."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from . import parallel

TARGET = 0.6
"""Wanted mean sign of the real logits; above it the discriminator knows its pictures by heart."""


Change = Callable[[Tensor], Tensor]
"""[N, C, S, S], of one or more pictures with three channels each → the same shape."""


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
        sign = real_logits.sign().mean()
        parallel.average([sign])
        step = len(real_logits) * parallel.processes() / self.pictures_to_full
        self.p = min(0.8, max(0.0, self.p + math.copysign(step, sign.item() - TARGET)))

    def _draw(self, count: int, deviation: float) -> Tensor:
        """Normal values, zero where the coin says that nothing happens."""
        values = torch.randn(count, generator=self.generator) * deviation
        return values * (torch.rand(count, generator=self.generator) < self.p)

    def _shift(self) -> Change:
        """By 0 to 7 pixels, always: without it a discriminator's strides keep step with the pixels
        of a generator's sub-pixel convolutions, whose every place then learns for itself."""
        rows, columns = torch.randint(8, (2,), generator=self.generator).tolist()

        def shift(x: Tensor) -> Tensor:
            moved = F.pad(x, (0, columns, 0, rows), mode="reflect")
            return moved[..., rows:, columns:]

        return shift

    def draw(self, n: int) -> Change:
        """What is to happen to `n` pictures."""
        shift = self._shift()
        if self.p == 0:
            return shift
        zoom, angle = torch.exp2(self._draw(n, 0.2)), self._draw(n, 0.26)
        cos, sin = zoom * angle.cos(), zoom * angle.sin()
        right, down = self._draw(n, 0.125), self._draw(n, 0.125)
        rows = torch.stack([cos, -sin, right, sin, cos, down], 1)
        colours = [self._draw(n, v)[:, None, None, None] for v in (0.2, 0.5, 1.0)]

        def change(x: Tensor) -> Tensor:
            brightness, contrast, saturation = (v.to(x) for v in colours)
            grid = F.affine_grid(rows.view(n, 2, 3).to(x), list(x.shape), align_corners=False)
            x = F.grid_sample(shift(x), grid, padding_mode="reflection", align_corners=False)
            x = x * torch.exp2(contrast)
            x = x.unflatten(1, (-1, 3))
            luma = x.mean(2, keepdim=True)
            x = luma + (x - luma) * torch.exp2(saturation)[..., None]
            return x.flatten(1, 2) + brightness

        return change

"""Other light and colours for a face, so that it is not known by them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .degradation import luma


@dataclass(frozen=True)
class Light:
    """Deviations of what changes, and the part of the faces that are changed."""

    part: float
    gamma: float
    """Of the logarithm."""
    gain: float
    """Of a channel's brightness, in logarithms; half of it belongs to all channels."""
    saturation: float
    """Of the logarithm."""
    slope: float
    """Of the logarithm of the light between the middle and an edge: lamps and windows are at one side."""

    def change(self, x: Tensor, rng: np.random.Generator) -> Tensor:
        """[3, S, S] in [-1, 1] in another light."""
        if rng.random() >= self.part:
            return x
        light = (x.clamp(-1, 1) + 1) / 2
        light = light ** float(np.exp(rng.normal(0, self.gamma)))
        gains = np.exp(rng.normal(0, self.gain / 2) + rng.normal(0, self.gain / 2, 3))
        side = x.shape[-1]
        axis = torch.linspace(-1, 1, side)
        across, down = rng.normal(0, self.slope, 2)
        slope = torch.exp(float(across) * axis + float(down) * axis[:, None])
        light = light * x.new_tensor(gains)[:, None, None] * slope
        grey = luma(light)
        light = grey + (light - grey) * float(np.exp(rng.normal(0, self.saturation)))
        # What would be clipped is pressed together instead, as film does.
        high = light.clamp(min=0.9) - 0.9
        light = light.clamp(0, 0.9) + 0.1 * (1 - torch.exp(-high / 0.1))
        return (2 * light - 1).clamp(-1, 1)

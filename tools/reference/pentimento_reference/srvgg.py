"""SRVGGNetCompact: Real-ESRGAN's small enlarger, a plain stack of 3×3 convolutions.

Tensor names are those of the published checkpoints (`body.N.weight`); widths and depth are read off
the tensors.
"""

from __future__ import annotations

import math
from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn


class Srvgg(nn.Module):
    """RGB [N, 3, H, W] in [0, 1] → [N, 3, scale·H, scale·W], nominally in [0, 1].

    The defaults are realesr-general-x4v3's.
    """

    def __init__(self, width: int = 64, convs: int = 32, scale: int = 4) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), nn.PReLU(width)]
        for _ in range(convs):
            layers += [nn.Conv2d(width, width, 3, padding=1), nn.PReLU(width)]
        layers.append(nn.Conv2d(width, 3 * scale**2, 3, padding=1))
        self.body = nn.ModuleList(layers)
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.scale) + F.interpolate(x, scale_factor=self.scale)


def load_checkpoint(file: Path) -> Srvgg:
    """The network in a safetensors file, in float32."""
    tensors = {k: v.float() for k, v in load_file(file).items()}
    last = max(int(k.split(".")[1]) for k in tensors)
    scale = math.isqrt(tensors[f"body.{last}.weight"].shape[0] // 3)
    model = Srvgg(tensors["body.0.weight"].shape[0], last // 2 - 1, scale)
    model.load_state_dict(tensors)
    return model.eval()

"""Smooth random pictures in the place of faces."""

from __future__ import annotations

import torch
from torch import Tensor

from pentimento_train.alignment import TEMPLATE
from pentimento_train.data import Source
from pentimento_train.degradation import to_bytes
from pentimento_train.run_config import RunConfig


def picture(seed: int, side: int) -> Tensor:
    """uint8 [3, side, side]."""
    coarse = torch.rand(1, 3, 5, 5, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bicubic")
    return to_bytes(smooth[0])


def faces(count: int, side: int) -> Tensor:
    """uint8 [count, 3, side, side]."""
    return torch.stack([picture(i, side) for i in range(count)])


def source(count: int, config: RunConfig) -> Source:
    """Pictures under a run's jitter and degradation, with the template's landmarks."""
    pictures = faces(count, config.model.size)
    return Source(pictures, TEMPLATE.repeat(count, 1, 1), config.jitter, config.degradation)

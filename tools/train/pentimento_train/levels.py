"""The evaluation's degradations: ×2 mild, ×4, ×8 serious, seeded by level and by place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from .degradation import (
    DegradationConfig,
    Strength,
    degrade_small,
    enlarge,
    from_bytes,
    to_bytes,
)

LEVELS = (2, 4, 8)
SEED = 20220514

MILD = Strength(
    factor=(2, 2),
    gaussian_sigma=(0.1, 0.5),
    motion_length=(0.5, 1.5),
    defocus_radius=(0.2, 0.6),
    noise_sigma=(0, 4),
    poisson_sigma=(0.5, 4),
    quality=(75, 95),
)
SERIOUS = Strength(
    factor=(8, 8),
    gaussian_sigma=(0.3, 0.9),
    motion_length=(1, 3),
    defocus_radius=(0.5, 1.2),
    noise_sigma=(2, 12),
    poisson_sigma=(2, 12),
    quality=(40, 80),
)


def level_config(level: int) -> DegradationConfig:
    """Everything the training has but lost colours and contrast; the strength follows the level."""
    return DegradationConfig(
        mild=replace(MILD, factor=(level, level)),
        serious=replace(SERIOUS, factor=(level, level)),
        strength=(LEVELS.index(level) / 2,) * 2,
        blurs=(0.3, 0.3, 0.15, 0.15),
        poisson=0.3,
        same_noise=0.3,
        webp=0.25,
        shuffled=0.3,
        second_order=(0.0, 0.25, 0.5)[LEVELS.index(level)],
        fade=0.0,
        gray=0.0,
    )


@dataclass(frozen=True)
class Degraded:
    """What restorers are given: pictures at their own side, and enlarged to that of the faces."""

    small: Tensor
    enlarged: Tensor


def degraded(faces: Tensor, level: int, places: Sequence[int] | None = None) -> Degraded:
    """uint8 [N, 3, S, S] → the faces at `places` (all), degraded, uint8."""
    config = level_config(level)
    small = [
        degrade_small(from_bytes(faces[i]), config, np.random.default_rng([SEED, level, i]))
        for i in (range(len(faces)) if places is None else places)
    ]
    enlarged = [enlarge(x, faces.shape[-1]) for x in small]
    return Degraded(to_bytes(torch.stack(small)), to_bytes(torch.stack(enlarged)))

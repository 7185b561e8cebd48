"""The identity term: how far a restored face's embedding is from the face's own."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from .data import Batch
from .recognition import Recognition, chips

ROTATION, SCALE, SHIFT = 4.0, 0.06, 0.03
"""Deviations of a view's turn in degrees, of its scale's logarithm, and of its shift in sides.

An embedding of one fixed view can be reached by patterns that only that view shows.
"""


def views(count: int, random: torch.Generator) -> Tensor:
    """[count, 3, 3]: what is done to the chips, half of which are mirrored."""
    angle, scale, x, y = torch.randn(4, count, generator=random)
    mirror = torch.where(torch.rand(count, generator=random) < 0.5, -1.0, 1.0)
    angle, scale = angle * math.radians(ROTATION), (scale * SCALE).exp()
    cos, sin = angle.cos() * scale, angle.sin() * scale
    moved = torch.zeros(count, 3, 3)
    moved[:, 0, 0], moved[:, 0, 1], moved[:, 0, 2] = cos * mirror, -sin, 2 * SHIFT * x
    moved[:, 1, 0], moved[:, 1, 1], moved[:, 1, 2] = sin * mirror, cos, 2 * SHIFT * y
    moved[:, 2, 2] = 1
    return moved


def identity_distance(
    network: Recognition,
    restored: Tensor,
    batch: Batch,
    weight: Tensor | None,
    random: torch.Generator,
) -> Tensor:
    """Mean distance of the embeddings of `restored` and of the batch's faces, in one view each.

    A sample counts by its `weight` [N].
    """
    moved = views(len(restored), random).to(restored)
    with torch.no_grad():
        wanted = network(chips(batch.target, batch.landmarks, moved))
    own = network(chips(restored, batch.landmarks, moved))
    distance = ((own - wanted).square().sum(1) + 1e-6).sqrt()
    return distance.mean() if weight is None else (weight * distance).mean()

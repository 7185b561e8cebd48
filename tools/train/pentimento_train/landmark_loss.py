"""The landmark term: where a face detector sees eyes, nose and mouth, in the restored face and its own."""

from __future__ import annotations

import torch
from pentimento_reference.yunet import YuNet, decode, priors
from torch import Tensor

BEST = 8
"""Cells whose landmarks count: those that are surest of the face."""

LEAST = 0.3
"""A face that the detector is less sure of has no landmarks."""


def landmark_distance(
    detector: YuNet, restored: Tensor, target: Tensor, weight: Tensor | None = None
) -> Tensor:
    """Mean distance of the landmarks of [N, 3, S, S] in [-1, 1], in heights from eyes to mouth.

    The cells that see the target's face best are asked in both; they count by their scores there, and
    a sample by its `weight` [N].
    """
    prior = priors(*target.shape[2:]).to(target)

    def seen(x: Tensor) -> tuple[Tensor, Tensor]:
        scores, _, points = decode(detector((x.flip(1) + 1) * 127.5), prior)
        return scores, points

    with torch.no_grad():
        scores, wanted = seen(target)
    own = seen(restored)[1]
    scores, cells = scores.topk(min(BEST, scores.shape[1]), dim=1)
    places = cells[:, :, None, None].expand(-1, -1, 5, 2)
    wanted, own = wanted.gather(1, places), own.gather(1, places)
    height = (wanted[:, :, 3:].mean(2) - wanted[:, :, :2].mean(2)).norm(dim=2).clamp_min(1.0)
    away = ((own - wanted).square().sum(3) + 1e-4).sqrt().mean(2) / height
    certain = scores * (scores > LEAST)
    distance = (certain * away).sum(1) / certain.sum(1).clamp_min(1e-6)
    return distance.mean() if weight is None else (weight * distance).mean()

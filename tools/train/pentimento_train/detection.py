"""What each cell of the detector should say, and the losses.

A face is 14 numbers: box (left, top, right, bottom) and five landmarks (x, y), in pixels.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pentimento_reference.yunet import STRIDES, priors
from torch import Tensor

Array = NDArray[np.float32]

SMALLEST = 32
"""Size in pixels of faces in the middle of the finest level's range; it doubles with each level."""


class Targets(NamedTuple):
    """What each cell should say: its face [cells, 14], how much of a face it has (0 or 1), how
    much it counts."""

    faces: Tensor
    positive: Tensor
    counts: Tensor


@cache
def grid(side: int) -> Array:
    """[cells, 3]: corner and stride of each cell of a square picture."""
    return priors(side, side).numpy()


def assign(faces: Array, doubtful: Array, side: int) -> Targets:
    """The cells around a face's centre, as far as 0.4 of its size and 1.5 strides, are its own, on
    the level of its size and, near a boundary, on both. A level that is nearly responsible does not
    count there, nor does any cell within a doubtful box."""
    prior = grid(side)
    centres, stride = prior[:, :2], prior[:, 2]
    out = np.zeros((len(prior), 14), np.float32)
    positive = np.zeros(len(prior), bool)
    counts = np.ones(len(prior), bool)
    for box in doubtful:
        counts &= ~((centres > box[:2]) & (centres < box[2:])).all(axis=1)
    if len(faces):
        size = np.sqrt((faces[:, 2:4] - faces[:, :2]).clip(min=1).prod(axis=1))
        wanted = np.log2(size / SMALLEST).clip(0, len(STRIDES) - 1)
        off = np.abs(np.log2(stride / STRIDES[0])[None] - wanted[:, None])
        middle = (faces[:, None, :2] + faces[:, None, 2:4]) / 2
        distance = np.abs(centres - middle).max(axis=2)
        reach = np.maximum(0.51 * stride, np.minimum(1.5 * stride, 0.4 * size[:, None]))
        near = distance <= reach
        relative = np.where(near & (off < 0.6), distance / size[:, None], np.inf)
        nearest = relative.argmin(axis=0)
        positive = relative.min(axis=0) < np.inf
        out[positive] = faces[nearest[positive]]
        counts &= ~(near & (off >= 0.6) & (off < 0.85)).any(axis=0)
    parts = (out, positive, counts | positive)
    return Targets(*(torch.from_numpy(part) for part in parts))


def detection_loss(
    cells: Tensor, targets: Targets, prior: Tensor
) -> tuple[Tensor, dict[str, float]]:
    """Sum of the object, class, box and landmark terms over a batch [N, cells, 16], every level's
    faces weighing the same."""
    positive, counts = targets.positive, targets.counts
    stride = prior[:, 2].expand_as(positive)
    number = positive.sum().clamp(min=1)
    weight = torch.ones_like(stride)
    for step in STRIDES:
        own = stride == step
        share = number / (len(STRIDES) * (positive & own).sum().clamp(min=1))
        weight = torch.where(own, share.clamp(max=3), weight)
    objects = F.binary_cross_entropy_with_logits(cells[..., 1], positive.float(), reduction="none")
    # Easy background is a thousand times as frequent as faces.
    probability = cells[..., 1].detach().sigmoid()
    focal = torch.where(positive, weight, probability.square() * 8)
    objects = (objects * focal * counts).sum() / number
    chosen, weight = cells[positive], weight[positive]
    stride = stride[positive][:, None]
    corner = prior[:, :2].expand(*positive.shape, 2)[positive]
    face = targets.faces[positive]
    size = (face[:, 2:4] - face[:, :2]).clamp(min=1)
    boxes = chosen[:, 2:4] * stride + corner, chosen[:, 4:6].clamp(max=8).exp() * stride
    overlap, penalty = iou(boxes[0], boxes[1], (face[:, :2] + face[:, 2:4]) / 2, size)
    classes = F.binary_cross_entropy_with_logits(
        chosen[:, 0], overlap.detach().clamp(0, 1), weight, reduction="sum"
    )
    points = chosen[:, 6:].unflatten(1, (5, 2)) * stride[:, None] + corner[:, None]
    error = (points - face[:, 4:].unflatten(1, (5, 2))) / size.mean(dim=1)[:, None, None]
    landmarks = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.01, reduction="none")
    terms = {
        "object": objects,
        "class": classes / number,
        "box": 2 * ((1 - overlap + penalty) * weight).sum() / number,
        "landmarks": 20 * (landmarks.mean(dim=(1, 2)) * weight).sum() / number,
    }
    total = torch.stack(list(terms.values())).sum()
    return total, {k: float(v.detach()) for k, v in terms.items()}


def iou(centre: Tensor, size: Tensor, to: Tensor, to_size: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection over union of boxes, and the distance terms of EIoU (Zhang et al., 2021)."""
    low = torch.maximum(centre - size / 2, to - to_size / 2)
    high = torch.minimum(centre + size / 2, to + to_size / 2)
    both = (high - low).clamp(min=0).prod(dim=1)
    overlap = both / (size.prod(dim=1) + to_size.prod(dim=1) - both)
    hull = torch.maximum(centre + size / 2, to + to_size / 2) - torch.minimum(
        centre - size / 2, to - to_size / 2
    )
    distance = (centre - to).square().sum(dim=1) / hull.square().sum(dim=1)
    shape = ((size - to_size).square() / hull.square()).sum(dim=1)
    return overlap, distance + shape

"""Where the parts of an aligned face are, and what wrong landmarks do to an alignment."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from pentimento_reference.yunet import YuNet, detect
from torch import Tensor

TEMPLATE = torch.tensor(
    [[0.3769, 0.4686], [0.6229, 0.4691], [0.5012, 0.6133], [0.3931, 0.7254], [0.6115, 0.7249]]
)
"""The FFHQ template: eyes, nose and corners of the mouth as parts of the side, as in `src/photo/align.rs`."""

PROFILE = 0.3
"""A face whose `yaw` is this much or more is a profile."""

WIDE = 2.3
"""The bundled detector turns faces by 2.2° at ×2, 3.7° at ×4, 8.4° at ×8 and 10.1° at ×14 (deviations)."""

COMPONENTS = ("eyes", "mouth")
"""Parts of the face with a discriminator of their own; the eyes share one."""


def find_landmarks(detector: YuNet, faces: Tensor) -> tuple[Tensor, Tensor]:
    """uint8 [N, 3, S, S] → landmarks [N, 5, 2] as parts of the side, and whether a face was found.

    The best detection counts; where there is none, the template stands in.
    """
    points = TEMPLATE.repeat(len(faces), 1, 1)
    found = torch.zeros(len(faces), dtype=torch.bool)
    side = faces.shape[-1]
    for i, face in enumerate(faces):
        scores, _, landmarks = detect(detector, face, 0.3)
        if len(scores):
            points[i], found[i] = landmarks[scores.argmax()] / side, True
    return points, found


@dataclass(frozen=True)
class Jitter:
    """Standard deviations of an alignment's error, and the part of the faces that has one."""

    part: float
    rotation: float
    """Degrees."""
    scale: float
    """Of the logarithm."""
    shift: float
    """In parts of the side."""
    wide: float = 0.0
    """Of those faces the part whose error is `WIDE` times as large, as on faces reduced eight times."""

    def draw(self, rng: np.random.Generator) -> Tensor | None:
        """An affine [2, 3] from the wrongly aligned face to the face, in coordinates -1 to 1."""
        if rng.random() >= self.part:
            return None
        times = WIDE if self.wide > 0 and rng.random() < self.wide else 1.0
        angle = math.radians(rng.normal(0, times * self.rotation))
        scale = math.exp(rng.normal(0, times * self.scale))
        cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
        x, y = rng.normal(0, times * 2 * self.shift, size=2)
        return torch.tensor([[cos, -sin, x], [sin, cos, y]], dtype=torch.float32)


def warp(face: Tensor, matrix: Tensor) -> Tensor:
    """[3, S, S] seen through an affine [2, 3], bicubic, reflected at its edges."""
    grid = F.affine_grid(matrix[None], [1, 3, *face.shape[1:]], align_corners=False)
    out = F.grid_sample(
        face[None], grid, mode="bicubic", padding_mode="reflection", align_corners=False
    )
    return out[0].clamp(-1, 1)


def warp_points(points: Tensor, matrix: Tensor) -> Tensor:
    """Points [P, 2] as parts of the side, where `warp` moves them."""
    moved = (2 * points - 1 - matrix[:, 2]) @ torch.linalg.inv(matrix[:, :2]).T
    return (moved + 1) / 2


def mirror_points(points: Tensor) -> Tensor:
    """Five landmarks of the mirrored face."""
    mirrored = points[[1, 0, 2, 4, 3]]
    return torch.stack([1 - mirrored[:, 0], mirrored[:, 1]], 1)


def crop(pictures: Tensor, centres: Tensor, lengths: Tensor, side: int) -> Tensor:
    """Upright squares around centres [N, 2] of lengths [N] (parts of the side) → [N, 3, side, side]."""
    matrix = pictures.new_zeros(len(pictures), 2, 3)
    matrix[:, 0, 0] = matrix[:, 1, 1] = lengths
    matrix[:, :, 2] = 2 * centres - 1
    grid = F.affine_grid(matrix, [len(pictures), 3, side, side], align_corners=False)
    return F.grid_sample(pictures, grid, padding_mode="reflection", align_corners=False)


def components(pictures: Tensor, landmarks: Tensor) -> dict[str, Tensor]:
    """Crops of the parts of every face, at about their own resolution; differentiable.

    `pictures` [N, 3, S, S], `landmarks` [N, 5, 2]. Eyes [2N, 3, S/4, S/4]: squares of 1.1 of the
    distance between eyes and mouth, which holds a whole lens of glasses; mouth [N, 3, S/4, S/4]: 0.9
    of it. The distance does not shrink when a head turns, as that between the eyes would.
    """
    side = pictures.shape[-1] // 4
    mouth = landmarks[:, 3:].mean(1)
    height = (mouth - landmarks[:, :2].mean(1)).norm(dim=1)
    eyes = [crop(pictures, landmarks[:, i], 1.1 * height, side) for i in (0, 1)]
    return {"eyes": torch.cat(eyes), "mouth": crop(pictures, mouth, 0.9 * height, side)}


def height(points: Tensor) -> Tensor:
    """From between the eyes to between the corners of the mouth, [N]."""
    return (points[:, 3:].mean(1) - points[:, :2].mean(1)).norm(dim=1)


def yaw(points: Tensor) -> Tensor:
    """How far the nose is off the line from between the eyes to the mouth, as a part of it, [N]."""
    eyes, mouth = points[:, :2].mean(1), points[:, 3:].mean(1)
    down = (mouth - eyes) / (mouth - eyes).norm(dim=1, keepdim=True)
    off = points[:, 2] - (eyes + mouth) / 2
    return (off[:, 0] * down[:, 1] - off[:, 1] * down[:, 0]).abs() / height(points)

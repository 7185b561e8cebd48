"""Drawn glasses: thin frames of many shapes along the eyes, which so few of the faces wear."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

Generator = np.random.Generator

MOST_YAW = 0.15
"""Of the nose off the middle, in parts of the height from eyes to mouth: frames are drawn flat."""

FRAMES = (
    ((-0.95, -0.92, -0.9), 0.5),
    ((-0.2, -0.5, -0.75), 0.25),
    ((0.75, 0.55, 0.1), 0.15),
    ((0.2, -0.8, -0.75), 0.05),
    ((0.8, 0.8, 0.85), 0.05),
)
"""Colours of frames, black, tortoise, gold, red and clear, and how often each is drawn."""


def _lens(x: Tensor, y: Tensor, rng: Generator) -> Tensor:
    """A superellipse between a circle and a rounded box, its lower or upper half narrower.

    Negative within, in units of the coordinates, roughly: the level set over its gradient's length.
    """
    power = rng.uniform(2.0, 5.0)
    taper = rng.normal(0, 0.12)
    x = x * (1 + taper * y)
    level = (x.abs() ** power + y.abs() ** power).clamp_min(1e-9) ** (1 / power)
    return level - 1


def drawn(face: Tensor, landmarks: Tensor, rng: Generator) -> Tensor:
    """[3, S, S] in [-1, 1] with glasses; `landmarks` [5, 2] as parts of S."""
    side = face.shape[-1]
    points = landmarks * side
    middle = points[:2].mean(0)
    between = (points[1] - points[0]).norm().item()
    angle = math.atan2(*(points[1] - points[0]).flip(0).tolist())
    cos, sin = math.cos(angle), math.sin(angle)
    axis = torch.arange(side) + 0.5
    dx, dy = axis - middle[0], (axis - middle[1])[:, None]
    # In distances between the eyes, across and down the face.
    u, v = (cos * dx + sin * dy) / between, (cos * dy - sin * dx) / between
    v = v - rng.uniform(-0.02, 0.08)
    half_width, half_height = rng.uniform(0.34, 0.44), rng.uniform(0.2, 0.36)
    apart = rng.uniform(0.48, 0.53)
    thickness = rng.uniform(0.7, 4.5) * side / 256 / between
    seed = int(rng.integers(1 << 30))
    # Both lenses have one shape, mirrored.
    lenses = [
        _lens((sign * u - apart) / half_width, v / half_height, np.random.default_rng(seed))
        * min(half_width, half_height)
        for sign in (-1, 1)
    ]
    soft = 1 / between

    def stroke(distance: Tensor, width: float) -> Tensor:
        return ((width / 2 - distance.abs()) / soft + 0.5).clamp(0, 1)

    inner = apart - half_width
    rise = rng.uniform(0.0, 0.12)
    arch = v + half_height * rng.uniform(0.1, 0.5) - rise * (1 - (u / max(inner, 1e-3)).square())
    bridge = stroke(arch, thickness) * (u.abs() < inner)
    temple = stroke(v + half_height * rng.uniform(0.2, 0.6), 1.2 * thickness)
    temple = temple * ((u.abs() > apart + half_width) & (u.abs() < apart + half_width + 0.2))
    half_frame = rng.random() < 0.2
    cover = torch.maximum(bridge, temple)
    within = torch.zeros_like(cover)
    for lens in lenses:
        rim = stroke(lens, thickness)
        if half_frame:
            rim = rim * (v < 0)
        cover = torch.maximum(cover, rim)
        within = torch.maximum(within, (-lens / soft).clamp(0, 1))
    return _painted(face, cover, within, u, v, rng)


def _painted(
    face: Tensor, cover: Tensor, within: Tensor, u: Tensor, v: Tensor, rng: Generator
) -> Tensor:
    """The frame over the face, its shadow below it, and what the lenses tint and reflect."""
    colours, shares = zip(*FRAMES, strict=True)
    colour = face.new_tensor(colours[rng.choice(len(colours), p=shares)])
    colour = colour + face.new_tensor(rng.normal(0, 0.06, 3))
    shadow = torch.roll(cover, 2, -2) * float(rng.uniform(0.0, 0.25))
    face = torch.lerp(face, torch.full_like(face, -1.0), shadow)
    if rng.random() < 0.15:
        tint = face.new_tensor(rng.uniform(-1, -0.2, 3))[:, None, None]
        face = torch.lerp(face, tint.expand_as(face), within * float(rng.uniform(0.1, 0.6)))
    if rng.random() < 0.3:
        slope, place = rng.normal(0, 1.0), rng.uniform(-0.3, 0.3)
        band = torch.exp(-((u.abs() - 0.5 + slope * v - place) / rng.uniform(0.04, 0.15)).square())
        face = face + (1 - face) * within * band * float(rng.uniform(0.1, 0.5))
    # A frame is lit from above.
    shade = colour[:, None, None] + 0.15 * (-v).clamp(-1, 1)
    return torch.lerp(face, shade.expand_as(face), cover).clamp(-1, 1)


@dataclass(frozen=True)
class Glasses:
    """How many of the faces that wear none and look ahead get some."""

    part: float

    def put_on(self, face: Tensor, landmarks: Tensor, rng: Generator) -> Tensor:
        """[3, S, S] with glasses, or as it was; `landmarks` [5, 2] as parts of S."""
        if rng.random() >= self.part:
            return face
        eyes, mouth = landmarks[:2].mean(0), landmarks[3:].mean(0)
        height = (mouth - eyes).norm().item()
        if abs(landmarks[2, 0].item() - (eyes[0] + mouth[0]).item() / 2) > MOST_YAW * height:
            return face
        return drawn(face, landmarks, rng)

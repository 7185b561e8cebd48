"""What years, prints and scanners do to a photo. Pictures are [3, H, W] in [-1, 1].

`cast` and `toned` change the face itself: nothing in a faded photo says what its colours were, and the
restored face goes back among them. The others are damage, and change the input alone.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

Generator = np.random.Generator

SCREEN_ANGLES = (15.0, 75.0, 0.0)
"""Degrees of the screens of cyan, magenta and yellow in print; a gray picture has one, at 45."""

TO_CHROMA = torch.tensor(
    [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]]
)
"""JPEG's luma, blue and red differences of red, green and blue."""


def toned(gray: Tensor, rng: Generator) -> Tensor:
    """A gray picture in the tone of a print: sepia mostly, else selenium's or a cyanotype's.

    The tint is strongest in the middle; black and white hardly have one.
    """
    kind = rng.choice(3, p=[0.7, 0.15, 0.15])
    tint = ((0.30, 0.06, -0.28), (0.10, -0.03, 0.08), (-0.28, 0.0, 0.26))[kind]
    strength = rng.uniform(0.25, 1.0)
    varied = gray.new_tensor(tint) * strength + gray.new_tensor(rng.normal(0, 0.02, 3))
    paper = gray.new_tensor((0.0, -0.05, -0.16)) * rng.uniform(0, strength)
    out = gray + varied[:, None, None] * (1 - gray.square())
    return (out + paper[:, None, None] * (gray + 1) / 2).clamp(-1, 1)


def cast(x: Tensor, rng: Generator) -> Tensor:
    """Dyes that faded unequally: each channel has its own black, white and gamma.

    Cyan and yellow dyes fade first, so that most such prints are red or magenta; paper turns yellow.
    """
    faded = rng.uniform(0.0, 1.0)
    black = np.array((0.22, 0.1, 0.16)) * faded + rng.normal(0, 0.03, 3)
    yellowed = rng.uniform(0.0, 0.3) if rng.random() < 0.6 else 0.0
    white = 1 - np.array((0.3, 0.6, 1.0)) * yellowed - rng.uniform(0, 0.12) * faded
    gamma = np.exp(rng.normal(0, 0.12) + rng.normal(0, 0.07, 3))
    low, high = (x.new_tensor(v)[:, None, None] for v in (black, white + rng.normal(0, 0.03, 3)))
    light = ((x.clamp(-1, 1) + 1) / 2) ** x.new_tensor(gamma)[:, None, None]
    return (2 * (low + light * (high - low)) - 1).clamp(-1, 1)


@cache
def _screen_ranks() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The values of a screen of dots, and which part of its area is below each."""
    phase = np.arange(256) * (2 * math.pi / 256)
    values = np.sort((np.cos(phase)[:, None] + np.cos(phase)).ravel())[:: 256 * 256 // 512]
    return values.astype(np.float32), np.linspace(0, 1, len(values), dtype=np.float32)


def screen(side: int, period: float, angle: float, shift: NDArray[np.float64]) -> Tensor:
    """[side, side]: dots `period` pixels apart, as thresholds that are uniform in 0 to 1."""
    axis = np.arange(side, dtype=np.float32)
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    u = (cos * axis + sin * axis[:, None]) / period + shift[0]
    v = (cos * axis[:, None] - sin * axis) / period + shift[1]
    values = np.cos(2 * math.pi * u) + np.cos(2 * math.pi * v)
    return torch.from_numpy(np.interp(values, *_screen_ranks()).astype(np.float32))


def halftoned(x: Tensor, rng: Generator, fine: int = 3) -> Tensor:
    """Printed in dots, seen by a scanner of this picture's pixels.

    Dots are 1.6 pixels apart or more, and at least 28 to the side: fewer print no face. Printing
    happens on `fine` times as many pixels; the paper is soft.
    """
    side = x.shape[-1]
    period = fine * rng.uniform(1.6, min(4.0, max(1.8, side / 28)))
    turn = rng.uniform(-20, 20)
    softness = rng.uniform(0.06, 0.25)
    large = F.interpolate(x[None], scale_factor=fine, mode="bilinear")[0]
    light = (large.clamp(-1, 1) + 1) / 2
    alike = bool((x[0] - x[1]).abs().max() < 0.02)
    angles = (45.0,) * 3 if alike else SCREEN_ANGLES
    shifts = np.repeat(rng.random((1, 2)), 3, 0) if alike else rng.random((3, 2))
    thresholds = torch.stack(
        [screen(side * fine, period, a + turn, s) for a, s in zip(angles, shifts, strict=True)]
    )
    inked = torch.sigmoid((light - thresholds) / (0.25 * softness))
    printed = F.interpolate(2 * inked[None] - 1, (side, side), mode="area")[0]
    return torch.lerp(x, printed, float(rng.uniform(0.4, 1.0)))


def bled(x: Tensor, rng: Generator) -> Tensor:
    """Colours that run out to the side and lie beside their outlines, as video's and poor scans' do."""
    matrix = TO_CHROMA.to(x)
    chroma = torch.einsum("ij,jhw->ihw", matrix, x)
    radius = int(rng.integers(1, 4))
    colours = F.pad(chroma[1:], (radius, radius, 1, 1), mode="replicate")
    colours = F.avg_pool2d(colours, (3, 2 * radius + 1), 1)
    colours = torch.roll(colours, int(rng.integers(-1, 2)), -1)
    return torch.einsum("ij,jhw->ihw", matrix.inverse(), torch.cat([chroma[:1], colours]))


def scratched(x: Tensor, rng: Generator) -> Tensor:
    """Scratches, mostly along the film, and grains of dust: light or dark, with soft edges."""
    side = x.shape[-1]
    axis = torch.arange(side, dtype=torch.float32)
    down, across = axis[:, None], axis
    tone = 1.0 if rng.random() < 0.7 else -1.0
    cover = x.new_zeros(side, side)
    for _ in range(rng.integers(1, 5)):
        slope = rng.normal(0, 0.08) if rng.random() < 0.7 else rng.normal(0, 1.0)
        bend = rng.normal(0, 0.002)
        start, length = rng.uniform(-0.3, 0.8) * side, rng.uniform(0.2, 1.3) * side
        middle = rng.uniform(0, side) + slope * (down - start) + bend * (down - start).square()
        width = rng.uniform(0.2, 0.9) * min(1.0, side / 128)
        line = (width + 0.5 - (across - middle).abs() / math.hypot(1, slope)).clamp(0, 1)
        along = ((down - start + 1).clamp(0, 1)) * ((start + length - down).clamp(0, 1))
        cover = torch.maximum(cover, line * along * float(rng.uniform(0.3, 1.0)))
    for _ in range(rng.integers(0, 12)):
        y, x0 = rng.uniform(0, side, 2)
        a, b = rng.uniform(0.3, 1.8, 2) * min(1.0, side / 128)
        away = torch.hypot((down - y) / a, (across - x0) / b)
        cover = torch.maximum(cover, ((1.3 - away) * min(a, b)).clamp(0, 1) * 0.9)
    return torch.lerp(x, torch.full_like(x, tone * float(rng.uniform(0.6, 1.0))), cover)

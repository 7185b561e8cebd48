"""Where a face's picture ends and its mirror image begins, as crops over a photo's edge have it.

A network that is asked for mirrored borders learns to draw them, and knows the face by them.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

LEAST, MOST = 4, 3
"""Widths from this many pixels to the side over this are looked for."""

TOLERANCE = 3.0
"""Mean difference, in grey levels, that files leave between a picture and its mirror image."""

CONTRAST = 2.0
"""How much more the columns of a border must differ among themselves, for a plain wall is no mirror."""


def mirrored_width(light: Tensor) -> int:
    """Columns at the left of [S, S], 0 to 255, that mirror those to the right of them."""
    side = light.shape[1]
    columns = light[::2, : 2 * side // MOST + 2].T.contiguous()
    apart = torch.cdist(columns, columns, p=1) / columns.shape[1]
    widest = 0
    for width in range(LEAST, side // MOST):
        own = torch.arange(width)
        among = apart[:width, :width].mean().item()
        for repeated in (0, 1):
            difference = apart[width - 1 - own, width + repeated + own].mean().item()
            if difference < TOLERANCE and among > CONTRAST * difference:
                widest = width
    return widest


def mirrored_borders(faces: Tensor) -> Tensor:
    """uint8 [N, 3, S, S] → [N, 4]: mirrored pixels at the left, top, right and bottom."""
    widths = []
    for face in faces:
        light = face.float().mean(0)
        sides = (light, light.T, light.flip(1), light.flip(0).T)
        widths.append([mirrored_width(x) for x in sides])
    return torch.tensor(widths, dtype=torch.int64).reshape(-1, 4)


def known_borders(run: Path, faces: Tensor) -> Tensor:
    """Those that the run has found before, or what is found now."""
    file = run / "borders.pt"
    if not file.exists():
        staged = file.with_suffix(".partial")
        torch.save(mirrored_borders(faces), staged)
        staged.replace(file)
    return torch.load(file, weights_only=True)


def inside(borders: Tensor, side: int, mirrored: bool, matrix: Tensor | None) -> Tensor:
    """[1, side, side]: 1 where a face, perhaps mirrored and warped by [2, 3], is its photo, else 0."""
    left, top, right, bottom = borders.tolist()
    whole = torch.zeros(1, side, side)
    whole[:, top : side - bottom, left : side - right] = 1
    if mirrored:
        whole = whole.flip(-1)
    if matrix is None:
        return whole
    grid = F.affine_grid(matrix[None], [1, 1, side, side], align_corners=False)
    seen = F.grid_sample(whole[None], grid, align_corners=False)[0]
    return (seen > 0.99).float()

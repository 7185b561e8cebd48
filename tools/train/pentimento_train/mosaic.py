"""What the detector learns from: mosaics of scenes, spoiled, and what it should say about them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset

from .detection import Array, Targets, assign
from .scenes import Pixels, Scene, backdrop, cover, place

NOISE = 2**21
"""Random numbers that noise is taken from: drawing new ones takes longer than all the rest."""


@dataclass(frozen=True)
class Mosaic:
    """How training pictures are made: squares, cut into `cells × cells` scenes."""

    sides: tuple[int, ...]
    """Pixels; drawn uniformly for every batch."""
    pixels: int
    """A batch has as many pictures as fit into this number of pixels."""
    cells: tuple[int, ...]
    """Drawn uniformly for every picture; more cells, smaller faces."""
    smallest_cell: int
    """Pixels; where cells would be smaller, there are fewer."""
    scale: tuple[float, float]
    """Length of a face's longer box side in its cell, as a part of the cell's side."""
    rotation: float
    """Standard deviation of the roll in degrees."""
    upside: float
    """Part of the faces that are turned by a further multiple of 90 degrees."""
    cut_out: float
    """Part of the faces that are cut out along an oval, and stand before another scene."""
    empty: float
    """Part of the cells that have no face."""
    covered: float
    """Part of the faces that something covers partly."""
    shrunk: float
    """Part of the pictures that were smaller once, down to a face of 9 pixels."""
    backdrops: int
    """How many pieces of scenes without faces stand behind them."""
    noise_sigma: tuple[float, float]
    jpeg_quality: tuple[int, int]


def resized(patch: Pixels, side: int, rng: np.random.Generator) -> Pixels:
    """A backdrop of another size, perhaps mirrored."""
    out = cv2.resize(patch, (side, side), interpolation=cv2.INTER_LINEAR)
    return out[:, ::-1].copy() if rng.random() < 0.5 else out


def placement(face: Array, side: int, mosaic: Mosaic, rng: np.random.Generator) -> Array:
    """The affine [2, 3] that brings a face into a square: turned, scaled and perhaps mirrored."""
    length = max(face[2] - face[0], face[3] - face[1])
    low, high = (math.log(v) for v in mosaic.scale)
    scale = math.exp(rng.uniform(low, high)) * side / length
    angle = math.radians(rng.normal(0, mosaic.rotation))
    if rng.random() < mosaic.upside:
        angle += math.pi / 2 * rng.integers(1, 4)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    turn = np.array([[cos, -sin], [sin, cos]], np.float32)
    if rng.random() < 0.5:
        turn[:, 0] *= -1
    centre = np.array([face[0] + face[2], face[1] + face[3]], np.float32) / 2
    half = min(0.5, 0.5 * scale * length / side)
    to = rng.uniform(half, 1 - half, size=2) * side
    return np.concatenate([turn, (to - turn @ centre)[:, None]], axis=1).astype(np.float32)


class Composer:
    """Makes training pictures."""

    def __init__(self, scenes: list[Scene], mosaic: Mosaic, rng: np.random.Generator) -> None:
        self.scenes, self.mosaic = scenes, mosaic
        self.backdrops = [backdrop(scenes, 160, rng) for _ in range(mosaic.backdrops)]
        self.noise = rng.standard_normal(NOISE, np.float32)

    def behind(self, side: int, rng: np.random.Generator) -> Pixels:
        """A backdrop."""
        return resized(self.backdrops[rng.integers(len(self.backdrops))], side, rng)

    def cell(self, side: int, rng: np.random.Generator) -> Scene:
        """One face before a backdrop, or none."""
        behind, mosaic = self.behind(side, rng), self.mosaic
        if rng.random() < mosaic.empty:
            return Scene(behind, np.zeros((0, 14), np.float32), np.zeros((0, 4), np.float32))
        scene = self.scenes[rng.integers(len(self.scenes))]
        target = int(rng.integers(len(scene.faces)))
        matrix = placement(scene.faces[target], side, mosaic, rng)
        oval = rng.uniform(1.0, 1.8) if rng.random() < mosaic.cut_out else None
        part = place(scene, target, matrix, behind, oval)
        if len(part.faces) and rng.random() < mosaic.covered:
            cover(part.pixels, part.faces[0], self.behind(side, rng), rng)
        return part

    def compose(self, side: int, rng: np.random.Generator) -> Scene:
        """A picture before it is spoiled."""
        cells = min(int(rng.choice(self.mosaic.cells)), max(1, side // self.mosaic.smallest_cell))
        step = side // cells
        canvas = self.behind(side, rng) if side % cells else np.empty((side, side, 3), np.uint8)
        faces, doubtful = [], []
        for cell in range(cells * cells):
            y, x = (v * step for v in divmod(cell, cells))
            part = self.cell(step, rng)
            canvas[y : y + step, x : x + step] = part.pixels
            at = np.array([x, y], np.float32)
            faces.append((part.faces.reshape(-1, 7, 2) + at).reshape(-1, 14))
            doubtful.append((part.doubtful.reshape(-1, 2, 2) + at).reshape(-1, 4))
        return Scene(canvas, np.concatenate(faces), np.concatenate(doubtful))

    def add_noise(self, x: Array, rng: np.random.Generator) -> None:
        """Adds Gaussian noise, in three cases of ten the same in all channels."""
        shape = (*x.shape[:2], 1) if rng.random() < 0.3 else x.shape
        start = rng.integers(NOISE - math.prod(shape))
        noise = self.noise[start : start + math.prod(shape)].reshape(shape)
        x += noise * np.float32(rng.uniform(*self.mosaic.noise_sigma))

    def spoil(self, scene: Scene, rng: np.random.Generator) -> Pixels:
        """The picture with other light and colour, blur, fewer pixels, noise and JPEG."""
        side, mosaic = len(scene.pixels), self.mosaic
        x = scene.pixels
        if rng.random() < 0.15:
            x = cv2.cvtColor(cv2.cvtColor(x, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
        mean = np.array(cv2.mean(x)[:3])
        gain = rng.uniform(0.6, 1.4) * rng.uniform(0.85, 1.15, 3)
        offset = mean * (1 - gain) + rng.uniform(-40, 40)
        levels = np.arange(256)[:, None] * gain + offset
        x = cv2.LUT(x, levels.round().clip(0, 255).astype(np.uint8)[None])
        sizes = scene.faces[:, 2:4] - scene.faces[:, :2]
        smallest = float(sizes.max(axis=1).min()) if len(sizes) else side / 4
        kind, most = rng.random(), smallest / 9
        noisy = rng.random() < 0.35
        if kind < mosaic.shrunk and most > 1.2:
            factor = math.exp(rng.uniform(0, math.log(most)))
            x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.1, 0.6) * factor)
            size = (max(8, round(side / factor)),) * 2
            small = cv2.resize(x, size, interpolation=cv2.INTER_AREA).astype(np.float32)
            if rng.random() < 0.5:
                self.add_noise(small, rng)
            small = small.clip(0, 255).astype(np.uint8)
            x = cv2.resize(small, (side, side), interpolation=cv2.INTER_CUBIC)
        elif kind > 0.8:
            x = cv2.GaussianBlur(x, (0, 0), rng.uniform(0.3, 0.3 + 0.04 * smallest))
        if noisy:
            clean = x.astype(np.float32)
            self.add_noise(clean, rng)
            x = clean.clip(0, 255).astype(np.uint8)
        if rng.random() < 0.5:
            quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(*mosaic.jpeg_quality))]
            x = cv2.imdecode(cv2.imencode(".jpg", x, quality)[1], cv2.IMREAD_COLOR)
        return x


class Mosaics(IterableDataset[tuple[Tensor, Targets]]):
    """Endless batches of BGR pictures, uint8 [batch, 3, side, side], and their targets.

    The batch of each step has its own seed, so a continued run sees what it would have seen.
    """

    def __init__(self, scenes: list[Scene], mosaic: Mosaic, seed: int, step: int) -> None:
        self.mosaic, self.seed, self.step = mosaic, seed, step
        self.composer = Composer(scenes, mosaic, np.random.default_rng(seed))

    def batch(self, step: int) -> tuple[Tensor, Targets]:
        """The pictures and targets of a step."""
        rng = np.random.default_rng([self.seed, step])
        side = int(rng.choice(self.mosaic.sides))
        pictures, targets = [], []
        for _ in range(max(1, self.mosaic.pixels // side**2)):
            scene = self.composer.compose(side, rng)
            pictures.append(self.composer.spoil(scene, rng)[..., ::-1])
            targets.append(assign(scene.faces, scene.doubtful, side))
        pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
        return pixels, Targets(*(torch.stack(part) for part in zip(*targets, strict=True)))

    def __iter__(self) -> Iterator[tuple[Tensor, Targets]]:
        step = self.step
        while True:
            # A worker that used several threads would take the trainer's.
            cv2.setNumThreads(0)
            yield self.batch(step)
            step += 1

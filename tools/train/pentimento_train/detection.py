"""What the detector learns from: scenes with labelled faces, mosaics of them, and its losses.

A face is 14 numbers: box (left, top, right, bottom) and five landmarks (x, y), in pixels.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFilter
from numpy.typing import NDArray
from pentimento_reference.yunet import STRIDES, YuNet, detect, priors
from torch import Tensor
from torch.utils.data import IterableDataset

from .degradation import from_bytes, jpeg, to_bytes

Array = NDArray[np.float32]

MIRRORED = (1, 0, 2, 4, 3)
"""Landmarks of a mirrored face."""


@dataclass(frozen=True)
class Mosaic:
    """How training pictures are made: `side` pixels, cut into `cells × cells` scenes."""

    side: int
    cells: tuple[int, ...]
    """Drawn uniformly; more cells, smaller faces."""
    scale: tuple[float, float]
    """Length of a face's longer box side in its cell, as a part of the cell's side."""
    rotation: float
    """Standard deviation of the roll in degrees."""
    upside: float
    """Part of the faces that are turned by a further multiple of 90 degrees."""
    blur_sigma: tuple[float, float]
    noise_sigma: tuple[float, float]
    jpeg_quality: tuple[int, int]
    covered: float
    """Part of the faces that a random rectangle covers partly."""


def data_folder(name: str) -> Path:
    """`data/<name>` of the folder named by the environment variable PENTIMENTO_SHARED."""
    root = os.environ.get("PENTIMENTO_SHARED")
    if not root:
        raise SystemExit(f"set PENTIMENTO_SHARED to the folder that holds data/{name}")
    return Path(root) / "data" / name


def load_scenes(folder: Path, teacher: YuNet, limit: int | None = None) -> list[Scene]:
    """Pictures of `folder` with their faces.

    `landmarks.json` has one face per picture. The teacher adds the boxes and the further faces;
    a picture in which it does not find the labelled face is left out.
    """
    labels = json.loads((folder / "landmarks.json").read_text())
    scenes = []
    for name in sorted(labels)[:limit]:
        with Image.open(folder / name) as opened:
            picture = opened.convert("RGB")
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
        scores, boxes, points = detect(teacher, pixels, 0.3)
        faces = torch.cat([boxes, points.flatten(1)], dim=1).numpy().astype(np.float32)
        known = np.array(labels[name]["landmarks"], np.float32)
        eyes = float(np.hypot(*(known[1] - known[0])))
        found = [
            i
            for i in range(len(faces))
            if np.abs(faces[i, 4:].reshape(5, 2) - known).max() < 0.25 * eyes
        ]
        if found:
            faces[found[0], 4:] = known.reshape(10)
            sure = scores.numpy() > 0.6
            sure[found[0]] = True
            scenes.append(Scene(np.array(picture), faces[sure], faces[~sure, :4]))
    return scenes


@dataclass(frozen=True)
class Scene:
    """uint8 [H, W, 3], faces [F, 14], and boxes [G, 4] that may or may not be faces."""

    pixels: NDArray[np.uint8]
    faces: Array
    doubtful: Array


def moved(points: Array, matrix: Array) -> Array:
    """Points [..., 2] by an affine [2, 3]."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def backdrop(scenes: list[Scene], side: int, rng: np.random.Generator) -> Image.Image:
    """A square of `side` pixels from a scene, without any face where one is found in a few tries."""
    for _ in range(8):
        scene = scenes[rng.integers(len(scenes))]
        height, width = scene.pixels.shape[:2]
        length = rng.uniform(0.15, 0.5) * min(height, width)
        x, y = rng.uniform(0, width - length), rng.uniform(0, height - length)
        boxes = np.concatenate([scene.faces[:, :4], scene.doubtful])
        apart = (boxes[:, :2] > (x + length, y + length)) | (boxes[:, 2:] < (x, y))
        if apart.any(axis=1).all():
            break
    part = Image.fromarray(scene.pixels).crop(tuple(int(v) for v in (x, y, x + length, y + length)))
    return part.resize((side, side), Image.Resampling.BILINEAR)


def place(
    scene: Scene, behind: Image.Image, mosaic: Mosaic, rng: np.random.Generator
) -> Scene:
    """The scene around one of its faces, turned, scaled and perhaps mirrored, before a square."""
    side = behind.width
    target = scene.faces[rng.integers(len(scene.faces))]
    length = max(target[2] - target[0], target[3] - target[1])
    low, high = (math.log(v) for v in mosaic.scale)
    scale = math.exp(rng.uniform(low, high)) * side / length
    angle = math.radians(rng.normal(0, mosaic.rotation))
    if rng.random() < mosaic.upside:
        angle += math.pi / 2 * rng.integers(1, 4)
    cos, sin = math.cos(angle) * scale, math.sin(angle) * scale
    turn = np.array([[cos, -sin], [sin, cos]], np.float32)
    if rng.random() < 0.5:
        turn[:, 0] *= -1
    centre = np.array([target[0] + target[2], target[1] + target[3]], np.float32) / 2
    half = min(0.5, 0.5 * scale * length / side)
    to = rng.uniform(half, 1 - half, size=2) * side
    matrix = np.concatenate([turn, (to - turn @ centre)[:, None]], axis=1).astype(np.float32)
    return warp(scene, matrix, behind)


def warp(scene: Scene, matrix: Array, behind: Image.Image) -> Scene:
    """The scene under an affine [2, 3], on a copy of the picture behind it."""
    side = behind.width
    pixels, shrunk = Image.fromarray(scene.pixels), 1
    scale = math.sqrt(abs(np.linalg.det(matrix[:, :2])))
    # Bilinear sampling of a picture that is shrunk more than twice would skip pixels.
    while scale * shrunk < 0.5 and min(pixels.size) > 2:
        shrunk *= 2
        pixels = pixels.reduce(2)
    full = np.vstack([matrix, [0, 0, 1]]) @ np.diag([shrunk, shrunk, 1])
    back = np.linalg.inv(full)[:2].reshape(-1)
    affine, bilinear = Image.Transform.AFFINE, Image.Resampling.BILINEAR
    front = pixels.transform((side, side), affine, back, bilinear)
    mask = Image.new("L", pixels.size, 255).transform((side, side), affine, back, bilinear)
    out = Image.composite(front, behind, mask)
    mirrored = np.linalg.det(matrix[:, :2]) < 0
    points = moved(scene.faces[:, 4:].reshape(-1, 5, 2), matrix)
    if mirrored:
        points = points[:, MIRRORED]
    # A box of a turned face keeps its size: heads are round.
    boxes = [same_size_box(b, matrix, scale) for b in (scene.faces[:, :4], scene.doubtful)]
    faces = np.concatenate([boxes[0], points.reshape(-1, 10)], axis=1)
    inside = visible(faces[:, :4], side)
    # A face that is cut by the edge is neither face nor background.
    cut = faces[~inside, :4]
    return Scene(np.array(out), faces[inside], np.concatenate([boxes[1], cut]))


def same_size_box(boxes: Array, matrix: Array, scale: float) -> Array:
    """Boxes around the moved centres; width and height change places with every quarter turn."""
    centre = moved((boxes[:, :2] + boxes[:, 2:]) / 2, matrix)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
    along = np.abs(matrix[0, 0]) / scale
    half = half * along + half[:, ::-1] * (1 - along)
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def visible(boxes: Array, side: int) -> NDArray[np.bool_]:
    """Whether at least 0.7 of a box lies in the picture."""
    low, high = boxes[:, :2].clip(0, side), boxes[:, 2:].clip(0, side)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return (high - low).prod(axis=1) > 0.7 * area


def spoil(pixels: NDArray[np.uint8], mosaic: Mosaic, rng: np.random.Generator) -> Tensor:
    """Brightness, contrast, colour, blur, noise and JPEG; uint8 [3, H, W]."""
    if rng.random() < 0.5:
        sigma = rng.uniform(*mosaic.blur_sigma)
        pixels = np.array(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(sigma)))
    x = from_bytes(torch.from_numpy(pixels).permute(2, 0, 1))
    if rng.random() < 0.15:
        x = x.mean(dim=0, keepdim=True).expand(3, -1, -1)
    gain = torch.from_numpy(rng.uniform(0.7, 1.3) * rng.uniform(0.9, 1.1, (3, 1, 1))).float()
    x = (x - x.mean()) * gain + x.mean() + rng.uniform(-0.3, 0.3)
    if rng.random() < 0.5:
        noise = torch.from_numpy(rng.standard_normal(x.shape, np.float32))
        x = x + noise * rng.uniform(*mosaic.noise_sigma) / 127.5
    if rng.random() < 0.5:
        x = jpeg(x, int(rng.integers(*mosaic.jpeg_quality)))
    return to_bytes(x)


def cover(pixels: NDArray[np.uint8], face: Array, rng: np.random.Generator) -> None:
    """Paints a rectangle of one colour over a third of the face at most."""
    left, top, right, bottom = face[:4]
    width, height = (right - left) * rng.uniform(0.2, 0.6), (bottom - top) * rng.uniform(0.2, 0.5)
    x, y = rng.uniform(left, right - width), rng.uniform(top, bottom - height)
    rows = slice(max(0, int(y)), max(0, int(y + height)))
    pixels[rows, max(0, int(x)) : max(0, int(x + width))] = rng.integers(0, 256, 3)


def compose(scenes: list[Scene], mosaic: Mosaic, rng: np.random.Generator) -> Scene:
    """One training picture before it is spoiled."""
    cells = int(rng.choice(mosaic.cells))
    side = mosaic.side // cells
    canvas = np.zeros((mosaic.side, mosaic.side, 3), np.uint8)
    faces, doubtful = [], []
    for cell in range(cells * cells):
        y, x = (v * side for v in divmod(cell, cells))
        scene = scenes[rng.integers(len(scenes))]
        part = place(scene, backdrop(scenes, side, rng), mosaic, rng)
        if len(part.faces) and rng.random() < mosaic.covered:
            cover(part.pixels, part.faces[0], rng)
        canvas[y : y + side, x : x + side] = part.pixels
        faces.append(part.faces + np.tile([x, y], 7).astype(np.float32))
        doubtful.append(part.doubtful + np.tile([x, y], 2).astype(np.float32))
    return Scene(canvas, np.concatenate(faces), np.concatenate(doubtful))


@dataclass(frozen=True)
class Targets:
    """What each cell should say: its face [cells, 14], whether it has one, whether it counts."""

    faces: Tensor
    positive: Tensor
    counts: Tensor


def level_of(size: float) -> float:
    """The level that is responsible for a face of `size` pixels, fractional near a boundary."""
    return math.log2(max(size, 1.0) / 24)


def assign(scene: Scene, side: int) -> Targets:
    """Cells within 1.5 strides of a face's centre, on its level, are its own; those of the next
    level do not count where the face's size is near the boundary."""
    prior = priors(side, side)
    centres = prior[:, :2]
    level = (prior[:, 2] / STRIDES[0]).log2()
    faces = torch.zeros(len(prior), 14)
    positive = torch.zeros(len(prior), dtype=torch.bool)
    counts = torch.ones(len(prior), dtype=torch.bool)
    nearest = torch.full((len(prior),), math.inf)
    for box in torch.from_numpy(scene.doubtful):
        inside = ((centres > box[:2]) & (centres < box[2:])).all(dim=1)
        counts &= ~inside
    for face in torch.from_numpy(scene.faces):
        size = float((face[2:4] - face[:2]).prod().clamp(min=1).sqrt())
        wanted = min(max(level_of(size), 0.0), len(STRIDES) - 1.0)
        distance = (centres - (face[:2] + face[2:4]) / 2).abs().amax(dim=1) / prior[:, 2]
        near = distance <= 1.5
        own = near & (level == round(wanted)) & (distance < nearest)
        faces[own], nearest[own] = face, distance[own]
        positive |= own
        other = near & (level != round(wanted)) & ((level - wanted).abs() < 0.75)
        counts &= ~other
    return Targets(faces, positive, counts | positive)


def detection_loss(cells: Tensor, targets: Targets, prior: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Sum of the object, class, box and landmark terms over a batch [N, cells, 16]."""
    positive, counts = targets.positive, targets.counts
    number = positive.sum().clamp(min=1)
    objects = F.binary_cross_entropy_with_logits(
        cells[..., 1], positive.float(), reduction="none"
    )
    # Easy background is a thousand times as frequent as faces.
    probability = cells[..., 1].detach().sigmoid()
    weight = torch.where(positive, 1.0, probability.square() * 4)
    objects = (objects * weight * counts).sum() / number
    chosen = cells[positive]
    stride = prior[:, 2].expand_as(positive)[positive][:, None]
    corner = prior[:, :2].expand(*positive.shape, 2)[positive]
    face = targets.faces[positive]
    size = (face[:, 2:4] - face[:, :2]).clamp(min=1)
    boxes = chosen[:, 2:4] * stride + corner, chosen[:, 4:6].clamp(max=8).exp() * stride
    overlap, penalty = iou(boxes[0], boxes[1], (face[:, :2] + face[:, 2:4]) / 2, size)
    classes = F.binary_cross_entropy_with_logits(
        chosen[:, 0], overlap.detach().clamp(0, 1), reduction="sum"
    )
    points = chosen[:, 6:].unflatten(1, (5, 2)) * stride[:, None] + corner[:, None]
    error = (points - face[:, 4:].unflatten(1, (5, 2))) / size.mean(dim=1)[:, None, None]
    landmarks = F.smooth_l1_loss(error, torch.zeros_like(error), beta=0.02, reduction="sum") / 10
    terms = {
        "object": objects,
        "class": classes / number,
        "box": 2 * (1 - overlap + penalty).sum() / number,
        "landmarks": 10 * landmarks / number,
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


class Mosaics(IterableDataset[tuple[Tensor, Targets]]):
    """Endless batches of BGR pictures [batch, 3, side, side] in 0..255 and their targets.

    Picture `i` of a run has its own seed, so a continued run sees what it would have seen.
    """

    def __init__(
        self, scenes: list[Scene], mosaic: Mosaic, batch: int, seed: int, start: int
    ) -> None:
        self.scenes, self.mosaic, self.batch = scenes, mosaic, batch
        self.seed, self.start = seed, start

    def sample(self, index: int) -> tuple[Tensor, Targets]:
        rng = np.random.default_rng([self.seed, index])
        scene = compose(self.scenes, self.mosaic, rng)
        picture = spoil(scene.pixels, self.mosaic, rng)
        return picture.flip(0).float(), assign(scene, self.mosaic.side)

    def __iter__(self) -> Iterator[tuple[Tensor, Targets]]:
        index = self.start
        while True:
            samples = [self.sample(index + i) for i in range(self.batch)]
            index += self.batch
            targets = [s[1] for s in samples]
            yield (
                torch.stack([s[0] for s in samples]),
                Targets(
                    torch.stack([t.faces for t in targets]),
                    torch.stack([t.positive for t in targets]),
                    torch.stack([t.counts for t in targets]),
                ),
            )

"""Scenes with labelled faces: read, moved, put before other scenes.

A face is 14 numbers: box (left, top, right, bottom) and five landmarks (x, y), in pixels, where a
picture's first pixel reaches from 0 to 1. Pictures are RGB, uint8 [H, W, 3].
"""

from __future__ import annotations

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from .detection import Array

Pixels = NDArray[np.uint8]

TRAINED_ON, HELD_OUT = ("scenes/", "faces-256/train/"), ("photos/", "faces-256/val/")
"""Folders of PENTIMENTO_SHARED's data."""

MIRRORED = (1, 0, 2, 4, 3)
"""Landmarks of a mirrored face."""


@dataclass(frozen=True)
class Scene:
    """A picture, faces [F, 14], and boxes [G, 4] that may or may not be faces."""

    pixels: Pixels
    faces: Array
    doubtful: Array
    smaller: tuple[Pixels, ...] = ()
    """The picture at half, a quarter, … of its size."""


def data_folder(name: str) -> Path:
    """`data/<name>` of the folder named by the environment variable PENTIMENTO_SHARED."""
    root = os.environ.get("PENTIMENTO_SHARED")
    if not root:
        raise SystemExit(f"set PENTIMENTO_SHARED to the folder that holds data/{name}")
    return Path(root) / "data" / name


def read_scene(file: Path, faces: Array, doubtful: Array) -> Scene:
    """A labelled picture from a file."""
    with Image.open(file) as opened:
        sizes = [np.array(opened.convert("RGB"))]
    while min(sizes[-1].shape[:2]) > 64:
        sizes.append(cv2.resize(sizes[-1], None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA))
    return Scene(sizes[0], faces.reshape(-1, 14), doubtful.reshape(-1, 4), tuple(sizes[1:]))


def load_scenes(
    labels: Path, folders: tuple[str, ...] = TRAINED_ON, limit: int | None = None
) -> list[Scene]:
    """The pictures of these folders that `label_faces` labelled, at most `limit`."""
    root = data_folder(".")
    named = json.loads(labels.read_text())
    names = [name for name in named if name.startswith(folders)][:limit]
    parts = [[np.array(named[n][k], np.float32) for k in ("faces", "doubtful")] for n in names]
    return [read_scene(root / name, *part) for name, part in zip(names, parts, strict=True)]


def moved(points: Array, matrix: Array) -> Array:
    """Points [..., 2] by an affine [2, 3]."""
    return points @ matrix[:, :2].T + matrix[:, 2]


def backdrop(scenes: list[Scene], side: int, rng: np.random.Generator) -> Pixels:
    """A square of a scene without any face or, where none is found in many tries, of one colour."""
    tries = 0 if rng.random() < 0.1 else 50
    for _ in range(tries):
        scene = scenes[rng.integers(len(scenes))]
        height, width = scene.pixels.shape[:2]
        length = rng.uniform(0.15, 0.5) * min(height, width)
        x, y = rng.uniform(0, width - length), rng.uniform(0, height - length)
        boxes = np.concatenate([scene.faces[:, :4], scene.doubtful])
        apart = (boxes[:, :2] > (x + length, y + length)) | (boxes[:, 2:] < (x, y))
        if apart.any(axis=1).all():
            rows, columns = (slice(int(v), int(v + length)) for v in (y, x))
            part = scene.pixels[rows, columns]
            return cv2.resize(part, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.full((side, side, 3), rng.integers(0, 256, 3), np.uint8)


def draw(scene: Scene, matrix: Array, canvas: Pixels) -> None:
    """Draws the scene under an affine, over what the canvas shows."""
    scale = math.hypot(*matrix[:, 0])
    # Bilinear sampling of a picture that is shrunk more than twice would skip pixels.
    level = min(max(int(-math.log2(scale)), 0), len(scene.smaller))
    source = (scene.pixels, *scene.smaller)[level]
    height, width = source.shape[:2]
    zoom = (scene.pixels.shape[1] / width, scene.pixels.shape[0] / height)
    full = np.vstack([matrix, [0, 0, 1]]) @ np.diag([*zoom, 1])
    # OpenCV's coordinates have their zero in the middle of the first pixel.
    full[:2, 2] += full[:2, :2].sum(axis=1) / 2 - 0.5
    cv2.warpAffine(
        source,
        full[:2],
        canvas.shape[1::-1],
        dst=canvas,
        flags=cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_TRANSPARENT,
    )


def place(scene: Scene, target: int, matrix: Array, behind: Pixels, oval: float | None) -> Scene:
    """The scene under an affine [2, 3] before a square; with `oval`, only the target's face, within
    an oval that is so much larger than its box."""
    side = len(behind)
    canvas = behind.copy()
    draw(scene, matrix, canvas)
    scale = math.hypot(*matrix[:, 0])
    points = moved(scene.faces[:, 4:].reshape(-1, 5, 2), matrix)
    if matrix[0, 0] * matrix[1, 1] < matrix[0, 1] * matrix[1, 0]:
        points = points[:, MIRRORED]
    # A box of a turned face keeps its size: heads are round.
    boxes = same_size_box(scene.faces[:, :4], matrix, scale)
    doubtful = same_size_box(scene.doubtful, matrix, scale)
    faces = np.concatenate([boxes, points.reshape(-1, 10)], axis=1)
    kept = visible(boxes, side)
    if oval is not None:
        box = boxes[target]
        centre, half = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2 * oval
        axis = np.arange(side, dtype=np.float32) + 0.5
        x, y = (np.square((axis - centre[i]) / max(half[i], 1)) for i in (0, 1))
        radius = np.sqrt(x + y[:, None])
        alpha = ((1.1 - radius) * 5).clip(0, 1)[..., None]
        canvas = (canvas * alpha + behind * (1 - alpha)).astype(np.uint8)
        kept &= np.arange(len(faces)) == target
    # A face that is cut is neither face nor background.
    return Scene(canvas, faces[kept], np.concatenate([doubtful, boxes[~kept]]))


def same_size_box(boxes: Array, matrix: Array, scale: float) -> Array:
    """Boxes around the moved centres; width and height change places with every quarter turn."""
    centre = moved((boxes[:, :2] + boxes[:, 2:]) / 2, matrix)
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 * scale
    along = np.square(matrix[0, 0] / scale)
    half = half * along + half[:, ::-1] * (1 - along)
    return np.concatenate([centre - half, centre + half], axis=1).astype(np.float32)


def visible(boxes: Array, side: int) -> NDArray[np.bool_]:
    """Whether at least 0.7 of a box lies in the picture."""
    low, high = boxes[:, :2].clip(0, side), boxes[:, 2:].clip(0, side)
    area = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    return (high - low).prod(axis=1) > 0.7 * area


def cover(pixels: Pixels, face: Array, by: Pixels, rng: np.random.Generator) -> None:
    """Puts a rectangle of another picture over a third of the face at most."""
    left, top, right, bottom = face[:4]
    width, height = (right - left) * rng.uniform(0.2, 0.6), (bottom - top) * rng.uniform(0.2, 0.5)
    x, y = rng.uniform(left, right - width), rng.uniform(top, bottom - height)
    rows = slice(max(0, int(y)), max(0, int(y + height)))
    columns = slice(max(0, int(x)), max(0, int(x + width)))
    pixels[rows, columns] = by[rows, columns]

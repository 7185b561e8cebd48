"""Aligned faces, decoded once into memory, and the endless stream of training pairs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset

from .degradation import DegradationConfig, degrade, from_bytes


def faces_folder(part: str) -> Path:
    """`faces-256/<part>` of the data folder named by the environment variable PENTIMENTO_SHARED."""
    root = os.environ.get("PENTIMENTO_SHARED")
    if not root:
        raise SystemExit("set PENTIMENTO_SHARED to the folder that holds data/faces-256")
    folder = Path(root) / "data" / "faces-256" / part
    if not folder.is_dir():
        raise SystemExit(f"{folder} is not a folder; PENTIMENTO_SHARED points to the wrong place")
    return folder


def face_files(folder: Path, limit: int | None = None) -> list[Path]:
    """The folder's pictures in name order, at most `limit`."""
    files = sorted(p for p in folder.iterdir() if p.suffix in (".jpg", ".png"))
    return files[:limit]


def load_faces(files: list[Path], size: int) -> Tensor:
    """uint8 [N, 3, size, size]; a picture of another size is resampled."""
    faces = np.empty((len(files), 3, size, size), np.uint8)
    for i, file in enumerate(files):
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        if picture.size != (size, size):
            picture = picture.resize((size, size), Image.Resampling.LANCZOS)
        faces[i] = np.asarray(picture).transpose(2, 0, 1)
    return torch.from_numpy(faces)


class Pairs(IterableDataset[tuple[Tensor, Tensor]]):
    """Endless batches (degraded, target), each [batch, 3, S, S] in [-1, 1].

    Sample `i` of the run takes face `permutation(epoch)[i mod N]`, flipped half of the time; its
    generator is seeded by (seed, i), so a run continued at `start` sees what it would have seen.
    """

    def __init__(
        self, faces: Tensor, degradation: DegradationConfig, batch: int, seed: int, start: int
    ) -> None:
        self.faces = faces
        self.degradation = degradation
        self.batch = batch
        self.seed = seed
        self.start = start

    def _sample(self, index: int) -> tuple[Tensor, Tensor]:
        epoch, within = divmod(index, len(self.faces))
        order = np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.faces))
        rng = np.random.default_rng([self.seed, 1, index])
        target = from_bytes(self.faces[order[within]])
        if rng.random() < 0.5:
            target = target.flip(-1)
        return degrade(target, self.degradation, rng), target

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        index = self.start
        while True:
            samples = [self._sample(index + i) for i in range(self.batch)]
            index += self.batch
            yield torch.stack([s[0] for s in samples]), torch.stack([s[1] for s in samples])

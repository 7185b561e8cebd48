"""Aligned faces, decoded once into memory, and the endless stream of training pairs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from .alignment import PROFILE, Jitter, mirror_points, warp, warp_points, yaw
from .borders import inside
from .degradation import DegradationConfig, degrade, from_bytes, gray
from .glasses import Glasses
from .light import Light
from .old_photos import cast, toned


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


@dataclass(frozen=True)
class Repetition:
    """Faces of which there are too few: an epoch shows each of them `times`."""

    faces: Path
    """A text file of their names, one a line; `#` begins a remark."""
    times: int
    profiles: int = 1
    """How often an epoch shows each face in profile."""

    def turned(self, landmarks: Tensor) -> tuple[int, ...]:
        """Where profiles are among faces with landmarks [N, 5, 2], once for each time but the first."""
        places = (yaw(landmarks) >= PROFILE).nonzero()[:, 0].tolist()
        return tuple(places) * (self.profiles - 1)

    def places(self, files: list[Path]) -> tuple[int, ...]:
        """Where the faces are among `files`, once for each time but the first."""
        lines = (line.partition("#")[0].strip() for line in self.faces.read_text().splitlines())
        names = [name for name in lines if name]
        known = {file.name: place for place, file in enumerate(files)}
        if unknown := [name for name in names if name not in known]:
            raise SystemExit(f"{self.faces} names {unknown[0]}, which is not among the faces")
        return tuple(known[name] for name in names) * (self.times - 1)


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


def recoloured(target: Tensor, config: DegradationConfig, rng: np.random.Generator) -> Tensor:
    """The face in colours that nothing in the input would tell: gray, toned, or with faded dyes."""
    damage = config.damage
    if rng.random() < config.gray:
        target = gray(target).contiguous()
        return toned(target, rng) if damage and rng.random() < damage.toned else target
    return cast(target, rng) if damage and rng.random() < damage.cast else target


@dataclass(frozen=True)
class Batch:
    """`degraded` and `target` [batch, 3, S, S] in [-1, 1]; `landmarks` [batch, 5, 2], parts of S.

    `inside` [batch, 1, S, S] is 0 where a picture is only mirrored, at its borders.
    """

    degraded: Tensor
    target: Tensor
    landmarks: Tensor
    inside: Tensor | None = None

    def to(self, device: torch.device) -> Batch:
        """On a device, the pictures in the layout that its convolutions like."""
        last = torch.channels_last
        return Batch(
            self.degraded.to(device, non_blocking=True, memory_format=last),
            self.target.to(device, non_blocking=True, memory_format=last),
            self.landmarks.to(device, non_blocking=True),
            None if self.inside is None else self.inside.to(device, non_blocking=True),
        )

    def pin_memory(self) -> Batch:
        """Where a GPU fetches it by itself; a `DataLoader` asks for it by this name."""
        pinned = (t.pin_memory() for t in (self.degraded, self.target, self.landmarks))
        return Batch(*pinned, None if self.inside is None else self.inside.pin_memory())


@dataclass(frozen=True)
class Source:
    """Faces uint8 [N, 3, S, S], their landmarks [N, 5, 2], and what is done to them.

    Without a degradation the network's input is the face itself. An epoch shows every face once,
    and again for each time that its place is among the `repeated`: they wear glasses or are profiles,
    and get no drawn ones.
    """

    faces: Tensor
    landmarks: Tensor
    jitter: Jitter
    degradation: DegradationConfig | None
    repeated: tuple[int, ...] = ()
    borders: Tensor | None = None
    """Mirrored pixels of the faces [N, 4], see `borders.py`."""
    light: Light | None = None
    glasses: Glasses | None = None

    def __len__(self) -> int:
        """Samples of an epoch."""
        return len(self.faces) + len(self.repeated)

    def shown(self, epoch: int, within: int, seed: int) -> int:
        """The place of the face that an epoch, in an order of its own, shows as its `within`th."""
        turn = int(np.random.default_rng([seed, 0, epoch]).permutation(len(self))[within])
        return turn if turn < len(self.faces) else self.repeated[turn - len(self.faces)]

    def sample(self, place: int, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """The face at `place`, mirrored half of the time: input, target, landmarks and inside."""
        target, points = from_bytes(self.faces[place]), self.landmarks[place]
        mirrored = rng.random() < 0.5
        if mirrored:
            target, points = target.flip(-1), mirror_points(points)
        if self.glasses is not None and place not in self.repeated:
            target = self.glasses.put_on(target, points, rng)
        matrix = self.jitter.draw(rng)
        none = torch.zeros(4, dtype=torch.int64)
        borders = none if self.borders is None else self.borders[place]
        within = inside(borders, target.shape[-1], mirrored, matrix)
        if matrix is not None:
            target, points = warp(target, matrix), warp_points(points, matrix)
        if self.light is not None:
            target = self.light.change(target, rng)
        if self.degradation is None:
            return target, target, points, within
        target = recoloured(target, self.degradation, rng)
        return degrade(target, self.degradation, rng), target, points, within


class Pairs(IterableDataset[Batch]):
    """Endless batches from sample `start` of a run.

    Sample `i` takes the face that its epoch shows next; its generator is seeded by (seed, i), so a
    run continued at `start` sees what it would have seen. The run's processes, and the workers of
    each, take turns batch by batch.
    """

    def __init__(
        self, source: Source, batch: int, seed: int, start: int, place: tuple[int, int] = (0, 1)
    ) -> None:
        self.source = source
        self.batch = batch
        self.seed = seed
        self.start = start
        self.place = place

    def _sample(self, index: int) -> tuple[Tensor, ...]:
        place = self.source.shown(*divmod(index, len(self.source)), self.seed)
        return self.source.sample(place, np.random.default_rng([self.seed, 1, index]))

    def __iter__(self) -> Iterator[Batch]:
        worker = get_worker_info()
        turn, workers = (worker.id, worker.num_workers) if worker else (0, 1)
        rank, ranks = self.place
        index = self.start + (turn * ranks + rank) * self.batch
        while True:
            samples = [self._sample(index + i) for i in range(self.batch)]
            index += workers * ranks * self.batch
            yield Batch(*(torch.stack(v) for v in zip(*samples, strict=True)))

"""A small network whose features compare sets of faces, trained on the same faces.

    python -m pentimento_train.feature_network features.safetensors

Two tasks at once: to recognise a face among the others of the batch in another crop, light and
colour, and to tell how badly a picture is degraded. So its features know shapes and textures. They
are not those of an Inception network: distances in them compare rows of one table and nothing else.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from pentimento_reference import yunet
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from .alignment import Jitter, warp
from .data import face_files, faces_folder, load_faces
from .degradation import degrade, from_bytes
from .levels import LEVELS, level_config
from .vgg16 import Vgg16Features

WIDTHS = (24, 32, 64, 96, 128)
BATCH = 16


class FeatureNetwork(nn.Module):
    """[N, 3, S, S] in [-1, 1] → features [N, 256]: means and deviations of the last level."""

    def __init__(self) -> None:
        super().__init__()
        self.convs = nn.ModuleList()
        before = 3
        for width in WIDTHS:
            self.convs.append(
                nn.Sequential(
                    nn.Conv2d(before, width, 3, stride=2, padding=1),
                    nn.LeakyReLU(0.2),
                    nn.Conv2d(width, width, 3, padding=1),
                    nn.GroupNorm(4, width),
                    nn.LeakyReLU(0.2),
                )
            )
            before = width
        self.project = nn.Linear(2 * before, 64)
        self.level = nn.Linear(2 * before, 1 + len(LEVELS))

    def levels(self, x: Tensor) -> list[Tensor]:
        """Features at every resolution from S/2 down."""
        out = []
        for conv in self.convs:
            x = conv(x)
            out.append(x)
        return out

    def forward(self, x: Tensor) -> Tensor:
        last = self.levels(x)[-1].flatten(2)
        return torch.cat([last.mean(2), last.std(2)], 1)


class DetectorFeatures(nn.Module):
    """A face detector as a feature network: what it looks at is where eyes, nose and mouth are."""

    def __init__(self, detector: yunet.YuNet) -> None:
        super().__init__()
        self.detector = detector.requires_grad_(False).eval()

    def levels(self, x: Tensor) -> list[Tensor]:
        """Features of strides 8, 16 and 32, before and behind the neck."""
        features = self.detector.backbone((x.flip(1) + 1) * 127.5)
        return features + self.detector.neck(features)


Perceptual = FeatureNetwork | DetectorFeatures | Vgg16Features
"""What has levels of features to compare pictures in."""


def load_features(file: Path) -> Perceptual:
    """The network in a file that `main` wrote, a detector's, or VGG16's (`arch`: `vgg16`), frozen."""
    with safe_open(file, "pt") as opened:
        arch = (opened.metadata() or {}).get("arch")
    network: Perceptual
    if arch == "yunet":
        network = DetectorFeatures(yunet.load_checkpoint(file))
    elif arch == "vgg16":
        network = Vgg16Features.load(load_file(file))
    else:
        network = FeatureNetwork()
        network.load_state_dict(load_file(file))
    return network.requires_grad_(False).eval()


def view(face: Tensor, rng: np.random.Generator) -> Tensor:
    """The face in another crop, light and colour."""
    face = face.flip(-1) if rng.random() < 0.5 else face
    matrix = Jitter(1.0, 8.0, 0.15, 0.04).draw(rng)
    assert matrix is not None
    colour = torch.from_numpy(rng.uniform(0.7, 1.3) * rng.uniform(0.85, 1.15, 3)).float()
    return warp(face, matrix) * colour[:, None, None] + float(rng.uniform(-0.2, 0.2))


def batch_loss(network: FeatureNetwork, faces: Tensor, rng: np.random.Generator) -> Tensor:
    """Both tasks on uint8 faces [N, 3, S, S]."""
    clean = [from_bytes(face) for face in faces]
    views = torch.stack([view(face, rng) for face in clean + clean])
    first, second = F.normalize(network.project(network(views)), dim=1).chunk(2)
    similar = first @ second.T / 0.1
    own = torch.arange(len(faces))
    recognise = (F.cross_entropy(similar, own) + F.cross_entropy(similar.T, own)) / 2
    wanted = torch.from_numpy(rng.integers(0, 1 + len(LEVELS), len(faces)))
    pictures = [
        face if level == 0 else degrade(face, level_config(LEVELS[level - 1]), rng)
        for face, level in zip(clean, wanted.tolist(), strict=True)
    ]
    return recognise + F.cross_entropy(network.level(network(torch.stack(pictures))), wanted)


def train(faces: Tensor, steps: int, seed: int) -> FeatureNetwork:
    """A network after `steps` batches; prints its loss."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    network = FeatureNetwork()
    optimizer = torch.optim.Adam(network.parameters(), lr=2e-3)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    for step in range(steps):
        chosen = rng.choice(len(faces), min(BATCH, len(faces)), replace=False)
        loss = batch_loss(network, faces[torch.from_numpy(chosen)], rng)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        if step % 20 == 0 or step == steps - 1:
            print(f"step {step} loss {loss.item():.3f}", flush=True)
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="safetensors file to write")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=int, default=256)
    arguments = parser.parse_args()
    faces = load_faces(face_files(faces_folder("train")), arguments.size)
    network = train(faces, arguments.steps, arguments.seed)
    save_file(network.state_dict(), arguments.file)


if __name__ == "__main__":
    main()

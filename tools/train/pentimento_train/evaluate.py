"""PSNR and SSIM of a checkpoint on held-out faces, by level of degradation.

    python -m pentimento_train.evaluate weights/mmrbnet-256.safetensors [--limit N] [--json FILE]

Each face is degraded at ×2, ×4 and ×8; the comparison is the degraded picture enlarged bicubically,
which is also what the network is given. Degradations are seeded by level and by place in the folder.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint
from torch import Tensor

from .data import face_files, faces_folder, load_faces
from .degradation import DegradationConfig, degrade, from_bytes, to_bytes
from .metrics import psnr, ssim

LEVELS = (2, 4, 8)
SEED = 20220514


@dataclass(frozen=True)
class Score:
    """Means over the pictures of one level."""

    level: int
    pictures: int
    bicubic_psnr: float
    bicubic_ssim: float
    restored_psnr: float
    restored_ssim: float


def level_config(level: int) -> DegradationConfig:
    """The evaluation's degradation at a fixed down-sampling factor."""
    return DegradationConfig(
        factor=(level, level),
        blur_sigma_per_factor=(0.2, 0.6),
        noise_sigma=(0.0, 6.0),
        jpeg_quality=(60, 95),
    )


def degraded(faces: Tensor, level: int, places: Sequence[int] | None = None) -> Tensor:
    """uint8 [N, 3, S, S] → the network's inputs for the faces at `places` (all), uint8."""
    config = level_config(level)
    pictures = [
        degrade(from_bytes(faces[i]), config, np.random.default_rng([SEED, level, i]))
        for i in (range(len(faces)) if places is None else places)
    ]
    return to_bytes(torch.stack(pictures))


@torch.no_grad()
def restore(model: MmrbNet, pictures: Tensor) -> Tensor:
    """uint8 [N, 3, S, S] → uint8 of the same shape."""
    return torch.cat([to_bytes(model(from_bytes(batch))) for batch in pictures.split(4)])


def evaluate(model: MmrbNet, faces: Tensor) -> list[Score]:
    """One score per level."""
    scores = []
    for level in LEVELS:
        given = degraded(faces, level)
        restored = restore(model, given)
        scores.append(
            Score(
                level,
                len(faces),
                psnr(given, faces).mean().item(),
                ssim(given, faces).mean().item(),
                psnr(restored, faces).mean().item(),
                ssim(restored, faces).mean().item(),
            )
        )
    return scores


def table(scores: list[Score]) -> str:
    """The scores as a Markdown table."""
    rows = [
        "| level | pictures | bicubic PSNR | restored PSNR | bicubic SSIM | restored SSIM |",
        "|---|---|---|---|---|---|",
    ]
    for s in scores:
        rows.append(
            f"| ×{s.level} | {s.pictures} | {s.bicubic_psnr:.2f} dB | {s.restored_psnr:.2f} dB "
            f"| {s.bicubic_ssim:.4f} | {s.restored_ssim:.4f} |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description="PSNR and SSIM by level of degradation.")
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--limit", type=int, help="use only the first faces")
    parser.add_argument("--json", type=Path, help="also write the unrounded scores to this file")
    arguments = parser.parse_args()
    model = load_checkpoint(arguments.checkpoint)
    files = face_files(faces_folder("val"), arguments.limit)
    scores = evaluate(model, load_faces(files, model.config.size))
    print(table(scores))
    if arguments.json:
        arguments.json.write_text(json.dumps([vars(s) for s in scores], indent=1) + "\n")


if __name__ == "__main__":
    main()

"""Writes degraded held-out faces and their originals as PNG, for any engine to restore.

    python -m pentimento_train.make_samples FOLDER [--faces N] [--model CHECKPOINT]

FOLDER/degraded/x{level}/NAME.png is what the evaluation feeds the network, FOLDER/original/NAME.png
the face itself. With a model, FOLDER/restored/x{level}/NAME.png is the reference's answer, and
FOLDER/sheet.png shows degraded | restored | original for every level and face.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from pentimento_reference.mmrbnet import load_checkpoint
from PIL import Image
from torch import Tensor

from .data import face_files, faces_folder, load_faces
from .evaluate import network
from .levels import LEVELS, degraded


def write_png(picture: Tensor, path: Path) -> None:
    """Writes uint8 [3, H, W], making the folder where needed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy()).save(path)


def spread(files: list[Path], count: int) -> list[int]:
    """`count` places evenly spread over the files."""
    count = min(count, len(files))
    return [i * len(files) // count for i in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Degraded held-out faces as PNG.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=int, default=8)
    parser.add_argument("--size", type=int, default=256, help="side, unless a model gives it")
    parser.add_argument("--model", type=Path)
    arguments = parser.parse_args()
    model = load_checkpoint(arguments.model) if arguments.model else None
    files = face_files(faces_folder("val"))
    faces = load_faces(files, model.config.size if model else arguments.size)
    chosen = spread(files, arguments.faces)
    names = [files[i].stem + ".png" for i in chosen]
    for name, place in zip(names, chosen, strict=True):
        write_png(faces[place], arguments.folder / "original" / name)
    rows: list[Tensor] = []
    for level in LEVELS:
        given = degraded(faces, level, chosen)
        for name, picture in zip(names, given.enlarged, strict=True):
            write_png(picture, arguments.folder / "degraded" / f"x{level}" / name)
        if model is None:
            continue
        restored = network(model)(given)
        for name, picture in zip(names, restored, strict=True):
            write_png(picture, arguments.folder / "restored" / f"x{level}" / name)
        triples = torch.stack([given.enlarged, restored, faces[chosen]], 1)
        rows.extend(torch.cat(list(t), -1) for t in triples)
    if rows:
        write_png(torch.cat(rows, 1), arguments.folder / "sheet.png")


if __name__ == "__main__":
    main()

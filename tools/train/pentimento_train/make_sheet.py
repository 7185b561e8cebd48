"""The picture of docs/quality.md: held-out faces, each at one level: input, output, original.

    python -m pentimento_train.make_sheet docs/quality.png --model weights/mmrbnet-256.safetensors

One row for each level of degradation, mild to serious, with its own four faces.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from pentimento_reference.mmrbnet import load_checkpoint
from PIL import Image
from torch import Tensor

from .data import face_files, faces_folder, load_faces
from .evaluate import network
from .levels import LEVELS, degraded
from .make_samples import spread


def sheet(model: Path, columns: int) -> Tensor:
    """uint8 [3, H, W]: a row for each level, `columns` faces in each."""
    restorer = load_checkpoint(model)
    files = face_files(faces_folder("val"))
    faces = load_faces(files, restorer.config.size)
    chosen = spread(files, columns * len(LEVELS))
    rows = []
    for i, level in enumerate(LEVELS):
        # Neighbours in the folder come from one source, so that each row takes from all of it.
        places = chosen[i :: len(LEVELS)]
        given = degraded(faces, level, places)
        triples = torch.stack([given.enlarged, network(restorer)(given), faces[places]], 1)
        rows.append(torch.cat(list(triples.flatten(0, 1)), -1))
    return torch.cat(rows, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("file", type=Path)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--columns", type=int, default=4)
    parser.add_argument("--side", type=int, default=176, help="of a face in the picture")
    arguments = parser.parse_args()
    pixels = sheet(arguments.model, arguments.columns).permute(1, 2, 0).contiguous().numpy()
    picture = Image.fromarray(np.asarray(pixels))
    size = (arguments.columns * 3 * arguments.side, len(LEVELS) * arguments.side)
    picture.resize(size, Image.Resampling.LANCZOS).save(arguments.file, optimize=True)


if __name__ == "__main__":
    main()

"""Labels the pictures that the detector is trained on with a published YuNet's boxes and landmarks.

    python -m pentimento_train.label_faces labels.json --teacher yunet_n.pth

The scenes and the aligned faces of PENTIMENTO_SHARED, each looked at in several sizes and mirrored,
with the mean of what is found; the held-out photos and faces too, for the evaluation. Left out are
scenes that a held-out face was cut from, aligned faces that were cut from one of the scenes, and
all portraits of `faker`: the held-out photos are theirs.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from pentimento_reference.yunet import YuNet, detect, load_checkpoint
from PIL import Image
from torch import Tensor

from .data import faces_folder
from .scenes import MIRRORED, Array, data_folder

SCALES = (1.0, 0.75, 0.5)
SURE, DOUBTFUL = 0.6, 0.3
"""A face is found with the first score; boxes with a score between the two may be one."""


def look(teacher: YuNet, pixels: Tensor, scale: float, mirror: bool) -> tuple[Array, Array]:
    """Scores [F] and faces [F, 14] of a picture that is seen smaller, and perhaps mirrored."""
    seen = pixels.flip(2) if mirror else pixels
    if scale < 1:
        size = [round(n * scale) for n in pixels.shape[1:]]
        seen = F.interpolate(seen[None].float(), size, mode="bilinear", antialias=True)[0]
    scores, boxes, points = detect(teacher, seen, DOUBTFUL)
    zoom = torch.tensor(pixels.shape[:0:-1]) / torch.tensor(seen.shape[:0:-1])
    corners, points = boxes.unflatten(1, (2, 2)) * zoom, points * zoom
    if mirror:
        width = pixels.shape[2]
        flip = torch.tensor([-1.0, 1.0])
        corners = corners * flip + torch.tensor([width, 0.0])
        left, right = corners[:, 1, 0].clone(), corners[:, 0, 0].clone()
        corners[:, 0, 0], corners[:, 1, 0] = left, right
        points = points[:, MIRRORED] * flip + torch.tensor([width, 0.0])
    faces = torch.cat([corners.flatten(1), points.flatten(1)], dim=1)
    return scores.numpy(), faces.numpy().astype(np.float32)


def same(face: Array, others: Array) -> NDArray[np.bool_]:
    """Which of the others have their landmarks within a tenth of the face's size of its own."""
    distance = np.abs(others[:, 4:] - face[4:]).max(axis=1)
    return distance < 0.1 * np.abs(face[2:4] - face[:2]).max()


def label(teacher: YuNet, pixels: Tensor) -> dict[str, list[list[float]]]:
    """`faces`, the mean over the looks of each face that the first look is sure of, and `doubtful`,
    further boxes."""
    looks = [look(teacher, pixels, scale, mirror) for scale in SCALES for mirror in (False, True)]
    scores, faces = looks[0]
    sure = scores > SURE
    means = []
    for face in faces[sure]:
        # What a look misses does not count; a look at half the size may miss small faces.
        matches = [other[same(face, other)][:1] for _, other in looks]
        means.append(np.concatenate(matches).mean(axis=0))
    doubtful = faces[~sure, :4]
    return {
        "faces": [[round(float(v), 2) for v in face] for face in means],
        "doubtful": [[round(float(v), 2) for v in box] for box in doubtful],
    }


def pictures() -> list[Path]:
    """The held-out photos and faces, and the scenes and faces that may be trained on."""
    photos = sorted(data_folder("photos").glob("*.jpg"))
    held_out = sorted(faces_folder("val").glob("*.jpg"))
    names = {file.name for file in held_out}
    scenes = sorted(data_folder("scenes").glob("*.jpg"))
    known = {file.name for file in scenes}
    faces = sorted(faces_folder("train").glob("*.jpg"))
    scenes = [file for file in scenes if file.name not in names]
    faces = [f for f in faces if f.name not in known and not f.name.startswith("faker_")]
    return photos + held_out + scenes + faces


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--teacher", type=Path, required=True)
    arguments = parser.parse_args()
    teacher = load_checkpoint(arguments.teacher).to(memory_format=torch.channels_last)
    root = data_folder(".")
    labels = {}
    for file in pictures():
        with Image.open(file) as opened:
            pixels = torch.from_numpy(np.array(opened.convert("RGB"))).permute(2, 0, 1)
        found = label(teacher, pixels)
        if found["faces"]:
            labels[str(file.relative_to(root))] = found
    arguments.labels.write_text(json.dumps(labels))
    print(f"{len(labels)} pictures, {sum(len(found['faces']) for found in labels.values())} faces")


if __name__ == "__main__":
    main()

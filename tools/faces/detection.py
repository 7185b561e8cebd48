"""How many faces a detector finds, how exact their landmarks are, and what else it takes for a face.

    cargo build --release --example find_faces
    python tools/faces/negatives.py negatives --scenes shared/data/scenes
    python tools/faces/detection.py --data shared/data --negatives negatives weights/face-detector.safetensors yunet_n.pth

Needs numpy and Pillow. The sets, made in a temporary folder:

| set | pictures |
|---|---|
| photos | the portraits of `data/photos`, whole |
| crops | their faces, 2.7 eye distances wide, so that they fill the picture |
| /4, /8 | both, reduced four and eight times and enlarged to their size again |
| fill | 40 faces of `data/faces-256/val`, cut to the middle 192 pixels, reduced by 1 to 8, enlarged to 512 or 1024 |
| negatives | what `negatives.py` made |

*found*: a face that passes the second look lies where one is. *error*: the mean distance of its
landmarks from the labels, in hundredths of the eye distance, median over the set. *wrong*: all other
faces that pass, and before them those of the first look alone.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

BICUBIC = Image.Resampling.BICUBIC
# Landmarks of the 512-pixel template that `faces-256` is aligned to.
TEMPLATE = np.array([[192.98, 239.95], [318.90, 240.19], [256.63, 314.02], [201.26, 371.41], [313.09, 371.15]])
Set = list[tuple[Image.Image, "np.ndarray | None"]]


def reduced(picture: Image.Image, factor: int) -> Image.Image:
    width, height = picture.size
    small = (max(8, width // factor), max(8, height // factor))
    return picture.resize(small, BICUBIC).resize((width, height), BICUBIC)


def sets(data: Path, negatives: Path, every: int) -> dict[str, Set]:
    labels = json.loads((data / "photos/landmarks.json").read_text())
    photos: Set = []
    crops: Set = []
    for name in sorted(labels)[::every]:
        picture = Image.open(data / "photos" / name).convert("RGB")
        points = np.array(labels[name]["landmarks"])
        photos.append((picture, points))
        reach = 1.35 * np.linalg.norm(points[0] - points[1])
        middle = points.mean(0)
        low = np.maximum(middle - reach, 0).astype(int)
        high = np.minimum(middle + reach, picture.size).astype(int)
        crops.append((picture.crop((*low, *high)), points - low))
    made = {"photos": photos, "crops": crops}
    for factor in (4, 8):
        for name in ("photos", "crops"):
            made[f"{name}/{factor}"] = [(reduced(picture, factor), points) for picture, points in made[name]]
    faces = sorted((data / "faces-256/val").glob("*.jpg"))
    random.Random(1).shuffle(faces)
    fill: Set = []
    for i, path in enumerate(faces[:40:every]):
        factor, side = (1, 2, 4, 8)[i % 4], (512, 1024)[i // 4 % 2]
        middle = Image.open(path).convert("RGB").crop((32, 32, 224, 224))
        small = middle.resize((192 // factor, 192 // factor), BICUBIC)
        fill.append((small.resize((side, side), BICUBIC), (TEMPLATE / 2 - 32) * side / 192))
    made["fill"] = fill
    pictures = sorted(negatives.glob("*.png"))[::every]
    made["negatives"] = [(Image.open(path).convert("RGB"), None) for path in pictures]
    return made


def search(program: Path, detector: Path, pictures: Set) -> list[dict]:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{i:04}.png" for i in range(len(pictures))]
        for path, (picture, _) in zip(paths, pictures):
            picture.save(path, compress_level=1)
        command = [program, detector, *paths]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def row(found: list[dict], pictures: Set) -> str:
    hits, errors, wrong, before = 0, [], 0, 0
    for reply, (_, points) in zip(found, pictures):
        best = None
        for face in reply["faces"]:
            if points is not None:
                error = np.linalg.norm(np.array(face["landmarks"]) - points, axis=1).mean()
                error /= np.linalg.norm(points[0] - points[1])
                if error < 0.5:
                    if face["is_face"]:
                        best = min(error, best or 1.0)
                    continue
            before += 1
            wrong += face["is_face"]
        if best is not None:
            hits += 1
            errors.append(100 * best)
    seconds = np.mean([reply["seconds"] for reply in found])
    faces = "" if pictures[0][1] is None else f"{hits} of {len(pictures)}"
    error = f"{np.median(errors):.1f}" if errors else ""
    return f"{faces} | {error} | {before} → {wrong} | {seconds:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", type=Path, nargs="+")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument("--program", type=Path, default=Path("target/release/examples/find_faces"))
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture of each set")
    parser.add_argument("--only", nargs="*", help="names of sets")
    options = parser.parse_args()
    print("| set | detector | found | error | wrong, before → after | seconds |\n|---|---|---|---|---|---|")
    for name, pictures in sets(options.data, options.negatives, options.every).items():
        if options.only and name not in options.only:
            continue
        for detector in options.detectors:
            found = search(options.program, detector, pictures)
            print(f"| {name} | {detector.stem} | {row(found, pictures)} |", flush=True)


if __name__ == "__main__":
    main()

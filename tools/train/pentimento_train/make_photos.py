"""Writes twelve photos that are hard to restore, each in its own way, for any engine to restore.

    python -m pentimento_train.make_photos FOLDER labels.json

`labels.json` is written by `label_faces`. From the held-out portraits and the scenes of
PENTIMENTO_SHARED: shrunk, with noise and JPEG. The names say what each shows: a small face, heads
turned to the side, tilted, upside down, many faces, none at all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .degradation import from_bytes, jpeg, to_bytes
from .scenes import Scene, backdrop, data_folder, load_scenes

SIDE = 512


def spoiled(picture: Image.Image, factor: int, rng: np.random.Generator) -> Image.Image:
    """Shrunk and enlarged `factor` times, with noise and JPEG in between."""
    small = picture.resize(
        (picture.width // factor, picture.height // factor), Image.Resampling.BOX
    )
    x = from_bytes(torch.from_numpy(np.array(small)).permute(2, 0, 1))
    x = x + torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32)) * 5 / 127.5
    small = Image.fromarray(to_bytes(jpeg(x, 65)).permute(1, 2, 0).numpy())
    return small.resize(picture.size, Image.Resampling.BICUBIC)


def yaw(points: np.ndarray) -> float:
    """How far the nose is off the line from between the eyes to the mouth, as a part of it."""
    eyes, mouth = points[:2].mean(axis=0), points[3:].mean(axis=0)
    down = (mouth - eyes) / np.linalg.norm(mouth - eyes)
    x, y = points[2] - (eyes + mouth) / 2
    return float((x * down[1] - y * down[0]) / np.linalg.norm(mouth - eyes))


def group(scenes: list[Scene], columns: int, rows: int) -> Image.Image:
    """Scenes side by side."""
    cell = 160
    out = Image.new("RGB", (columns * cell, rows * cell))
    for i in range(columns * rows):
        part = Image.fromarray(scenes[i].pixels).resize((cell, cell), Image.Resampling.BOX)
        out.paste(part, (i % columns * cell, i // columns * cell))
    return out


def photos(labels: Path) -> dict[str, Image.Image]:
    """The twelve, before anything is spoiled."""
    rng = np.random.default_rng(3)
    folder = data_folder("photos")
    known = json.loads((folder / "landmarks.json").read_text())
    names = sorted(known)

    def portrait(name: str) -> Image.Image:
        with Image.open(folder / name) as opened:
            return opened.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)

    turned = sorted(names, key=lambda n: -abs(yaw(np.array(known[n]["landmarks"]))))
    front = [n for n in names if n not in turned[:20]]
    scenes = load_scenes(labels, limit=150)
    several = [s for s in scenes if len(s.faces) > 1]
    single = [s for s in scenes if len(s.faces) == 1]
    small = portrait(front[3])
    points = np.array(known[front[3]]["landmarks"]) * SIDE / 1024
    # A head is about 2.2 times as high as eyes and mouth are apart.
    height = 2.2 * np.linalg.norm(points[:2].mean(axis=0) - points[3:].mean(axis=0))
    side = round(SIDE * 24 / height)
    tiny = Image.fromarray(backdrop(scenes, SIDE, rng))
    tiny.paste(small.resize((side, side), Image.Resampling.BOX), (230, 180))
    filled = portrait(front[5])
    return {
        "01-front": portrait(front[0]),
        "02-front": portrait(front[8]),
        "03-front": portrait(front[16]),
        "04-turned": portrait(turned[0]),
        "05-turned": portrait(turned[1]),
        "06-tilted": filled.rotate(35, Image.Resampling.BICUBIC, fillcolor=filled.getpixel((4, 4))),
        "07-on-its-side": portrait(front[11]).transpose(Image.Transpose.ROTATE_90),
        "08-two": Image.fromarray(several[0].pixels),
        "09-eight": group(single[7:], 4, 2),
        "10-class": group(single[40:], 6, 5),
        "11-24-pixels": tiny,
        "12-none": Image.fromarray(backdrop(scenes, SIDE, rng)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("labels", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(8)
    for name, picture in photos(arguments.labels).items():
        large = min(picture.size) >= SIDE and not name.startswith("11")
        spoiled(picture, 3 if large else 2, rng).save(arguments.folder / f"{name}.png")


if __name__ == "__main__":
    main()

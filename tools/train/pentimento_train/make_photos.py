"""Writes twelve photos that are hard to restore, each in its own way, for any engine to restore.

    python -m pentimento_train.make_photos FOLDER

From the held-out portraits and the scenes of PENTIMENTO_SHARED: shrunk, with noise and JPEG. The
names say what each shows: a small face, heads turned to the side or tilted, a photo on its side, many
faces, none at all.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from .degradation import from_bytes, jpeg, to_bytes
from .scenes import data_folder

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


def group(scenes: list[Image.Image], columns: int, rows: int) -> Image.Image:
    """Scenes side by side."""
    cell = 160
    out = Image.new("RGB", (columns * cell, rows * cell))
    for i in range(columns * rows):
        part = scenes[i].resize((cell, cell), Image.Resampling.BOX)
        out.paste(part, (i % columns * cell, i // columns * cell))
    return out


def corner(picture: Image.Image, side: int) -> Image.Image:
    """The upper right corner, where no face is, at `side` pixels."""
    part = picture.crop((picture.width * 7 // 10, 0, picture.width, picture.width * 3 // 10))
    return part.resize((side, side), Image.Resampling.BICUBIC)


def photos() -> dict[str, Image.Image]:
    """The twelve, before anything is spoiled."""
    portraits = labelled("photos")
    scenes = labelled("scenes")
    sure = [name for name, entry in scenes.items() if entry["score"] > 0.85]
    turned = sorted(sure, key=lambda name: -abs(yaw(np.array(scenes[name]["landmarks"]))))
    front = sorted(portraits, key=lambda name: abs(yaw(np.array(portraits[name]["landmarks"]))))[
        :30
    ]
    front.sort()

    def portrait(i: int) -> Image.Image:
        with Image.open(data_folder("photos") / front[i]) as opened:
            return opened.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)

    def scene(name: str) -> Image.Image:
        with Image.open(data_folder("scenes") / name) as opened:
            return opened.convert("RGB")

    small = portrait(3)
    points = np.array(portraits[front[3]]["landmarks"]) * SIDE / 1024
    # A head is about 2.2 times as high as eyes and mouth are apart.
    height = 2.2 * np.linalg.norm(points[:2].mean(axis=0) - points[3:].mean(axis=0))
    side = round(SIDE * 24 / height)
    tiny = corner(portrait(9), SIDE)
    tiny.paste(small.resize((side, side), Image.Resampling.BOX), (230, 180))
    filled = portrait(5)
    return {
        "01-front": portrait(0),
        "02-front": portrait(12),
        "03-front": portrait(20),
        "04-profile": scene(turned[0]),
        "05-profile": scene(turned[4]),
        "06-turned": scene(turned[30]),
        "07-tilted": filled.rotate(35, Image.Resampling.BICUBIC, fillcolor=filled.getpixel((4, 4))),
        "08-on-its-side": portrait(7).transpose(Image.Transpose.ROTATE_90),
        "09-eight": group([scene(name) for name in sure[7:15]], 4, 2),
        "10-class": group([scene(name) for name in sure[40:70]], 6, 5),
        "11-24-pixels": tiny,
        "12-none": corner(portrait(15), SIDE),
    }


def labelled(folder: str) -> dict[str, dict]:
    """The labels of a folder's pictures by their names, in order."""
    return dict(sorted(json.loads((data_folder(folder) / "landmarks.json").read_text()).items()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(8)
    for name, picture in photos().items():
        large = min(picture.size) >= SIDE and not name.startswith("11")
        spoiled(picture, 3 if large else 2, rng).save(arguments.folder / f"{name}.png")


if __name__ == "__main__":
    main()

"""Recall and landmark error of a detector on the held-out photos, as they are and degraded.

    python -m pentimento_train.evaluate_detector model.safetensors [yunet_n.pth …]

A face is found when a detection above the threshold has all five landmarks within a quarter of the
eye distance. Errors are means over the five landmarks, in hundredths of the eye distance; the
labels themselves are YuNet's and good to a few pixels. None of these photos is trained on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image, ImageFilter
from pentimento_reference.yunet import YuNet, detect, load_checkpoint

from .degradation import from_bytes, jpeg, to_bytes
from .detection import data_folder

THRESHOLD = 0.5
SIDE = 320
"""Photos are brought to this side; portraits fill half of it."""

CONDITIONS = ("clear", "small", "blurred", "noisy", "turned")


def view(picture: Image.Image, condition: str, rng: np.random.Generator) -> tuple[Image.Image, np.ndarray]:
    """The photo under a condition, and the affine [2, 3] of its pixels."""
    side = 80 if condition == "small" else SIDE
    scale = side / max(picture.size)
    size = (round(picture.width * scale), round(picture.height * scale))
    out = picture.resize(size, Image.Resampling.BOX if scale < 1 else Image.Resampling.BICUBIC)
    matrix = np.array([[scale, 0, 0], [0, scale, 0]])
    if condition == "small":
        canvas = Image.new("RGB", (SIDE, SIDE), tuple(int(v) for v in rng.integers(0, 256, 3)))
        x, y = (int(v) for v in rng.integers(0, SIDE - side, 2))
        canvas.paste(out, (x, y))
        return canvas, matrix + np.array([[0, 0, x], [0, 0, y]])
    if condition == "blurred":
        return out.filter(ImageFilter.GaussianBlur(3)), matrix
    if condition == "noisy":
        x = from_bytes(torch.from_numpy(np.array(out)).permute(2, 0, 1))
        noise = torch.from_numpy(rng.standard_normal(tuple(x.shape), np.float32))
        x = jpeg(x + noise * 25 / 127.5, 30)
        return Image.fromarray(to_bytes(x).permute(1, 2, 0).numpy()), matrix
    if condition == "turned":
        angle = rng.uniform(-40, 40)
        cos, sin = np.cos(np.radians(angle)), np.sin(np.radians(angle))
        centre = np.array(out.size) / 2
        # Pillow turns against the clock.
        turn = np.array([[cos, sin], [-sin, cos]])
        full = np.concatenate([turn * scale, (centre - turn @ centre)[:, None]], axis=1)
        return out.rotate(angle, Image.Resampling.BILINEAR), full
    return out, matrix


def evaluate(model: YuNet, threshold: float = THRESHOLD) -> dict[str, dict[str, float]]:
    """Per condition: part of the faces found, median and 90th percentile of the error, further
    detections per photo."""
    folder = data_folder("photos")
    labels = json.loads((folder / "landmarks.json").read_text())
    table = {}
    for condition in CONDITIONS:
        rng = np.random.default_rng(5)
        errors, further = [], 0
        for name in sorted(labels):
            with Image.open(folder / name) as opened:
                picture, matrix = view(opened.convert("RGB"), condition, rng)
            known = np.array(labels[name]["landmarks"]) @ matrix[:, :2].T + matrix[:, 2]
            eyes = np.hypot(*(known[1] - known[0]))
            pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)
            points = detect(model, pixels, threshold)[2].numpy()
            distances = np.linalg.norm(points - known, axis=-1) / eyes
            good = distances[distances.max(axis=1) < 0.25] if len(points) else distances
            if len(good):
                errors.append(float(good.mean(axis=1).min()) * 100)
            further += len(points) - len(good)
        table[condition] = {
            "found": round(len(errors) / len(labels), 4),
            "error": round(median(errors), 2) if errors else float("nan"),
            "error_90": round(float(np.percentile(errors, 90)), 2) if errors else float("nan"),
            "further": round(further / len(labels), 3),
        }
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", type=Path, nargs="+")
    print("| detector | photos | found | error | error, 90 % | further per photo |")
    print("|---|---|---|---|---|---|")
    for file in parser.parse_args().checkpoints:
        for condition, row in evaluate(load_checkpoint(file)).items():
            print(
                f"| {file.stem} | {condition} | {row['found']:.1%} | {row['error']:.2f} "
                f"| {row['error_90']:.2f} | {row['further']:.2f} |"
            )


if __name__ == "__main__":
    main()

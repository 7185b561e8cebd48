"""How much of a face's detail its restoration keeps, wave by wave, and how much noise it takes away.

    python tools/faces/spectra.py --data shared/data --program target/release/pentimento

Portraits are shrunk so that the frame of their face has 64 to 1024 pixels, left sharp, blurred, or
covered with noise or with the dots of a halftone, and restored. The table has the amplitude of the
result's waves as a part of the input's, over the middle of the face, by wavelength in pixels: median
and least of all portraits. Needs numpy, Pillow and SciPy.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

WAVES = (2.0, 2.8, 4.0, 5.7, 8.0, 16.0)
# The frame of a face is some 4.07 eye distances wide.
FRAME = 512 / 125.9


def spectrum(picture: Image.Image, points: np.ndarray) -> list[float]:
    """Amplitudes of luminance by band of wavelengths, in a square in the middle of the face."""
    eyes = np.linalg.norm(points[0] - points[1])
    half = max(12, int(0.75 * eyes))
    x, y = points.mean(0).astype(int)
    square = np.asarray(picture.convert("L"), float)[max(0, y - half) : y + half, max(0, x - half) : x + half]
    height, width = square.shape
    window = np.hanning(height)[:, None] * np.hanning(width)
    power = np.abs(np.fft.fft2((square - square.mean()) * window)) ** 2
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width))
    bands = [(frequency <= 1 / low) & (frequency > 1 / high) for low, high in zip(WAVES, WAVES[1:])]
    return [float(np.sqrt(power[band].sum())) for band in bands]


def kinds(picture: Image.Image, random: np.random.Generator) -> dict[str, Image.Image]:
    values = np.asarray(picture, float)
    soft = gaussian_filter(values, (2, 2, 0))
    noise = random.normal(0, 10, values.shape)
    rows, columns = np.mgrid[: values.shape[0], : values.shape[1]]
    dots = 70 * np.sin((rows + columns) * 1.05) * np.sin((rows - columns) * 1.05)
    made = {"sharp": values, "soft": soft, "noisy": values + noise, "soft, noisy": soft + noise, "halftone": values + dots[:, :, None]}
    return {name: Image.fromarray(v.clip(0, 255).astype(np.uint8)) for name, v in made.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--program", default="target/release/pentimento")
    parser.add_argument("--count", type=int, default=6, help="portraits")
    parser.add_argument("--sizes", type=int, nargs="*", default=[64, 128, 256, 512, 1024], help="sides of a face's frame, pixels")
    parser.add_argument("--keep", type=Path, help="a folder for inputs and results")
    parser.add_argument("--given", action="store_true", help="give the faces, so that sharp ones are not left alone")
    options = parser.parse_args()
    random = np.random.default_rng(26)
    labels = json.loads((options.data / "photos/landmarks.json").read_text())
    cases: dict[str, np.ndarray] = {}
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        (folder / "in").mkdir(parents=True, exist_ok=True)
        given = {}
        for name in sorted(labels)[: options.count]:
            whole = Image.open(options.data / "photos" / name).convert("RGB")
            points = np.array(labels[name]["landmarks"])
            frame = FRAME * np.linalg.norm(points[0] - points[1])
            for size in options.sizes:
                scale = size / frame
                if scale > 2.2:
                    continue
                sides = [round(side * scale) for side in whole.size]
                picture = whole.resize(sides, Image.Resampling.LANCZOS)
                for kind, made in kinds(picture, random).items():
                    case = f"{kind}@{size}@{name[:-4]}"
                    made.save(folder / "in" / f"{case}.png", compress_level=1)
                    cases[case] = points * scale
                    given[f"{case}.png"] = [{"landmarks": (points * scale).tolist()}]
        report = folder / "report.json"
        command = [options.program, "restore", folder / "in", "-o", folder / "out", "--report", report, "--force"]
        if options.given:
            (folder / "faces.json").write_text(json.dumps({"pictures": [{"input": str(folder / "in" / k), "faces": v} for k, v in given.items()]}))
            command += ["--faces", folder / "faces.json"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        replies = {Path(reply["input"]).stem: reply for reply in json.loads(report.read_text())["pictures"]}
        ratios: dict[tuple[str, int], list[list[float]]] = {}
        left: dict[tuple[str, int], int] = {}
        for case, points in cases.items():
            kind, size, _ = case.split("@")
            before, after = (spectrum(Image.open(folder / side / f"{case}.png"), points) for side in ("in", "out"))
            key = (kind, int(size))
            ratios.setdefault(key, []).append([b / a for a, b in zip(before, after)])
            left[key] = left.get(key, 0) + all("skipped" in face for face in replies[case].get("faces", []))
        head = " | ".join(f"{low}–{high} px" for low, high in zip(WAVES, WAVES[1:]))
        print(f"| face | frame | portraits, left alone | {head} |\n|" + "---|" * (len(WAVES) + 2))
        for (kind, size), values in sorted(ratios.items()):
            table = np.array(values)
            cells = " | ".join(f"{m:.2f}, {l:.2f}" for m, l in zip(np.median(table, 0), table.min(0)))
            print(f"| {kind} | {size} | {len(values)}, {left[kind, size]} | {cells} |")


if __name__ == "__main__":
    main()

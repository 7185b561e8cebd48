"""What further looks and the second look bring, detector by detector, with the networks in PyTorch.

    python tools/faces/negatives.py negatives --scenes shared/data/scenes
    python tools/faces/looks.py --data shared/data --negatives negatives \\
        yunet=yunet_n.pth before=face-detector.safetensors retinaface=retinaface_mobilenet0.25.pth

It computes what `src/photo/looks.rs` and `asked.rs` do, for detectors of any kind, on the sets of
`detection.py`; that script measures the program itself. A third of the portraits is whole size, a
third is reduced four times and a third eight times. Needs PyTorch, SciPy and the package
`tools/reference`, and facexlib for RetinaFace.

*found*: a detection lies where the labelled face is, in the look at up to 640 pixels, and in one of
the three. *pictures with a wrong face*: with the look at 640 pixels, with all three, and with what
passes the second look.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from scipy.ndimage import gaussian_filter

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "reference")]
from detection import Set, reduced, sets  # noqa: E402
from pentimento_reference import yunet  # noqa: E402

THRESHOLD, ASKED, OVERLAP = 0.8, 0.8, 0.4
Found = tuple[float, np.ndarray, np.ndarray]


def suppressed(found: list[Found]) -> list[Found]:
    kept: list[Found] = []
    for face in sorted(found, key=lambda face: -face[0]):
        if all(overlap(face[1], other[1]) <= OVERLAP for other in kept):
            kept.append(face)
    return kept


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])
    both = np.prod(np.maximum(sides, 0))
    return both / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - both + 1e-9)


def padded(picture: np.ndarray) -> np.ndarray:
    height, width = picture.shape[:2]
    return np.pad(picture, ((0, -height % 32), (0, -width % 32), (0, 0)))[:, :, ::-1].astype(np.float32)


class YuNet:
    def __init__(self, path: Path) -> None:
        self.net = yunet.load_checkpoint(path).eval()

    @torch.no_grad()
    def look(self, picture: np.ndarray, threshold: float) -> list[Found]:
        image = padded(picture)
        rows = self.net(torch.from_numpy(image.copy()).permute(2, 0, 1)[None])[0]
        score = torch.sqrt(torch.sigmoid(rows[:, 0]) * torch.sigmoid(rows[:, 1]))
        keep = score > threshold
        rows, score, prior = rows[keep].numpy(), score[keep].numpy(), yunet.priors(*image.shape[:2])[keep].numpy()
        place, stride = prior[:, :2], prior[:, 2:3]
        middle, half = rows[:, 2:4] * stride + place, np.exp(rows[:, 4:6]) * stride / 2
        boxes = np.concatenate([middle - half, middle + half], 1)
        points = rows[:, 6:16].reshape(-1, 5, 2) * stride[:, None] + place[:, None]
        return suppressed(list(zip(score.tolist(), boxes, points)))


class RetinaFace:
    """The network of facexlib, whose file is read by itself: the package needs OpenCV and more."""

    def __init__(self, path: Path) -> None:
        package = importlib.util.find_spec("facexlib")
        if package is None or not package.submodule_search_locations:
            raise SystemExit("RetinaFace needs facexlib: pip install --no-deps facexlib")
        file = Path(package.submodule_search_locations[0]) / "detection/retinaface_net.py"
        spec = importlib.util.spec_from_file_location("retinaface_net", file)
        net = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(net)
        body = net.MobileNetV1()
        self.parts = torch.nn.ModuleDict(
            {
                "body": torch.nn.ModuleDict({f"stage{i}": getattr(body, f"stage{i}") for i in (1, 2, 3)}),
                "fpn": net.FPN([64, 128, 256], 64),
                **{f"ssh{i}": net.SSH(64, 64) for i in (1, 2, 3)},
                "ClassHead": net.make_class_head(3, 64),
                "BboxHead": net.make_bbox_head(3, 64),
                "LandmarkHead": net.make_landmark_head(3, 64),
            }
        )
        state = torch.load(path, map_location="cpu")
        state = {key.replace("module.", ""): value for key, value in state.items()}
        self.parts.load_state_dict({key: value for key, value in state.items() if key in self.parts.state_dict()})
        self.parts.eval()

    @torch.no_grad()
    def look(self, picture: np.ndarray, threshold: float) -> list[Found]:
        image = padded(picture) - np.array([104, 117, 123], np.float32)
        parts, levels = self.parts, []
        level = torch.from_numpy(image).permute(2, 0, 1)[None]
        for stage in parts["body"].values():
            level = stage(level)
            levels.append(level)
        levels = [parts[f"ssh{i + 1}"](level) for i, level in enumerate(parts["fpn"](levels))]
        score, box, points = (
            torch.cat([parts[head][i](level) for i, level in enumerate(levels)], 1)[0]
            for head in ("ClassHead", "BboxHead", "LandmarkHead")
        )
        score = score.softmax(-1)[:, 1]
        rows, columns = image.shape[:2]
        prior = np.array(
            [
                ((x + 0.5) * stride, (y + 0.5) * stride, size)
                for stride, sizes in ((8, (16, 32)), (16, (64, 128)), (32, (256, 512)))
                for y in range(rows // stride)
                for x in range(columns // stride)
                for size in sizes
            ],
            np.float32,
        )
        keep = score > threshold
        place, size = prior[keep][:, :2], prior[keep][:, 2:]
        box, points = box[keep].numpy(), points[keep].numpy().reshape(-1, 5, 2)
        middle, half = place + 0.1 * box[:, :2] * size, size * np.exp(0.2 * box[:, 2:]) / 2
        boxes = np.concatenate([middle - half, middle + half], 1)
        return suppressed(list(zip(score[keep].tolist(), boxes, place[:, None] + 0.1 * points * size[:, None])))


def shrunk(picture: np.ndarray, long: int) -> tuple[np.ndarray, float]:
    height, width = picture.shape[:2]
    scale = min(1.0, long / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    image = Image.fromarray(picture)
    return (picture if scale == 1 else np.asarray(image.resize(size, Image.Resampling.LANCZOS))), scale


def asked(detector: YuNet | RetinaFace, picture: np.ndarray, box: np.ndarray) -> float:
    """The mean score in two blurred looks at twice the box."""
    side = max(box[2:] - box[:2])
    middle = (box[:2] + box[2:]) / 2
    scores = []
    for half, deviation in ((64, 1.0), (96, 1.5)):
        corner, step = middle - side, side / half
        data = (step, 0, corner[0], 0, step, corner[1])
        source = gaussian_filter(picture, (step / 3, step / 3, 0)) if step > 1.5 else picture
        image = Image.fromarray(source).transform((2 * half, 2 * half), Image.Transform.AFFINE, data, Image.Resampling.BILINEAR)
        shown = gaussian_filter(np.asarray(image), (deviation, deviation, 0))
        here = [f[0] for f in detector.look(shown, 0.2) if np.hypot(*((f[1][:2] + f[1][2:]) / 2 - half)) < half / 2.5]
        scores.append(max(here, default=0.0))
    return float(np.mean(scores))


def degraded(made: dict[str, Set]) -> dict[str, Set]:
    """A third of the portraits of each kind as they are, a third at /4, a third at /8."""
    mixed = {}
    for name in ("photos", "crops"):
        mixed[name] = [(reduced(p, (1, 4, 8)[i % 3]) if i % 3 else p, points) for i, (p, points) in enumerate(made[name])]
    return {**mixed, "fill": made["fill"], "negatives": made["negatives"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("detectors", nargs="+", metavar="NAME=FILE", help="a name with `retina` is RetinaFace, others are YuNet")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--negatives", type=Path, required=True)
    parser.add_argument("--every", type=int, default=1, help="take every n-th picture of each set")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print("| set | detector | at 640 | three looks | after the second look |\n|---|---|---|---|---|")
    made = degraded(sets(options.data, options.negatives, options.every))
    for name, pictures in made.items():
        for label, path in (argument.split("=", 1) for argument in options.detectors):
            detector = RetinaFace(Path(path)) if "retina" in label else YuNet(Path(path))
            counts = np.zeros(3, int)
            for image, points in pictures:
                picture = np.asarray(image)
                hit = [False] * 3
                for long in (640, 320, 160):
                    seen, scale = shrunk(picture, long)
                    for _, box, landmarks in detector.look(seen, THRESHOLD):
                        if points is not None:
                            eyes = np.linalg.norm(points[0] - points[1])
                            if np.linalg.norm(landmarks / scale - points, axis=1).mean() > 0.5 * eyes:
                                continue
                        passed = asked(detector, picture, box / scale) >= ASKED
                        hit = [hit[0] or long == 640, True, hit[2] or passed]
                counts += hit
            print(f"| {name}, {len(pictures)} | {label} | {' | '.join(map(str, counts))} |", flush=True)


if __name__ == "__main__":
    main()

"""The table of docs/quality.md: restorers on held-out faces, by degradation and by pose.

    python -m pentimento_train.evaluate --detector yunet_n.pth --features features.safetensors \
        --enlarger realesr-general-x4v3.f16.safetensors default=weights/mmrbnet-256.safetensors …

Every restorer sees the same pictures: `levels.py` seeds them by level and by place in the folder.
Intervals are bootstrap intervals of 95 % over the faces. `--identity` and `--second` add the distances
of two recognition networks' embeddings from the face's own; only the first has taken part in training.
Fréchet and kernel distances are those of
`feature_network.py`, from the training faces; they are not comparable with Inception's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pentimento_reference import srvgg, yunet
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint
from torch import Tensor

from .alignment import PROFILE, TEMPLATE, find_landmarks, height, yaw
from .data import face_files, faces_folder, load_faces
from .degradation import from_bytes, resize, to_bytes
from .distances import Reference
from .feature_network import FeatureNetwork, load_features
from .graph_model import FaceRes
from .levels import LEVELS, Degraded, degraded
from .metrics import measures
from .overfitting import gap_table
from .recognition import Recognition, chips, load_recognition

Array = NDArray[np.float64]
Restorer = Callable[[Degraded], Tensor]

COMPONENTS = 32
"""Principal components of the features that distances use."""

RESAMPLES = 1000
POSES = ("frontal", "turned", "profile")

FORMS = {"PSNR": ".2f", "SSIM": ".4f", "MS-SSIM": ".4f", "gradient": ".3f", "frequency": ".2f"}
"""How the metrics of single pictures are printed; `landmarks` and the distances come on top."""

IDENTITIES = ("identity", "second")
"""Distances of embeddings: by the network that training has seen, and by one that it has not."""


@dataclass(frozen=True)
class Rows:
    """What one restorer did at one level: metrics per face [N], features [N, D]."""

    metrics: dict[str, Array]
    features: Array | None


def network(model: MmrbNet) -> Restorer:
    """MMRB-Net on the enlarged pictures."""

    @torch.no_grad()
    def run(given: Degraded) -> Tensor:
        return torch.cat([to_bytes(model(from_bytes(x))) for x in given.enlarged.split(4)])

    return run


def enlarger(model: srvgg.Srvgg) -> Restorer:
    """A network that enlarges the small pictures, its result resampled to the faces' side."""

    @torch.no_grad()
    def run(given: Degraded) -> Tensor:
        side = given.enlarged.shape[-1]
        large = torch.cat([model(x.float() / 255) for x in given.small.split(4)])
        return torch.stack([to_bytes(resize(x * 2 - 1, side, "bicubic")) for x in large])

    return run


def bicubic(given: Degraded) -> Tensor:
    """Nothing but the enlargement."""
    return given.enlarged


def poses(points: Tensor) -> list[str]:
    """The pose of every face by its `yaw`: below 0.12 frontal, below 0.3 turned, else profile."""
    return [POSES[(y >= 0.12) + (y >= PROFILE)] for y in yaw(points).tolist()]


@dataclass(frozen=True)
class Judge:
    """The held-out faces and what compares pictures with them; the networks are optional."""

    faces: Tensor
    detector: yunet.YuNet | None
    landmarks: Tensor
    features: FeatureNetwork | None
    recognition: Recognition | None = None
    second: FaceRes | None = None
    own: dict[str, Tensor] = field(default_factory=dict)
    """Embeddings of the faces themselves, as soon as they are known."""

    @staticmethod
    def of(
        faces: Tensor,
        detector: yunet.YuNet | None,
        features: FeatureNetwork | None,
        recognition: Recognition | None = None,
        second: FaceRes | None = None,
    ) -> Judge:
        """Finds the faces' landmarks; those without are judged without landmarks."""
        landmarks = torch.full((len(faces), 5, 2), torch.nan)
        if detector is not None:
            points, found = find_landmarks(detector, faces)
            landmarks[found] = points[found]
        return Judge(faces, detector, landmarks, features, recognition, second)

    def embeddings(self) -> dict[str, Callable[[Tensor], Tensor]]:
        """By name of `IDENTITIES`: what makes embeddings [N, D] of uint8 pictures of the faces.

        Crops lie by the landmarks of the faces, not of the pictures: those have landmarks of their own.
        """
        out: dict[str, Callable[[Tensor], Tensor]] = {}
        if self.recognition is not None:
            network = self.recognition
            points = torch.where(self.landmarks.isfinite(), self.landmarks, TEMPLATE)
            out["identity"] = lambda pictures: recognised(network, pictures, points)
        if self.second is not None:
            other = self.second
            out["second"] = lambda pictures: torch.cat(
                [other(from_bytes(x)) for x in pictures.split(8)]
            )
        return out

    def rows(self, pictures: Tensor) -> Rows:
        """Everything about restored pictures uint8 [N, 3, S, S]."""
        metrics = {k: v.numpy() for k, v in measures(pictures, self.faces).items()}
        if self.detector is not None:
            points, found = find_landmarks(self.detector, pictures)
            error = (points - self.landmarks).norm(dim=2).mean(1) / height(self.landmarks)
            error[~found] = torch.nan
            metrics["landmarks"] = 100 * error.double().numpy()
        for name, embedding in self.embeddings().items():
            if name not in self.own:
                self.own[name] = embedding(self.faces)
            distance = (embedding(pictures) - self.own[name]).norm(dim=1)
            metrics[name] = distance.double().numpy()
        features = None if self.features is None else embed(self.features, pictures)
        return Rows(metrics, features)


@torch.no_grad()
def recognised(network: Recognition, pictures: Tensor, landmarks: Tensor) -> Tensor:
    """Embeddings [N, 128] of uint8 pictures of faces with these landmarks."""
    parts = zip(pictures.split(8), landmarks.split(8), strict=True)
    return torch.cat([network(chips(from_bytes(x), points)) for x, points in parts])


@torch.no_grad()
def embed(features: FeatureNetwork, pictures: Tensor) -> Array:
    """Features of uint8 pictures, [N, D]."""
    found = [features(from_bytes(x)) for x in pictures.split(16)]
    return torch.cat(found).double().numpy()


def interval(values: Array) -> tuple[float, float]:
    """Bootstrap interval of 95 % of the mean."""
    rng = np.random.default_rng(0)
    means = values[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return float(low), float(high)


def cell(values: Array, form: str) -> str:
    """Mean and interval; a dash for no faces."""
    if not len(values):
        return "–"
    low, high = interval(values)
    return f"{values.mean():{form}} [{low:{form}}, {high:{form}}]"


def common(rows: Mapping[str, Rows]) -> NDArray[np.bool_]:
    """The faces whose landmarks every restorer of a level left to be found."""
    return np.all([np.isfinite(r.metrics["landmarks"]) for r in rows.values()], axis=0)


def identities(rows: Mapping[str, Rows]) -> dict[str, str]:
    """How those of `IDENTITIES` that the rows have are printed."""
    metrics = next(iter(rows.values())).metrics
    return {name: ".3f" for name in IDENTITIES if name in metrics}


def level_table(rows: Mapping[str, Rows], reference: Reference | None) -> str:
    """One level: a line for each restorer."""
    landmarks = "landmarks" in next(iter(rows.values())).metrics
    forms = FORMS | identities(rows)
    head = ["restorer", *forms]
    head += ["landmarks %", "missed"] if landmarks else []
    head += ["Fréchet", "kernel ×1000"] if reference else []
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, row in rows.items():
        cells = [name] + [cell(row.metrics[k], form) for k, form in forms.items()]
        if landmarks:
            error = row.metrics["landmarks"]
            cells += [cell(error[common(rows)], ".2f"), str(int(np.isnan(error).sum()))]
        if reference and row.features is not None:
            cells += distances(reference, row.features)
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def distances(reference: Reference, features: Array) -> list[str]:
    """Fréchet and kernel distance with the deviation over resampled faces."""
    projected = reference.project(features)
    rng = np.random.default_rng(0)
    again = [projected[rng.integers(len(projected), size=len(projected))] for _ in range(50)]
    cells = []
    for measure, scale, form in ((reference.frechet, 1, ".3f"), (reference.kernel, 1000, ".1f")):
        deviation = scale * np.std([measure(x) for x in again])
        cells.append(f"{scale * measure(projected):{form}} ± {deviation:{form}}")
    return cells


def pose_table(levels: Mapping[int, Mapping[str, Rows]], pose: list[str]) -> str:
    """All levels: PSNR, SSIM and landmark error of every restorer by pose."""
    forms = {"PSNR": ".2f", "SSIM": ".4f", "landmarks": ".2f"}
    lines = [
        "| level | pose | faces | restorer | PSNR | SSIM | landmarks % |",
        "|---|---|---|---|---|---|---|",
    ]
    for level, rows in levels.items():
        for kind in POSES:
            of = np.array([p == kind for p in pose])
            for name, row in rows.items():
                cells = []
                for metric, form in forms.items():
                    if metric not in row.metrics:
                        cells.append("–")
                        continue
                    which = of & common(rows) if metric == "landmarks" else of
                    cells.append(cell(row.metrics[metric][which], form))
                line = [f"×{level}", kind, str(int(of.sum())), name, *cells]
                lines.append("| " + " | ".join(line) + " |")
    return "\n".join(lines)


def paired_table(levels: Mapping[int, Mapping[str, Rows]], name: str) -> str:
    """What one restorer gains on each of the others, face by face.

    Of landmarks the error that it saves, of identities the distance.
    """
    judged = identities(next(iter(levels.values())))
    head = ["level", "over", "PSNR", "SSIM", "landmarks %", *judged]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for level, rows in levels.items():
        own = rows[name].metrics
        for other, row in rows.items():
            if other == name:
                continue
            cells = [cell(own[k] - row.metrics[k], FORMS[k]) for k in ("PSNR", "SSIM")]
            if "landmarks" in own:
                saved = row.metrics["landmarks"] - own["landmarks"]
                cells.append(cell(saved[np.isfinite(saved)], ".2f"))
            else:
                cells.append("–")
            cells += [cell(row.metrics[k] - own[k], form) for k, form in judged.items()]
            lines.append("| " + " | ".join([f"×{level}", other, *cells]) + " |")
    return "\n".join(lines)


def evaluate(
    restorers: Mapping[str, Restorer], judge: Judge, kept: Mapping[str, Path] | None = None
) -> dict[int, dict[str, Rows]]:
    """Rows by level and restorer; those of a file that is there already are read, not computed."""
    out: dict[int, dict[str, Rows]] = {level: {} for level in LEVELS}
    for name, run in restorers.items():
        file = (kept or {}).get(name)
        if file is not None and file.exists():
            rows = read_rows(file)
        else:
            rows = {level: judge.rows(run(degraded(judge.faces, level))) for level in LEVELS}
            if file is not None:
                write_rows(file, rows)
        for level in LEVELS:
            out[level][name] = rows[level]
    return out


def write_rows(file: Path, rows: Mapping[int, Rows]) -> None:
    """One restorer's rows as a NumPy archive."""
    arrays = {}
    for level, row in rows.items():
        arrays |= {f"{level}/{k}": v for k, v in row.metrics.items()}
        if row.features is not None:
            arrays[f"{level}/features"] = row.features
    staged = file.with_name("partial-" + file.name)
    np.savez(staged, **arrays)
    staged.replace(file)


def read_rows(file: Path) -> dict[int, Rows]:
    """What `write_rows` wrote."""
    with np.load(file) as archive:
        arrays = dict(archive)
    out = {}
    for level in LEVELS:
        own = {k.split("/", 1)[1]: v for k, v in arrays.items() if k.startswith(f"{level}/")}
        features = own.pop("features", None)
        out[level] = Rows(own, features)
    return out


def kept_in(folder: Path, name: str, *files: Path) -> Path:
    """Where the rows of a restorer lie: its name, and a digest of all files they follow from."""
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return folder / f"{name}-{digest.hexdigest()[:12]}.npz"


def named(argument: str) -> tuple[str, Path]:
    """NAME=FILE, or a file named by its stem."""
    name, equals, file = argument.partition("=")
    return (name, Path(file)) if equals else (Path(argument).stem, Path(argument))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("checkpoints", nargs="+", type=named, help="NAME=FILE; the first is ours")
    parser.add_argument("--enlarger", type=Path, help="SRVGGNetCompact as a baseline")
    parser.add_argument("--detector", type=Path, help="YuNet, for landmarks and poses")
    parser.add_argument("--features", type=Path, help="feature network, for the two distances")
    parser.add_argument("--identity", type=Path, help="recognition network, see recognition.py")
    parser.add_argument("--second", type=Path, help="FaceRes's .json, see graph_model.py")
    parser.add_argument(
        "--trained-on",
        type=int,
        default=0,
        metavar="N",
        help="compare what identity gains on N training faces and on the held-out ones",
    )
    parser.add_argument("--limit", type=int, help="use only the first faces")
    parser.add_argument("--json", type=Path, help="also write every value to this file")
    parser.add_argument(
        "--rows", type=Path, help="folder that keeps rows; delete it with new levels"
    )
    arguments = parser.parse_args()
    restorers: dict[str, Restorer] = {"bicubic": bicubic}
    files: dict[str, list[Path]] = {"bicubic": []}
    if arguments.enlarger:
        name = arguments.enlarger.name.split(".")[0]
        restorers[name] = enlarger(srvgg.load_checkpoint(arguments.enlarger))
        files[name] = [arguments.enlarger]
    sizes = set()
    for name, file in arguments.checkpoints:
        model = load_checkpoint(file)
        restorers[name] = network(model)
        files[name] = [file]
        sizes.add(model.config.size)
    if len(sizes) > 1:
        raise SystemExit(f"networks of different sizes cannot be compared: {sorted(sizes)}")
    size = sizes.pop()
    detector = yunet.load_checkpoint(arguments.detector) if arguments.detector else None
    features = load_features(arguments.features) if arguments.features else None
    if features is not None and not isinstance(features, FeatureNetwork):
        raise SystemExit(f"{arguments.features} is no network that feature_network.py trained")
    faces = load_faces(face_files(faces_folder("val"), arguments.limit), size)
    recognition = load_recognition(arguments.identity) if arguments.identity else None
    second = FaceRes(arguments.second) if arguments.second else None
    judge = Judge.of(faces, detector, features, recognition, second)
    reference = None
    if features is not None:
        train = load_faces(face_files(faces_folder("train")), size)
        reference = Reference(embed(features, train), COMPONENTS)
        print(
            "Held-out faces themselves, Fréchet and kernel:",
            *distances(reference, embed(features, faces)),
        )
    kept = {}
    if arguments.rows:
        arguments.rows.mkdir(parents=True, exist_ok=True)
        judges = [arguments.detector, arguments.features, arguments.identity, arguments.second]
        judges = [f for f in judges if f]
        number = f"{len(faces)}x{size}"
        kept = {
            name: kept_in(arguments.rows, f"{name}-{number}", *own, *judges)
            for name, own in files.items()
        }
    levels = evaluate(restorers, judge, kept)
    for level, rows in levels.items():
        print(f"\n### ×{level}\n\n{level_table(rows, reference)}")
    ours = arguments.checkpoints[0][0]
    print(f"\n### What {ours} gains\n\n{paired_table(levels, ours)}")
    if detector is not None:
        print(f"\n### By pose\n\n{pose_table(levels, poses(judge.landmarks))}")
    if arguments.trained_on:
        names = [name for name, _ in arguments.checkpoints]
        files = face_files(faces_folder("train"))
        step = max(1, len(files) // arguments.trained_on)
        known = load_faces(files[::step][: arguments.trained_on], size)
        own = Judge.of(known, detector, None, recognition, second)
        seen = {
            name: own.rows(restorers[name](degraded(known, LEVELS[-1])))
            for name in ("bicubic", *names)
        }
        print(f"\n### Identity at ×{LEVELS[-1]}, trained on and held out\n")
        print(gap_table(seen, levels[LEVELS[-1]], names))
    if arguments.json:
        values = {
            f"x{level}": {n: {k: v.tolist() for k, v in r.metrics.items()} for n, r in rows.items()}
            for level, rows in levels.items()
        }
        arguments.json.write_text(json.dumps(values) + "\n")


if __name__ == "__main__":
    main()

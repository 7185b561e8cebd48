"""Trains MMRB-Net in up to three stages; goes on from its state when there is one.

    python -m pentimento_train.train tools/train/three-stages.toml --run RUN_FOLDER

RUN_FOLDER receives `state.pt` (everything needed to go on, written once a minute), `log.jsonl`
(one JSON object per line), `pictures/` and `model.safetensors` (the averaged weights in f16),
the last two with every report and at the end.
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from pentimento_reference import yunet
from pentimento_reference.mmrbnet import MmrbNet, load_checkpoint, save_checkpoint
from pentimento_reference.stylegan2 import ToRgb
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader

from . import parallel
from .alignment import TEMPLATE, find_landmarks
from .borders import known_borders
from .data import Pairs, Source, face_files, faces_folder, load_faces
from .degradation import from_bytes, to_bytes
from .feature_network import DetectorFeatures, Perceptual, load_features
from .half import multiplies_bf16
from .levels import LEVELS, degraded
from .metrics import psnr, ssim
from .prior import Prior
from .recognition import Recognition, load_recognition
from .reconstruction import Reconstruction
from .restoration import Restoration
from .run_config import RunConfig
from .stage import Networks, Stage

METADATA = {"version": "0.10.0", "license": "MIT OR Apache-2.0"}
"""What an exported checkpoint says of itself, whatever made it."""

SAVE_EVERY_SECONDS = 60.0

LONGEST_STEP_SECONDS = 30.0
"""What is beyond this in one step was a pause of the process, not training."""


@torch.no_grad()
def initialise(model: MmrbNet) -> None:
    """Conditions near scale 1 and shift 0, and small residuals: the codec hardly acts at first.

    With `input_skip` the RGB contributions are small too, so that training starts near the identity.
    """
    slope = model.config.mmrb.slope
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, ToRgb) and model.config.input_skip:
            module.weight.mul_(0.1)
    for name, module in model.named_modules():
        if name.endswith(".fuse") or (name.startswith("condition.") and name.endswith(".out")):
            module.weight.mul_(0.1)
    if model.config.inject in ("sft", "sft_half"):
        for head in model.condition.values():
            head.out.bias[: head.out.bias.shape[0] // 2].fill_(1.0)


class Trainer:
    """A run and where it is."""

    def __init__(
        self,
        config: RunConfig,
        run: Path,
        start: MmrbNet | None = None,
        perceptual: Perceptual | None = None,
        device: str = "cpu",
        detector: Perceptual | None = None,
        critics: Path | None = None,
        recognition: Recognition | None = None,
    ) -> None:
        machine = config.machine
        self.config = config
        self.run = run
        last = torch.channels_last
        self.perceptual = perceptual.to(device, memory_format=last) if perceptual else None
        self.detector = detector.to(device, memory_format=last) if detector else None
        self.recognition = (
            recognition.to(device, memory_format=last) if recognition is not None else None
        )
        self.critics = critics
        self.save_every_seconds = SAVE_EVERY_SECONDS
        torch.manual_seed(machine.seed)
        model = start if start is not None else MmrbNet(config.model)
        if start is None:
            initialise(model)
        model.train().to(device, memory_format=last)
        on_gpu = device != "cpu"
        if machine.compile and on_gpu:
            # Discriminators share their code, and each is compiled with gradients and without.
            torch._dynamo.config.recompile_limit = 64
        self.networks = Networks(
            model,
            copy.deepcopy(model).requires_grad_(False),
            torch.device(device),
            half=machine.bf16 and multiplies_bf16(device),
            compiled=machine.compile and on_gpu,
            random=torch.Generator().manual_seed(machine.seed + parallel.place()[0]),
        )
        self.recent: list[dict[str, float]] = []
        self.saved_stage: str | None = None
        self.saved: dict[str, Any] | None = None
        self.finished = False
        if self.state_file.exists():
            self._load()
        elif self.first:
            self.log_file.unlink(missing_ok=True)

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return parallel.place()[0] == 0

    @property
    def state_file(self) -> Path:
        return self.run / "state.pt"

    @property
    def log_file(self) -> Path:
        return self.run / "log.jsonl"

    def _load(self) -> None:
        state = torch.load(self.state_file, weights_only=True, map_location="cpu")
        self.networks.model.load_state_dict(state["model"])
        self.networks.ema.load_state_dict(state["ema"])
        self.networks.random.set_state(state["random"][parallel.place()[0]])
        self.recent = state["recent"]
        self.saved_stage, self.saved = state["name"], state["stage"]
        self.finished = state["finished"]
        if self.first and self.log_file.exists():
            # Steps after the state was written are done again, and logged again.
            with self.log_file.open("r+b") as file:
                file.truncate(state["logged"])

    def save(self, stage: Stage, finished: bool = False) -> None:
        """Writes the state under a temporary name first, so that a kill never leaves half of it."""
        random = parallel.gathered(self.networks.random.get_state())
        if not self.first:
            return
        staged = self.state_file.with_suffix(".partial")
        state = {
            "model": self.networks.model.state_dict(),
            "ema": self.networks.ema.state_dict(),
            "random": random,
            "recent": self.recent,
            "name": stage.name,
            "stage": stage.state(),
            "finished": finished,
            "logged": self.log_file.stat().st_size if self.log_file.exists() else 0,
        }
        torch.save(state, staged)
        staged.replace(self.state_file)

    def export(self, stage: Stage) -> None:
        """Writes the averaged weights as an f16 checkpoint."""
        extra = METADATA | {"stage": stage.name, "steps": str(stage.step)}
        file = self.run / "model.safetensors"
        tensors = {k: v.cpu() for k, v in self.networks.ema.state_dict().items()}
        save_checkpoint(file, tensors, self.config.model, torch.float16, extra)

    def log(self, stage: Stage, **values: Any) -> None:
        """Appends one line to the log and prints it."""
        where = {"stage": stage.name, "step": stage.step, "seconds": round(stage.seconds, 1)}
        if not self.first:
            return
        line = json.dumps(where | values)
        with self.log_file.open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def stages(self) -> Iterator[Stage]:
        """The stages that are not over, each made when the one before it has ended."""
        config, networks = self.config, self.networks
        makers = {
            "prior": lambda: Prior(networks, config.prior) if config.prior else None,
            "reconstruction": lambda: (
                Reconstruction(networks, config.reconstruction) if config.reconstruction else None
            ),
            "restoration": lambda: (
                Restoration(
                    networks, config.restoration, self.perceptual, self.detector, self.recognition
                )
                if config.restoration
                else None
            ),
        }
        names = list(makers)
        first = names.index(self.saved_stage) + self.finished if self.saved_stage else 0
        for name in names[first:]:
            # Discriminators start the same whether or not the run was interrupted before.
            torch.manual_seed(self.config.machine.seed)
            stage = makers[name]()
            if stage is None:
                continue
            if name == self.saved_stage and self.saved is not None:
                stage.load(self.saved)
            elif self.critics and isinstance(stage, Restoration):
                state = torch.load(self.critics, weights_only=True, map_location="cpu")
                stage.adopt_critics(state["stage"])
            yield stage

    def train(self, source: Source, val_faces: Tensor) -> None:
        """Runs every stage to its end."""
        for stage in self.stages():
            self._run_stage(stage, source, val_faces)

    def _run_stage(self, stage: Stage, source: Source, val_faces: Tensor) -> None:
        machine = self.config.machine
        if not stage.degrades:
            source = replace(source, degradation=None)
        pairs = Pairs(
            source,
            stage.schedule.batch,
            machine.seed,
            stage.step * stage.schedule.batch * parallel.processes(),
            parallel.place(),
        )
        workers = machine.workers
        loader = DataLoader(
            pairs,
            batch_size=None,
            num_workers=workers,
            prefetch_factor=4 if workers else None,
            pin_memory=self.networks.device.type == "cuda",
        )
        if stage.step == 0:
            self.report(stage, val_faces)
        last = time.monotonic()
        saved = reported = stage.seconds
        for batch in loader:
            if stage.progress >= 1:
                break
            terms = stage.train_step(batch.to(self.networks.device))
            # All in one message from the device.
            values = torch.stack([v.double() for v in terms.values()]).tolist()
            self.recent.append(dict(zip(terms, values, strict=True)))
            if not math.isfinite(self.recent[-1]["loss"]):
                raise SystemExit(f"{stage.name}: the loss of step {stage.step} is not a number")
            now = time.monotonic()
            took = min(now - last, LONGEST_STEP_SECONDS)
            stage.seconds = parallel.agreed(stage.seconds + took)
            last = now
            if stage.step % machine.log_every_steps == 0:
                self._log_recent(stage)
            if stage.seconds - saved >= self.save_every_seconds:
                self.save(stage)
                saved = stage.seconds
            if stage.seconds - reported >= 60 * machine.report_every_minutes:
                self.report(stage, val_faces)
                reported, last = stage.seconds, time.monotonic()
        stage.finish()
        self.networks.model.load_state_dict(self.networks.ema.state_dict())
        self.save(stage, finished=True)
        self.report(stage, val_faces)

    def _log_recent(self, stage: Stage) -> None:
        """The means of every term since the last line; lazy terms are in some steps only."""
        names = dict.fromkeys(k for terms in self.recent for k in terms)
        means = {k: fmean(t[k] for t in self.recent if k in t) for k in names}
        self.log(stage, **{k: round(v, 6) for k, v in means.items()})
        self.recent = []

    @torch.no_grad()
    def report(self, stage: Stage, val_faces: Tensor) -> None:
        """Exports the averaged weights, draws a picture, and scores what restores."""
        if not self.first:
            return
        self.export(stage)
        given = torch.cat(
            [degraded(val_faces, level, [i]).enlarged for i, level in _shown(val_faces)]
        )
        shown = val_faces[[i for i, _ in _shown(val_faces)]]
        device = self.networks.device
        sheet = stage.sheet(from_bytes(given).to(device), from_bytes(shown).to(device))
        file = self.run / "pictures" / f"{stage.name}-{stage.step:06}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(to_bytes(sheet.cpu()).permute(1, 2, 0).contiguous().numpy()).save(file)
        if not stage.degrades:
            return
        scores = {}
        for level in LEVELS:
            inputs = degraded(val_faces, level).enlarged
            restored = torch.cat(
                [
                    to_bytes(self.networks.ema(from_bytes(x).to(device)).cpu())
                    for x in inputs.split(4)
                ]
            )
            scores[f"x{level}"] = {
                "psnr": round(psnr(restored, val_faces).mean().item(), 4),
                "ssim": round(ssim(restored, val_faces).mean().item(), 5),
            }
        self.log(stage, scores=scores)


def _shown(faces: Tensor) -> list[tuple[int, int]]:
    """Place and level of the faces that a report's picture shows."""
    return [(i, LEVELS[i % len(LEVELS)]) for i in range(min(6, len(faces)))]


def training_landmarks(run: Path, detector: yunet.YuNet | None, faces: Tensor) -> Tensor:
    """[N, 5, 2] of faces uint8 [N, 3, S, S]: those the run has found before, or the detector finds now.

    One process finds them for all. Without a detector every face has the template's.
    """
    known = run / "landmarks.pt"
    if detector and not known.exists() and parallel.place()[0] == 0:
        landmarks, found = find_landmarks(detector, faces)
        print(f"landmarks of {int(found.sum())} of {len(faces)} faces", flush=True)
        staged = known.with_suffix(".partial")
        torch.save(landmarks, staged)
        staged.replace(known)
    parallel.wait()
    if not known.exists():
        return TEMPLATE.repeat(len(faces), 1, 1)
    return torch.load(known, weights_only=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train MMRB-Net.")
    parser.add_argument("config", type=Path, help="TOML file of the run")
    parser.add_argument("--run", type=Path, required=True, help="folder of state, log and model")
    parser.add_argument("--start", type=Path, help="checkpoint to start from, not random weights")
    parser.add_argument(
        "--detector", type=Path, help="YuNet checkpoint: finds the landmarks; the detection term's"
    )
    parser.add_argument(
        "--features", type=Path, help="feature network, or face detector, of the perceptual term"
    )
    parser.add_argument(
        "--identity", type=Path, help="recognition network of the identity term, see recognition.py"
    )
    parser.add_argument(
        "--critics",
        type=Path,
        help="state.pt of another run, whose restoration's discriminators go on",
    )
    parser.add_argument("--minutes", type=float, help="scale the stages to take this long together")
    default = "cuda" if torch.cuda.is_available() else "cpu"
    parser.add_argument("--device", default=default, help=f"here {default}")
    arguments = parser.parse_args()
    config = RunConfig.from_toml(arguments.config)
    if arguments.minutes:
        config = config.within(arguments.minutes)
    arguments.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.machine.threads)
    # As compiling does, this spends a GPU's first minute on finding what is fastest.
    torch.backends.cudnn.benchmark = config.machine.compile
    parallel.join(arguments.device)
    start = load_checkpoint(arguments.start) if arguments.start else None
    if start is not None and start.config != config.model:
        raise SystemExit(f"{arguments.start} is not the model that {arguments.config} describes")
    files = face_files(faces_folder("train"))
    repeated = config.repeated.places(files) if config.repeated else ()
    faces = load_faces(files, config.model.size)
    detector = yunet.load_checkpoint(arguments.detector) if arguments.detector else None
    landmarks = training_landmarks(arguments.run, detector, faces)
    if config.repeated:
        repeated += config.repeated.turned(landmarks)
    perceptual = load_features(arguments.features) if arguments.features else None
    val = load_faces(
        face_files(faces_folder("val"), config.machine.report_faces), config.model.size
    )
    seen = DetectorFeatures(detector) if detector else None
    recognition = load_recognition(arguments.identity) if arguments.identity else None
    trainer = Trainer(
        config,
        arguments.run,
        start,
        perceptual,
        arguments.device,
        seen,
        arguments.critics,
        recognition,
    )
    wanted = config.restoration is not None and config.restoration.inside_only
    source = Source(
        faces,
        landmarks,
        config.jitter,
        config.degradation,
        repeated,
        known_borders(arguments.run, faces) if wanted else None,
        config.light,
        config.glasses,
    )
    trainer.train(source, val)
    parallel.leave()


if __name__ == "__main__":
    main()

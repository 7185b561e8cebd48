"""Trains MMRB-Net on restoration pairs; resumes from its state when there is one.

    python -m pentimento_train.train tools/train/mmrbnet-256.toml --run RUN_FOLDER

RUN_FOLDER receives `state.pt` (everything needed to go on, written once a minute), `log.jsonl`
(one JSON object per line) and `model.safetensors` (the averaged weights in f16, written with every
evaluation and at the end).
"""

from __future__ import annotations

import argparse
import copy
import json
import math
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

import torch
from pentimento_reference.config import MmrbNetConfig
from pentimento_reference.mmrbnet import MmrbNet, save_checkpoint
from pentimento_reference.stylegan2 import EqualLinear, StyledConv, ToRgb
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .data import Pairs, face_files, faces_folder, load_faces
from .degradation import DegradationConfig
from .evaluate import evaluate
from .losses import LossConfig, restoration_loss

SAVE_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Schedule:
    """The run ends after `steps` or `minutes` of training, whichever comes first.

    The learning rates rise linearly over `warmup_steps`, then fall as a cosine of the part of the
    run that is over. `equalised_learning_rate` is that of the layers with equalised scaling.
    """

    batch: int
    steps: int
    minutes: float
    learning_rate: float
    equalised_learning_rate: float
    warmup_steps: int
    ema_steps: float
    clip_norm: float
    seed: int
    log_every_steps: int
    evaluate_every_minutes: float
    evaluate_faces: int
    threads: int

    def progress(self, step: int, seconds: float) -> float:
        """The part of the run that is over, 0 to 1."""
        return min(1.0, max(step / self.steps, seconds / (60 * self.minutes)))

    def rate(self, step: int, seconds: float) -> float:
        """Factor on the learning rates."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress(step, seconds)))
        return min(1.0, (step + 1) / self.warmup_steps) * cosine


@dataclass(frozen=True)
class RunConfig:
    """One TOML file: sections `model`, `degradation`, `loss` and `schedule`."""

    model: MmrbNetConfig
    degradation: DegradationConfig
    loss: LossConfig
    schedule: Schedule

    @staticmethod
    def from_toml(path: Path) -> RunConfig:
        source: dict[str, Any] = tomllib.loads(path.read_text())
        ranges = {k: tuple(v) for k, v in source["degradation"].items()}
        return RunConfig(
            MmrbNetConfig.from_json(source["model"]),
            DegradationConfig(**ranges),
            LossConfig(**source["loss"]),
            Schedule(**source["schedule"]),
        )


@torch.no_grad()
def initialise(model: MmrbNet) -> None:
    """Starts near the identity: conditions near scale 1 and shift 0, small RGB contributions."""
    slope = model.config.mmrb.slope
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, a=slope)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, ToRgb):
            module.weight.mul_(0.1)
    for name, module in model.named_modules():
        if name.endswith(".fuse") or (name.startswith("condition.") and name.endswith(".out")):
            module.weight.mul_(0.1)
    if model.config.inject in ("sft", "sft_half"):
        for head in model.condition.values():
            head.out.bias[: head.out.bias.shape[0] // 2].fill_(1.0)


def parameter_groups(model: MmrbNet, schedule: Schedule) -> list[dict[str, Any]]:
    """Plain convolutions in one group, everything with equalised scaling in the other."""
    equalised = {
        id(p)
        for m in model.modules()
        if isinstance(m, (EqualLinear, StyledConv, ToRgb))
        for p in m.parameters()
    } | {id(model.generator.constant)}
    split: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    for parameter in model.parameters():
        split[id(parameter) in equalised].append(parameter)
    rates = (schedule.learning_rate, schedule.equalised_learning_rate)
    return [{"params": p, "lr": r, "peak": r} for p, r in zip(split, rates, strict=True)]


@torch.no_grad()
def average(ema: MmrbNet, model: MmrbNet, step: int, ema_steps: float) -> None:
    """Moves the averaged weights towards the current ones; the horizon grows with the step."""
    decay = 1 - 1 / min(ema_steps, 1 + step / 10)
    for slow, fast in zip(ema.parameters(), model.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


class Trainer:
    """The state of a run and its loop."""

    def __init__(self, config: RunConfig, run: Path) -> None:
        schedule = config.schedule
        self.config = config
        self.run = run
        self.step = 0
        self.seconds = 0.0
        torch.manual_seed(schedule.seed)
        self.model = MmrbNet(config.model)
        initialise(self.model)
        self.model.to(memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.model)
        self.optimizer = torch.optim.Adam(
            parameter_groups(self.model, schedule), betas=(0.9, 0.99), eps=1e-8
        )
        if self.state_file.exists():
            self._load()

    @property
    def state_file(self) -> Path:
        return self.run / "state.pt"

    def _load(self) -> None:
        state = torch.load(self.state_file, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]

    def save(self) -> None:
        """Writes the state under a temporary name first, so that a kill never leaves half of it."""
        staged = self.state_file.with_suffix(".partial")
        state = {
            "model": self.model.state_dict(),
            "ema": self.ema.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, staged)
        staged.replace(self.state_file)

    def export(self) -> None:
        """Writes the averaged weights as an f16 checkpoint."""
        extra = {"version": "0.1.0", "license": "MIT OR Apache-2.0", "steps": str(self.step)}
        file = self.run / "model.safetensors"
        save_checkpoint(file, self.ema.state_dict(), self.config.model, torch.float16, extra)

    def log(self, **values: Any) -> None:
        """Appends one line to the log and prints it."""
        line = json.dumps({"step": self.step, "seconds": round(self.seconds, 1), **values})
        with (self.run / "log.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def train_step(self, given: Tensor, target: Tensor) -> dict[str, float]:
        """One update; returns the loss and its terms."""
        schedule = self.config.schedule
        rate = schedule.rate(self.step, self.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * rate
        restored = self.model(given.contiguous(memory_format=torch.channels_last))
        loss, terms = restoration_loss(restored, target, self.config.loss)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), schedule.clip_norm)
        self.optimizer.step()
        average(self.ema, self.model, self.step, schedule.ema_steps)
        self.step += 1
        return {"loss": loss.item(), **{k: v.item() for k, v in terms.items()}}

    def train(self, train_faces: Tensor, val_faces: Tensor) -> None:
        """Runs to the end of the schedule."""
        schedule = self.config.schedule
        pairs = Pairs(
            train_faces,
            self.config.degradation,
            schedule.batch,
            schedule.seed,
            self.step * schedule.batch,
        )
        loader = DataLoader(pairs, batch_size=None, num_workers=1, prefetch_factor=4)
        last = saved = evaluated = time.monotonic()
        recent: list[dict[str, float]] = []
        for given, target in loader:
            if schedule.progress(self.step, self.seconds) >= 1:
                break
            recent.append(self.train_step(given, target))
            now = time.monotonic()
            self.seconds += now - last
            last = now
            if self.step % schedule.log_every_steps == 0:
                self.log(**{k: round(fmean(r[k] for r in recent), 6) for k in recent[0]})
                recent = []
            if now - saved >= SAVE_EVERY_SECONDS:
                self.save()
                saved = now
            if now - evaluated >= 60 * schedule.evaluate_every_minutes:
                self.report(val_faces)
                evaluated = last = time.monotonic()
        self.save()
        self.report(val_faces)

    def report(self, val_faces: Tensor) -> None:
        """Exports the averaged weights and logs their scores."""
        self.export()
        self.log(scores=[vars(s) for s in evaluate(self.ema, val_faces)])


def main() -> None:
    parser = argparse.ArgumentParser(description="Train MMRB-Net.")
    parser.add_argument("config", type=Path, help="TOML file of the run")
    parser.add_argument("--run", type=Path, required=True, help="folder of state, log and model")
    arguments = parser.parse_args()
    config = RunConfig.from_toml(arguments.config)
    arguments.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(config.schedule.threads)
    size = config.model.size
    trainer = Trainer(config, arguments.run)
    trainer.train(
        load_faces(face_files(faces_folder("train")), size),
        load_faces(face_files(faces_folder("val"), config.schedule.evaluate_faces), size),
    )


if __name__ == "__main__":
    main()

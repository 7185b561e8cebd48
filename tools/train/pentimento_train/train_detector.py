"""Trains the face detector; resumes from its state when there is one.

    python -m pentimento_train.train_detector tools/train/detector.toml labels.json --run RUN_FOLDER

`labels.json` is written by `label_faces`. RUN_FOLDER receives `state.pt`, `log.jsonl` and
`model.safetensors`, as with the other training.
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
from typing import Any

import torch
from pentimento_reference.yunet import YuNet, priors, save_checkpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader

from .detection import Targets, detection_loss
from .evaluate_detector import Pictures
from .half import multiplies_bf16
from .mosaic import Mosaic, Mosaics
from .scenes import Scene, load_scenes

SAVE_EVERY_SECONDS = 60.0


@dataclass(frozen=True)
class Schedule:
    """The run ends after `steps` or `minutes`, whichever comes first; the learning rate rises
    linearly over `warmup_steps` and falls as a cosine of the part that is over."""

    steps: int
    minutes: float
    learning_rate: float
    warmup_steps: int
    ema_steps: float
    clip_norm: float
    weight_decay: float
    exact_from: float
    """From this part of the run on the network computes in float32, before in bfloat16 where the CPU
    has instructions for it."""
    seed: int
    log_every_steps: int
    evaluate_every_minutes: float
    threads: int

    def over(self, step: int, seconds: float) -> float:
        """The part of the run that is over."""
        return min(1.0, max(step / self.steps, seconds / (60 * self.minutes)))

    def rate(self, step: int, seconds: float) -> float:
        """Factor on the learning rate."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.over(step, seconds)))
        return min(1.0, (step + 1) / self.warmup_steps) * cosine


@torch.no_grad()
def initialise(model: YuNet) -> None:
    """Few faces are expected at first, and boxes of four strides."""
    for level in model.bbox_head.multi_level_obj:
        level.conv2.bias.fill_(-4.0)
    for level in model.bbox_head.multi_level_cls:
        level.conv2.bias.fill_(0.0)
    for level in model.bbox_head.multi_level_bbox:
        level.conv2.bias[2:].fill_(math.log(4.0))


class Trainer:
    """The state of a run and its loop."""

    def __init__(self, mosaic: Mosaic, schedule: Schedule, scenes: list[Scene], run: Path) -> None:
        self.mosaic, self.schedule, self.scenes, self.run = mosaic, schedule, scenes, run
        self.step, self.seconds = 0, 0.0
        self.half = multiplies_bf16("cpu")
        torch.manual_seed(schedule.seed)
        self.model = YuNet()
        initialise(self.model)
        self.model.to(memory_format=torch.channels_last)
        self.ema = copy.deepcopy(self.model)
        weights = [p for p in self.model.parameters() if p.dim() > 1]
        others = [p for p in self.model.parameters() if p.dim() == 1]
        groups = [{"params": weights}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(
            groups, schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        self.priors = {side: priors(side, side) for side in mosaic.sides}
        if self.state_file.exists():
            state = torch.load(self.state_file, weights_only=True)
            for name in ("model", "ema", "optimizer"):
                getattr(self, name).load_state_dict(state[name])
            self.step, self.seconds = state["step"], state["seconds"]

    @property
    def state_file(self) -> Path:
        return self.run / "state.pt"

    def save(self) -> None:
        """Writes the state under a temporary name first, so that a kill never leaves half of it."""
        staged = self.state_file.with_suffix(".partial")
        state = {name: getattr(self, name).state_dict() for name in ("model", "ema", "optimizer")}
        torch.save({**state, "step": self.step, "seconds": self.seconds}, staged)
        staged.replace(self.state_file)

    def export(self) -> None:
        """Writes the averaged weights as an f16 checkpoint."""
        extra = {"version": "0.1.0", "license": "MIT OR Apache-2.0", "steps": str(self.step)}
        save_checkpoint(self.run / "model.safetensors", self.ema, extra)

    def log(self, **values: Any) -> None:
        """Appends one line to the log and prints it."""
        line = json.dumps({"step": self.step, "seconds": round(self.seconds, 1), **values})
        with (self.run / "log.jsonl").open("a") as file:
            file.write(line + "\n")
        print(line, flush=True)

    def train_step(self, pictures: Tensor, targets: Targets) -> dict[str, float]:
        """One update; returns the loss and its terms."""
        schedule = self.schedule
        for group in self.optimizer.param_groups:
            group["lr"] = schedule.learning_rate * schedule.rate(self.step, self.seconds)
        pictures = pictures.float().contiguous(memory_format=torch.channels_last)
        coarse = self.half and schedule.over(self.step, self.seconds) < schedule.exact_from
        with torch.autocast("cpu", torch.bfloat16, enabled=coarse):
            cells = self.model(pictures)
        loss, terms = detection_loss(cells.float(), targets, self.priors[pictures.shape[2]])
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), schedule.clip_norm)
        self.optimizer.step()
        self.step += 1
        decay = 1 - 1 / min(schedule.ema_steps, 1 + self.step / 10)
        with torch.no_grad():
            fast = self.model.state_dict()
            for name, slow in self.ema.state_dict().items():
                if slow.dtype.is_floating_point:
                    slow.lerp_(fast[name], 1 - decay)
        return {"loss": loss.item(), **terms}

    def train(self, pictures: Pictures) -> None:
        """Runs to the end of the schedule, and evaluates on `pictures` now and then."""
        schedule = self.schedule
        mosaics = Mosaics(self.scenes, self.mosaic, schedule.seed, self.step)
        stream = iter(DataLoader(mosaics, batch_size=None, num_workers=1))
        last, saved, evaluated = time.monotonic(), self.seconds, self.seconds
        recent: list[dict[str, float]] = []
        while self.step < schedule.steps and self.seconds < 60 * schedule.minutes:
            recent.append(self.train_step(*next(stream)))
            now = time.monotonic()
            self.seconds, last = self.seconds + now - last, now
            if self.step % schedule.log_every_steps == 0:
                mean = {k: sum(r[k] for r in recent) / len(recent) for k in recent[0]}
                self.log(**{k: round(v, 5) for k, v in mean.items()})
                recent = []
            if self.seconds - saved > SAVE_EVERY_SECONDS:
                saved = self.seconds
                self.save()
            if self.seconds - evaluated > 60 * schedule.evaluate_every_minutes:
                evaluated = self.seconds
                self.report(pictures)
                last = time.monotonic()
        self.save()
        self.report(pictures)

    def report(self, pictures: Pictures) -> None:
        """Exports and evaluates the averaged weights."""
        self.export()
        self.ema.eval()
        table = pictures.evaluate(self.ema)
        self.log(evaluation={name: [round(v, 4) for v in row] for name, row in table.items()})
        self.ema.train()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("labels", type=Path)
    parser.add_argument("--run", type=Path, required=True)
    arguments = parser.parse_args()
    source = tomllib.loads(arguments.config.read_text())
    mosaic = Mosaic(
        **{k: tuple(v) if isinstance(v, list) else v for k, v in source["mosaic"].items()}
    )
    schedule = Schedule(**source["schedule"])
    torch.set_num_threads(schedule.threads)
    # Numbers near zero are slow on many processors.
    torch.set_flush_denormal(True)
    arguments.run.mkdir(parents=True, exist_ok=True)
    scenes = load_scenes(arguments.labels)
    trainer = Trainer(mosaic, schedule, scenes, arguments.run)
    trainer.log(scenes=len(scenes), faces=sum(len(s.faces) for s in scenes))
    trainer.train(Pictures(arguments.labels))


if __name__ == "__main__":
    main()

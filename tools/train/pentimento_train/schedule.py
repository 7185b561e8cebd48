"""How long a stage runs and how its learning rate moves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn


@dataclass(frozen=True)
class Schedule:
    """A stage ends after `steps` or `minutes` of training, whichever comes first.

    The learning rates rise linearly over `warmup_steps`, then fall as a cosine of the part of the
    stage that is over. `equalised_learning_rate` is that of the layers with equalised scaling.
    """

    batch: int
    """Of one process."""
    steps: int
    minutes: float
    learning_rate: float
    equalised_learning_rate: float
    warmup_steps: int
    ema_steps: float
    clip_norm: float
    muon: float = 0.0
    """Momentum with which `muon.Muon` moves the network's matrices; 0: Adam moves them too, as it
    always does in the prior's stage."""

    def progress(self, step: int, seconds: float) -> float:
        """The part of the stage that is over, 0 to 1."""
        return min(1.0, max(step / self.steps, seconds / (60 * self.minutes)))

    def rate(self, step: int, seconds: float) -> float:
        """Factor on the learning rates."""
        cosine = 0.5 * (1 + math.cos(math.pi * self.progress(step, seconds)))
        return min(1.0, (step + 1) / self.warmup_steps) * cosine


@torch.no_grad()
def average(ema: nn.Module, model: nn.Module, step: int, ema_steps: float) -> None:
    """Moves averaged weights towards the current ones; the horizon grows with the step."""
    decay = 1 - 1 / min(ema_steps, 1 + step / 10)
    move = get_ema_multi_avg_fn(decay)
    move(list(ema.parameters()), list(model.parameters()), None)
    for slow, fast in zip(ema.buffers(), model.buffers(), strict=True):
        slow.copy_(fast)

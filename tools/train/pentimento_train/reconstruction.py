"""Stage 2: clean faces in, the same faces out, with the prior frozen.

Codec and latents settle into the prior's distribution before they see any degradation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .data import Batch
from .losses import picture_loss
from .schedule import Schedule
from .stage import Networks, Stage, Terms, parameter_groups


@dataclass(frozen=True)
class ReconstructionConfig:
    """The stage's section of the run's file; `loss` weighs the terms of `losses.PICTURE_TERMS`."""

    schedule: Schedule
    loss: Mapping[str, float]


class Reconstruction(Stage):
    """The stage in the middle of its run."""

    name = "reconstruction"

    def __init__(self, networks: Networks, config: ReconstructionConfig) -> None:
        super().__init__(networks, config.schedule)
        self.config = config
        model = networks.model
        model.requires_grad_(True)
        model.generator.requires_grad_(False)
        self.codec = [model.encoder, model.decoder, model.condition]
        self.optimise("codec", parameter_groups(self.codec, config.schedule))
        self.restore = torch.compile(model) if networks.compiled else model

    def train_step(self, batch: Batch) -> Terms:
        self.set_rates()
        with self.networks.autocast():
            again = self.restore(batch.target)
        loss, terms = picture_loss(again.float(), batch.target, self.config.loss)
        self.update("codec", loss, (p for m in self.codec for p in m.parameters()))
        self.finish_step()
        return {"loss": loss.detach(), **{k: v.detach() for k, v in terms.items()}}

    @torch.no_grad()
    def sheet(self, given: Tensor, faces: Tensor) -> Tensor:
        again = self.networks.ema(faces).clamp(-1, 1)
        return torch.cat([torch.cat(list(v), -1) for v in (faces, again)], 1)

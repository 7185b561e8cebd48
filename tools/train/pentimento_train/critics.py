"""The discriminators of a stage: one for the face, and in restoration one for each of its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .adversarial import discriminator_loss, generator_loss, r1_penalty, requires_grad
from .augmentation import Augmentation
from .discriminator import Discriminator


@dataclass(frozen=True)
class CriticConfig:
    """Size and training of the discriminators."""

    width: int
    """Channels at the highest resolution; those of a part's discriminator too."""
    most: int
    unshuffle: int
    learning_rate: float
    r1: float
    r1_every: int
    """Lazily: the penalty counts this many times, once in as many steps."""
    pictures_to_full: float
    """Adaptive augmentation's speed; see `Augmentation`."""


class Critics:
    """Judges sets of crops by name; `face` is the whole picture."""

    def __init__(
        self,
        config: CriticConfig,
        sizes: Mapping[str, int],
        device: torch.device,
        random: torch.Generator,
    ) -> None:
        self.config = config
        self.modules = nn.ModuleDict(
            {
                name: Discriminator(
                    size, config.width, config.most, config.unshuffle if name == "face" else 1
                )
                for name, size in sizes.items()
            }
        ).to(device, memory_format=torch.channels_last)
        ratio = config.r1_every / (config.r1_every + 1)
        self.optimizer = torch.optim.Adam(
            [
                {
                    "params": list(self.modules.parameters()),
                    "lr": config.learning_rate * ratio,
                    "peak": config.learning_rate * ratio,
                    "factor": "critics",
                }
            ],
            betas=(0.0, 0.99**ratio),
        )
        self.augmentation = Augmentation(config.pictures_to_full, random)

    def judge(self, views: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The generator's loss on its own views."""
        with requires_grad(self.modules, False):
            return {
                name: generator_loss(self.modules[name](self._seen(name, view)).float())
                for name, view in views.items()
            }

    def _seen(self, name: str, view: Tensor) -> Tensor:
        return self.augmentation(view) if name == "face" else view

    def learn(
        self, real: Mapping[str, Tensor], fake: Mapping[str, Tensor], step: int
    ) -> dict[str, Tensor]:
        """One update; returns the losses, and the lazy penalty where it was due."""
        terms: dict[str, Tensor] = {}
        total = torch.zeros((), device=next(self.modules.parameters()).device)
        face_logits = None
        for name, view in real.items():
            critic = self.modules[name]
            up, down = (critic(self._seen(name, v.detach())).float() for v in (view, fake[name]))
            terms[f"critic_{name}"] = discriminator_loss(up, down)
            total = total + terms[f"critic_{name}"]
            if name == "face":
                face_logits = up.detach()
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        if self.config.r1 > 0 and step % self.config.r1_every == 0:
            with torch.autocast(total.device.type, enabled=False):
                penalties = [
                    r1_penalty(self.modules[n], self._seen(n, v.detach())) for n, v in real.items()
                ]
            terms["r1"] = torch.stack(penalties).sum()
            (terms["r1"] * (self.config.r1 / 2 * self.config.r1_every)).backward()
        self.optimizer.step()
        if face_logits is not None:
            self.augmentation.adapt(face_logits)
        return {k: v.detach() for k, v in terms.items()}

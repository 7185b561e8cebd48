"""Terms of adversarial training, with StyleGAN2's two lazy regularisations."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .discriminator import Opinion


def _upwards(logits: list[Tensor], weight: Tensor | None) -> Tensor:
    """Falls as logits [N, places] rise; the mean over the lists, a sample counting by its weight."""
    loss = torch.stack([F.softplus(-x).mean(1) for x in logits]).mean(0)
    return loss.mean() if weight is None else (weight * loss).mean()


def discriminator_loss(
    real: list[Tensor], fake: list[Tensor], weight: Tensor | None = None
) -> Tensor:
    """Logistic loss on logits [N, places]: real ones up, fake ones down.

    A sample and its real counterpart count by their `weight` [N].
    """
    return _upwards(real, weight) + _upwards([-x for x in fake], weight)


def generator_loss(fake: list[Tensor], weight: Tensor | None = None) -> Tensor:
    """Non-saturating: fake logits [N, places] up; a sample counts by its `weight` [N]."""
    return _upwards(fake, weight)


def r1_penalty(discriminator: Callable[[Tensor], Opinion], real: Tensor) -> Tensor:
    """Mean squared gradient of the logits at real pictures (Mescheder et al., 2018)."""
    real = real.detach().requires_grad_(True)
    logits = torch.stack([x.mean(1).sum() for x in discriminator(real).logits]).sum()
    (gradient,) = torch.autograd.grad(logits, real, create_graph=True)
    return gradient.square().sum((1, 2, 3)).mean()


def path_lengths(pictures: Tensor, latents: Tensor, generator: torch.Generator) -> Tensor:
    """[N]: length of the pictures' gradient by the latents [N, L, D] along a random direction."""
    noise = torch.randn(pictures.shape, generator=generator).to(pictures.device)
    noise = noise / math.sqrt(pictures.shape[2] * pictures.shape[3])
    (gradient,) = torch.autograd.grad((pictures * noise).sum(), latents, create_graph=True)
    return gradient.square().sum(2).mean(1).sqrt()


class requires_grad:
    """Within it, a module's parameters take gradients, or do not; afterwards, as before."""

    def __init__(self, module: nn.Module, on: bool) -> None:
        self.module = module
        self.on = on

    def __enter__(self) -> None:
        self.before = [p.requires_grad for p in self.module.parameters()]
        self.module.requires_grad_(self.on)

    def __exit__(self, *_: object) -> None:
        for parameter, before in zip(self.module.parameters(), self.before, strict=True):
            parameter.requires_grad_(before)

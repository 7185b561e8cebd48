"""Terms of adversarial training, with StyleGAN2's two lazy regularisations."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Logits = Callable[[Tensor], Tensor]


def discriminator_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Logistic loss on logits: real ones up, fake ones down."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def generator_loss(fake: Tensor) -> Tensor:
    """Non-saturating: fake logits up."""
    return F.softplus(-fake).mean()


def r1_penalty(discriminator: Logits, real: Tensor) -> Tensor:
    """Mean squared gradient of the logits at real pictures (Mescheder et al., 2018)."""
    real = real.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
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

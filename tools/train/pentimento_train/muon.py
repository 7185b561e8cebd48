"""Muon (Jordan et al., 2024): a step moves a matrix as far in every direction as in any other.

The momentum of a matrix, U·S·Vᵀ, is replaced by U·Vᵀ. Adam follows the few directions in which gradients
are large, and what is only seen now and then waits; here it does not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

LEAST_SIDE = 8
"""A matrix with fewer rows or columns has too few directions, and is left to Adam."""

SPEED = 0.2
"""Root mean square of a step at a learning rate of 1: about Adam's, so that rates carry over (Liu et
al., "Muon is scalable for LLM training", arXiv 2502.16982)."""

COEFFICIENTS = (3.4445, -4.775, 2.0315)
"""Jordan's of the Newton-Schulz iteration: small singular values grow fast, all end near 1."""


def orthogonal(matrices: Tensor, steps: int = 5, half: bool = False) -> Tensor:
    """[K, rows, columns] with singular values S → the same with values of about 1, 0.7 to 1.2.

    `half` computes in bf16.
    """
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / x.flatten(1).norm(dim=1).clamp_min(1e-12)[:, None, None]
    if half:
        x = x.bfloat16()
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        square = x @ x.mT
        x = a * x + (b * square + c * square @ square) @ x
    return (x.mT if tall else x).to(matrices.dtype)


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether Muon moves it: a convolution is one with a row for each output channel."""
    return parameter.ndim >= 2 and min(len(parameter), parameter[0].numel()) >= LEAST_SIDE


def split(groups: Iterable[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Groups of an optimiser's parameters: those of the matrices, and those of the rest."""
    matrices, others = [], []
    for group in groups:
        for kept, wanted in ((matrices, True), (others, False)):
            parameters = [p for p in group["params"] if is_matrix(p) == wanted]
            if parameters:
                kept.append({**group, "params": parameters})
    return matrices, others


class Muon(Optimizer):
    """For matrices alone. PyTorch's takes no convolutions, and computes in bf16 on any device."""

    def __init__(self, groups: list[dict[str, Any]], momentum: float, half: bool = False) -> None:
        super().__init__(groups, {"lr": 1e-3, "momentum": momentum})
        self.half = half

    def _direction(self, parameter: nn.Parameter, momentum: float) -> Tensor:
        """The gradient's momentum, looking ahead as Nesterov's does."""
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(gradient)
        state["momentum"].lerp_(gradient, 1 - momentum)
        return gradient.lerp(state["momentum"], momentum).flatten(1)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:
        """Matrices of one shape together: there are many, and most are small."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shape = (len(parameter), parameter[0].numel())
                    shapes.setdefault(shape, []).append(parameter)
            for shape, alike in shapes.items():
                directions = [self._direction(p, group["momentum"]) for p in alike]
                speed = SPEED * math.sqrt(max(shape)) * group["lr"]
                steps = orthogonal(torch.stack(directions), half=self.half)
                for parameter, step in zip(alike, steps, strict=True):
                    parameter.sub_(speed * step.reshape(parameter.shape))

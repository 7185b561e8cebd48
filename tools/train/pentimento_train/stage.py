"""What the three stages share: networks, optimisers, and a state that can be put down and resumed."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from pentimento_reference.mmrbnet import MmrbNet
from pentimento_reference.stylegan2 import EqualLinear, StyledConv, ToRgb
from torch import Tensor, nn

from . import parallel
from .data import Batch
from .muon import Muon, split
from .schedule import Schedule, average

Terms = dict[str, Tensor]


@dataclass
class Networks:
    """The network being trained, its running average, and where and how they compute."""

    model: MmrbNet
    ema: MmrbNet
    device: torch.device
    half: bool
    """bf16 in convolutions and matrix products."""
    compiled: bool
    random: torch.Generator
    """On the CPU; every draw of a stage comes from it, so that its state can be saved."""

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """The context of a forward pass."""
        if not self.half:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, torch.bfloat16)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal values on the device."""
        return torch.randn(shape, generator=self.random).to(self.device)


def parameter_groups(
    modules: Iterable[nn.Module], schedule: Schedule, factor: str = "codec"
) -> list[dict[str, Any]]:
    """Plain convolutions in one group, everything with equalised scaling in the other.

    `factor` names the groups, for stages that move the rates of some apart.
    """
    split: tuple[list[nn.Parameter], list[nn.Parameter]] = ([], [])
    seen: set[int] = set()
    for module in modules:
        equalised = {
            id(p)
            for m in module.modules()
            if isinstance(m, (EqualLinear, StyledConv, ToRgb))
            for p in m.parameters()
        }
        equalised |= {id(p) for name, p in module.named_parameters() if name.endswith("constant")}
        for parameter in module.parameters():
            if id(parameter) not in seen:
                seen.add(id(parameter))
                split[id(parameter) in equalised].append(parameter)
    rates = (schedule.learning_rate, schedule.equalised_learning_rate)
    return [
        {"params": p, "lr": r, "peak": r, "factor": factor}
        for p, r in zip(split, rates, strict=True)
        if p
    ]


class Stage(ABC):
    """A stage in the middle of its run."""

    name: ClassVar[str]
    degrades: ClassVar[bool] = False
    """Whether its inputs are degraded; without that they are the faces themselves."""

    def __init__(self, networks: Networks, schedule: Schedule) -> None:
        self.networks = networks
        self.schedule = schedule
        self.step = 0
        self.seconds = 0.0
        self.modules: dict[str, nn.Module] = {}
        """What is trained, or kept frozen, beside the network itself."""
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.scalars: dict[str, float] = {}
        """Running values that belong to the state."""

    @property
    def progress(self) -> float:
        """The part of the stage that is over, 0 to 1."""
        return self.schedule.progress(self.step, self.seconds)

    def set_rates(self, factors: Mapping[str, float] | None = None) -> None:
        """Brings every optimiser to the schedule's rate of this step."""
        rate = self.schedule.rate(self.step, self.seconds)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * rate * (factors or {}).get(group["factor"], 1.0)

    def optimise(self, name: str, groups: list[dict[str, Any]]) -> None:
        """Adam for the network's parameters, and Muon for its matrices where the schedule has it."""
        if self.schedule.muon > 0:
            matrices, groups = split(groups)
            self.optimizers[f"{name}_matrices"] = Muon(
                matrices, self.schedule.muon, self.networks.half
            )
        self.optimizers[name] = torch.optim.Adam(groups, betas=(0.9, 0.99))

    def update(self, name: str, loss: Tensor, of: Iterable[nn.Parameter]) -> None:
        """One step of an optimiser, and of its matrices', against the gradient of `loss`, clipped."""
        names = (name, f"{name}_matrices")
        chosen = [self.optimizers[n] for n in names if n in self.optimizers]
        for optimizer in chosen:
            optimizer.zero_grad(set_to_none=True)
        loss.backward()
        for optimizer in chosen:
            parallel.average_gradients(optimizer)
        nn.utils.clip_grad_norm_(of, self.schedule.clip_norm)
        for optimizer in chosen:
            optimizer.step()

    def finish_step(self) -> None:
        """Averages the weights and counts."""
        average(self.networks.ema, self.networks.model, self.step, self.schedule.ema_steps)
        self.step += 1

    @abstractmethod
    def train_step(self, batch: Batch) -> Terms:
        """One update; returns the losses by name."""

    @abstractmethod
    def sheet(self, given: Tensor, faces: Tensor) -> Tensor:
        """A picture of how far it is, [3, H, W] in [-1, 1], from inputs and faces [N, 3, S, S]."""

    def finish(self) -> None:
        """What the next stage needs, once, after the last step."""

    def state(self) -> dict[str, Any]:
        """Everything needed to go on."""
        return {
            "step": self.step,
            "seconds": self.seconds,
            "modules": {k: m.state_dict() for k, m in self.modules.items()},
            "optimizers": {k: o.state_dict() for k, o in self.optimizers.items()},
            "scalars": dict(self.scalars),
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Goes on from `state`."""
        self.step, self.seconds = state["step"], state["seconds"]
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
        for name, optimizer in self.optimizers.items():
            optimizer.load_state_dict(state["optimizers"][name])
        self.scalars.update(state["scalars"])

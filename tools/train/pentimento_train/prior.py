"""Stage 1: the StyleGAN2 prior, from noise to faces, against a discriminator."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from pentimento_reference.config import MmrbNetConfig
from pentimento_reference.mmrbnet import Generator, no_probe
from pentimento_reference.stylegan2 import MappingLayer, pixel_norm
from torch import Tensor, nn

from . import parallel
from .adversarial import path_lengths, requires_grad
from .critics import CriticConfig, Critics
from .data import Batch
from .schedule import Schedule, average
from .stage import Networks, Stage, Terms, parameter_groups


@dataclass(frozen=True)
class PriorConfig:
    """The stage's section of the run's file."""

    schedule: Schedule
    critics: CriticConfig
    mapping_layers: int
    """Of the mapping network that only this stage has; unused where the model has its own."""
    style_mixing: float
    """Part of the pictures whose lower and upper layers have different latents."""
    path_weight: float
    path_every: int
    """Lazily, as R1."""


class Mapping(nn.Module):
    """z [N, D] → w [N, D], as StyleGAN2 has it."""

    def __init__(self, dim: int, layers: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(MappingLayer(dim) for _ in range(layers)))

    def forward(self, z: Tensor) -> Tensor:
        return self.layers(pixel_norm(z))


def neutral(config: MmrbNetConfig, count: int, like: Tensor) -> dict[int, Tensor]:
    """Conditions per resolution that change nothing: scale 1 and shift 0, or zeros."""
    conditions = {}
    for resolution, channels in config.condition_channels.items():
        condition = like.new_zeros(count, channels, resolution, resolution)
        if config.inject in ("sft", "sft_half"):
            condition[:, : channels // 2] = 1
        conditions[resolution] = condition
    return conditions


class Prior(Stage):
    """The stage in the middle of its run."""

    name = "prior"

    def __init__(self, networks: Networks, config: PriorConfig) -> None:
        super().__init__(networks, config.schedule)
        self.config = config
        model = networks.model
        model.requires_grad_(False)
        model.generator.requires_grad_(True)
        self.generator: Generator = model.generator
        trained: list[nn.Module] = [self.generator]
        if model.config.n_mlp == 0:
            mapping = Mapping(model.config.latent_dim, config.mapping_layers).to(networks.device)
            self.modules["mapping"] = mapping
            self.modules["mapping_ema"] = copy.deepcopy(mapping).requires_grad_(False)
            trained.append(mapping)
        self.trained = nn.ModuleList(trained)
        ratio = config.path_every / (config.path_every + 1) if config.path_weight > 0 else 1.0
        groups = parameter_groups(self.trained, config.schedule)
        for group in groups:
            group["peak"] *= ratio
        self.optimizers["generator"] = torch.optim.Adam(groups, betas=(0.0, 0.99**ratio))
        sizes = {"face": model.config.size}
        self.critics = Critics(config.critics, sizes, networks.device, networks.random)
        self.modules["critics"] = self.critics.modules
        self.optimizers["critics"] = self.critics.optimizer
        self.scalars |= {"augmentation": 0.0, "path_mean": 0.0}
        self.conditions = {
            r: c[:1] for r, c in neutral(model.config, 1, self.generator.constant).items()
        }

    def _map(self, z: Tensor, averaged: bool = False) -> Tensor:
        """z [N, D] → w [N, D]."""
        if "mapping" in self.modules:
            return self.modules["mapping_ema" if averaged else "mapping"](z)
        generator = self.networks.ema.generator if averaged else self.generator
        return generator.map(z)

    def _latents(self, count: int) -> Tensor:
        """W+ [N, n_latent, D] of fresh noise."""
        config = self.networks.model.config
        w, other = (self._map(self.networks.normal(count, config.latent_dim)) for _ in range(2))
        latents = w[:, None].repeat(1, config.n_latent, 1)
        mixed = torch.rand(count, generator=self.networks.random) < self.config.style_mixing
        start = torch.randint(1, config.n_latent, (count,), generator=self.networks.random)
        upper = torch.arange(config.n_latent) >= start[:, None]
        swap = (mixed[:, None] & upper)[..., None].to(w.device)
        return torch.where(swap, other[:, None], latents)

    def _synthesise(self, latents: Tensor) -> Tensor:
        """Pictures of latents, with layer noise drawn anew for the batch."""
        if self.generator.noises is not None:
            with torch.no_grad():
                for buffer in self.generator.noises.buffers():
                    buffer.copy_(torch.randn(buffer.shape, generator=self.networks.random))
        count = len(latents)

        def conditions(resolution: int) -> Tensor:
            return self.conditions[resolution].expand(count, -1, -1, -1)

        return self.generator.synthesise(latents, conditions, no_probe)

    def train_step(self, batch: Batch) -> Terms:
        config, networks = self.config, self.networks
        self.set_rates()
        self.critics.augmentation.p = self.scalars["augmentation"]
        count = len(batch.target)
        with networks.autocast():
            fake = self._synthesise(self._latents(count)).float()
            loss = self.critics.judge({"face": fake})["face"].adversarial
        terms = {"loss": loss.detach()}
        self.optimizers["generator"].zero_grad(set_to_none=True)
        loss.backward()
        if config.path_weight > 0 and self.step % config.path_every == 0:
            latents = self._latents(max(1, count // 2))
            lengths = path_lengths(self._synthesise(latents), latents, networks.random)
            mean = torch.lerp(
                lengths.new_tensor(self.scalars["path_mean"]), lengths.mean().detach(), 0.01
            )
            penalty = (lengths - mean).square().mean()
            (penalty * config.path_weight * config.path_every).backward()
            self.scalars["path_mean"] = mean.item()
            terms["path"] = penalty.detach()
        parallel.average_gradients(self.optimizers["generator"])
        nn.utils.clip_grad_norm_(self.trained.parameters(), self.schedule.clip_norm)
        self.optimizers["generator"].step()
        with networks.autocast(), requires_grad(self.critics.modules, True):
            terms |= self.critics.learn({"face": batch.target}, {"face": fake}, self.step)
        self.scalars["augmentation"] = self.critics.augmentation.p
        if "mapping" in self.modules:
            averaged, mapping = self.modules["mapping_ema"], self.modules["mapping"]
            average(averaged, mapping, self.step, self.schedule.ema_steps)
        self.finish_step()
        return terms

    @torch.no_grad()
    def sheet(self, given: Tensor, faces: Tensor) -> Tensor:
        """As many invented faces as there are faces given, always of the same noise."""
        config, ema = self.networks.ema.config, self.networks.ema.generator
        noise = torch.randn(
            len(faces), config.latent_dim, generator=torch.Generator().manual_seed(1)
        )
        w = self._map(noise.to(faces.device), averaged=True)
        latents = w[:, None].repeat(1, config.n_latent, 1)

        def conditions(resolution: int) -> Tensor:
            return self.conditions[resolution].expand(len(faces), -1, -1, -1)

        invented = ema.synthesise(latents, conditions, no_probe).clamp(-1, 1)
        return torch.cat(list(invented), -1)

    @torch.no_grad()
    def finish(self) -> None:
        """The encoder starts from the prior's mean latent, with small deviations from it."""
        networks = self.networks
        if "mapping" not in self.modules:
            return
        z = networks.normal(4096, networks.model.config.latent_dim)
        mean = self._map(z, averaged=True).mean(0)
        for model in (networks.model, networks.ema):
            latent = model.encoder.latent
            latent.bias.copy_(mean.repeat(model.config.n_latent) / latent.lr_mul)
            latent.weight.mul_(0.1)

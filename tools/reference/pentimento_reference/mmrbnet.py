"""MMRB-Net: an asymmetric codec of MMRBs around a StyleGAN2 prior.

`README.md` beside this package gives every tensor name, shape and formula in words.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .config import ConfigError, MmrbNetConfig, Upsample
from .mmrb import Mmrb
from .stylegan2 import (
    EqualLinear,
    MappingLayer,
    StyledConv,
    ToRgb,
    bilinear2,
    fir_up2,
    pixel_norm,
)

ARCH = "mmrbnet"

Probe = Callable[[str, Tensor], None]
"""Receives the name and the value of every named node as the forward pass reaches it."""


def no_probe(name: str, value: Tensor) -> None:
    """The probe that looks at nothing."""


class EncoderLevel(nn.Module):
    """The MMRBs of one resolution, and the stride-2 convolution to the next lower one."""

    def __init__(self, config: MmrbNetConfig, resolution: int) -> None:
        super().__init__()
        width = config.channels[resolution]
        path_channels = config.mmrb.width_at(resolution)
        self.mmrb = nn.ModuleList(
            Mmrb(config.mmrb, width, width, path_channels) for _ in range(config.mmrb_per_level)
        )
        if resolution > 4:
            self.down = nn.Conv2d(width, config.channels[resolution // 2], 3, stride=2, padding=1)


class Encoder(nn.Module):
    """Picture [N, 3, size, size] → features per resolution and W+ [N, n_latent, latent_dim]."""

    def __init__(self, config: MmrbNetConfig) -> None:
        super().__init__()
        self.config = config
        top = config.codec_size
        self.stem = nn.Conv2d(3 * config.stem_unshuffle**2, config.channels[top], 3, padding=1)
        self.levels = nn.ModuleDict(
            {str(r): EncoderLevel(config, r) for r in reversed(config.codec_resolutions)}
        )
        self.latent = EqualLinear(config.channels[4] * 16, config.n_latent * config.latent_dim)

    def forward(self, x: Tensor, probe: Probe) -> tuple[dict[int, Tensor], Tensor]:
        slope = self.config.mmrb.slope
        x = F.leaky_relu(self.stem(F.pixel_unshuffle(x, self.config.stem_unshuffle)), slope)
        probe("encoder.stem", x)
        features: dict[int, Tensor] = {}
        for name, level in self.levels.items():
            for i, block in enumerate(level.mmrb):
                x = block(x)
                probe(f"encoder.levels.{name}.mmrb.{i}", x)
            features[int(name)] = x
            if int(name) > 4:
                x = F.leaky_relu(level.down(x), slope)
                probe(f"encoder.levels.{name}.down", x)
        latents = self.latent(x.flatten(1))
        latents = latents.view(-1, self.config.n_latent, self.config.latent_dim)
        probe("encoder.latent", latents)
        return features, latents


class DecoderLevel(nn.Module):
    """d_R = lrelu(conv3x3(bilinear2(project(d_{R/2})) + e_R)); at 4×4 there is no lower level."""

    def __init__(self, config: MmrbNetConfig, resolution: int) -> None:
        super().__init__()
        width = config.channels[resolution]
        self.slope = config.mmrb.slope
        self.project: nn.Module = nn.Identity()
        if resolution > 4 and config.channels[resolution // 2] != width:
            self.project = nn.Conv2d(config.channels[resolution // 2], width, 1, bias=False)
        self.conv = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, lower: Tensor | None, feature: Tensor) -> Tensor:
        if lower is not None:
            feature = feature + bilinear2(self.project(lower))
        return F.leaky_relu(self.conv(feature), self.slope)


class Decoder(nn.Module):
    """Encoder features → decoder features, both per resolution."""

    def __init__(self, config: MmrbNetConfig) -> None:
        super().__init__()
        self.levels = nn.ModuleDict(
            {str(r): DecoderLevel(config, r) for r in config.codec_resolutions}
        )

    def forward(self, features: Mapping[int, Tensor], probe: Probe) -> dict[int, Tensor]:
        out: dict[int, Tensor] = {}
        x: Tensor | None = None
        for name, level in self.levels.items():
            x = level(x, features[int(name)])
            out[int(name)] = x
            probe(f"decoder.levels.{name}", x)
        return out


class ConditionHead(nn.Module):
    """[N, c, r, r] → [N, condition channels, R, R] with R = r · ratio.

    conv3x3, lrelu, conv3x3 to ratio² times the channels, pixel shuffle.
    """

    def __init__(self, width: int, channels: int, ratio: int, slope: float) -> None:
        super().__init__()
        self.ratio = ratio
        self.slope = slope
        self.hidden = nn.Conv2d(width, width, 3, padding=1)
        self.out = nn.Conv2d(width, channels * ratio**2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.out(F.leaky_relu(self.hidden(x), self.slope))
        return F.pixel_shuffle(x, self.ratio)


class GeneratorLevel(nn.Module):
    """The styled convolutions and the ToRGB of one resolution; `up` is absent at 4×4."""

    def __init__(self, config: MmrbNetConfig, resolution: int) -> None:
        super().__init__()
        concat = config.inject == "noise_concat"
        width = config.channels[resolution]
        seen = width * (2 if concat else 1)
        dim = config.latent_dim
        if resolution > 4:
            below = config.channels[resolution // 2] * (2 if concat else 1)
            self.up = StyledConv(below, width, dim, config.upsample, concat)
        first = width if resolution == 4 else seen
        self.conv = StyledConv(first, width, dim, None, concat)
        self.to_rgb = ToRgb(seen, dim)


class NoiseBuffers(nn.Module):
    """The stored noise of every styled convolution: buffer i is [1, 1, R, R]."""

    def __init__(self, resolutions: list[int]) -> None:
        super().__init__()
        sides = [4] + [r for r in resolutions[1:] for _ in range(2)]
        for i, side in enumerate(sides):
            self.register_buffer(str(i), torch.randn(1, 1, side, side))

    def __getitem__(self, index: int) -> Tensor:
        return self.get_buffer(str(index))


class Generator(nn.Module):
    """The StyleGAN2 prior with conditions: W+ [N, n_latent, D] → RGB [N, 3, size, size]."""

    def __init__(self, config: MmrbNetConfig) -> None:
        super().__init__()
        self.inject = config.inject
        self.upsample: Upsample = config.upsample
        self.constant = nn.Parameter(torch.randn(1, config.channels[4], 4, 4))
        self.mlp = nn.ModuleList(MappingLayer(config.latent_dim) for _ in range(config.n_mlp))
        self.levels = nn.ModuleDict(
            {str(r): GeneratorLevel(config, r) for r in config.generator_resolutions}
        )
        self.noises = (
            None if config.inject == "noise_concat" else NoiseBuffers(config.generator_resolutions)
        )

    def _styled(
        self, conv: StyledConv, x: Tensor, w: Tensor, index: int, condition: Tensor
    ) -> Tensor:
        """A styled convolution and the condition of its level."""
        if self.noises is None:
            return conv(x, w, None, condition)
        y = conv(x, w, self.noises[index], None)
        if self.inject == "add":
            return y + condition
        scale, shift = condition.chunk(2, 1)
        if self.inject == "sft":
            return y * scale + shift
        kept, changed = y.split([y.shape[1] - scale.shape[1], scale.shape[1]], 1)
        return torch.cat([kept, changed * scale + shift], 1)

    def map(self, latents: Tensor) -> Tensor:
        """The mapping network on every latent; without one, the latents themselves."""
        if len(self.mlp):
            latents = pixel_norm(latents)
            for layer in self.mlp:
                latents = layer(latents)
        return latents

    def forward(self, latents: Tensor, conditions: Callable[[int], Tensor], probe: Probe) -> Tensor:
        latents = self.map(latents)
        if len(self.mlp):
            probe("generator.mlp", latents)
        return self.synthesise(latents, conditions, probe)

    def synthesise(
        self, latents: Tensor, conditions: Callable[[int], Tensor], probe: Probe
    ) -> Tensor:
        """From mapped latents [N, n_latent, D] to RGB."""
        x = self.constant.expand(latents.shape[0], -1, -1, -1)
        rgb: Tensor | None = None
        used = 0
        for name, level in self.levels.items():
            condition = conditions(int(name))
            probe(f"condition.{name}", condition)
            for kind in ("up", "conv") if int(name) > 4 else ("conv",):
                conv = getattr(level, kind)
                x = self._styled(conv, x, latents[:, used], used, condition)
                used += 1
                probe(f"generator.levels.{name}.{kind}", x)
            step = level.to_rgb(x, latents[:, used])
            if rgb is not None:
                step = step + (fir_up2(rgb) if self.upsample == "fir" else bilinear2(rgb))
            rgb = step
            probe(f"generator.levels.{name}.to_rgb", rgb)
        assert rgb is not None
        return rgb


@dataclass(frozen=True)
class Code:
    """What the codec knows of a picture: features per resolution, and the latents."""

    encoded: dict[int, Tensor]
    decoded: dict[int, Tensor]
    latents: Tensor


class MmrbNet(nn.Module):
    """The whole network: [N, 3, size, size] in [-1, 1] → the same shape, nominally in [-1, 1]."""

    def __init__(self, config: MmrbNetConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        top = config.codec_size
        self.condition = nn.ModuleDict(
            {
                str(r): ConditionHead(
                    config.channels[min(r, top)], channels, max(1, r // top), config.mmrb.slope
                )
                for r, channels in config.condition_channels.items()
            }
        )
        self.generator = Generator(config)

    def encode(self, x: Tensor, probe: Probe = no_probe) -> Code:
        """The codec alone: encoder and decoder."""
        encoded, latents = self.encoder(x, probe)
        return Code(encoded, self.decoder(encoded, probe), latents)

    def condition_at(self, resolution: int, decoded: Mapping[int, Tensor]) -> Tensor:
        """A generator level's condition, from the decoder's features of its side or the top's."""
        feature = decoded[min(resolution, self.config.codec_size)]
        return self.condition[str(resolution)](feature)

    def generate(self, code: Code, x: Tensor, probe: Probe = no_probe) -> Tensor:
        """The conditioned prior on a code; `x` is the network's input."""

        rgb = self.generator(code.latents, lambda r: self.condition_at(r, code.decoded), probe)
        if self.config.input_skip:
            rgb = rgb + x
        probe("output", rgb)
        return rgb

    def forward(self, x: Tensor, probe: Probe = no_probe) -> Tensor:
        return self.generate(self.encode(x, probe), x, probe)


def save_checkpoint(
    path: Path,
    tensors: Mapping[str, Tensor],
    config: MmrbNetConfig,
    dtype: torch.dtype = torch.float32,
    extra: Mapping[str, str] | None = None,
) -> None:
    """Writes a safetensors file with `arch` and `config` in its metadata, whole or not at all."""
    metadata = {"arch": ARCH, "config": json.dumps(config.to_json(), separators=(",", ":"))}
    metadata.update(extra or {})
    staged = path.with_name(path.name + ".partial")
    save_file({k: v.detach().to(dtype).contiguous() for k, v in tensors.items()}, staged, metadata)
    staged.replace(path)


def load_checkpoint(path: Path) -> MmrbNet:
    """Builds the network a file describes, in float32, with every tensor in place."""
    with safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
        tensors = {k: file.get_tensor(k).float() for k in file.keys()}
    if metadata.get("arch") != ARCH:
        raise ConfigError(f"{path.name}: `arch` is {metadata.get('arch')!r}, not {ARCH!r}")
    if "config" not in metadata:
        raise ConfigError(f"{path.name}: `config` is missing from the metadata")
    model = MmrbNet(MmrbNetConfig.from_json(json.loads(metadata["config"])))
    model.load_state_dict(tensors)
    return model.eval()

"""What is compared: networks and layers, the same weights and input for every engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import nn

from pentimento_reference import gfpgan
from pentimento_reference.mmrbnet import load_checkpoint
from pentimento_reference.rrdb import RrdbNet
from pentimento_reference.srvgg import Srvgg

ROOT = Path(__file__).resolve().parents[2]


def uniform(stream: int, length: int) -> NDArray[np.float32]:
    """Uniform in [0, 1): the first values of a stream of SplitMix64, as in src/bench/weights.rs."""
    with np.errstate(over="ignore"):
        i = np.arange(1, length + 1, dtype=np.uint64)
        z = np.uint64(stream) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> np.uint64(31))) >> np.uint64(40)
    return z.astype(np.float32) * np.float32(2.0**-24)


def noise(stream: int, shape: tuple[int, ...], deviation: float) -> NDArray[np.float32]:
    """Uniform, mean 0."""
    values = np.float32(3**0.5) * (2 * uniform(stream, int(np.prod(shape))) - 1)
    return (np.float32(deviation) * values).reshape(shape)


@dataclass(frozen=True)
class Subject:
    """A network or a layer."""

    name: str
    shape: tuple[int, ...]
    build: Callable[[], nn.Module]
    layer: bool

    def input(self) -> NDArray[np.float32]:
        """What every engine is given."""
        return noise(1, self.shape, 1.0) if self.layer else noise(17, self.shape, 0.5)

    def model(self) -> nn.Module:
        """The network in PyTorch, with its weights."""
        torch.manual_seed(1)
        return self.build().eval()

    def ours(self, folder: Path) -> list[str]:
        """The arguments of `pentimento bench` that select it."""
        if self.layer:
            return ["--only", "kernels", "--filter", f"layer {self.name}", "--exact"]
        height, width = self.shape[2:]
        size = f"{height}x{width}"
        return ["--only", "peaks", "--model", str(self.weights(folder)), "--size", size]

    def weights(self, folder: Path) -> Path:
        """The checkpoint of a network, written when it is missing."""
        if self.name.startswith("mmrbnet"):
            return ROOT / "weights" / "mmrbnet-256.safetensors"
        path = folder / f"{self.name}.safetensors"
        if not path.exists():
            save_file(self.model().state_dict(), path)
        return path


def _layer(channels: int, side: int) -> Subject:
    def build() -> nn.Module:
        # The stream of the first tensor of a case; see `Weights::tensor`.
        stream = 0xD1342543DE82EF95
        conv = nn.Conv2d(channels, channels, 3, padding=1)
        shape = tuple(conv.weight.shape)
        weight = noise(stream, shape, (1.0 / (9 * channels)) ** 0.5)
        conv.weight = nn.Parameter(torch.from_numpy(weight))
        conv.bias = nn.Parameter(torch.from_numpy(noise(stream, (channels,), 1.0)))
        return conv

    name = f"conv3x3 {channels}-{channels} @{side}x{side}"
    return Subject(name, (1, channels, side, side), build, layer=True)


def _mmrbnet() -> nn.Module:
    return load_checkpoint(ROOT / "weights" / "mmrbnet-256.safetensors").float()


def _modulated() -> nn.Module:
    model = gfpgan.release()
    for name, parameter in model.named_parameters():
        if name.endswith("modulation.bias"):
            nn.init.ones_(parameter)
        elif parameter.shape == (1,):
            nn.init.constant_(parameter, 0.1)
    return model


SUBJECTS = [
    Subject("mmrbnet-256", (1, 3, 256, 256), _mmrbnet, layer=False),
    Subject("gfpgan-512", (1, 3, 512, 512), _modulated, layer=False),
    Subject("srvgg-x4-512", (1, 3, 512, 512), Srvgg, layer=False),
    Subject("srvgg-x4-256", (1, 3, 256, 256), Srvgg, layer=False),
    Subject("rrdb-x4-64", (1, 3, 64, 64), RrdbNet, layer=False),
    *(_layer(c, side) for c, side in [(512, 32), (512, 64), (256, 128), (128, 256), (64, 512)]),
]

"""Degradations ((x ⊗ k)↓f + n)_JPEG, once or twice, then bicubic back to the original side.

Every random choice comes from the NumPy generator passed in, so a seed fixes the picture.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from .blur import blur, defocus_kernel, gaussian_kernel, motion_kernel
from .old_photos import bled, halftoned, scratched
from .processing import rescaled, sharpened, waxy

Range = tuple[float, float]


@dataclass(frozen=True)
class Strength:
    """Ranges that parameters are drawn from, uniformly except `factor` (in its logarithm).

    Blurs are in units of the down-sampling factor, measured in pixels of the original; noise is in
    grey levels; Poisson noise has its strength at white.
    """

    factor: Range
    gaussian_sigma: Range
    motion_length: Range
    defocus_radius: Range
    noise_sigma: Range
    poisson_sigma: Range
    quality: Range

    def towards(self, other: Strength, part: float) -> Strength:
        """Both ends of every range, `part` of the way to the other's."""

        def between(name: str) -> Range:
            a, b = getattr(self, name), getattr(other, name)
            return (a[0] + part * (b[0] - a[0]), a[1] + part * (b[1] - a[1]))

        return Strength(*(between(f.name) for f in fields(self)))


@dataclass(frozen=True)
class Damage:
    """How often further damage happens (parts of 1), beside what a camera and a file do."""

    toned: float = 0.0
    """Of the pictures without colours: those in the tone of a print, as the original is then."""
    cast: float = 0.0
    """Faded dyes, which the original then has too."""
    halftone: float = 0.0
    bled: float = 0.0
    scratched: float = 0.0
    waxy: float = 0.0
    sharpened: float = 0.0
    rescaled: float = 0.0


@dataclass(frozen=True)
class DegradationConfig:
    """From mild to serious, and how often each kind of damage happens (parts of 1)."""

    mild: Strength
    serious: Strength
    strength: Range
    """Drawn uniformly for each picture: 0 is mild, 1 is serious."""
    blurs: tuple[float, float, float, float]
    """Isotropic Gaussian, anisotropic Gaussian, motion, defocus; the rest stays sharp."""
    poisson: float
    """Poisson instead of Gaussian noise."""
    same_noise: float
    """The same noise in all channels instead of colour noise."""
    webp: float
    """WebP instead of JPEG."""
    shuffled: float
    """Blur, down-sampling and noise in random order instead of this one."""
    second_order: float
    """The small picture goes through all of it once more."""
    fade: float
    """Loss of contrast and a tint, which the original does not have."""
    gray: float
    """No colours, which the original then does not have either."""
    damage: Damage | None = None

    @staticmethod
    def from_table(source: Mapping[str, Any]) -> DegradationConfig:
        """From a TOML table with the tables `mild` and `serious` in it."""
        values = {k: tuple(v) if isinstance(v, list) else v for k, v in source.items()}
        for name in ("mild", "serious"):
            values[name] = Strength(**{k: tuple(v) for k, v in source[name].items()})
        if "damage" in source:
            values["damage"] = Damage(**source["damage"])
        return DegradationConfig(**values)


def resize(x: Tensor, side: int, mode: str) -> Tensor:
    """[3, H, W] → [3, side, side]; `mode` is area, bilinear or bicubic (antialiased)."""
    if mode == "area":
        return F.interpolate(x[None], (side, side), mode="area")[0]
    return F.interpolate(x[None], (side, side), mode=mode, antialias=True)[0]


def to_bytes(x: Tensor) -> Tensor:
    """[-1, 1] → uint8, clamped and rounded."""
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def from_bytes(x: Tensor) -> Tensor:
    """uint8 → [-1, 1]."""
    return x.float() / 127.5 - 1


def jpeg(x: Tensor, quality: int, form: str = "JPEG") -> Tensor:
    """Through a JPEG (or WebP) file and back: [3, H, W] in [-1, 1] → the same."""
    buffer = io.BytesIO()
    Image.fromarray(to_bytes(x).permute(1, 2, 0).numpy()).save(buffer, form, quality=quality)
    decoded = np.array(Image.open(buffer).convert("RGB"))
    return from_bytes(torch.from_numpy(decoded).permute(2, 0, 1))


def luma(x: Tensor) -> Tensor:
    """[..., 3, H, W] → [..., 1, H, W]: BT.601's weights of red, green and blue."""
    return (x * x.new_tensor([0.299, 0.587, 0.114])[:, None, None]).sum(-3, keepdim=True)


def gray(x: Tensor) -> Tensor:
    """BT.601 luma in all three channels."""
    return luma(x).expand(3, -1, -1)


def faded(x: Tensor, rng: np.random.Generator) -> Tensor:
    """Contrast towards a light, warm tint, as paper does over the years."""
    tint = x.new_tensor(rng.uniform((0.1, 0.0, -0.3), (0.6, 0.5, 0.2)))
    return torch.lerp(x, tint[:, None, None].expand_as(x), float(rng.uniform(0.1, 0.4)))


def blurred(
    x: Tensor, scale: float, s: Strength, config: DegradationConfig, rng: np.random.Generator
) -> Tensor:
    """One blur, or none; `scale` is the length of a unit of the strength's ranges in pixels of x."""
    kind = rng.choice(5, p=[*config.blurs, max(0.0, 1 - sum(config.blurs))])
    if kind == 4:
        return x
    angle = rng.uniform(0, math.pi)
    sigma, other = (max(0.2, v * scale) for v in rng.uniform(*s.gaussian_sigma, size=2))
    kernel = (
        gaussian_kernel(sigma, sigma, 0.0),
        gaussian_kernel(sigma, other, angle),
        motion_kernel(rng.uniform(*s.motion_length) * scale, angle),
        defocus_kernel(rng.uniform(*s.defocus_radius) * scale),
    )[kind]
    return blur(x, kernel)


def noisy(x: Tensor, s: Strength, config: DegradationConfig, rng: np.random.Generator) -> Tensor:
    """Gaussian or Poisson noise, in colour or the same in all channels."""
    channels = 1 if rng.random() < config.same_noise else 3
    if rng.random() < config.poisson:
        # Light in photons: their number varies as its root, sigma grey levels at white.
        white = (255 / max(0.5, rng.uniform(*s.poisson_sigma))) ** 2
        light = (x if channels == 3 else gray(x)[:1]).clamp(-1, 1).add(1).div(2).numpy() * white
        return x + torch.from_numpy((rng.poisson(light) - light).astype(np.float32)) * (2 / white)
    noise = rng.standard_normal((channels, *x.shape[1:]), dtype=np.float32)
    return x + torch.from_numpy(noise) * (rng.uniform(*s.noise_sigma) / 127.5)


def shrunk(x: Tensor, side: int, rng: np.random.Generator) -> Tensor:
    """Resampled by a filter drawn at random."""
    return resize(x, side, ("area", "bilinear", "bicubic")[rng.integers(3)])


def compressed(
    x: Tensor, s: Strength, config: DegradationConfig, rng: np.random.Generator
) -> Tensor:
    """JPEG or WebP."""
    form = "WEBP" if rng.random() < config.webp else "JPEG"
    return jpeg(x, round(rng.uniform(*s.quality)), form)


def damaged(x: Tensor, damage: Damage, rng: np.random.Generator) -> Tensor:
    """First what happens to a print, then what software does to its scan."""
    chances = (
        (damage.halftone, halftoned),
        (damage.bled, bled),
        (damage.scratched, scratched),
        (damage.waxy, waxy),
        (damage.sharpened, sharpened),
    )
    for chance, does in chances:
        if rng.random() < chance:
            x = does(x, rng)
    return x


def degrade_small(x: Tensor, config: DegradationConfig, rng: np.random.Generator) -> Tensor:
    """[3, H, H] in [-1, 1] → the degraded picture at its own, smaller side, on the 8-bit grid."""
    s = config.mild.towards(config.serious, rng.uniform(*config.strength))
    factor = math.exp(rng.uniform(*(math.log(v) for v in s.factor)))
    side = max(4, round(x.shape[-1] / factor))
    unit = factor / x.shape[-1]
    if rng.random() < config.fade:
        x = faded(x, rng)
    order = [0, 1, 2]
    if rng.random() < config.shuffled:
        rng.shuffle(order)
    for step in order:
        if step == 0:
            x = blurred(x, unit * x.shape[-1], s, config, rng)
        elif step == 1:
            x = shrunk(x, side, rng)
        else:
            x = noisy(x, s, config, rng)
    if config.damage is not None:
        x = damaged(x, config.damage, rng)
    x = compressed(x, s, config, rng)
    if rng.random() < config.second_order:
        x = blurred(x, 1.0, s, config, rng)
        x = shrunk(x, max(4, round(side * rng.uniform(0.7, 1.3))), rng)
        x = noisy(x, s, config, rng)
        x = compressed(shrunk(x, side, rng), s, config, rng)
    if config.damage is not None and rng.random() < config.damage.rescaled:
        x = compressed(rescaled(x, rng), s, config, rng)
    return from_bytes(to_bytes(x))


def enlarge(small: Tensor, side: int) -> Tensor:
    """The network's input: bicubic to `side`, on the 8-bit grid."""
    return from_bytes(to_bytes(resize(small, side, "bicubic")))


def degrade(x: Tensor, config: DegradationConfig, rng: np.random.Generator) -> Tensor:
    """[3, H, H] in [-1, 1] → a degraded picture of the same shape, on the 8-bit grid."""
    return enlarge(degrade_small(x, config, rng), x.shape[-1])
